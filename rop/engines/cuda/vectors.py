"""Arithmetic of parameter vectors on the GPU, CG's included; scalar products in float64.

A sum is taken in two steps, each in a fixed order: every block adds up its part, and one block
adds up the parts.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call"

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numba import float64

from rop.engines.cuda import driver
from rop.engines.cuda.driver import cuda
from rop.engines.cuda.kernels import THREADS

BLOCKS = 4 if driver.SIMULATED else 256
"""Blocks, and so parts, of a scalar product: the same on every GPU, and so are its bits."""

# The scalars of a run, in float64.
RY, ALPHA, BETA, Q, ROW, ENDED, SCALARS = 0, 1, 2, 3, 4, 5, 6

# What is written down of each step.
_Q, _RR, _RY, _PAP, COLUMNS = 0, 1, 2, 3, 4


@cuda.jit
def _axpy(c, x, y, size):
    i = cuda.grid(1)
    if i < size:
        y[i] += c * x[i]


@cuda.jit
def _dot(x, y, size, parts):
    total = float64(0.0)
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        total += float64(x[i]) * float64(y[i])
    total = _block_sum(total)
    if cuda.threadIdx.x == 0:
        parts[cuda.blockIdx.x] = total


# In this module with all its callers: the simulator swaps a module's `cuda` while its kernels run.
@cuda.jit(device=True)
def _block_sum(mine):
    """The sum over the threads of a block, as a tree; for its first thread."""
    parts = cuda.shared.array(THREADS, float64)
    thread = cuda.threadIdx.x
    parts[thread] = mine
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if thread < half:
            parts[thread] += parts[thread + half]
        cuda.syncthreads()
        half //= 2
    total = parts[0]
    cuda.syncthreads()
    return total


def axpy(c: float, x: Any, y: Any, size: int) -> None:
    """y += c · x, for the first elements of arrays on the GPU."""
    _axpy[-(-size // THREADS), THREADS, driver.stream()](y.dtype.type(c), x, y, size)


def dot(x: Any, y: Any, size: int) -> float:
    """xᵀy, for the first elements of arrays on the GPU; waits for it."""
    parts = driver.empty(BLOCKS, np.dtype(np.float64))
    _dot[BLOCKS, THREADS, driver.stream()](x, y, size, parts)
    found = np.empty(BLOCKS)
    driver.download(found, parts)
    return float(found.sum())


@cuda.jit(device=True)
def _totals(parts):
    """Add up what the blocks have left of two sums."""
    one, other = float64(0.0), float64(0.0)
    for i in range(cuda.threadIdx.x, BLOCKS, THREADS):
        one += parts[i]
        other += parts[BLOCKS + i]
    one = _block_sum(one)
    other = _block_sum(other)
    return one, other


@cuda.jit
def first(Ax, x, d, b, r, inverse, p, n):
    """r = Ax - b for the given Bx, and p = -P⁻¹r."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        r[i] = Ax[i] + d[i] * x[i] - b[i]
        p[i] = -(inverse[i] * r[i])


@cuda.jit
def copy(x, y, n):
    """y = x."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        y[i] = x[i]


@cuda.jit
def damp(Ap, p, d, n, parts):
    """Ap = Bp + d p, and parts of pᵀAp."""
    total = float64(0.0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        Ap[i] += d[i] * p[i]
        total += float64(p[i]) * float64(Ap[i])
    total = _block_sum(total)
    if cuda.threadIdx.x == 0:
        parts[cuda.blockIdx.x] = total


@cuda.jit
def length(parts, scalars, history):
    """The step length α = rᵀy / pᵀAp; without one, everything stays as it is (erratum M14)."""
    pAp, _ = _totals(parts)
    if cuda.threadIdx.x == 0:
        history[int(scalars[ROW]), _PAP] = pAp
        if 0.0 < pAp < inf and scalars[ENDED] == 0.0:
            scalars[ALPHA] = scalars[RY] / pAp
        else:
            scalars[ENDED] = 1.0


@cuda.jit
def descend(scalars, p, Ap, x, r, inverse, iterates, n, parts):
    """x += α p and r += α Ap; a copy of x; parts of rᵀr and of rᵀP⁻¹r."""
    moves, alpha, copy = scalars[ENDED] == 0.0, scalars[ALPHA], int(scalars[ROW]) * n
    rr, ry = float64(0.0), float64(0.0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        if moves:
            x[i] = float64(x[i]) + alpha * float64(p[i])
            r[i] = float64(r[i]) + alpha * float64(Ap[i])
        iterates[copy + i] = x[i]
        squared = float64(r[i]) * float64(r[i])
        rr += squared
        ry += float64(inverse[i]) * squared
    rr = _block_sum(rr)
    ry = _block_sum(ry)
    if cuda.threadIdx.x == 0:
        parts[cuda.blockIdx.x] = rr
        parts[BLOCKS + cuda.blockIdx.x] = ry


@cuda.jit
def record(parts, scalars, history):
    """Write down q, rᵀr and rᵀP⁻¹r; and β."""
    rr, ry = _totals(parts)
    if cuda.threadIdx.x == 0:
        row = int(scalars[ROW])
        if scalars[ENDED] == 0.0:
            # q(x + αp) = q(x) - ½α rᵀy, as pᵀr = -rᵀy.
            scalars[Q] -= scalars[ALPHA] * scalars[RY] / 2.0
            scalars[BETA] = ry / scalars[RY] if scalars[RY] > 0.0 else 0.0
            scalars[RY] = ry
        history[row, _Q] = scalars[Q]
        history[row, _RR] = rr
        history[row, _RY] = scalars[RY]
        scalars[ROW] = row + 1.0 if row + 1 < history.shape[0] else 0.0


@cuda.jit
def turn(scalars, r, inverse, p, n):
    """p = -P⁻¹r + β p."""
    beta = scalars[BETA]
    if scalars[ENDED] == 0.0:
        for i in range(cuda.grid(1), n, cuda.gridsize(1)):
            p[i] = beta * float64(p[i]) - float64(inverse[i]) * float64(r[i])
