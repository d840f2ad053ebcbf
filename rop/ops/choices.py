"""Choices: comparisons, where, abs, maximum, minimum, clip, and max and min over axes.

A comparison is 1 where it holds and 0 elsewhere; its derivative is 0. `Where` is linear once the
comparison is known: all of these have the curvature of what they choose, and a kink where the
choice changes.
"""

from __future__ import annotations

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Operand, Shape, as_node
from rop.ops.arithmetic import add, broadcast_shape, subtract
from rop.ops.folding import fold
from rop.ops.functions import elementwise
from rop.ops.kernels import Array, Map, product
from rop.ops.op import Op
from rop.ops.rules import Emit, Target, Targets, Value, Values
from rop.ops.shaping import Axis, broadcast_to
from rop.support.user import user_line


@elementwise(ds=None, d2s=None)
def positive(z: Array) -> Array:
    """1 where x > 0, else 0."""
    return np.heaviside(z, 0.0)


@elementwise(ds=None, d2s=None)
def not_negative(z: Array) -> Array:
    """1 where x >= 0, else 0."""
    return np.heaviside(z, 1.0)


@elementwise(ds=lambda z: np.sign(z), d2s=None)
def abs(z: Array) -> Array:
    """Absolute value of x, elementwise; the derivative at 0 is 0.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.abs(x))).value_and_gradient([-2.0, 0.0, 3.0])
    (5.0, array([-1.,  0.,  1.]))
    """
    return np.abs(z)


class Where(Op):
    """a = c x + (1 - c) y for c of 0 and 1:  Ra = c Rx + (1 - c) Ry,  dx = c da,  dy = (1 - c) da.

    Linear, given the choice c, which has no derivative.
    """

    operands = 3
    fixed = (0,)

    def __init__(self, *shapes: Shape) -> None:
        super().__init__(*shapes)
        self.times = product(self.shape)

    def value(self, emit: Emit, a: Target, z: Values) -> None:
        emit(a, Map(_chosen, "where({0}, {1}, {2})"), *z)

    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        for c, Rz_i in zip(self._shares(emit, z), Rz[1:], strict=True):
            emit(Ra, self.times, c, Rz_i)

    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        for c, dz_i in zip(self._shares(emit, z), dz[1:], strict=True):
            emit(dz_i, self.times, c, da)

    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        """Zero, as for every linear op."""

    def _shares(self, emit: Emit, z: Values) -> tuple[Value | None, Value]:
        """c and 1 - c."""
        return z[0], emit.once("1 - c", Map(_other, "1 - {0}"), z[0])


def _chosen(c: Array, x: Array, y: Array) -> Array:
    # 0⁰ = NaN⁰ = inf⁰ = 1: what is not chosen does not count, even if it is not finite.
    chosen: Array = c * x**c + (1.0 - c) * y ** (1.0 - c)
    return chosen


def _other(c: Array) -> Array:
    return 1.0 - c


def greater(x: Operand, y: Operand) -> Node:
    """1 where x > y, else 0, elementwise. Also ``x > y`` and ``y < x``.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum((x > 1) * x)).value_and_gradient([0.0, 1.0, 2.0])
    (2.0, array([0., 0., 1.]))
    """
    return positive(subtract(x, y))


def greater_equal(x: Operand, y: Operand) -> Node:
    """1 where x >= y, else 0, elementwise. Also ``x >= y`` and ``y <= x``.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum((x >= 1) * x)).value_and_gradient([0.0, 1.0, 2.0])
    (3.0, array([0., 1., 1.]))
    """
    return not_negative(subtract(x, y))


def logical_and(x: Operand, y: Operand) -> Node:
    """1 where both comparisons hold, else 0, elementwise. Also ``(z > 0) & (z < 1)``.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(((x > 0) & (x < 2)) * x)).value_and_gradient([0.0, 1.0, 2.0])
    (1.0, array([0., 1., 0.]))
    """
    return greater_equal(add(_comparison("&", x), _comparison("&", y)), 2.0)


def logical_or(x: Operand, y: Operand) -> Node:
    """1 where one of two comparisons holds, or both, else 0. Also ``(z < 0) | (z > 1)``.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(((x < 1) | (x > 1)) * x)).value_and_gradient([0.0, 1.0, 2.0])
    (2.0, array([1., 0., 1.]))
    """
    return greater(add(_comparison("|", x), _comparison("|", y)), 0.0)


