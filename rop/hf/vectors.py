"""Scalar products and in-place updates of parameter vectors, the only arithmetic that CG adds.

Vectors may be float32; their scalar products are accumulated in float64, because CG's step
lengths and the progress of q are small differences of large sums.
"""

from math import sqrt
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.floating[Any]]

# A block this long stays in the first cache levels, its float32 sum is good to about 1e-7, and
# BLAS does not wake threads for it.
_BLOCK = 8192


def dot(a: Vector, b: Vector) -> float:
    """Return aᵀb, summed over blocks in float64.

    Parameters
    ----------
    a, b : ndarray, shape (n,)
        Vectors of one dtype.

    Returns
    -------
    float
        The scalar product.
    """
    if a.size <= _BLOCK:
        return float(np.dot(a, b))
    return sum(
        float(np.dot(a[i : i + _BLOCK], b[i : i + _BLOCK])) for i in range(0, a.size, _BLOCK)
    )


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
    for i in range(0, y.size, _BLOCK):
        y[i : i + _BLOCK] += scalar * x[i : i + _BLOCK]
