"""Compiled updates of parameter vectors, each in one pass over memory, for ranges of them."""

# mypy: disable-error-code="untyped-decorator,no-untyped-def"

from __future__ import annotations

import numpy as np

from rop.engines.numba.compiling import compiled


@compiled
def dot(a, b):
    """Return aᵀb, summed in float64."""
    total = 0.0
    for i in range(len(a)):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@compiled
def axpy(scalar, x, y):
    """Add scalar · x to y."""
    for i in range(len(y)):
        y[i] += scalar * x[i]


@compiled
def descend(alpha, p, Ap, x, r):
    """Add αp to x and αAp to r; returns rᵀr."""
    total = 0.0
    for i in range(len(x)):
        x[i] += alpha * p[i]
        r[i] += alpha * Ap[i]
        total += np.float64(r[i]) * np.float64(r[i])
    return total


@compiled
def turn(beta, y, p):
    """Make p = βp - y."""
    for i in range(len(p)):
        p[i] = beta * p[i] - y[i]


@compiled
def take_shares(pairs, curvatures, r, shares):
    """Subtract from r what the pairs (s, y) know of it, the latest first: shares sᵀr / sᵀy of y."""
    for i in range(len(pairs) - 1, -1, -1):
        s, y = pairs[i, 0], pairs[i, 1]
        shares[i] = dot(s, r) / curvatures[i]
        axpy(r.dtype.type(-shares[i]), y, r)


@compiled
def return_shares(pairs, curvatures, shares, Hr):
    """Add to Hr what the pairs know: the shares of s, less those yᵀHr / sᵀy that it has."""
    for i in range(len(pairs)):
        s, y = pairs[i, 0], pairs[i, 1]
        axpy(Hr.dtype.type(shares[i] - dot(y, Hr) / curvatures[i]), s, Hr)
