"""Products: matrix·vector, matrix·matrix, dot, elementwise multiply. All of them `Bilinear`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from rop.errors import RopValueError
from rop.graph import Node, Operand, Shape, as_node
from rop.ops.arithmetic import broadcast_shape, scale
from rop.ops.families import Bilinear
from rop.ops.kernels import einsum, einsum_shape, letters
from rop.ops.op import misfit
from rop.support.user import user_line


class Product(Bilinear):
    """a = Π of two operands summed over shared indices; the adjoints exchange the indices."""

    subscripts: str
    texts: tuple[str, str, str]

    def _rules(self, x: Shape, y: Shape) -> None:
        B = einsum(self.subscripts, (x, y), self.texts[0])
        B1, B2 = B.adjoint(0, self.texts[1], prod(x)), B.adjoint(1, self.texts[2], prod(y))
        self.maps, self.shape = (B, B1, B2), einsum_shape(self.subscripts, B)

    def literal(self, parents: Sequence[str]) -> str:
        return self.texts[0].format(*parents)


class MatVec(Product):
    """a = W x:  Ra = RW x + W Rx,  dW = da xᵀ,  dx = Wᵀ da."""

    subscripts = "ij,j->i"
    texts = ("{0} {1}", "{0} {1}ᵀ", "{0}ᵀ {1}")

    def __init__(self, W: Shape, x: Shape) -> None:
        if W[1] != x[0]:
            raise misfit("matrix @ vector", f"a vector of length {W[1]}", W, x)
        self._rules(W, x)


class VecMat(Product):
    """a = xᵀ W:  Ra = Rxᵀ W + xᵀ RW,  dx = W da,  dW = x daᵀ."""

    subscripts = "i,ij->j"
    texts = ("{0}ᵀ {1}", "{1} {0}", "{0} {1}ᵀ")

    def __init__(self, x: Shape, W: Shape) -> None:
        if W[0] != x[0]:
            raise misfit("vector @ matrix", f"a vector of length {W[0]}", x, W)
        self._rules(x, W)


class MatMat(Product):
    """a = X Y:  Ra = RX Y + X RY,  dX = da Yᵀ,  dY = Xᵀ da."""

    subscripts = "ij,jk->ik"
    texts = ("{0} {1}", "{0} {1}ᵀ", "{0}ᵀ {1}")

    def __init__(self, X: Shape, Y: Shape) -> None:
        if X[1] != Y[0]:
            raise misfit("matrix @ matrix", f"{X[1]} rows on the right", X, Y)
        self._rules(X, Y)


class Dot(Product):
    """a = xᵀ y:  Ra = Rxᵀ y + xᵀ Ry,  dx = da y,  dy = da x."""

    subscripts = "i,i->"
    texts = ("{0}ᵀ {1}", "{0} {1}", "{1} {0}")

    def __init__(self, x: Shape, y: Shape) -> None:
        if len(x) != 1 or x != y:
            raise misfit("dot", "two vectors of one length", x, y)
        self._rules(x, y)


class Multiply(Product):
    """a = x * y, elementwise:  Ra = Rx * y + x * Ry,  dx = da * y,  dy = x * da."""

    texts = ("{0} * {1}", "{0} * {1}", "{0} * {1}")

    def __init__(self, x: Shape, y: Shape) -> None:
        axes = letters(broadcast_shape(self.name, x, y))
        x_axes, y_axes = axes[len(axes) - len(x) :], axes[len(axes) - len(y) :]
        self.subscripts = f"{x_axes},{y_axes}->{axes}"
        self._rules(x, y)


def multiply(x: Operand, y: Operand) -> Node:
    """x * y, elementwise; shapes broadcast; a number scales. Also ``x * y``.

    >>> x, y = rop.param("x", 2), rop.param("y", 2)
    >>> rop.Objective(rop.sum(rop.multiply(x, y))).value_and_gradient([1.0, 5.0, 3.0, 4.0])
    (23.0, array([3., 4., 1., 5.]))
    """
    for node, number in ((x, y), (y, x)):
        if isinstance(node, Node) and not isinstance(number, Node):
            constant = as_node(number)
            if constant.constant is not None and constant.shape == ():
                return scale(node, float(constant.constant))
    return Multiply.of(x, y)


def dot(x: Operand, y: Operand) -> Node:
    """Inner product of two vectors.

    >>> x, y = rop.param("x", 2), rop.param("y", 2)
    >>> rop.Objective(rop.dot(x, y)).value_and_gradient([1.0, 5.0, 3.0, 4.0])
    (23.0, array([3., 4., 1., 5.]))
    """
    return Dot.of(x, y)


def matmul(x: Operand, y: Operand) -> Node:
    """Matrix and vector products by the rank of the operands. Also ``x @ y``.

    Raises
    ------
    RopValueError
        If an operand has neither one axis nor two, or the lengths do not fit.

    Examples
    --------
    >>> W, x = rop.param("W", (3, 2)), rop.data("x", 2)
    >>> rop.matmul(W, x).shape, (W @ rop.param("V", (2, 4))).shape
    ((3,), (3, 4))
    """
    left, right = as_node(x), as_node(y)
    op = _BY_RANK.get((len(left.shape), len(right.shape)))
    if op is None:
        raise RopValueError(
            f"@: expected vectors or matrices, got shapes {left.shape} and {right.shape} "
            f"({user_line()}); shapes are for one case, without the case axis"
        )
    return op.of(left, right)


_BY_RANK: dict[tuple[int, int], type[Product]] = {
    (2, 1): MatVec,
    (1, 2): VecMat,
    (2, 2): MatMat,
    (1, 1): Dot,
}
