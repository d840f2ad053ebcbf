"""Reductions over axes, composed of simpler ops: prod, logsumexp, softmax, var, std, norm, cumsum.

None of them needs rules of its own (footnote 2: complicated nodes are split).
"""

from __future__ import annotations

from math import prod as size_of

from rop.errors import RopValueError
from rop.graph import Node, Operand, as_node
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
from rop.support.user import user_line


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Product of x over one axis, several, or all; never over the cases.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.prod(x)).value_and_gradient([3.0, 4.0])
    (12.0, array([4., 3.]))
    """
    return fold("prod", multiply, x, axis, keepdims)


def logaddexp(x: Operand, y: Operand) -> Node:
    """log(exp x + exp y), elementwise, without overflow.

    >>> x, y = rop.param("x", 2), rop.param("y", 2)
    >>> rop.Objective(rop.sum(rop.logaddexp(x, y))).value_and_gradient([1.0, 5.0, 3.0, 4.0])
    (8.4401..., array([0.1192..., 0.7310..., 0.8807..., 0.2689...]))
    """
    return add(y, softplus(subtract(x, y)))


def logsumexp(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """log Σ exp x over one axis, several, or all, without overflow; never over the cases.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.logsumexp(x)).value_and_gradient([3.0, 4.0])
    (4.3132..., array([0.2689..., 0.7310...]))
    """
    return fold("logsumexp", logaddexp, x, axis, keepdims)


def log_softmax(x: Operand, axis: int | tuple[int, ...] = -1) -> Node:
    """x - logsumexp(x), by default over the last axis; accurate for large x too.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.log_softmax(x)[0]).value_and_gradient([1.0, 0.0])
    (-0.3132..., array([ 0.2689..., -0.2689...]))
    """
    below = subtract(x, max(x, axis, keepdims=True))
    return subtract(below, logsumexp(below, axis, keepdims=True))


def softmax(x: Operand, axis: int | tuple[int, ...] = -1) -> Node:
    """exp x / Σ exp x, by default over the last axis; see `SoftmaxCrossEntropy` for a loss.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.softmax(x)[0]).value_and_gradient([1.0, 0.0])
    (0.7310..., array([ 0.1966..., -0.1966...]))
    """
    return exp(log_softmax(x, axis))


def var(x: Operand, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Node:
    """Variance of x over one axis, several, or all: Σ (x - mean)² / (count - ddof).

    Raises
    ------
    RopValueError
        If ddof is negative, or not smaller than the number of elements.

    Examples
    --------
    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.var(x)).value_and_gradient([1.0, 2.0, 6.0])
    (4.6666..., array([-1.3333..., -0.6666...,  2.        ]))
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
    """Square root of `var`; its derivative is infinite where all elements are equal.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.std(x)).value_and_gradient([1.0, 2.0, 6.0])
    (2.1602..., array([-0.3086... , -0.1543...,  0.4629...]))
    """
    return sqrt(var(x, axis, ddof, keepdims))


def norm(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Euclidean norm of x over one axis, several, or all; its derivative at 0 is infinite.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.norm(x)).value_and_gradient([3.0, 4.0])
    (5.0, array([0.6, 0.8]))
    """
    return sqrt(sum(square(x), axis, keepdims))


def cumsum(x: Operand, axis: int | None = None) -> Node:
    """Sums of x up to each element along an axis; by default of x as a vector.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.cumsum(x)[2]).value_and_gradient([1.0, 2.0, 3.0])
    (6.0, array([1., 1., 1.]))
    """
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
