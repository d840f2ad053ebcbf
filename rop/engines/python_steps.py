"""Steps that the fast engines leave to Python, as functions of views of their buffers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from rop.engines.calls import apply, call
from rop.engines.planning import Plan
from rop.engines.shard import Shard
from rop.ops.kernels import Array, Map
from rop.ops.rules import Value
from rop.programs.steps import Step

# Long enough that threads seldom meet at Python's lock, short enough for the cache.
_BLOCK = 2**17


def python_step(step: Step, layout: Plan, shard: Shard, directions: int) -> Callable[[], Any]:
    """Make the function that runs a Map or a Call on views of the buffers."""
    target = view(step.target, layout, shard, directions)
    operands = [view(value, layout, shard, directions) for value in step.operands]
    if isinstance(step.kernel, Map):
        return _mapped(step, target[:, 0], [operand[:, 0] for operand in operands])
    return partial(call, step, shard.cases, target, *operands)


def view(value: Value, layout: Plan, shard: Shard, directions: int) -> Array:
    """A value as an array (cases or 1, directions or 1, *shape)."""
    buffer, offset = shard.locate(value, layout, directions)
    flat = shard.buffers[buffer][offset:]
    cases = shard.cases if value.per_case else 1
    many = directions if value.per_direction else 1
    row = value.size
    if value.place is not None and value.place.row is not None:
        row = value.place.row
    inner = np.empty(value.shape, np.int8).strides
    size = flat.itemsize
    strides = (row * many * size, row * size, *(s * size for s in inner))
    return as_strided(flat, (cases, many, *value.shape), strides)


def _mapped(step: Step, target: Array, operands: list[Array]) -> Callable[[], Any]:
    arrays = [target, *operands]
    if (
        target.size <= _BLOCK
        or not all(a.flags.c_contiguous for a in arrays)
        or len({a.size for a in arrays}) > 1
    ):
        return partial(apply, step, target, *operands)
    flat = [array.reshape(-1) for array in arrays]

    def in_blocks() -> None:
        # What the function computes on its way stays in the cache.
        for i in range(0, target.size, _BLOCK):
            apply(step, *[array[i : i + _BLOCK] for array in flat])

    return in_blocks
