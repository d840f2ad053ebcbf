"""Arrangements by NumPy's names: squeeze, swapaxes, pad, roll, diag, triu, outer, take, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Operand, Shape, as_node, constant
from rop.ops.arithmetic import add
from rop.ops.einsums import einsum
from rop.ops.families import Linear
from rop.ops.kernels import view
from rop.ops.lookup import Lookup, Take
from rop.ops.op import misfit
from rop.ops.products import multiply
from rop.ops.shaping import axes_of, concatenate, getitem, integers, reshape, transpose
from rop.support.user import user_line


class Pad(Linear):
    """a = z with zeros around it:  Ra = Rz with zeros around it,  dz = da without the margins."""

    def __init__(self, z: Shape, *, widths: tuple[tuple[int, int], ...]) -> None:
        self.shape = tuple(n + sum(w) for n, w in zip(z, widths, strict=True))
        self.widths = widths
        inside: Any = tuple(slice(w[0], w[0] + n) for n, w in zip(z, widths, strict=True))
        taken, _ = view(self.shape, lambda a: a[(*inside, Ellipsis)], "unpad({0})")
        self.adjoints = [taken]
        self.maps = [taken.adjoint(0, "pad({0})", int(np.prod(self.shape)))]


def squeeze(x: Operand, axis: int | tuple[int, ...] | None = None) -> Node:
    """x without axes of length 1: one, several, or by default all of them.

    >>> x = rop.data("x", (1, 3, 1))
    >>> rop.squeeze(x).shape, rop.squeeze(x, 0).shape
    ((3,), (3, 1))
    """
    node = as_node(x)
    ones = tuple(i for i, n in enumerate(node.shape) if n == 1)
    axes = ones if axis is None else axes_of("squeeze", node, axis)
    if any(node.shape[i] != 1 for i in axes):
        raise misfit("squeeze", f"axes of length 1, not {axes}", node.shape)
    return reshape(node, tuple(n for i, n in enumerate(node.shape) if i not in axes))


def expand_dims(x: Operand, axis: int | tuple[int, ...]) -> Node:
    """x with new axes of length 1, at these positions of the result.

    >>> x = rop.data("x", 3)
    >>> rop.expand_dims(x, 0).shape
    (1, 3)
    """
    node = as_node(x)
    new = integers(axis)
    rank = len(node.shape) + len(new)
    if any(not -rank <= i < rank for i in new) or len({i % rank for i in new}) < len(new):
        raise misfit("expand_dims", f"distinct axes between {-rank} and {rank - 1}", new)
    places, old = {i % rank for i in new}, iter(node.shape)
    return reshape(node, tuple(1 if i in places else next(old) for i in range(rank)))


def swapaxes(x: Operand, axis1: int, axis2: int) -> Node:
    """x with two axes exchanged.

    >>> x = rop.data("x", (2, 3, 4))
    >>> rop.swapaxes(x, 0, 2).shape
    (4, 3, 2)
    """
    node = as_node(x)
    (first,), (second,) = axes_of("swapaxes", node, axis1), axes_of("swapaxes", node, axis2)
    order = list(range(len(node.shape)))
    order[first], order[second] = second, first
    return transpose(node, order)


def flatten(x: Operand) -> Node:
    """x as a vector, for one case.

    >>> x = rop.data("x", (16, 4, 4))
    >>> rop.flatten(x).shape
    (256,)
    """
    return reshape(x, -1)


def pad(
    x: Operand,
    pad_width: int | Sequence[int] | Sequence[Sequence[int]],
    constant_values: float = 0.0,
) -> Node:
    """x with a margin of one number around it.

    Parameters
    ----------
    x : Node or array_like
        What is padded.
    pad_width : int, (before, after) or one (before, after) for each axis
        Widths of the margins, as in NumPy.
    constant_values : float
        The number.

    Returns
    -------
    Node

    Raises
    ------
    RopValueError
        If the widths do not fit x's axes, or are negative.

    Examples
    --------
    >>> x = rop.data("x", (3, 3))
    >>> rop.pad(x, 1).shape, rop.pad(x, ((0, 0), (1, 2))).shape
    ((5, 5), (3, 6))
    """
    node = as_node(x)
    rank = len(node.shape)
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (rank, 2))
    except ValueError:
        widths = np.full((1, 2), -1)
    if widths.dtype.kind not in "iu":
        raise RopTypeError(f"pad: expected integers, got {pad_width!r} ({user_line()})")
    if (widths < 0).any():
        raise misfit("pad", f"widths >= 0, or a pair for each of {rank} axes", node.shape)
    pairs = tuple((int(before), int(after)) for before, after in widths)
    padded = Pad.of(node, widths=pairs)
    if constant_values == 0.0:
        return padded
    margin = np.pad(np.zeros(node.shape), pairs, constant_values=constant_values)
    return add(padded, constant(margin))


def roll(x: Operand, shift: int, axis: int | None = None) -> Node:
    """x shifted along an axis, with wrap-around; by default as a vector.

    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.dot(rop.roll(x, 1), [1.0, 0.0, 0.0])).value_and_gradient([1.0, 2.0, 3.0])
    (3.0, array([0., 0., 1.]))
    """
    node = as_node(x)
    if axis is None:
        return reshape(roll(reshape(node, -1), shift, 0), node.shape)
    (axis,) = axes_of("roll", node, axis)
    (steps,) = integers(shift)
    steps %= node.shape[axis]
    if not steps:
        return node
    before = (slice(None),) * axis
    end = getitem(node, (*before, slice(node.shape[axis] - steps, None)))
    return concatenate([end, getitem(node, (*before, slice(None, -steps)))], axis)


def triu(x: Operand, k: int = 0) -> Node:
    """Upper triangle of a matrix, from the k-th diagonal on; zeros elsewhere.

    >>> M = rop.param("M", (2, 2))
    >>> rop.Objective(rop.sum(rop.triu(M))).value_and_gradient([1.0, 2.0, 3.0, 4.0])
    (7.0, array([1., 1., 0., 1.]))
    """
    return _triangle("triu", x, lambda shape: np.triu(np.ones(shape), *integers(k)))


def tril(x: Operand, k: int = 0) -> Node:
    """Lower triangle of a matrix, up to the k-th diagonal; zeros elsewhere.

    >>> M = rop.param("M", (2, 2))
    >>> rop.Objective(rop.sum(rop.tril(M))).value_and_gradient([1.0, 2.0, 3.0, 4.0])
    (8.0, array([1., 0., 1., 1.]))
    """
    return _triangle("tril", x, lambda shape: np.tril(np.ones(shape), *integers(k)))


def _triangle(op: str, x: Operand, mask: Any) -> Node:
    node = as_node(x)
    if len(node.shape) < 2:
        raise misfit(op, "a matrix", node.shape)
    return multiply(node, constant(mask(node.shape[-2:])))


def trace(x: Operand) -> Node:
    """Sum of the diagonal of a square matrix.

    >>> M = rop.param("M", (2, 2))
    >>> rop.Objective(rop.trace(M)).value_and_gradient([1.0, 2.0, 3.0, 4.0])
    (5.0, array([1., 0., 0., 1.]))
    """
    return einsum("ii->", _square("trace", x))


def diag(x: Operand) -> Node:
    """Diagonal of a square matrix, or the diagonal matrix of a vector.

    >>> M, x = rop.param("M", (3, 3)), rop.param("x", 2)
    >>> rop.diag(M).shape, rop.diag(x).shape
    ((3,), (2, 2))
    """
    node = as_node(x)
    if len(node.shape) != 1:
        return einsum("ii->i", _square("diag", node))
    (n,) = node.shape
    # Row i of the matrix begins i + 1 elements after that of a matrix with one more column.
    spread = Pad.of(reshape(node, (n, 1)), widths=((0, 0), (0, n)))
    return reshape(getitem(reshape(spread, -1), slice(0, n * n)), (n, n))


def _square(op: str, x: Operand) -> Node:
    node = as_node(x)
    if len(node.shape) != 2 or node.shape[0] != node.shape[1]:
        raise misfit(op, "a square matrix", node.shape)
    return node


def outer(x: Operand, y: Operand) -> Node:
    """x yᵀ of two vectors.

    >>> x, y = rop.param("x", 3), rop.param("y", 2)
    >>> rop.outer(x, y).shape
    (3, 2)
    """
    left, right = as_node(x), as_node(y)
    if len(left.shape) != 1 or len(right.shape) != 1:
        raise misfit("outer", "two vectors", left.shape, right.shape)
    return einsum("i,j->ij", left, right)


def take(x: Operand, indices: Any, axis: int | None = None) -> Node:
    """Elements of x at given positions along an axis; by default of x as a vector.

    Parameters
    ----------
    x : Node or array_like
        What is read; a table of embeddings has one row for each word.
    indices : int, array_like of int, or Node
        The positions; negative ones count from the end. A node is integer data
        (``rop.data("i", shape, dtype=int)``): each case has positions of its own, from 0 on.
    axis : int, optional
        The axis.

    Returns
    -------
    Node
        Its shape is x's with the axis replaced by the indices' shape.

    Raises
    ------
    RopTypeError
        If the indices are no integers.
    RopValueError
        If an index is out of bounds.

    Examples
    --------
    >>> table, words = rop.param("table", (100, 8)), rop.data("words", 5, dtype=int)
    >>> rop.take(table, words, axis=0).shape
    (5, 8)
    """
    node = as_node(x)
    if axis is None:
        node, axis = reshape(node, -1), 0
    (axis,) = axes_of("take", node, axis)
    if isinstance(indices, Node):
        if not indices.integer:
            raise RopTypeError(
                f"take: expected integer data as indices, got {indices!r}; declare it by "
                f"rop.data(name, shape, dtype=int) ({user_line()})"
            )
        return Lookup.of(node, indices, axis=axis)
    array = np.asarray(indices)
    if array.dtype.kind not in "iu" or array.size == 0:
        raise RopTypeError(f"take: expected integers as indices, got {indices!r} ({user_line()})")
    length = node.shape[axis]
    if (array < -length).any() or (array >= length).any():
        raise RopValueError(
            f"take: expected indices between {-length} and {length - 1} for axis {axis} of shape "
            f"{node.shape}, got {array.min()} to {array.max()} ({user_line()})"
        )
    where = tuple((array % length).ravel().tolist())
    return Take.of(node, indices=where, shape=array.shape, axis=axis)
