"""Sums and multiples: add, subtract, negative, scale. All of them `Linear`."""

from __future__ import annotations

import numpy as np

from rop.graph import Node, Operand, Shape
from rop.ops.families import Linear
from rop.ops.kernels import scaled, view
from rop.ops.op import misfit
from rop.support.arguments import check


def broadcast_shape(op: str, *shapes: Shape) -> Shape:
    """Shape that the operands have together, by NumPy's rule, or an error that names the op."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise misfit(op, "operands of one shape, or of shapes that broadcast", *shapes) from None


class Sum2(Linear):
    """a = c₁ z₁ + c₂ z₂:  Ra = c₁ Rz₁ + c₂ Rz₂,  dz_i = c_i da."""

    operands = 2
    coefficients: tuple[float, float]

    def __init__(self, *shapes: Shape) -> None:
        self.shape = broadcast_shape(self.name, *shapes)
        maps, adjoints = [], []
        for shape, c in zip(shapes, self.coefficients, strict=True):
            A = scaled(view(shape, lambda z: np.broadcast_to(z, self.shape), "{0}")[0], c)
            maps.append(A)
            adjoints.append(A.adjoint(0, "{0}", int(np.prod(shape))))
        self.maps, self.adjoints = maps, adjoints


class Add(Sum2):
    """a = z₁ + z₂:  Ra = Rz₁ + Rz₂,  dz₁ = dz₂ = da."""

    coefficients = (1.0, 1.0)


class Subtract(Sum2):
    """a = z₁ - z₂:  Ra = Rz₁ - Rz₂,  dz₁ = da,  dz₂ = -da."""

    coefficients = (1.0, -1.0)


class Scale(Linear):
    """a = c z:  Ra = c Rz,  dz = c da."""

    def __init__(self, z: Shape, *, c: float) -> None:
        self.shape = z
        self.maps = [scaled(view(z, lambda z: z, "{0}")[0], c)]
        self.adjoints = self.maps


def add(x: Operand, y: Operand) -> Node:
    """x + y, elementwise; shapes broadcast. Also ``x + y``.

    >>> x, y = rop.param("x", 2), rop.param("y", 2)
    >>> rop.Objective(rop.sum(rop.add(x, y))).value_and_gradient([1.0, 5.0, 3.0, 4.0])
    (13.0, array([1., 1., 1., 1.]))
    """
    return Add.of(x, y)


def subtract(x: Operand, y: Operand) -> Node:
    """x - y, elementwise; shapes broadcast. Also ``x - y``.

    >>> x, y = rop.param("x", 2), rop.param("y", 2)
    >>> rop.Objective(rop.sum(rop.subtract(x, y))).value_and_gradient([1.0, 5.0, 3.0, 4.0])
    (-1.0, array([ 1.,  1., -1., -1.]))
    """
    return Subtract.of(x, y)


def scale(x: Operand, c: float) -> Node:
    """c x for a number c. Also ``c * x``.

    >>> x = rop.param("x")
    >>> rop.Objective(3.0 * x).value_and_gradient([2.0])
    (6.0, array([3.]))
    """
    check("scale", "c", c, float)
    return Scale.of(x, c=float(c))


def negative(x: Operand) -> Node:
    """-x. Also ``-x``.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.sum(rop.negative(x))).value_and_gradient([1.0, 2.0])
    (-3.0, array([-1., -1.]))
    """
    return scale(x, -1.0)