def logical_not(x: Operand) -> Node:
    """1 where a comparison does not hold, else 0, elementwise. Also ``~(z > 0)``.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum((~(x > 1)) * x)).value_and_gradient([0.0, 1.0, 2.0])
    (1.0, array([1., 1., 0.]))
    """
    return greater_equal(0.0, _comparison("~", x))


def _comparison(sign: str, operand: Operand) -> Node:
    if isinstance(operand, Node):
        holds = isinstance(operand.op, positive.op | not_negative.op)
        fits = holds or operand.kind in ("data", "constant")
    else:
        fits = np.asarray(operand).dtype == bool
    if not fits:
        raise RopTypeError(
            f"{sign}: expected comparisons in parentheses, such as (x > 0) & (x < 1), got "
            f"{operand!r} ({user_line()})"
        )
    return as_node(operand)


def where(condition: Operand, x: Operand, y: Operand) -> Node:
    """x where the condition is not 0, else y, elementwise; shapes broadcast.

    Parameters
    ----------
    condition : Node or array_like
        Zeros and ones: a comparison such as ``x > 0`` or ``(x > 0) & (x < 1)``, data, or an array
        of booleans. No derivative passes through it.
    x, y : Node or array_like
        What is chosen from. Neither may have an infinite derivative where the other is chosen:
        write ``rop.log(rop.where(x > 0, x, 1))``, not ``rop.where(x > 0, rop.log(x), 0)``.

    Returns
    -------
    Node

    Raises
    ------
    RopTypeError
        If the condition is True or False, as x == 0 is: Python compares nodes by identity.

    Examples
    --------
    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.where(x > 1, x**2, x))).value_and_gradient([0.0, 1.0, 2.0])
    (5.0, array([1., 1., 4.]))
    """
    if isinstance(condition, bool):
        raise RopTypeError(
            f"where: expected a comparison such as x > 0, got {condition}, which is what == and != "
            "of nodes give: they compare no values. Write (x >= 0) & (x <= 0) for where x is 0 "
            f"({user_line()})"
        )
    operands = [as_node(operand) for operand in (condition, x, y)]
    shape = broadcast_shape("where", *[node.shape for node in operands])
    return Where.of(*[n if n.shape == shape else broadcast_to(n, shape) for n in operands])


def maximum(x: Operand, y: Operand) -> Node:
    """Larger one of x and y, elementwise; shapes broadcast. Equal ones: the derivative is x's.

    >>> x, y = rop.param("x", 2), rop.param("y", 2)
    >>> rop.Objective(rop.sum(rop.maximum(x, y))).value_and_gradient([1.0, 5.0, 3.0, 4.0])
    (8.0, array([0., 1., 1., 0.]))
    """
    return where(greater_equal(x, y), x, y)


def minimum(x: Operand, y: Operand) -> Node:
    """Smaller one of x and y, elementwise; shapes broadcast. Equal ones: the derivative is x's.

    >>> x, y = rop.param("x", 2), rop.param("y", 2)
    >>> rop.Objective(rop.sum(rop.minimum(x, y))).value_and_gradient([1.0, 5.0, 3.0, 4.0])
    (5.0, array([1., 0., 0., 1.]))
    """
    return where(greater_equal(y, x), x, y)


def clip(x: Operand, low: Operand | None = None, high: Operand | None = None) -> Node:
    """x with what is below `low` or above `high` replaced by these, elementwise; low <= high.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.clip(x, -1.0, 1.0))).value_and_gradient([-2.0, 0.5, 3.0])
    (0.5, array([0., 1., 0.]))
    """
    clipped = as_node(x)
    if low is not None and high is not None:
        below, above = as_node(low).constant, as_node(high).constant
        if below is not None and above is not None and np.any(below > above):
            raise RopValueError(
                f"clip: expected low <= high, got low {low!r} and high {high!r} ({user_line()})"
            )
    if low is not None:
        clipped = maximum(clipped, low)
    return clipped if high is None else minimum(clipped, high)


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Maximum of x over one axis, several, or all; never over the cases.

    Of equal maxima, one has the derivative.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.max(x)).value_and_gradient([3.0, 4.0])
    (4.0, array([0., 1.]))
    """
    return fold("max", maximum, x, axis, keepdims)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Minimum of x over one axis, several, or all; never over the cases.

    Of equal minima, one has the derivative.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.min(x)).value_and_gradient([3.0, 4.0])
    (3.0, array([1., 0.]))
    """
    return fold("min", minimum, x, axis, keepdims)
