"""Steps that compute each element by itself, joined into kernels that read and write memory once.

Such a step walks its arrays by rows and columns. Steps that follow each other over the same rows
and columns are one kernel: what one has computed, the next finds in a register, and what nobody
reads afterwards is never written to memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from rop.engines.cuda.memory import DeviceShard
from rop.engines.cuda.source import assignments, known
from rop.engines.lowering import nest
from rop.engines.planning import Plan
from rop.ops.expressions import traced
from rop.ops.kernels import Loops, Map
from rop.ops.rules import Value
from rop.programs.steps import Program, Step

Strides: TypeAlias = tuple[int, int]

# More arrays in one kernel cost more registers than they save memory traffic.
_MOST_ARRAYS = 12


@dataclass(frozen=True)
class Access:
    """Where an array is walked: buffer, first element, and strides of rows and columns."""

    buffer: str
    first: int
    strides: Strides

    def split(self, columns: int) -> Access:
        """The same elements, walked in rows of so many columns."""
        step = self.strides[1]
        return Access(self.buffer, self.first, (step * columns, step))

    def range(self, rows: int, columns: int) -> tuple[int, int]:
        """The first element that is reached, and the first beyond the last."""
        across = [(rows - 1) * self.strides[0], (columns - 1) * self.strides[1]]
        low, high = sum(min(0, a) for a in across), sum(max(0, a) for a in across)
        return self.first + low, self.first + high + 1


@dataclass(frozen=True)
class Point:
    """A step over rows and columns: the accesses of its target and of its operands."""

    step: Step
    rows: int
    columns: int
    accesses: tuple[Access, ...]

    def split(self, rows: int, columns: int) -> Point:
        """The same step over other rows and columns, if it walks all its arrays as one row."""
        accesses = tuple(access.split(columns) for access in self.accesses)
        return Point(self.step, rows, columns, accesses)


@dataclass(frozen=True)
class Fused:
    """A kernel's source, and its arguments.

    Attributes
    ----------
    source : str
        Depends on what is computed, not on where: equal layers share a kernel.
    rows, columns : int
        What it walks.
    accesses : tuple of Access
        Its arrays.
    coefficients : tuple of float
        Its factors.
    """

    source: str
    rows: int
    columns: int
    accesses: tuple[Access, ...]
    coefficients: tuple[float, ...]


def point(step: Step, layout: Plan, shard: DeviceShard, directions: int) -> Point | None:
    """See a step as one over rows and columns; None where it sums, or has more loops."""
    values = (step.target, *step.operands)
    places = [shard.locate(value, layout, directions) for value in values]
    if isinstance(step.kernel, Map):
        return _map(step, places, shard.cases)
    if not (step.kernel is None or isinstance(step.kernel, Loops)):
        return None
    loops = nest(step, shard.cases, directions)
    dims = [
        (extent, strides)
        for extent, *strides in zip(loops.extents, *loops.strides, strict=True)
        if extent > 1
    ]
    if loops.gemm or loops.adds or loops.overlapping or len(dims) > 2:
        return None
    dims.sort(key=lambda dim: -abs(dim[1][0]))
    nothing = (1, [0] * len(values))
    (rows, down), (columns, across) = [nothing] * (2 - len(dims)) + dims
    starts = [walk.offset for walk in step.kernel.walks] if step.kernel else [0]
    accesses = tuple(
        Access(buffer, first + start, (a, b))
        for (buffer, first), start, a, b in zip(places, starts, down, across, strict=True)
    )
    return Point(step, rows, columns, accesses)


def _map(step: Step, places: Sequence[tuple[str, int]], cases: int) -> Point | None:
    assert isinstance(step.kernel, Map)
    expression = traced(step.kernel.function, len(step.operands))
    if expression is None or not all(known(a) for a in expression.applications):
        return None
    values = (step.target, *step.operands)
    if any(v.per_direction or v.size != step.target.size for v in values):
        return None
    rows = cases if step.target.per_case else 1
    if any(v.per_case and not step.target.per_case for v in values):
        return None
    flat = all(v.per_case == step.target.per_case for v in values)
    size = step.target.size
    strides = [(0, 1) if flat or not v.per_case else (size, 1) for v in values]
    accesses = tuple(Access(*place, stride) for place, stride in zip(places, strides, strict=True))
    return Point(step, 1, rows * size, accesses) if flat else Point(step, rows, size, accesses)


def groups(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Split points that follow each other into those that one kernel can run."""
    group: list[Point] = []
    for new in points:
        joined = _joined(group, new)
        if joined is None:
            yield group
            group = [new]
        else:
            group = joined
    if group:
        yield group


