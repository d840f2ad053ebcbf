"""Reductions over axes, composed of simpler ops: prod, logsumexp, softmax, var, std, norm, cumsum.

None of them needs rules of its own (footnote 2: complicated nodes are split).
"""

from __future__ import annotations

from math import prod as size_of

from rop.errors import RopValueError
from rop.graph import Node, Operand, as_node, user_line
from rop.ops.arithmetic import add, scale, subtract
from rop.ops.choices import max
from rop.ops.elementwise import exp, softplus, sqrt, square
from rop.ops.folding import fold
from rop.ops.products import multiply
from rop.ops.shaping import (
    Axis,
    axes_of,
    concatenate,
    getitem,
    mean,
    reshape,
    sum,
)


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Product of x over one axis, several, or all; never over the cases."""
    return fold("prod", multiply, x, axis, keepdims)


def logaddexp(x: Operand, y: Operand) -> Node:
    """log(exp x + exp y), elementwise, without overflow."""
    return add(y, softplus(subtract(x, y)))


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """log Σ exp x over one axis, several, or all, without overflow; never over the cases."""
    return fold("logsumexp", logaddexp, x, axis, keepdims)


def log_softmax(x: Operand, axis: int | tuple[int, ...] = -1) -> Node:
    """x - logsumexp(x), by default over the last axis; accurate for large x too."""
    below = subtract(x, max(x, axis, keepdims=True))
    return subtract(below, logsumexp(below, axis, keepdims=True))


def softmax(x: Operand, axis: int | tuple[int, ...] = -1) -> Node:
    """exp x / Σ exp x, by default over the last axis; see `SoftmaxCrossEntropy` for a loss."""
    return exp(log_softmax(x, axis))


def var(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Node:
    """Variance of x over one axis, several, or all: Σ (x - mean)² / (count - ddof).

    Raises
    ------
    RopValueError
        If ddof is negative, or not smaller than the number of elements.
    """
    node = as_node(x)
    count = size_of(node.shape[i] for i in axes_of("var", node, axis))
    if not 0 <= ddof < count:
        raise RopValueError(
            f"var: expected 0 <= ddof < {count}, the number of elements, got {ddof!r} "
            f"({user_line()})"
        )
    deviation = subtract(node, mean(node, axis, keepdims=True))
    return scale(mean(square(deviation), axis, keepdims), count / (count - ddof))


def std(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Node:
    """Square root of `var`; its derivative is infinite where all elements are equal."""
    return sqrt(var(x, axis, ddof, keepdims))


def norm(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Euclidean norm of x over one axis, several, or all; its derivative at 0 is infinite."""
    return sqrt(sum(square(x), axis, keepdims))


def cumsum(x: Operand, axis: int | None = None) -> Node:
    """Sums of x up to each element along an axis; by default of x as a vector."""
    node = as_node(x)
    if axis is None:
        node, axis = reshape(node, -1), 0
    (axis,) = axes_of("cumsum", node, axis)
    length, before, shift = node.shape[axis], (slice(None),) * axis, 1
    # After each round an element holds the sum of twice as many as before.
    while shift < length:
        head = getitem(node, (*before, slice(0, shift)))
        tail = getitem(node, (*before, slice(shift, length)))
        earlier = getitem(node, (*before, slice(0, length - shift)))
        node, shift = concatenate([head, add(tail, earlier)], axis), 2 * shift
    return node
