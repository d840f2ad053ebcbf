"""The NumPy engine: a Python loop over the steps, one NumPy call each; to read and to step through.

It is the reference that the other engines are tested against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rop.engines.calls import python_step
from rop.engines.lowering import Nest, nest
from rop.engines.memory import Shard
from rop.ops.kernels import Array, Loops
from rop.programs.planning import Plan
from rop.programs.steps import Program, Step

Action: TypeAlias = Callable[[], Any]


def shards(cases: int, flops: float) -> int:
    """One: NumPy's BLAS uses the cores itself."""
    return 1


def bind(
    program: Program, layout: Plan, shard: Shard, directions: int = 1
) -> Callable[[Array, Array], None]:
    """Make a function that runs a program.

    Parameters
    ----------
    program : Program
        The program.
    layout : Plan
        Its plan, for the shard's cases and so many directions.
    shard : Shard
        The buffers.
    directions : int
        Number of directions.

    Returns
    -------
    callable
        ``run(input, output)``, of flat arrays.
    """
    # The program's inputs and outputs change from run to run, the views of them must not.
    ends = {
        name: np.empty(_length(program, name, shard.cases, directions), shard.dtype)
        for name in ("input", "output")
    }
    shard.buffers.update(ends)
    actions = [action(step, layout, shard, directions) for step in program.steps]
    source, result = ends["input"], ends["output"]

    def run(input: Array, output: Array) -> None:
        source[...] = input[: len(source)]
        with np.errstate(all="ignore"):
            for act in actions:
                act()
        output[: len(result)] = result

    return run


def action(step: Step, layout: Plan, shard: Shard, directions: int) -> Action:
    """Make the NumPy call of one step, on views of the buffers."""
    if step.kernel is not None and not isinstance(step.kernel, Loops):
        return python_step(step, layout, shard, directions)
    loops = nest(step, shard.cases, directions)
    target, *operands = _views(step, loops, layout, shard, directions)
    if step.kernel is None:
        return lambda: target.fill(0.0)
    c, add = step.kernel.coefficient, step.accumulate
    summed = tuple(i for i, s in enumerate(loops.strides[0]) if s == 0 and not _inner_k(loops, i))
    rest = [0 if i in summed else slice(None) for i in range(target.ndim)]
    place = target[(*rest, ...)]
    if not summed and c == 1.0 and not add:
        return _assigning(loops, target, operands)

    def accumulate() -> None:
        term = _term(loops, operands)
        if summed:
            term = term.sum(axis=summed)
        if c != 1.0:
            term = c * term
        if add:
            np.add(place, term, out=place)
        else:
            place[...] = term

    return accumulate


def _assigning(loops: Nest, target: Array, operands: list[Array]) -> Action:
    if loops.gemm:
        return lambda: np.matmul(operands[0], operands[1], out=target)
    if len(operands) == 2:
        return lambda: np.multiply(operands[0], operands[1], out=target)
    return lambda: np.copyto(target, operands[0])


def _term(loops: Nest, operands: list[Array]) -> Array:
    if len(operands) == 1:
        return operands[0]
    term: Array = (np.matmul if loops.gemm else np.multiply)(operands[0], operands[1])
    return term


def _inner_k(loops: Nest, i: int) -> bool:
    """Whether a loop is the k of the matrix product, which np.matmul sums itself."""
    return loops.gemm and i == len(loops.extents) - 1


def _views(step: Step, loops: Nest, layout: Plan, shard: Shard, directions: int) -> list[Array]:
    """The target and the operands as strided arrays over the loops (for a product: matrices)."""
    walks: tuple[Any, ...] = (None,)
    if isinstance(step.kernel, Loops):
        walks = step.kernel.walks
    views = []
    for i, (value, walk) in enumerate(zip((step.target, *step.operands), walks, strict=True)):
        buffer, offset = shard.locate(value, layout, directions)
        start = offset + (0 if walk is None else walk.offset)
        extents, strides = list(loops.extents), list(loops.strides[i])
        if loops.gemm:
            drop = {0: -1, 1: -2, 2: -3}[i]
            del extents[drop], strides[drop]
            if i == 2:
                extents[-2:], strides[-2:] = extents[:-3:-1], strides[:-3:-1]
        flat = shard.buffers[buffer][start:]
        size = flat.itemsize
        views.append(as_strided(flat, extents, [s * size for s in strides]))
    return views


def _length(program: Program, buffer: str, cases: int, directions: int) -> int:
    """Elements of the program's input or output."""
    ends = 0
    for step in program.steps:
        for value in (step.target, *step.operands):
            place = value.place
            if place is not None and place.buffer == buffer:
                many = directions if value.per_direction else 1
                rows = cases if value.per_case else 1
                if place.row is not None:
                    ends = max(ends, rows * many * place.row)
                else:
                    ends = max(ends, place.offset * many + rows * many * value.size)
    return ends
