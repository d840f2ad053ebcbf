"""Activations of networks, beyond those in `elementwise`: gelu, silu, softsign, leaky_relu; erf."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from rop.graph import Node, Operand
from rop.ops.arithmetic import add, scale
from rop.ops.elementwise import relu, sigmoid
from rop.ops.functions import elementwise
from rop.ops.kernels import Array
from rop.ops.products import multiply
from rop.support.arguments import checked


def _erf(z: Array) -> Array:
    from scipy.special import erf

    a: Array = erf(z)
    return a


def _normal(z: Array) -> Array:
    """Φ(z), the distribution function of N(0, 1), accurate in both tails."""
    from scipy.special import erfc

    phi: Array = 0.5 * erfc(-sqrt(0.5) * z)
    return phi


def _density(z: Array) -> Array:
    """φ(z) = Φ'(z)."""
    density: Array = (1.0 / sqrt(2.0 * pi)) * np.exp(-0.5 * z * z)
    return density


@elementwise(
    ds=lambda z: (2.0 / sqrt(pi)) * np.exp(-z * z),
    d2s=lambda z: (-4.0 / sqrt(pi)) * z * np.exp(-z * z),
)
def erf(z: Array) -> Array:
    """Error function of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.erf(x)).value_and_gradient([0.5])
    (0.5204..., array([0.8787...]))
    """
    return _erf(z)


@elementwise(ds=lambda z: _normal(z) + z * _density(z), d2s=lambda z: (2.0 - z * z) * _density(z))
def gelu(z: Array) -> Array:
    """x Φ(x), elementwise; Φ is the exact normal distribution function, not its tanh formula.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.gelu(x)).value_and_gradient([0.5])
    (0.3457..., array([0.8674...]))
    """
    return z * _normal(z)


@elementwise(
    ds=lambda z: 1.0 / np.square(1.0 + np.abs(z)),
    d2s=lambda z: -2.0 * np.sign(z) / (1.0 + np.abs(z)) ** 3.0,
)
def softsign(z: Array) -> Array:
    """x / (1 + abs(x)), elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.softsign(x)).value_and_gradient([0.5])
    (0.3333..., array([0.4444...]))
    """
    a: Array = z / (1.0 + np.abs(z))
    return a


def silu(x: Operand) -> Node:
    """x sigmoid(x), elementwise; also called swish.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.silu(x)).value_and_gradient([0.5])
    (0.3112..., array([0.7399...]))
    """
    return multiply(x, sigmoid(x))


@checked
def leaky_relu(x: Operand, negative_slope: float = 0.01) -> Node:
    """x where x > 0, else negative_slope x, elementwise.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.leaky_relu(x, 0.1))).value_and_gradient([-2.0, 0.0, 3.0])
    (2.8, array([0.1, 0.1, 1. ]))
    """
    return add(scale(x, negative_slope), scale(relu(x), 1.0 - negative_slope))
