"""The Numba engine: the steps of a program as the rows of a table, run by the tape machine.

The batch is split over the cores where that pays: every shard of cases runs the same program with
BLAS on one thread, and what sums over cases is added up at the end, in a fixed order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from itertools import product as grid
from typing import Any, TypeAlias

import numpy as np

from rop.engines import tape
from rop.engines.calls import python_step
from rop.engines.lowering import Nest, leading, nest
from rop.engines.memory import Shard
from rop.ops.kernels import Array, Loops
from rop.program import Plan, Program, Step

# A shard must be worth waking a thread for.
_SMALLEST_SHARD_FLOPS = 2e6
_SMALLEST_SHARD_CASES = 16

Run: TypeAlias = Callable[[Array, Array], Any]


@dataclass(frozen=True, eq=False)
class Table:
    """A run of steps as the tape machine reads them, and the names of the buffers they refer to."""

    rows: Array
    coefficients: Array
    buffers: tuple[str, ...]


def threads() -> int:
    """Number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def shards(cases: int, flops: float) -> int:
    """Into how many parts to split a batch.

    Parameters
    ----------
    cases : int
        Number of cases.
    flops : float
        Multiplications of one product.

    Returns
    -------
    int
    """
    worth = min(int(flops / _SMALLEST_SHARD_FLOPS), cases // _SMALLEST_SHARD_CASES)
    return max(1, min(threads(), worth))


def bind(program: Program, layout: Plan, shard: Shard, directions: int = 1) -> Run:
    """Make a function that runs a program; see the NumPy engine's.

    Steps in Python (elementwise functions, ops outside the families) come between tables.
    """
    if shard.dtype not in layout.compiled:
        layout.compiled[shard.dtype] = list(_compiled(program, layout, shard, directions))
    runs = [
        _machine(part, shard)
        if isinstance(part, Table)
        else _python(part, layout, shard, directions)
        for part in layout.compiled[shard.dtype]
    ]
    if len(runs) == 1:
        return runs[0]

    def run(input: Array, output: Array) -> None:
        for part in runs:
            part(input, output)

    return run


def _compiled(
    program: Program, layout: Plan, shard: Shard, directions: int
) -> Iterator[Table | Step]:
    for in_python, steps in groupby(program.steps, _runs_in_python):
        if in_python:
            yield from steps
            continue
        numbers = {"input": tape.INPUT, "output": tape.OUTPUT}
        rows: list[list[int]] = []
        coefficients: list[float] = []
        for step in steps:
            new = _rows(step, layout, shard, directions, numbers)
            rows += new
            c = step.kernel.coefficient if isinstance(step.kernel, Loops) else 1.0
            coefficients += [c] * len(new)
        yield Table(
            np.array(rows, dtype=np.int64),
            np.array(coefficients, dtype=shard.dtype),
            tuple(numbers),
        )


def _runs_in_python(step: Step) -> bool:
    return not (step.kernel is None or isinstance(step.kernel, Loops))


def _machine(table: Table, shard: Shard) -> Run:
    machine, rows, coefficients = tape.run, table.rows, table.coefficients
    gemm = tape.gemm_address(shard.dtype)
    # Named here, the buffers live as long as the function that holds their addresses.
    buffers = [shard.buffers[name] for name in table.buffers[2:]]
    addresses = np.array([0, 0, *(buffer.ctypes.data for buffer in buffers)], dtype=np.int64)

    def run(input: Array, output: Array, buffers: list[Array] = buffers) -> None:
        machine(rows, coefficients, addresses, input, output, gemm)

    return run


def _python(step: Step, layout: Plan, shard: Shard, directions: int) -> Run:
    places = [value.place for value in (step.target, *step.operands)]
    if not any(place and place.buffer in ("input", "output") for place in places):
        act = python_step(step, layout, shard, directions)
        return lambda input, output: act()

    def run(input: Array, output: Array) -> None:
        shard.buffers.update(input=input, output=output)
        python_step(step, layout, shard, directions)()

    return run


def _rows(
    step: Step, layout: Plan, shard: Shard, directions: int, numbers: dict[str, int]
) -> list[list[int]]:
    """The rows of one step: most often one; a row before it where a sum must start from zero."""
    loops = nest(step, shard.cases, directions)
    walks = step.kernel.walks if isinstance(step.kernel, Loops) else ()
    buffers, offsets = [0, 0, 0], [0, 0, 0]
    for i, value in enumerate((step.target, *step.operands)):
        name, offset = shard.locate(value, layout, directions)
        buffers[i] = numbers.setdefault(name, len(numbers))
        offsets[i] = offset + (walks[i].offset if walks else 0)
    if step.kernel is None:
        return _unrolled(tape.ZERO, False, loops, buffers, offsets)
    kind = tape.GEMM if loops.gemm else tape.MULTIPLY if len(step.operands) == 2 else tape.COPY
    rows = _unrolled(kind, step.accumulate or loops.adds, loops, buffers, offsets)
    if loops.adds and not step.accumulate:
        kept = [i for i, stride in enumerate(loops.strides[0]) if stride != 0]
        target = Nest(
            tuple(loops.extents[i] for i in kept),
            (tuple(loops.strides[0][i] for i in kept),),
            False,
            False,
        )
        rows = _unrolled(tape.ZERO, False, target, buffers, offsets) + rows
    return rows


def _unrolled(
    kind: int, add: bool, loops: Nest, buffers: list[int], offsets: list[int]
) -> list[list[int]]:
    """One row for each round of the loops that are more than the tape machine has."""
    inner = 3 if loops.gemm else 2
    excess = max(0, len(loops.extents) - tape.OUTER_LOOPS - inner)
    rows = []
    for index in grid(*(range(extent) for extent in loops.extents[:excess])):
        start = list(offsets)
        for i, strides in enumerate(loops.strides):
            start[i] += sum(k * stride for k, stride in zip(index, strides, strict=False))
        extents = loops.extents[excess:]
        inside = [s[excess:] for s in loops.strides] + [(0,) * len(extents)] * 2
        rows.append(_row(kind, add, extents, inside[:3], buffers, start, inner))
    return rows


def _row(
    kind: int,
    add: bool,
    extents: tuple[int, ...],
    strides: list[tuple[int, ...]],
    buffers: list[int],
    offsets: list[int],
    inner: int,
) -> list[int]:
    row = [0] * tape.WIDTH
    row[tape.KIND], row[tape.ADD] = kind, int(add)
    row[tape.BUFFER : tape.BUFFER + 3] = buffers
    row[tape.OFFSET : tape.OFFSET + 3] = offsets
    missing = max(0, inner - len(extents))
    extents = (1,) * missing + extents
    strides = [(0,) * missing + s for s in strides]
    outer = len(extents) - inner
    row[tape.OUTER] = outer
    row[tape.EXTENTS : tape.EXTENTS + outer] = extents[:outer]
    for i in range(3):
        first = tape.STRIDES + tape.OUTER_LOOPS * i
        row[first : first + outer] = strides[i][:outer]
    t, x, y = (s[outer:] for s in strides)
    if kind != tape.GEMM:
        n1, n0 = extents[outer:]
        row[tape.LAST : tape.LAST + 8] = [n1, t[0], x[0], y[0], n0, t[1], x[1], y[1]]
        return row
    row[tape.LAST : tape.LAST + 8] = _gemm(extents[outer:], t, x, y, row)
    return row


def _gemm(
    extents: tuple[int, ...],
    t: tuple[int, ...],
    x: tuple[int, ...],
    y: tuple[int, ...],
    row: list[int],
) -> list[int]:
    """m, n, k, BLAS's letters and leading dimensions of t = x y, for t by rows."""
    m, n, k = extents
    t_seen, x_seen = leading(m, t[0], n, t[1]), leading(m, x[0], k, x[2])
    y_seen = leading(k, y[2], n, y[1])
    assert t_seen and x_seen and y_seen
    (t_turned, t_lead), (x_turned, x_lead), (y_turned, y_lead) = t_seen, x_seen, y_seen
    if t_turned:
        # tᵀ = yᵀ xᵀ lies by rows.
        for columns in (tape.BUFFER, tape.OFFSET):
            row[columns + 1], row[columns + 2] = row[columns + 2], row[columns + 1]
        first = tape.STRIDES + tape.OUTER_LOOPS
        second = first + tape.OUTER_LOOPS
        third = second + tape.OUTER_LOOPS
        row[first:third] = row[second:third] + row[first:second]
        m, n = n, m
        x_turned, y_turned = not y_turned, not x_turned
        x_lead, y_lead = y_lead, x_lead
    letters = [ord("T" if turned else "N") for turned in (x_turned, y_turned)]
    return [m, n, k, *letters, x_lead, y_lead, t_lead]
