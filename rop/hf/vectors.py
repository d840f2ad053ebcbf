"""Scalar products and updates of parameter vectors, the only arithmetic that CG adds.

Vectors may be float32; their scalar products are accumulated in float64, because CG's step
lengths and the progress of q are small differences of large sums. What CG does to the same vectors
is done in one pass over memory, by all cores where the vectors are long.
"""

from collections.abc import Callable
from functools import cache, partial
from math import sqrt
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rop.engines.threads import run_all, stretches

Vector: TypeAlias = npt.NDArray[np.floating[Any]]

# Two vectors this long fill the nearest caches: a second core then shortens the way to memory.
_LONG = 2**18


def dot(a: Vector, b: Vector) -> float:
    """Return aᵀb, summed in float64.

    Parameters
    ----------
    a, b : ndarray, shape (n,)
        Vectors of one dtype.

    Returns
    -------
    float
        The scalar product.
    """
    return _by_stretches(_compiled().dot, a, b)


def norm(a: Vector) -> float:
    """Return the Euclidean norm of a.

    Parameters
    ----------
    a : ndarray, shape (n,)
        A vector.

    Returns
    -------
    float
        ‖a‖.
    """
    return sqrt(dot(a, a))


def axpy(scalar: float, x: Vector, y: Vector) -> None:
    """Add scalar · x to y in place.

    Parameters
    ----------
    scalar : float
        The factor of x.
    x : ndarray, shape (n,)
        The vector to add.
    y : ndarray, shape (n,)
        The vector that changes.
    """
    _by_stretches(partial(_compiled().axpy, y.dtype.type(scalar)), x, y)


def descend(alpha: float, p: Vector, Ap: Vector, x: Vector, r: Vector) -> float:
    """Take CG's step: add αp to x and αAp to the residual r, in place.

    Parameters
    ----------
    alpha : float
        α.
    p, Ap : ndarray, shape (n,)
        The direction, and its product with A.
    x, r : ndarray, shape (n,)
        The iterate and its residual, which change.

    Returns
    -------
    float
        rᵀr of the new residual.
    """
    return _by_stretches(partial(_compiled().descend, x.dtype.type(alpha)), p, Ap, x, r)


def turn(beta: float, y: Vector, p: Vector) -> None:
    """Make CG's next direction in place: p = βp - y.

    Parameters
    ----------
    beta : float
        β.
    y : ndarray, shape (n,)
        The preconditioned residual.
    p : ndarray, shape (n,)
        The direction, which changes.
    """
    _by_stretches(partial(_compiled().turn, p.dtype.type(beta)), y, p)


@cache
def _compiled() -> ModuleType:
    from rop.engines.numba import vectors

    return vectors


def _by_stretches(function: Callable[..., float | None], *vectors: Vector) -> float:
    """Run a function on stretches of vectors at the same time; returns the sum of its results."""
    n = vectors[0].size
    if n < _LONG:
        return function(*vectors) or 0.0
    from rop.engines.numba.binding import threads

    where = stretches(n, threads())
    totals = [0.0] * len(where)

    def work(i: int) -> None:
        totals[i] = function(*[vector[where[i]] for vector in vectors]) or 0.0

    run_all([partial(work, i) for i in range(len(where))])
    return sum(totals)
