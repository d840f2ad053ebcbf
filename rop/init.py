"""Where the optimisation starts: random initialisations of the parameters, by name.

A matrix is (out, in) as in ``W @ x`` and a kernel (out, in, ...): each of the out units is
connected to everything in the other axes. Vectors and scalars are biases, which start at 0.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopTypeError, RopValueError

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
    """
    _check_positive(connections=connections, std=std)
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
    """
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
    """
    _check_positive(std=std)
    parameters = _zeros(shapes)
    for W in _weights(parameters):
        W[...] = rng.normal(0, std, W.shape)
    return parameters


SCHEMES: dict[str, Callable[..., Values]] = {"sparse": sparse, "glorot": glorot, "normal": normal}


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
    """
    if scheme not in SCHEMES:
        raise RopValueError(f"initialisation must be one of {', '.join(SCHEMES)}; got {scheme!r}")
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
    return {name: np.zeros(shape) for name, shape in shapes.items()}


def _weights(parameters: Values) -> Iterable[NDArray[np.float64]]:
    return (values for values in parameters.values() if values.ndim >= 2)


def _check_positive(**options: float) -> None:
    for name, value in options.items():
        if not value > 0:
            raise RopValueError(f"{name} must be positive, got {value!r}")
