"""Powers: x**p for a number p, and x**y for nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rop.errors import RopValueError
from rop.graph import Node, Operand, Shape, as_node, constant
from rop.ops.elementwise import exp, reciprocal, sqrt, square
from rop.ops.families import Elementwise
from rop.ops.functions import elementwise
from rop.ops.kernels import Array
from rop.ops.products import multiply
from rop.ops.shaping import broadcast_to


class Power(Elementwise):
    """a = zᵖ:  s' = p zᵖ⁻¹,  s'' = p (p - 1) zᵖ⁻²; z > 0 unless p is an integer."""

    def __init__(self, z: Shape, *, p: float) -> None:
        self.p, whole = p, p.is_integer()
        self.s = lambda z: z**p
        self.ds = lambda z: p * (z if whole else _positive(z)) ** (p - 1.0)
        self.d2s = lambda z: (p * (p - 1.0)) * z ** (p - 2.0)
        super().__init__(z)


@elementwise(ds=lambda z: 1.0 / _positive(z), d2s=lambda ds: -ds * ds)
def log_of_base(z: Array) -> Array:
    """Natural logarithm of the base of a power, which must be positive."""
    return np.log(z)


def _positive(z: Array) -> Array:
    """The base of a power, if it is positive.

    Checked with s', that is in `linearize`: f alone is NaN there, which a line search can bear.
    """
    if not (z > 0.0).all():
        raise RopValueError(
            f"the base of a power with an exponent that is no integer must be positive, got "
            f"{float(np.min(z)):g}; for non-negative bases add a small number, or use rop.maximum"
        )
    return z


def power(x: Operand, exponent: Operand) -> Node:
    """x to a power, elementwise. Also ``x ** exponent``.

    Parameters
    ----------
    x : Node or array_like
        The base: of any sign where the exponent is an integer, else positive, which is checked
        when an objective is linearized.
    exponent : float, Node or array_like
        A number; or a node or an array, where x**y is computed as exp(y log x).

    Returns
    -------
    Node

    Examples
    --------
    >>> x = rop.param("x")
    >>> rop.Objective(x**3).value_and_gradient([2.0])
    (8.0, array([12.]))
    """
    given, base = as_node(exponent), as_node(x)
    if given.constant is None or given.shape != ():
        return exp(multiply(given, log_of_base(base)))
    p = float(given.constant)
    simple: dict[float, Callable[[], Node]] = {
        0.0: lambda: broadcast_to(constant(1.0), base.shape),
        1.0: lambda: base,
        2.0: lambda: square(base),
        0.5: lambda: sqrt(base),
        -1.0: lambda: reciprocal(base),
    }
    if p in simple:
        return simple[p]()
    return Power.of(base, p=p)
