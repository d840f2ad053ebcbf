"""Nests of loops as kernels: any strided term, and sums of such terms in a fixed order.

A nest comes as a table of int64, one row for each loop: extent, and strides of target, first and
second operand. Loops that the target walks come first, those that are summed last.
"""

# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call"

from __future__ import annotations

from rop.engines.cuda.driver import SIMULATED, cuda

THREADS = 4 if SIMULATED else 256
"""Threads of a block, a power of two."""

EXTENT, TARGET, X, Y = 0, 1, 2, 3
"""Columns of a table."""


@cuda.jit
def walk(t, t0, x, x0, y, y0, table, rank, elements, c, two, add):
    """t[...] = or += c · x[...] · y[...], one thread for each element; y only where `two` says so.

    Arrays are whole buffers; t0, x0 and y0 are their first elements.
    """
    element = cuda.grid(1)
    if element >= elements:
        return
    at, x_at, y_at, rest = t0, x0, y0, element
    for loop in range(rank - 1, -1, -1):
        above = rest // table[loop, EXTENT] if loop else 0
        index = rest - above * table[loop, EXTENT]
        at += index * table[loop, TARGET]
        x_at += index * table[loop, X]
        y_at += index * table[loop, Y]
        rest = above
    term = c * x[x_at]
    if two:
        term *= y[y_at]
    t[at] = t[at] + term if add else term


@cuda.jit
def reduce(t, t0, x, x0, y, y0, table, rank, summed, elements, terms, c, two, add, lanes, along):
    """t[...] = or += c · Σ x[...] · y[...]: the sum that is the same in every run.

    `lanes` threads share the terms of one element, each takes every lanes-th of its block's part,
    and they are added up as a tree. Blocks with a different y-index take different parts, each to
    its own row of t. `along` says whether neighbouring threads take neighbouring terms, or
    neighbouring elements: whichever lie together in memory.
    """
    parts = cuda.shared.array(THREADS, t.dtype)
    thread = cuda.threadIdx.x
    together = THREADS // lanes
    if along:
        lane, mine = thread % lanes, thread // lanes
    else:
        lane, mine = thread // together, thread % together
    element = cuda.blockIdx.x * together + mine
    at, x_at, y_at, rest = t0, x0, y0, element
    for loop in range(rank - 1, -1, -1):
        above = rest // table[loop, EXTENT] if loop else 0
        index = rest - above * table[loop, EXTENT]
        at += index * table[loop, TARGET]
        x_at += index * table[loop, X]
        y_at += index * table[loop, Y]
        rest = above
    length = (terms + cuda.gridDim.y - 1) // cuda.gridDim.y
    first = cuda.blockIdx.y * length
    total = c - c
    if element < elements:
        for term in range(first + lane, min(first + length, terms), lanes):
            i, j, rest = x_at, y_at, term
            for loop in range(rank + summed - 1, rank - 1, -1):
                above = rest // table[loop, EXTENT] if loop > rank else 0
                index = rest - above * table[loop, EXTENT]
                i += index * table[loop, X]
                j += index * table[loop, Y]
                rest = above
            total += x[i] * y[j] if two else x[i]
    place = lane * together + mine
    parts[place] = total
    cuda.syncthreads()
    half = lanes // 2
    while half > 0:
        if lane < half:
            parts[place] += parts[place + half * together]
        cuda.syncthreads()
        half //= 2
    if lane == 0 and element < elements:
        at += cuda.blockIdx.y * elements
        value = c * parts[place]
        t[at] = t[at] + value if add else value
