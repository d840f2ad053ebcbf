"""Trigonometric and hyperbolic functions, and their inverses, beyond sin, cos and tanh."""

from __future__ import annotations

import numpy as np

from rop.ops.functions import elementwise
from rop.ops.kernels import Array


@elementwise(ds=lambda a: 1.0 + a * a, d2s=lambda a, ds: 2.0 * a * ds)
def tan(z: Array) -> Array:
    """Tangent of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.tan(x)).value_and_gradient([0.5])
    (0.5463..., array([1.2984...]))
    """
    return np.tan(z)


@elementwise(ds=lambda z: np.cosh(z), d2s=lambda a: a)
def sinh(z: Array) -> Array:
    """Hyperbolic sine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.sinh(x)).value_and_gradient([0.5])
    (0.5210..., array([1.1276...]))
    """
    return np.sinh(z)


@elementwise(ds=lambda z: np.sinh(z), d2s=lambda a: a)
def cosh(z: Array) -> Array:
    """Hyperbolic cosine of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.cosh(x)).value_and_gradient([0.5])
    (1.1276..., array([0.5210...]))
    """
    return np.cosh(z)


@elementwise(ds=lambda z: 1.0 / np.sqrt((1.0 - z) * (1.0 + z)), d2s=lambda z, ds: z * ds * ds * ds)
def arcsin(z: Array) -> Array:
    """Inverse sine of x in [-1, 1], elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.arcsin(x)).value_and_gradient([0.5])
    (0.5235..., array([1.1547...]))
    """
    return np.arcsin(z)


@elementwise(ds=lambda z: -1.0 / np.sqrt((1.0 - z) * (1.0 + z)), d2s=lambda z, ds: z * ds * ds * ds)
def arccos(z: Array) -> Array:
    """Inverse cosine of x in [-1, 1], elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.arccos(x)).value_and_gradient([0.5])
    (1.0471..., array([-1.1547...]))
    """
    return np.arccos(z)


@elementwise(ds=lambda z: 1.0 / (1.0 + z * z), d2s=lambda z, ds: -2.0 * z * ds * ds)
def arctan(z: Array) -> Array:
    """Inverse tangent of x, elementwise.

    >>> x = rop.param("x")
    >>> rop.Objective(rop.arctan(x)).value_and_gradient([0.5])
    (0.4636..., array([0.8]))
    """
    return np.arctan(z)
