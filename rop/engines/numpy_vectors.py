"""Updates of parameter vectors where Numba cannot compile those of `rop.engines.numba.vectors`."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.floating[Any]]


def dot(a: Vector, b: Vector) -> float:
    """Return aᵀb, summed in float64."""
    return float(np.dot(a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)))


def axpy(scalar: np.floating[Any], x: Vector, y: Vector) -> None:
    """Add scalar · x to y."""
    y += scalar * x


def descend(alpha: np.floating[Any], p: Vector, Ap: Vector, x: Vector, r: Vector) -> float:
    """Add αp to x and αAp to r; return rᵀr."""
    x += alpha * p
    r += alpha * Ap
    return dot(r, r)


def turn(beta: np.floating[Any], y: Vector, p: Vector) -> None:
    """Make p = βp - y."""
    p *= beta
    p -= y
