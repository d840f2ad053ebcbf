"""Measures of success besides f: a number for each case, and means over many cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines import DEFAULT_ENGINE
from rop.experiments.registry import Measure
from rop.objective.objective import Objective

_PIECE = 1000  # cases at a time, which bounds the memory


def squared_error(z: NDArray[Any], batch: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return Σ (p - x)² over the pixels of each image, p = σ(z): the papers' error of autoencoders.

    Parameters
    ----------
    z : ndarray, shape (N, pixels)
        The outputs before the logistic function.
    batch : mapping of str to ndarray
        With the images "x".

    Returns
    -------
    ndarray, shape (N,)
        The error of each case, without ½.
    """
    p = 0.5 + 0.5 * np.tanh(0.5 * z)
    error: NDArray[Any] = np.sum((p - batch["x"]) ** 2, axis=1)
    return error


def wrong(z: NDArray[Any], batch: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return 1 for each case whose largest output is not that of its class.

    Parameters
    ----------
    z : ndarray, shape (N, classes)
        The outputs.
    batch : mapping of str to ndarray
        With the one-hot targets "t".

    Returns
    -------
    ndarray, shape (N,)
        True or False for each case.
    """
    mistaken: NDArray[Any] = z.argmax(axis=1) != batch["t"].argmax(axis=1)
    return mistaken


def measure(
    objective: Objective,
    theta: NDArray[Any],
    batch: Mapping[str, ArrayLike],
    measures: Mapping[str, Measure],
    engine: str = DEFAULT_ENGINE,
    most: int | None = None,
) -> dict[str, float]:
    """Return f and the measures at θ, as means over the cases of a batch.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ.
    batch : mapping of str to ndarray, shape (N, ...)
        The cases; they are evaluated in pieces.
    measures : mapping of str to callable, (z, batch) -> (N,)
        The measures.
    engine : str
        Engine of the forward sweeps.
    most : int, optional
        Measure this many cases at most, the first ones; all by default.

    Returns
    -------
    dict of str to float
        "f" and the measures by name.
    """
    arrays = {name: np.asarray(array)[:most] for name, array in batch.items()}
    cases = len(next(iter(arrays.values()))) if arrays else 1
    total = dict.fromkeys(["f", *measures], 0.0)
    for start in range(0, cases, _PIECE):
        piece = {name: array[start : start + _PIECE] for name, array in arrays.items()}
        share = min(_PIECE, cases - start) / cases
        at = objective.linearize(theta, piece, engine=engine)
        total["f"] += share * at.value
        z = at.outputs
        for name, function in measures.items():
            total[name] += share * float(np.mean(function(z, piece), dtype=np.float64))
    return total
