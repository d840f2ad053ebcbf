"""A matrix product in Numba: readable, and what runs where cuBLAS is missing, or is simulated.

Each block of threads computes a tile of the result, and each thread a smaller tile of that in its
registers: every number that it fetches from shared memory serves as many multiplications as the
tile is wide.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call"

from __future__ import annotations

from rop.engines.cuda.driver import SIMULATED, cuda

SIDE = 2 if SIMULATED else 8
"""Threads along each side of a block."""

OWN = 2 if SIMULATED else 8
"""Rows and columns of the result that each thread computes."""

TILE = SIDE * OWN
DEPTH = 4 if SIMULATED else 8
"""Terms that are fetched at a time."""

_LINE = TILE + 1  # one more than a power of two: no two lines begin in the same bank


@cuda.jit
def gemm(t, t0, tm, tn, x, x0, xm, xk, y, y0, yk, yn, m, n, k, c, add):
    """t[m, n] = or += c · Σ_k x[m, k] y[k, n], with any strides; one block for each tile."""
    x_tile = cuda.shared.array((DEPTH, _LINE), t.dtype)
    y_tile = cuda.shared.array((DEPTH, _LINE), t.dtype)
    own = cuda.local.array((OWN, OWN), t.dtype)
    x_own = cuda.local.array(OWN, t.dtype)
    y_own = cuda.local.array(OWN, t.dtype)
    row, column = cuda.threadIdx.y, cuda.threadIdx.x
    thread = row * SIDE + column
    first_row, first_column = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE
    nothing = c - c
    for i in range(OWN):
        for j in range(OWN):
            own[i, j] = nothing

    for start in range(0, k, DEPTH):
        for number in range(thread, TILE * DEPTH, SIDE * SIDE):
            # Neighbouring threads fetch neighbouring numbers, along whichever side they lie.
            i, depth = (number // DEPTH, number % DEPTH) if xk == 1 else _turned(number)
            inside = first_row + i < m and start + depth < k
            at = x0 + (first_row + i) * xm + (start + depth) * xk
            x_tile[depth, i] = x[at] if inside else nothing
            j, depth = (number // DEPTH, number % DEPTH) if yk == 1 else _turned(number)
            inside = first_column + j < n and start + depth < k
            at = y0 + (start + depth) * yk + (first_column + j) * yn
            y_tile[depth, j] = y[at] if inside else nothing
        cuda.syncthreads()
        for depth in range(DEPTH):
            for i in range(OWN):
                x_own[i] = x_tile[depth, row + i * SIDE]
                y_own[i] = y_tile[depth, column + i * SIDE]
            for i in range(OWN):
                for j in range(OWN):
                    own[i, j] += x_own[i] * y_own[j]
        cuda.syncthreads()

    for i in range(OWN):
        for j in range(OWN):
            down, across = first_row + row + i * SIDE, first_column + column + j * SIDE
            if down < m and across < n:
                at = t0 + down * tm + across * tn
                value = c * own[i, j]
                t[at] = t[at] + value if add else value


@cuda.jit(device=True)
def _turned(number):
    """The index along the tile and the depth, where numbers lie together along the tile."""
    return number % TILE, number // TILE
