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
    """Tangent of x, elementwise."""
    return Tan.of(x)


def sinh(x: Operand) -> Node:
    """Hyperbolic sine of x, elementwise."""
    return Sinh.of(x)


def cosh(x: Operand) -> Node:
    """Hyperbolic cosine of x, elementwise."""
    return Cosh.of(x)


def arcsin(x: Operand) -> Node:
    """Inverse sine of x in [-1, 1], elementwise."""
    return Arcsin.of(x)


def arccos(x: Operand) -> Node:
    """Inverse cosine of x in [-1, 1], elementwise."""
    return Arccos.of(x)


def arctan(x: Operand) -> Node:
    """Inverse tangent of x, elementwise."""
    return Arctan.of(x)
