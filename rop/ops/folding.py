"""Reductions by an op of two operands: `fold` joins halves, log₂ n ops on arrays instead of n."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from rop.graph import Node, Operand, as_node
from rop.ops.shaping import Axis, axes_of, concatenate, getitem, reshape, transpose


def fold(
    op: str, join: Callable[[Node, Node], Node], x: Operand, axis: Axis, keepdims: bool
) -> Node:
    """Reduce axes by an associative op of two nodes of one shape; `op` is its name in errors."""
    node = as_node(x)
    axes = axes_of(op, node, axis)
    kept = [i for i in range(len(node.shape)) if i not in axes]
    rest = tuple(node.shape[i] for i in kept)
    shape = tuple(1 if i in axes else n for i, n in enumerate(node.shape)) if keepdims else rest
    if not axes:
        return node
    # One axis at the front, so that halves are contiguous.
    length = prod(node.shape[i] for i in axes)
    node = reshape(transpose(node, (*axes, *kept)), (length, *rest))
    while length > 1:
        half = length // 2
        joined = join(getitem(node, slice(0, half)), getitem(node, slice(half, 2 * half)))
        if length % 2:
            joined = concatenate([joined, getitem(node, slice(2 * half, length))])
        node, length = joined, length - half
    return reshape(node, shape)
