"""Where the optimisation starts: random initialisations of the parameters, by name.

A matrix is (out, in) as in ``W @ x`` and a kernel (out, in, ...): each of the out units is
connected to everything in the other axes. Vectors and scalars are biases, which start at 0. The
schemes for recurrent nets know the parameters of `rop.nets.rnn` by their names.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopTypeError, RopValueError
from rop.support.arguments import check
from rop.support.constraints import Count, Positive, Seed
from rop.support.words import either

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Values: TypeAlias = dict[str, NDArray[np.float64]]


def sparse(
    shapes: Shapes, rng: np.random.Generator, *, connections: int = 15, std: float = 1.0
) -> Values:
    """Give each unit a few strong connections, drawn without replacement (Martens 2010; sec. 13).

    The input of a unit keeps its size however wide the layer below is, and units stay diverse.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of the parameters by name.
    rng : numpy.random.Generator
        Source of the connections and their weights.
    connections : int
        Incoming connections of a unit; one with fewer inputs is connected to all of them.
    std : float
        Standard deviation of the weights; Sutskever et al. (2013) take 0.25 for tanh units.

    Returns
    -------
    dict of str to ndarray of float64
        The parameters.

    Raises
    ------
    RopValueError
        If connections or std is not positive.

    Examples
    --------
    >>> shapes = {"W1": (50, 64), "b1": (50,)}
    >>> values = rop.init.sparse(shapes, np.random.default_rng(0), connections=10)
    >>> np.count_nonzero(values["W1"], axis=1)[:5]
    array([10, 10, 10, 10, 10])
    """
    _check_positive(rng, connections=connections, std=std)
    parameters = _zeros(shapes)
    for W in _weights(parameters):
        for unit in W.reshape(len(W), -1):
            connected = rng.choice(unit.size, min(connections, unit.size), replace=False)
            unit[connected] = rng.normal(0, std, connected.size)
    return parameters


def glorot(shapes: Shapes, rng: np.random.Generator) -> Values:
    """Draw dense uniform weights that keep variances level (Glorot & Bengio 2010, eq. 16).

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of the parameters by name.
    rng : numpy.random.Generator
        Source of the weights.

    Returns
    -------
    dict of str to ndarray of float64
        The parameters, W in ±√(6 / (fan in + fan out)); a kernel's fans count its positions.

    Examples
    --------
    >>> shapes = {"W1": (50, 64), "b1": (50,)}
    >>> values = rop.init.glorot(shapes, np.random.default_rng(0))
    >>> bool(abs(values["W1"]).max() < np.sqrt(6 / (50 + 64)))
    True
    """
    _check_positive(rng)
    parameters = _zeros(shapes)
    for W in _weights(parameters):
        fan_in, fan_out = W[0].size, W[:, 0].size
        bound = math.sqrt(6 / (fan_in + fan_out))
        W[...] = rng.uniform(-bound, bound, W.shape)
    return parameters


def normal(shapes: Shapes, rng: np.random.Generator, *, std: float = 0.1) -> Values:
    """Draw dense normal weights with one standard deviation for all layers.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of the parameters by name.
    rng : numpy.random.Generator
        Source of the weights.
    std : float
        Standard deviation of the weights.

    Returns
    -------
    dict of str to ndarray of float64
        The parameters.

    Raises
    ------
    RopValueError
        If std is not positive.

    Examples
    --------
    >>> shapes = {"W1": (50, 64), "b1": (50,)}
    >>> values = rop.init.normal(shapes, np.random.default_rng(0), std=0.1)
    >>> round(float(values["W1"].std()), 2)
    0.1
    """
    _check_positive(rng, std=std)
    parameters = _zeros(shapes)
    for W in _weights(parameters):
        W[...] = rng.normal(0, std, W.shape)
    return parameters


def recurrent(
    shapes: Shapes,
    rng: np.random.Generator,
    *,
    connections: int = 15,
    scale: float = 1.0,
    inputs: float = 0.25,
) -> Values:
    """Draw the sparse weights of recurrent nets of the code for Martens & Sutskever (2011).

    Each unit gets a few connections of variance scale²/connections, so that W_hh has a spectral
    radius of about the scale: that code suggests 1.2 for all problems, and 1.5 is chaotic.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of the parameters of `rop.nets.rnn` by name.
    rng : numpy.random.Generator
        Source of the connections and their weights.
    connections : int
        Incoming connections of a unit.
    scale : float
        Factor of all weights, h_0's among them.
    inputs : float
        Further factor of W_xh.

    Returns
    -------
    dict of str to ndarray of float64
        The parameters; h_0 is drawn as the weights from one unit that is always on.

    Raises
    ------
    RopValueError
        If an option is not positive or there is no W_hh.

    Examples
    --------
    >>> x, z, h = rop.nets.rnn([2, 100, 1], steps=50, at=-1)
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> values = rop.init.recurrent(objective.shapes, np.random.default_rng(0))
    >>> np.count_nonzero(values["W_hh"], axis=1)[:5]
    array([15, 15, 15, 15, 15])
    """
    _check_positive(rng, connections=connections, scale=scale, inputs=inputs)
    _check_recurrent("recurrent", shapes)
    std = scale / math.sqrt(connections)
    parameters = sparse(shapes, rng, connections=connections, std=std)
    if "W_xh" in parameters:
        parameters["W_xh"] *= inputs
    if "h_0" in parameters:
        h_0 = {"h_0": (1, *shapes["h_0"])}
        parameters["h_0"] = sparse(h_0, rng, connections=connections, std=std)["h_0"][0]
    return parameters


def spectral(
    shapes: Shapes,
    rng: np.random.Generator,
    *,
    connections: int = 15,
    radius: float = 1.1,
    inputs: float = 0.1,
    outputs: float = 0.1,
) -> Values:
    """Draw W_hh with a given spectral radius, as echo-state networks do (Sutskever et al. 2013).

    A radius slightly above 1 keeps what enters the hidden state in circulation for long, without
    making the dynamics chaotic.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Shapes of the parameters of `rop.nets.rnn` by name.
    rng : numpy.random.Generator
        Source of the connections and their weights.
    connections : int
        Incoming connections of a unit from the hidden units.
    radius : float
        Largest absolute value of W_hh's eigenvalues.
    inputs : float
        Standard deviation of the dense W_xh: 0.001 for addition and multiplication, 0.1 for
        memorization.
    outputs : float
        Standard deviation of all other matrices, which are dense as well.

    Returns
    -------
    dict of str to ndarray of float64
        The parameters; h_0 and biases are 0.

    Raises
    ------
    RopValueError
        If an option is not positive or there is no W_hh.

    Examples
    --------
    >>> x, z, h = rop.nets.rnn([2, 100, 1], steps=50, at=-1)
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> values = rop.init.spectral(objective.shapes, np.random.default_rng(0), radius=1.1)
    >>> round(float(abs(np.linalg.eigvals(values["W_hh"])).max()), 6)
    1.1
    """
    _check_positive(rng, connections=connections, radius=radius, inputs=inputs, outputs=outputs)
    _check_recurrent("spectral", shapes)
    parameters = normal(shapes, rng, std=outputs)
    W_hh = sparse({"W_hh": shapes["W_hh"]}, rng, connections=connections)["W_hh"]
    parameters["W_hh"] = W_hh * (radius / np.abs(np.linalg.eigvals(W_hh)).max())
    if "W_xh" in parameters:
        parameters["W_xh"] *= inputs / outputs
    return parameters


SCHEMES: dict[str, Callable[..., Values]] = {
    draw.__name__: draw for draw in (sparse, glorot, normal, recurrent, spectral)
}


def initialize(
    scheme: str, shapes: Shapes, seed: int | np.random.Generator = 0, **options: Any
) -> Values:
    """Draw parameters by the scheme of this name; what `Objective.init` calls.

    Parameters
    ----------
    scheme : str
        A key of `SCHEMES`.
    shapes : mapping of str to tuple of int
        Shapes of the parameters by name.
    seed : int or numpy.random.Generator
        Source of the weights.
    **options
        The scheme's own options.

    Returns
    -------
    dict of str to ndarray of float64
        The parameters.

    Raises
    ------
    RopValueError
        If there is no such scheme, or an option's value does not fit.
    RopTypeError
        If the scheme has no such option.

    Examples
    --------
    >>> shapes = {"W1": (50, 64), "b1": (50,)}
    >>> values = rop.init.initialize("sparse", shapes, seed=0)
    >>> values["W1"].shape, int(np.count_nonzero(values["W1"][0]))
    ((50, 64), 15)
    """
    check("init", "seed", seed, Seed | np.random.Generator)
    check("init", "shapes", shapes, Mapping)
    if not isinstance(scheme, str) or scheme not in SCHEMES:
        raise RopValueError(f"initialisation must be {either(SCHEMES)}; got {scheme!r}")
    draw = SCHEMES[scheme]
    _, _, *known = inspect.signature(draw).parameters  # after shapes and rng
    for option in options:
        if option not in known:
            raise RopTypeError(
                f"initialisation {scheme!r} has no option {option!r}; "
                f"it has {', '.join(known) or 'none'}"
            )
    return draw(shapes, np.random.default_rng(seed), **options)


def _zeros(shapes: Shapes) -> Values:
    for name, shape in shapes.items():
        for extent in shape:
            check("init", f"shape of {name!r}", extent, Count)
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def _weights(parameters: Values) -> Iterable[NDArray[np.float64]]:
    return (values for values in parameters.values() if values.ndim >= 2)


def _check_recurrent(scheme: str, shapes: Shapes) -> None:
    rows, columns = (*shapes.get("W_hh", ()), 0, 0)[:2]
    if not rows == columns > 0:
        raise RopValueError(
            f"initialisation {scheme!r} is for recurrent nets, with a square matrix W_hh as in "
            f"rop.nets.rnn; got {', '.join(shapes)}"
        )


def _check_positive(rng: np.random.Generator, **options: float) -> None:
    check("init", "rng", rng, np.random.Generator)
    for name, value in options.items():
        check("init", name, value, Count if name == "connections" else Positive)


__all__ = ["glorot", "initialize", "normal", "recurrent", "sparse", "spectral"]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
