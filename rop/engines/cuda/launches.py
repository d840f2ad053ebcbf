"""Steps of a program as launches: what the GPU is given, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product as grid
from math import prod
from typing import Any, TypeAlias

import numpy as np

from rop.engines.cuda import driver, kernels, products
from rop.engines.cuda.kernels import THREADS
from rop.engines.cuda.memory import DeviceShard
from rop.engines.cuda.pointwise import Point, arguments, fused, groups, point
from rop.engines.cuda.rows import row_source
from rop.engines.cuda.source import compiled, known
from rop.engines.lowering import nest, row_expression
from rop.engines.planning import Plan
from rop.engines.python_steps import python_step
from rop.engines.shard import Shard
from rop.ops.kernels import Array, Loops
from rop.ops.rules import Value
from rop.programs.steps import Program, Step

Launch: TypeAlias = Callable[[], Any]

# Blocks for each multiprocessor that a walk over many elements is spread over.
_BLOCKS = 2 if driver.SIMULATED else 16
# Elements of a sum that share a block, where neighbours lie together in memory.
_TOGETHER = 2 if driver.SIMULATED else 32
# Terms of a sum that each thread adds at least, before a sum is split among blocks.
_FEWEST_TERMS = 2 if driver.SIMULATED else 8


def launches_of(
    program: Program, layout: Plan, shard: DeviceShard, directions: int, tf32: bool
) -> Iterator[tuple[bool, Launch]]:
    """Turn steps into launches, in order.

    Parameters
    ----------
    program, layout : Program, Plan
        The program and its plan.
    shard : DeviceShard
        The buffers.
    directions : int
        Number of directions.
    tf32 : bool
        Whether products of float32 may be rounded to TF32.

    Yields
    ------
    (bool, callable)
        Whether it runs on the GPU, and so can be part of a graph; and what starts it.
    """
    last = {v: i for i, step in enumerate(program.steps) for v in (step.target, *step.operands)}
    points: list[Point] = []
    for number, step in enumerate(program.steps):
        new = point(step, layout, shard, directions)
        if new is not None:
            points.append(new)
            continue
        yield from _pointwise(points, program, last, number, shard)
        points = []
        if step.kernel is None or isinstance(step.kernel, Loops):
            for launch in _loops(step, layout, shard, directions, tf32):
                yield True, launch
        else:
            by_rows = _rows(step, layout, shard, directions)
            if by_rows is None:
                yield False, _in_python(step, layout, shard, directions)
            else:
                yield True, by_rows
    yield from _pointwise(points, program, last, len(program.steps), shard)


def _pointwise(
    points: list[Point], program: Program, last: dict[Value, int], end: int, shard: DeviceShard
) -> Iterator[tuple[bool, Launch]]:
    start = end - len(points)
    for group in groups(points):
        start += len(group)
        work = fused(group, program, last, start)
        kernel = compiled(work.source, shard.dtype)
        blocks = -(-work.rows * work.columns // THREADS)
        blocks = min(blocks, _BLOCKS * driver.processors())
        yield True, _start(kernel, blocks, arguments(work, shard))


def _start(kernel: Any, blocks: Any, given: list[Any]) -> Launch:
    # Configured anew for each launch: the simulator's kernels know only their latest grid.
    return lambda: kernel[blocks, THREADS, driver.stream()](*given)


@lru_cache(maxsize=4096)
def _table(rows: tuple[tuple[int, ...], ...]) -> Any:
    """A nest's table on the GPU; see `rop.engines.cuda.kernels`."""
    driver.require()
    table = np.zeros((max(1, len(rows)), 4), np.int64)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return driver.cuda.to_device(table)


def _loops(
    step: Step, layout: Plan, shard: DeviceShard, directions: int, tf32: bool
) -> Iterator[Launch]:
    loops = nest(step, shard.cases, directions)
    arrays, starts = [], []
    # What only fills a target has at most two loops: it is a step over rows and columns.
    assert isinstance(step.kernel, Loops)
    for value, walk in zip((step.target, *step.operands), step.kernel.walks, strict=True):
        name, offset = shard.locate(value, layout, directions)
        arrays.append(shard.buffers[name])
        starts.append(offset + walk.offset)
    c = step.kernel.coefficient
    if loops.gemm:
        (t, x, y), (t0, x0, y0) = arrays, starts
        for product in products.matrices(loops, (t0, x0, y0), step.accumulate):
            yield products.launch(product, (t, x, y), c, tf32)
        return
    rows = list(zip(loops.extents, *loops.strides, strict=True))
    apart = [rows.pop(i) for i in reversed(loops.overlapping)]
    for index in grid(*(range(row[0]) for row in apart)):
        shifts = [
            sum(k * row[1 + i] for k, row in zip(index, apart, strict=True))
            for i in range(len(starts))
        ]
        given: list[Any] = []
        for array, start, shift in zip(arrays, starts, shifts, strict=True):
            given += [array, start + shift]
        # Kernels take two operands; where there is one, the second is not read.
        two = len(arrays) == 3
        given += [] if two else given[2:4]
        act = _sum if loops.adds else _walk
        yield from act(rows, given, c, two, step.accumulate, shard)