def _joined(group: list[Point], new: Point) -> list[Point] | None:
    """The group and one point more, over the same rows and columns, or None."""
    if not group:
        return [new]
    rows, columns = group[0].rows, group[0].columns
    if (rows, columns) != (new.rows, new.columns):
        if rows * columns != new.rows * new.columns or 1 not in (rows, new.rows):
            return None
        if new.rows == 1:
            new = new.split(rows, columns)
        else:
            rows, columns = new.rows, new.columns
            group = [old.split(rows, columns) for old in group]
    joined = [*group, new]
    targets = {each.accesses[0] for each in joined}
    every = {access for each in joined for access in each.accesses}
    if len(every) > _MOST_ARRAYS:
        return None
    for target in targets:
        start, end = target.range(rows, columns)
        for other in every - {target}:
            low, high = other.range(rows, columns)
            # Another thread may reach it sooner or later than this one.
            if other.buffer == target.buffer and low < end and start < high:
                return None
    return joined


def fused(group: Sequence[Point], program: Program, last: dict[Value, int], end: int) -> Fused:
    """Write one kernel for a group of points.

    Parameters
    ----------
    group : sequence of Point
        Over the same rows and columns.
    program : Program
        The program.
    last : dict of Value to int
        Number of the last step that reads each value.
    end : int
        Number of the first step after the group.

    Returns
    -------
    Fused
    """
    arrays: list[Access] = []
    latest: dict[Access, Value] = {}
    coefficients: list[float] = []
    body: list[str] = []

    def name(access: Access) -> str:
        """The register of an access, filled from memory when it is first read."""
        if access not in arrays:
            arrays.append(access)
            body.append(f"v{len(arrays) - 1} = p{len(arrays) - 1}[i{len(arrays) - 1}]")
        return f"v{arrays.index(access)}"

    for number, each in enumerate(group):
        target, *operands = each.accesses
        step = each.step
        given = [name(access) for access in operands]
        if isinstance(step.kernel, Map):
            expression = traced(step.kernel.function, len(operands))
            assert expression is not None
            lines = list(assignments(expression.applications, given, f"w{number}_"))
            body += lines
            term = f"w{number}_{len(lines) - 1}" if lines else given[0]
        elif step.kernel is None:
            term = "real(0.0)"
        else:
            assert isinstance(step.kernel, Loops)
            term = " * ".join(given)
            if step.kernel.coefficient != 1.0:
                term = f"c{len(coefficients)} * {term}"
                coefficients.append(step.kernel.coefficient)
        if step.accumulate:
            term = f"{name(target)} + {term}"
        if target not in arrays:
            arrays.append(target)
        body.append(f"v{arrays.index(target)} = {term}")
        latest[target] = step.target
    for access, value in latest.items():
        if value.place is not None or value in program.keep or last.get(value, -1) >= end:
            i = arrays.index(access)
            body.append(f"p{i}[i{i}] = v{i}")
    rows, columns = group[0].rows, group[0].columns
    text = _source(len(arrays), len(coefficients), body)
    return Fused(text, rows, columns, tuple(arrays), tuple(coefficients))


def _source(arrays: int, coefficients: int, body: Sequence[str]) -> str:
    """The kernel: threads walk the elements in strides, without a division for each."""
    given = [f"p{i}, o{i}, a{i}, b{i}" for i in range(arrays)]
    given += [f"c{i}" for i in range(coefficients)]
    lines = [
        "@cuda.jit(cache=True)",
        f"def kernel(rows, columns, {', '.join(given)}):",
        "    first, stride = cuda.grid(1), cuda.gridsize(1)",
        "    row, column = first // columns, first % columns",
        "    down, across = stride // columns, stride % columns",
        "    for element in range(first, rows * columns, stride):",
        *[f"        i{i} = o{i} + row * a{i} + column * b{i}" for i in range(arrays)],
        *[f"        {line}" for line in body],
        "        row += down",
        "        column += across",
        "        if column >= columns:",
        "            row += 1",
        "            column -= columns",
    ]
    return "\n".join(lines) + "\n"


def arguments(fused: Fused, shard: DeviceShard) -> list[Any]:
    """The arguments that a kernel is launched with."""
    given: list[Any] = [fused.rows, fused.columns]
    for access in fused.accesses:
        given += [shard.buffers[access.buffer], access.first, *access.strides]
    return given + [shard.dtype.type(c) for c in fused.coefficients]
