"""Trigonometric and hyperbolic functions, and their inverses, beyond sin, cos and tanh."""

from __future__ import annotations

import numpy as np

from rop.graph import Node, Operand
from rop.ops.families import Elementwise
from rop.ops.kernels import Array

# ruff: noqa: D102


class Tan(Elementwise):
    """a = tan z:  s' = 1 + a²,  s'' = 2 a s'."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.tan(z)

    @staticmethod
    def ds(a: Array) -> Array:
        return 1.0 + a * a

    @staticmethod
    def d2s(a: Array, ds: Array) -> Array:
        return 2.0 * a * ds


class Sinh(Elementwise):
    """a = sinh z:  s' = cosh z,  s'' = a."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.sinh(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return np.cosh(z)

    @staticmethod
    def d2s(a: Array) -> Array:
        return a


class Cosh(Elementwise):
    """a = cosh z:  s' = sinh z,  s'' = a."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.cosh(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return np.sinh(z)

    @staticmethod
    def d2s(a: Array) -> Array:
        return a


class Arcsin(Elementwise):
    """a = arcsin z:  s' = 1/√(1 - z²),  s'' = z s'³."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.arcsin(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return 1.0 / np.sqrt((1.0 - z) * (1.0 + z))

    @staticmethod
    def d2s(z: Array, ds: Array) -> Array:
        return z * ds * ds * ds


class Arccos(Elementwise):
    """a = arccos z:  s' = -1/√(1 - z²),  s'' = z s'³."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.arccos(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return -1.0 / np.sqrt((1.0 - z) * (1.0 + z))

    @staticmethod
    def d2s(z: Array, ds: Array) -> Array:
        return z * ds * ds * ds


class Arctan(Elementwise):
    """a = arctan z:  s' = 1/(1 + z²),  s'' = -2 z s'²."""

    @staticmethod
    def s(z: Array) -> Array:
        return np.arctan(z)

    @staticmethod
    def ds(z: Array) -> Array:
        return 1.0 / (1.0 + z * z)

    @staticmethod
    def d2s(z: Array, ds: Array) -> Array:
        return -2.0 * z * ds * ds


def tan(x: Operand) -> Node:
    """Tangent of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.tan(x)).value_and_gradient([0.5])
    (0.5463..., array([1.2984...]))
    """
    return Tan.of(x)


def sinh(x: Operand) -> Node:
    """Hyperbolic sine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sinh(x)).value_and_gradient([0.5])
    (0.5210..., array([1.1276...]))
    """
    return Sinh.of(x)


def cosh(x: Operand) -> Node:
    """Hyperbolic cosine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.cosh(x)).value_and_gradient([0.5])
    (1.1276..., array([0.5210...]))
    """
    return Cosh.of(x)


def arcsin(x: Operand) -> Node:
    """Inverse sine of x in [-1, 1], elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.arcsin(x)).value_and_gradient([0.5])
    (0.5235..., array([1.1547...]))
    """
    return Arcsin.of(x)


def arccos(x: Operand) -> Node:
    """Inverse cosine of x in [-1, 1], elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.arccos(x)).value_and_gradient([0.5])
    (1.0471..., array([-1.1547...]))
    """
    return Arccos.of(x)


def arctan(x: Operand) -> Node:
    """Inverse tangent of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.arctan(x)).value_and_gradient([0.5])
    (0.4636..., array([0.8]))
    """
    return Arctan.of(x)