_Rows: TypeAlias = list[tuple[int, ...]]  # of a table: extent and strides of each loop


def _walk(
    rows: _Rows, given: list[Any], c: float, two: bool, add: bool, shard: DeviceShard
) -> Iterator[Launch]:
    """Terms that never meet: one thread for each."""
    elements = prod(row[0] for row in rows)
    flags = shard.dtype.type(c), two, add
    blocks = -(-elements // THREADS)
    yield _start(kernels.walk, blocks, [*given, _table(tuple(rows)), len(rows), elements, *flags])


def _sum(
    rows: _Rows, given: list[Any], c: float, two: bool, add: bool, shard: DeviceShard
) -> Iterator[Launch]:
    """A sum: by one kernel or, where it has few elements and many terms, in parts by two."""
    rows = [row for row in rows if row[0] > 1]
    kept = [row for row in rows if row[1] != 0]
    summed = [row for row in rows if row[1] == 0]
    elements, terms = prod(r[0] for r in kept), prod(r[0] for r in summed)
    along = not kept or _reach(summed[-1]) < _reach(kept[-1])
    lanes = _power_of_2(min(terms, THREADS)) if along else _lanes(elements)
    if along and elements * lanes > THREADS * driver.processors():
        lanes = min(lanes, _TOGETHER)
    blocks = -(-elements * lanes // THREADS)
    parts = min(-(-4 * driver.processors() // blocks), terms // (lanes * _FEWEST_TERMS), 256)
    one = shard.dtype.type(1)
    ranks = len(kept), len(summed), elements
    if parts < 2:
        table = _table(tuple(kept + summed))
        flags = terms, shard.dtype.type(c), two, add, lanes, along
        yield _start(kernels.reduce, blocks, [*given, table, *ranks, *flags])
        return
    shard.room("parts", parts * elements)
    scratch = shard.buffers["parts"]
    steps = [prod(r[0] for r in kept[i + 1 :]) for i in range(len(kept))]
    first = [(r[0], step, *r[2:]) for r, step in zip(kept, steps, strict=True)]
    second = [(r[0], r[1], step, 0) for r, step in zip(kept, steps, strict=True)]
    flags = terms, shard.dtype.type(c), two, False, lanes, along
    table = _table(tuple(first + summed))
    yield _start(kernels.reduce, (blocks, parts), [scratch, 0, *given[2:], table, *ranks, *flags])
    lanes = _lanes(elements)
    table = _table((*second, (parts, 0, elements, 0)))
    ends = [*given[:2], scratch, 0, scratch, 0, table, len(kept), 1, elements]
    blocks = -(-elements * lanes // THREADS)
    yield _start(kernels.reduce, blocks, [*ends, parts, one, False, add, lanes, False])


def _reach(row: tuple[int, ...]) -> int:
    """How far a loop's steps go in the operands."""
    return sum(abs(stride) for stride in row[2:])


def _lanes(elements: int) -> int:
    """Threads for each element, where neighbouring threads take neighbouring elements."""
    return max(1, THREADS // min(_power_of_2(elements), _TOGETHER))


def _power_of_2(number: int) -> int:
    """The smallest power of two that is not below a number, at most the threads of a block."""
    return int(min(THREADS, 1 << (number - 1).bit_length()))


def _rows(step: Step, layout: Plan, shard: DeviceShard, directions: int) -> Launch | None:
    """A function of rows, such as softmax; None where it is another function."""
    expression = row_expression(step)
    if expression is None or not all(map(known, expression.applications)):
        return None
    target, shape = step.target, step.operands[0].shape
    columns = shape[-1]
    rows = target.elements(shard.cases, directions) // prod(target.shape) * prod(shape[:-1])
    lanes = min(_power_of_2(columns), _TOGETHER if rows > driver.processors() else THREADS)
    given: list[Any] = [rows, columns, lanes]
    for value in (target, *step.operands):
        name, offset = shard.locate(value, layout, directions)
        given += [shard.buffers[name], offset]
        if value is not target:
            given.append(value.elements(shard.cases, directions) // columns)
    kernel = compiled(row_source(expression, step.accumulate), shard.dtype)
    return _start(kernel, -(-rows * lanes // THREADS), given)


def _in_python(step: Step, layout: Plan, shard: DeviceShard, directions: int) -> Launch:
    """A step that only Python can run: its operands are fetched, and its result is sent back."""
    mirror = Shard(shard.cases, shard.rows, shard.dtype, kept=shard.kept)
    values = dict.fromkeys((*step.operands, step.target))
    copies: list[tuple[Array, Any]] = []
    for value in values:
        name, offset = shard.locate(value, layout, directions)
        device = shard.buffers[name]
        host = mirror.buffers.setdefault(name, np.empty(len(device), shard.dtype))
        if value.place is None or value.place.row is None:
            ends = slice(offset, offset + value.elements(shard.cases, directions))
        else:
            ends = slice(None)
        copies.append((host[ends], device[ends]))
    act = python_step(step, layout, mirror, directions)

    def run() -> None:
        for host, device in copies:
            driver.download(host, device)
        with np.errstate(all="ignore"):
            act()
        driver.upload(copies[-1][1], copies[-1][0])

    return run
