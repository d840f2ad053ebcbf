"""Scalar products and updates of parameter vectors, the only arithmetic that CG adds.

Vectors may be float32; scalar products are summed in float64, because CG's step lengths and the
progress of q are small differences of large sums. Operations on the same vectors share one pass
over memory, and long vectors use all cores.
"""

from collections.abc import Callable
from functools import cache, partial
from math import sqrt
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rop.engines import WHY_NOT_NUMBA
from rop.engines.parallel import ranges, run_all, threads
from rop.errors import RopTypeError, RopValueError
from rop.support.arguments import shown

Vector: TypeAlias = npt.NDArray[np.floating[Any]]

# Two vectors of this length fill the caches of one core; beyond it a second core pays.
_LONG = 2**18


def finite_vector(owner: str, name: str, value: npt.ArrayLike) -> Vector:
    """Return an argument as a vector of finite float32 or float64 numbers.

    Parameters
    ----------
    owner, name : str
        The function and its argument, for the message.
    value : array_like, shape (n,)
        The array; integers become float64.

    Returns
    -------
    ndarray, shape (n,)
        The vector; no copy where none is needed.

    Raises
    ------
    RopTypeError
        If the value is no array of real numbers.
    RopValueError
        If it is not one-dimensional, is empty, or has a number that is not finite.
    """
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.empty((), object)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype not in (np.float32, np.float64) or isinstance(value, np.ma.MaskedArray):
        raise RopTypeError(
            f"{owner}: {name} must be an array of float32 or float64, got {shown(value)}"
        )
    if array.ndim != 1 or not array.size:
        raise RopValueError(
            f"{owner}: {name} must have shape (n,) with n >= 1, got {array.shape}; "
            "ravel() makes one axis of several"
        )
    finite = np.isfinite(array)
    if not finite.all():
        place = int(np.argmin(finite))
        raise RopValueError(
            f"{owner}: {name} must be finite, got {array[place]} at index {place} and "
            f"{np.count_nonzero(~finite)} such numbers in all"
        )
    return array


def dot(a: Vector, b: Vector) -> float:
    """Return aᵀb, summed in float64."""
    return _by_ranges(_loops().dot, a, b)


def norm(a: Vector) -> float:
    """Return ‖a‖, the Euclidean norm."""
    return sqrt(dot(a, a))


def axpy(scalar: float, x: Vector, y: Vector) -> None:
    """Add scalar · x to y in place."""
    _by_ranges(partial(_loops().axpy, y.dtype.type(scalar)), x, y)


def descend(alpha: float, p: Vector, Ap: Vector, x: Vector, r: Vector) -> float:
    """Add αp to x and αAp to the residual r in place; return the new rᵀr."""
    return _by_ranges(partial(_loops().descend, x.dtype.type(alpha)), p, Ap, x, r)


def turn(beta: float, y: Vector, p: Vector) -> None:
    """Set p to βp - y in place, CG's next direction."""
    _by_ranges(partial(_loops().turn, p.dtype.type(beta)), y, p)


def take_shares(pairs: Vector, curvatures: Vector, r: Vector) -> Vector:
    """Subtract from r in place what pairs know of it: the first loop of L-BFGS.

    Parameters
    ----------
    pairs : ndarray, shape (k, 2, n)
        s and y, the latest last; it takes its share first.
    curvatures : ndarray of float64, shape (k,)
        sᵀy.
    r : ndarray, shape (n,)
        The vector.

    Returns
    -------
    ndarray of float64, shape (k,)
        sᵀr / sᵀy of each pair, so many times y was subtracted.
    """
    shares = np.empty(len(pairs))
    if _compiled(pairs, r):
        _loops().take_shares(pairs, curvatures, r, shares)
        return shares
    for i in reversed(range(len(pairs))):
        s, y = pairs[i]
        shares[i] = dot(s, r) / curvatures[i]
        axpy(-shares[i], y, r)
    return shares


def return_shares(pairs: Vector, curvatures: Vector, shares: Vector, Hr: Vector) -> None:
    """Add to Hr in place what pairs know: the second loop of L-BFGS.

    Parameters
    ----------
    pairs : ndarray, shape (k, 2, n)
        s and y, the latest last.
    curvatures : ndarray of float64, shape (k,)
        sᵀy.
    shares : ndarray of float64, shape (k,)
        What `take_shares` returned: so many times s is in Hr.
    Hr : ndarray, shape (n,)
        The vector; what it has of s already, yᵀHr / sᵀy, counts.
    """
    if _compiled(pairs, Hr):
        _loops().return_shares(pairs, curvatures, shares, Hr)
        return
    for (s, y), curvature, share in zip(pairs, curvatures, shares, strict=True):
        axpy(share - dot(y, Hr) / curvature, s, Hr)


def _compiled(pairs: Vector, r: Vector) -> bool:
    """Whether one call does all pairs: there are compiled loops, and one core is enough."""
    return not WHY_NOT_NUMBA and r.size < _LONG and pairs.shape[1:] == (2, r.size)


@cache
def _loops() -> ModuleType:
    if WHY_NOT_NUMBA:
        from rop.engines import numpy_vectors

        return numpy_vectors
    from rop.engines.numba import vectors

    return vectors


def _by_ranges(function: Callable[..., float | None], *vectors: Vector) -> float:
    """Run a function on parts of the vectors in parallel; return the sum of its results."""
    n = vectors[0].size
    shape = (n,)
    for vector in vectors:  # compiled code does not look where an array ends
        if vector.shape != shape:
            listing = " and ".join(str(each.shape) for each in vectors)
            raise RopValueError(f"expected vectors of one length, got shapes {listing}")
    if n < _LONG:
        return function(*vectors) or 0.0
    where = ranges(n, threads())
    totals = [0.0] * len(where)

    def work(i: int) -> None:
        totals[i] = function(*[vector[where[i]] for vector in vectors]) or 0.0

    run_all([partial(work, i) for i in range(len(where))])
    return sum(totals)
