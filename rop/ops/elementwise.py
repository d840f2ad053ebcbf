"""Elementwise functions: each is s, s' and s'', from which `Elementwise` makes all four rules.

Written once for all engines: NumPy functions, float literals, and those of z, a = s(z) and
ds = s'(z) that make the derivative cheapest.
"""

from __future__ import annotations

import numpy as np

from rop.errors import RopValueError
from rop.graph import Node, Operand, as_node
from rop.ops.arithmetic import scale
from rop.ops.functions import elementwise
from rop.ops.kernels import Array
from rop.ops.products import multiply
from rop.support.user import user_line


@elementwise(ds=lambda a: 1.0 - a * a, d2s=lambda a, ds: -2.0 * a * ds)
def tanh(z: Array) -> Array:
    """Hyperbolic tangent of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.tanh(x)).value_and_gradient([0.5])
    (0.4621..., array([0.7864...]))
    """
    return np.tanh(z)


@elementwise(ds=lambda a: a * (1.0 - a), d2s=lambda a, ds: ds * (1.0 - 2.0 * a))
def sigmoid(z: Array) -> Array:
    """1/(1 + exp(-x)), elementwise; the logistic function.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sigmoid(x)).value_and_gradient([0.5])
    (0.6224..., array([0.2350...]))
    """
    # The same function through tanh: no overflow at any z, and one pass of exponentials.
    return 0.5 + 0.5 * np.tanh(0.5 * z)


@elementwise(ds=lambda a: np.sign(a), d2s=None)
def relu(z: Array) -> Array:
    """max(x, 0), elementwise; the derivative at 0 is 0.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.relu(x))).value_and_gradient([-2.0, 0.0, 3.0])
    (3.0, array([0., 0., 1.]))
    """
    return np.maximum(z, 0.0)


@elementwise(ds=lambda z: 0.5 + 0.5 * np.tanh(0.5 * z), d2s=lambda ds: ds * (1.0 - ds))
def softplus(z: Array) -> Array:
    """log(1 + exp x), elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.softplus(x)).value_and_gradient([0.5])
    (0.9740..., array([0.6224...]))
    """
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


@elementwise(ds=lambda a: 1.0 + np.minimum(a, 0.0), d2s=lambda z, ds: np.heaviside(-z, 1.0) * ds)
def elu(z: Array) -> Array:
    """x where x > 0, else exp(x) - 1, elementwise.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.elu(x))).value_and_gradient([-2.0, 0.0, 3.0])
    (2.1353..., array([0.1353..., 1.        , 1.        ]))
    """
    return np.maximum(z, 0.0) + np.expm1(np.minimum(z, 0.0))


@elementwise(ds=lambda a: a, d2s=lambda a: a)
def exp(z: Array) -> Array:
    """Exponential of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.exp(x)).value_and_gradient([0.5])
    (1.6487..., array([1.6487...]))
    """
    return np.exp(z)


@elementwise(ds=lambda z: 1.0 / z, d2s=lambda ds: -ds * ds)
def log(z: Array) -> Array:
    """Natural logarithm of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.log(x)).value_and_gradient([0.5])
    (-0.6931..., array([2.]))
    """
    return np.log(z)


@elementwise(ds=lambda z: np.exp(z), d2s=lambda z: np.exp(z))
def expm1(z: Array) -> Array:
    """exp(x) - 1, elementwise, accurate near 0.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.expm1(x)).value_and_gradient([0.5])
    (0.6487..., array([1.6487...]))
    """
    return np.expm1(z)


@elementwise(ds=lambda z: 1.0 / (1.0 + z), d2s=lambda ds: -ds * ds)
def log1p(z: Array) -> Array:
    """log(1 + x), elementwise, accurate near 0.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.log1p(x)).value_and_gradient([0.5])
    (0.4054..., array([0.6666...]))
    """
    return np.log1p(z)


@elementwise(ds=lambda z: np.cos(z), d2s=lambda a: -a)
def sin(z: Array) -> Array:
    """Sine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sin(x)).value_and_gradient([0.5])
    (0.4794..., array([0.8775...]))
    """
    return np.sin(z)


@elementwise(ds=lambda z: -np.sin(z), d2s=lambda a: -a)
def cos(z: Array) -> Array:
    """Cosine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.cos(x)).value_and_gradient([0.5])
    (0.8775..., array([-0.4794...]))
    """
    return np.cos(z)


@elementwise(ds=lambda z: 2.0 * z, d2s=lambda z: 0.0 * z + 2.0)
def square(z: Array) -> Array:
    """x², elementwise. Also ``x**2``.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.square(x)).value_and_gradient([0.5])
    (0.25, array([1.]))
    """
    return z * z


@elementwise(ds=lambda a: 0.5 / a, d2s=lambda ds: -2.0 * ds * ds * ds)
def sqrt(z: Array) -> Array:
    """Square root of x, elementwise. Also ``x**0.5``.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sqrt(x)).value_and_gradient([0.5])
    (0.7071..., array([0.7071...]))
    """
    return np.sqrt(z)


@elementwise(ds=lambda a: -a * a, d2s=lambda a: 2.0 * a * a * a)
def reciprocal(z: Array) -> Array:
    """1/x, elementwise. Also ``1 / x``.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.reciprocal(x)).value_and_gradient([0.5])
    (2.0, array([-4.]))
    """
    return 1.0 / z


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
