"""Elementwise functions: each is s, s' and s'', from which `Elementwise` makes all four rules.

Written once for all engines: NumPy functions, float literals, and those of z, a = s(z) and
ds = s'(z) that make the derivative cheapest.
"""

from __future__ import annotations

import numpy as np

from rop.errors import RopValueError
from rop.graph import Node, Operand, as_node
from rop.ops.arithmetic import scale
from rop.ops.families import Elementwise
from rop.ops.kernels import Array
from rop.ops.products import multiply
from rop.support.user import user_line

# ruff: noqa: D102


class Tanh(Elementwise):
    """a = tanh z:  s' = 1 - a²,  s'' = -2 a s'."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.tanh(z)

    @staticmethod
    def ds(a: Array) -> Array:
        return 1.0 - a * a

    @staticmethod
    def d2s(a: Array, ds: Array) -> Array:
        return -2.0 * a * ds


class Sigmoid(Elementwise):
    """a = 1/(1 + exp(-z)):  s' = a (1 - a),  s'' = s' (1 - 2a)."""

    @staticmethod
    def s(z: Array) -> Array:
        # The same function through tanh: no overflow at any z, and one pass of exponentials.
        return 0.5 + 0.5 * np.tanh(0.5 * z)

    @staticmethod
    def ds(a: Array) -> Array:
        return a * (1.0 - a)

    @staticmethod
    def d2s(a: Array, ds: Array) -> Array:
        return ds * (1.0 - 2.0 * a)


class Relu(Elementwise):
    """a = max(z, 0):  s' = 1 where z > 0, else 0,  s'' = 0."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.maximum(z, 0.0)

    @staticmethod
    def ds(a: Array) -> Array:
        return np.sign(a)

    d2s = None


class Softplus(Elementwise):
    """a = log(1 + exp z):  s' = 1/(1 + exp(-z)),  s'' = s' (1 - s')."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))

    @staticmethod
    def ds(z: Array) -> Array:
        return 0.5 + 0.5 * np.tanh(0.5 * z)

    @staticmethod
    def d2s(ds: Array) -> Array:
        return ds * (1.0 - ds)


class Elu(Elementwise):
    """a = z where z > 0, else exp(z) - 1:  s' = 1 or a + 1,  s'' = 0 or a + 1."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.maximum(z, 0.0) + np.expm1(np.minimum(z, 0.0))

    @staticmethod
    def ds(a: Array) -> Array:
        return 1.0 + np.minimum(a, 0.0)

    @staticmethod
    def d2s(z: Array, ds: Array) -> Array:
        return np.heaviside(-z, 1.0) * ds


class Exp(Elementwise):
    """a = exp z:  s' = a,  s'' = a."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.exp(z)

    @staticmethod
    def ds(a: Array) -> Array:
        return a

    @staticmethod
    def d2s(a: Array) -> Array:
        return a


class Log(Elementwise):
    """a = log z:  s' = 1/z,  s'' = -s'²."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.log(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return 1.0 / z

    @staticmethod
    def d2s(ds: Array) -> Array:
        return -ds * ds


class Expm1(Elementwise):
    """a = exp(z) - 1:  s' = exp z,  s'' = exp z."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.expm1(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return np.exp(z)

    @staticmethod
    def d2s(z: Array) -> Array:
        return np.exp(z)


class Log1p(Elementwise):
    """a = log(1 + z):  s' = 1/(1 + z),  s'' = -s'²."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.log1p(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return 1.0 / (1.0 + z)

    @staticmethod
    def d2s(ds: Array) -> Array:
        return -ds * ds


class Sin(Elementwise):
    """a = sin z:  s' = cos z,  s'' = -a."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.sin(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return np.cos(z)

    @staticmethod
    def d2s(a: Array) -> Array:
        return -a


class Cos(Elementwise):
    """a = cos z:  s' = -sin z,  s'' = -a."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.cos(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return -np.sin(z)

    @staticmethod
    def d2s(a: Array) -> Array:
        return -a


class Square(Elementwise):
    """a = z²:  s' = 2z,  s'' = 2."""

    @staticmethod
    def s(z: Array) -> Array:
        return z * z

    @staticmethod
    def ds(z: Array) -> Array:
        return 2.0 * z

    @staticmethod
    def d2s(z: Array) -> Array:
        return 0.0 * z + 2.0


