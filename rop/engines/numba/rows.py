"""Nests of loops as rows of the tape machine's table."""

from __future__ import annotations

from functools import lru_cache
from itertools import product as grid
from typing import TypeAlias

from rop.engines.lowering import Nest, leading
from rop.engines.numba import tape

Template: TypeAlias = tuple[tuple[int, ...], tuple[int, int, int]]
"""A row without buffers, and which of target and operands stands in which column."""


@lru_cache(maxsize=4096)
def rows_of(kind: int, accumulate: bool, loops: Nest) -> tuple[Template, ...]:
    """Write a nest as rows: most often one.

    There are more where a sum must start from zero, and where a nest has more loops than the tape
    machine: one row for each round of the outermost.

    Parameters
    ----------
    kind : int
        ZERO, COPY, MULTIPLY or GEMM of `rop.engines.numba.tape`.
    accumulate : bool
        Whether the target is added to.
    loops : Nest
        The nest.

    Returns
    -------
    tuple of (row, order)
        Offsets of a row are relative to the first elements of its arrays.
    """
    rows: list[Template] = []
    if loops.adds and not accumulate:
        kept = [i for i, s in enumerate(loops.strides[0]) if s != 0 or loops.extents[i] == 1]
        extents = tuple(loops.extents[i] for i in kept)
        target = (tuple(loops.strides[0][i] for i in kept),)
        rows += rows_of(tape.ZERO, False, Nest(extents, target, False, False))
    inner = 3 if loops.gemm else 2
    excess = max(0, len(loops.extents) - tape.OUTER_LOOPS - inner)
    add = accumulate or loops.adds
    for index in grid(*(range(extent) for extent in loops.extents[:excess])):
        starts, inside = [0, 0, 0], [(0,) * (len(loops.extents) - excess)] * 3
        for i, strides in enumerate(loops.strides):
            starts[i] = sum(k * stride for k, stride in zip(index, strides, strict=False))
            inside[i] = strides[excess:]
        rows.append(_row(kind, add, loops.extents[excess:], inside, starts, inner))
    return tuple(rows)


def _row(
    kind: int,
    add: bool,
    extents: tuple[int, ...],
    strides: list[tuple[int, ...]],
    starts: list[int],
    inner: int,
) -> Template:
    missing = (0,) * max(0, inner - len(extents))
    extents = (1,) * len(missing) + extents
    strides = [missing + s for s in strides]
    outer = len(extents) - inner
    t, x, y = (s[outer:] for s in strides)
    order = (0, 1, 2)
    if kind == tape.GEMM:
        last, order = _gemm(extents[outer:], t, x, y)
    else:
        n1, n0 = extents[outer:]
        # A target stride of 0 says that the innermost loop sums; a loop of one round does not.
        inside = (t[1], x[1], y[1]) if n0 > 1 else (1, 1, 1)
        last = [n1, t[0], x[0], y[0], n0, *inside]
    row = [0] * tape.WIDTH
    row[tape.KIND], row[tape.ADD], row[tape.OUTER] = kind, int(add), outer
    row[tape.EXTENTS : tape.EXTENTS + outer] = extents[:outer]
    row[tape.LAST : tape.LAST + 8] = last
    for column, operand in enumerate(order):
        first = tape.STRIDES + tape.OUTER_LOOPS * column
        row[first : first + outer] = strides[operand][:outer]
        row[tape.OFFSET + column] = starts[operand]
    return tuple(row), order


def _gemm(
    extents: tuple[int, ...], t: tuple[int, ...], x: tuple[int, ...], y: tuple[int, ...]
) -> tuple[list[int], tuple[int, int, int]]:
    """m, n, k, BLAS's letters and leading dimensions of t = x y, for t by rows; and the order."""
    m, n, k = extents
    t_seen, x_seen = leading(m, t[0], n, t[1]), leading(m, x[0], k, x[2])
    y_seen = leading(k, y[2], n, y[1])
    assert t_seen and x_seen and y_seen
    (t_turned, t_lead), (x_turned, x_lead), (y_turned, y_lead) = t_seen, x_seen, y_seen
    order = (0, 1, 2)
    if t_turned:
        # tᵀ = yᵀ xᵀ lies by rows.
        order = (0, 2, 1)
        m, n = n, m
        x_turned, y_turned = not y_turned, not x_turned
        x_lead, y_lead = y_lead, x_lead
    letters = [ord("T" if turned else "N") for turned in (x_turned, y_turned)]
    return [m, n, k, *letters, x_lead, y_lead, t_lead], order
