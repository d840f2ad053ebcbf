"""The Numba engine: the steps of a program as the rows of a table, run by the tape machine.

The batch is split over the cores where that pays: every shard of cases runs the same program with
BLAS on one thread, and what sums over cases is added up at the end, in a fixed order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np

from rop.engines import tape
from rop.engines.calls import python_step
from rop.engines.lowering import nest
from rop.engines.memory import Shard
from rop.engines.rows import rows_of
from rop.ops.kernels import Array, Loops
from rop.planning import Plan
from rop.program import Program, Step

# A shard must be worth waking a thread for.
_SMALLEST_SHARD_FLOPS = 1e7
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

    # Another program may replace the shard's work space by a larger one; this one keeps its own.
    held = replace(shard, buffers=dict(shard.buffers))

    def run(input: Array, output: Array) -> None:
        held.buffers.update(input=input, output=output)
        python_step(step, layout, held, directions)()

    return run


def _rows(
    step: Step, layout: Plan, shard: Shard, directions: int, numbers: dict[str, int]
) -> list[list[int]]:
    """The rows of one step, with its own buffers and offsets."""
    loops = nest(step, shard.cases, directions)
    walks = step.kernel.walks if isinstance(step.kernel, Loops) else ()
    buffers, offsets = [0, 0, 0], [0, 0, 0]
    for i, value in enumerate((step.target, *step.operands)):
        name, offset = shard.locate(value, layout, directions)
        buffers[i] = numbers.setdefault(name, len(numbers))
        offsets[i] = offset + (walks[i].offset if walks else 0)
    if step.kernel is None:
        templates = rows_of(tape.ZERO, False, loops)
    else:
        kind = tape.GEMM if loops.gemm else tape.MULTIPLY if len(step.operands) == 2 else tape.COPY
        templates = rows_of(kind, step.accumulate, loops)
    rows = []
    for template, order in templates:
        row = list(template)
        for column, operand in enumerate(order):
            row[tape.BUFFER + column] = buffers[operand]
            row[tape.OFFSET + column] += offsets[operand]
        rows.append(row)
    return rows
