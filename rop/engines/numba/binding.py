"""The Numba engine: the steps of a program as the rows of a table, run by the tape machine.

The batch is split over the cores where that pays: every shard of cases runs the same program, and
what sums over cases is added up at the end, in a fixed order. BLAS has one thread, in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np

from rop.engines.lowering import nest
from rop.engines.numba import tape
from rop.engines.numba.maps import expression_of, map_rows, room
from rop.engines.numba.rows import rows_of
from rop.engines.parallel import blas_threads, threads
from rop.engines.planning import Plan
from rop.engines.python_steps import python_step
from rop.engines.shard import Shard
from rop.ops.expressions import Expression
from rop.ops.kernels import Array, Call, Loops
from rop.programs.steps import Program, Step

# A shard must be worth waking a thread for.
_SMALLEST_SHARD_FLOPS = 1e7
_SMALLEST_SHARD_CASES = 16

# Overflow shows in the values, not as a warning.
_QUIETLY = np.errstate(all="ignore")

Run: TypeAlias = Callable[[Array, Array], Any]


@dataclass(frozen=True, eq=False)
class Table:
    """A run of steps as the tape machine reads them, and the names of the buffers they refer to.

    The last two buffers are the table's own: constants of functions of single elements, and room
    for what these compute on their way.
    """

    rows: Array
    coefficients: Array
    buffers: tuple[str, ...]
    constants: Array
    scratch: int

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self.rows.nbytes + self.coefficients.nbytes + self.constants.nbytes


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

    Steps in Python (ops outside the families, functions that are more than NumPy's) come between
    tables.
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
    dtype = shard.dtype
    for in_python, steps in groupby(program.steps, lambda step: _runs_in_python(step, dtype)):
        if in_python:
            yield from steps
            continue
        numbers = {"input": tape.INPUT, "output": tape.OUTPUT, "constants of maps": 2, "scratch": 3}
        rows: list[list[int]] = []
        coefficients: list[float] = []
        constants: list[float] = []
        scratch = 0
        for step in steps:
            expression = expression_of(step, dtype)
            if expression is None:
                new = _rows(step, layout, shard, directions, numbers)
            else:
                new = _map(expression, step, layout, shard, directions, numbers, constants)
                scratch = max(scratch, room(expression, _columns(step)))
            rows += new
            c = step.kernel.coefficient if isinstance(step.kernel, Loops) else 1.0
            coefficients += [c] * len(new)
        yield Table(
            np.array(rows, dtype=np.int64),
            np.array(coefficients, dtype=dtype),
            tuple(numbers),
            np.array(constants, dtype=dtype),
            scratch,
        )


def _runs_in_python(step: Step, dtype: np.dtype[Any]) -> bool:
    compiled = step.kernel is None or isinstance(step.kernel, Loops)
    return not compiled and expression_of(step, dtype) is None


def _machine(table: Table, shard: Shard) -> Run:
    machine, rows, coefficients = tape.run, table.rows, table.coefficients
    gemm, blas = tape.gemm_address(shard.dtype), blas_threads()
    # Named here, the buffers live as long as the function that holds their addresses.
    own = [table.constants, np.empty(table.scratch, shard.dtype)]
    buffers = own + [shard.buffers[name] for name in table.buffers[4:]]
    addresses = np.array([0, 0, *(buffer.ctypes.data for buffer in buffers)], dtype=np.int64)

    def run(input: Array, output: Array, buffers: list[Array] = buffers) -> None:
        machine(rows, coefficients, addresses, input, output, gemm, blas)

    return run


def _python(step: Step, layout: Plan, shard: Shard, directions: int) -> Run:
    places = [value.place for value in (step.target, *step.operands)]
    if not any(place and place.buffer in ("input", "output") for place in places):
        act = _QUIETLY(python_step(step, layout, shard, directions))
        return lambda input, output: act()

    # Another program may replace the shard's work space by a larger one; this one keeps its own.
    held = replace(shard, buffers=dict(shard.buffers))

    def run(input: Array, output: Array) -> None:
        held.buffers.update(input=input, output=output)
        _QUIETLY(python_step(step, layout, held, directions))()

    return run


def _map(
    expression: Expression,
    step: Step,
    layout: Plan,
    shard: Shard,
    directions: int,
    numbers: dict[str, int],
    constants: list[float],
) -> list[list[int]]:
    """The rows of a function of elements or rows."""
    arrays = []
    for value in (step.target, *step.operands):
        name, offset = shard.locate(value, layout, directions)
        arrays.append((numbers.setdefault(name, len(numbers)), offset))
    columns = _columns(step)
    rows = step.operands[0].elements(shard.cases, directions) // columns
    place = (2, constants)
    return list(map_rows(expression, rows, columns, arrays, place, 3, shard.dtype))


def _columns(step: Step) -> int:
    return step.operands[0].shape[-1] if isinstance(step.kernel, Call) else 1


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