class Sqrt(Elementwise):
    """a = √z:  s' = 1/(2a),  s'' = -2 s'³."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.sqrt(z)

    @staticmethod
    def ds(a: Array) -> Array:
        return 0.5 / a

    @staticmethod
    def d2s(ds: Array) -> Array:
        return -2.0 * ds * ds * ds


class Reciprocal(Elementwise):
    """a = 1/z:  s' = -a²,  s'' = 2a³."""

    @staticmethod
    def s(z: Array) -> Array:
        return 1.0 / z

    @staticmethod
    def ds(a: Array) -> Array:
        return -a * a

    @staticmethod
    def d2s(a: Array) -> Array:
        return 2.0 * a * a * a


def tanh(x: Operand) -> Node:
    """Hyperbolic tangent of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.tanh(x)).value_and_gradient([0.5])
    (0.4621..., array([0.7864...]))
    """
    return Tanh.of(x)


def sigmoid(x: Operand) -> Node:
    """1/(1 + exp(-x)), elementwise; the logistic function.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sigmoid(x)).value_and_gradient([0.5])
    (0.6224..., array([0.2350...]))
    """
    return Sigmoid.of(x)


def relu(x: Operand) -> Node:
    """max(x, 0), elementwise; the derivative at 0 is 0.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.relu(x))).value_and_gradient([-2.0, 0.0, 3.0])
    (3.0, array([0., 0., 1.]))
    """
    return Relu.of(x)


def softplus(x: Operand) -> Node:
    """log(1 + exp x), elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.softplus(x)).value_and_gradient([0.5])
    (0.9740..., array([0.6224...]))
    """
    return Softplus.of(x)


def elu(x: Operand) -> Node:
    """x where x > 0, else exp(x) - 1, elementwise.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.elu(x))).value_and_gradient([-2.0, 0.0, 3.0])
    (2.1353..., array([0.1353..., 1.        , 1.        ]))
    """
    return Elu.of(x)


def exp(x: Operand) -> Node:
    """Exponential of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.exp(x)).value_and_gradient([0.5])
    (1.6487..., array([1.6487...]))
    """
    return Exp.of(x)


def log(x: Operand) -> Node:
    """Natural logarithm of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.log(x)).value_and_gradient([0.5])
    (-0.6931..., array([2.]))
    """
    return Log.of(x)


def expm1(x: Operand) -> Node:
    """exp(x) - 1, elementwise, accurate near 0.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.expm1(x)).value_and_gradient([0.5])
    (0.6487..., array([1.6487...]))
    """
    return Expm1.of(x)


def log1p(x: Operand) -> Node:
    """log(1 + x), elementwise, accurate near 0.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.log1p(x)).value_and_gradient([0.5])
    (0.4054..., array([0.6666...]))
    """
    return Log1p.of(x)


def sin(x: Operand) -> Node:
    """Sine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sin(x)).value_and_gradient([0.5])
    (0.4794..., array([0.8775...]))
    """
    return Sin.of(x)


def cos(x: Operand) -> Node:
    """Cosine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.cos(x)).value_and_gradient([0.5])
    (0.8775..., array([-0.4794...]))
    """
    return Cos.of(x)


def square(x: Operand) -> Node:
    """x², elementwise. Also ``x**2``.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.square(x)).value_and_gradient([0.5])
    (0.25, array([1.]))
    """
    return Square.of(x)


def sqrt(x: Operand) -> Node:
    """Square root of x, elementwise. Also ``x**0.5``.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sqrt(x)).value_and_gradient([0.5])
    (0.7071..., array([0.7071...]))
    """
    return Sqrt.of(x)


def reciprocal(x: Operand) -> Node:
    """1/x, elementwise. Also ``1 / x``.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.reciprocal(x)).value_and_gradient([0.5])
    (2.0, array([-4.]))
    """
    return Reciprocal.of(x)


def divide(x: Operand, y: Operand) -> Node:
    """x / y, elementwise: x times the reciprocal of y (footnote 2: complicated nodes are split).

    >>> x, y = rop.param("x"), rop.param("y")
    >>> rop.Objective(rop.ops.divide(x, y)).value_and_gradient([1.0, 2.0])
    (0.5, array([ 0.5 , -0.25]))
    """
    divisor = as_node(y)
    if divisor.constant is not None and not divisor.constant.all():
        raise RopValueError(f"/: expected a divisor without zeros, got {y!r} ({user_line()})")
    if divisor.constant is not None and divisor.shape == ():
        return scale(x, 1.0 / float(divisor.constant))
    return multiply(x, reciprocal(y))
