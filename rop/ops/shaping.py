"""Views, sums and assemblies: indexing, reshape, transpose, broadcast, sum, concatenate, stack.

All of them `Linear`: A picks or adds elements, Aᵀ puts them back.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Operand, Shape, as_node
from rop.ops.families import Linear
from rop.ops.kernels import Array, Kernel, scaled, view
from rop.ops.op import misfit
from rop.support.arguments import check
from rop.support.user import user_line

Axis: TypeAlias = int | tuple[int, ...] | None


class View(Linear, ABC):
    """a = a view of z:  Ra = the same view of Rz,  da goes back to where it was read."""

    def __init__(self, z: Shape) -> None:
        kernel, self.shape = view(z, self.select, self.text("{0}"))
        size = int(np.prod(z))
        part = self.text("") if int(np.prod(self.shape)) < size else ""
        self.maps = [kernel]
        self.adjoints = [replace(kernel.adjoint(0, self.text_adjoint, size), part=part)]

    text_adjoint = "{0}"

    @abstractmethod
    def select(self, z: Array) -> Array:
        """The view, in NumPy's own terms."""

    @abstractmethod
    def text(self, z: str) -> str:
        """The view as a formula."""

    def literal(self, parents: Sequence[str]) -> str:
        return self.text(parents[0])


class GetItem(View):
    """a = z[key] for integers, slices, ... and None:  Ra = Rz[key],  dz[key] += da."""

    def __init__(self, z: Shape, *, key: tuple[Any, ...]) -> None:
        self.key = tuple(slice(*k) if isinstance(k, tuple) else k for k in key)
        super().__init__(z)

    def select(self, z: Array) -> Array:
        return z[(*self.key, Ellipsis)] if Ellipsis not in self.key else z[self.key]

    def text(self, z: str) -> str:
        return z + index_text(self.key)


class Reshape(View):
    """a = z in another shape:  Ra = Rz likewise,  dz = da in z's shape."""

    def __init__(self, z: Shape, *, shape: Shape) -> None:
        self._to = shape
        super().__init__(z)

    def select(self, z: Array) -> Array:
        return z.reshape(self._to)

    def text(self, z: str) -> str:
        return f"reshape({z})"

    text_adjoint = "reshape({0})"


class Transpose(View):
    """a = z with its axes permuted:  Ra = Rz likewise,  dz = da with the axes put back."""

    def __init__(self, z: Shape, *, axes: tuple[int, ...]) -> None:
        self.axes = axes
        super().__init__(z)

    def select(self, z: Array) -> Array:
        return z.transpose(self.axes)

    def text(self, z: str) -> str:
        return f"{z}ᵀ"

    text_adjoint = "{0}ᵀ"


class Broadcast(View):
    """a = z repeated along new axes:  Ra = Rz repeated,  dz = da summed over them."""

    def __init__(self, z: Shape, *, shape: Shape) -> None:
        self._to = shape
        super().__init__(z)

    def select(self, z: Array) -> Array:
        return np.broadcast_to(z, self._to)

    def text(self, z: str) -> str:
        return f"broadcast({z})"

    text_adjoint = "sum({0})"


class Sum(Linear):
    """a = Σ z over some axes, times a number:  Ra = Σ Rz,  dz = da repeated."""

    def __init__(self, z: Shape, *, axes: tuple[int, ...], keep: bool, c: float = 1.0) -> None:
        kept = tuple(1 if i in axes else extent for i, extent in enumerate(z))
        self.shape = kept if keep else tuple(e for i, e in enumerate(z) if i not in axes)
        repeat, _ = view(kept, lambda a: np.broadcast_to(a, z), "broadcast({0})")
        self.adjoints = [scaled(repeat, c)]
        self.maps = [scaled(repeat.adjoint(0, "sum({0})", int(np.prod(kept))), c)]


class Concatenate(Linear):
    """a = (z₁, z₂, ...) along an axis:  Ra = (Rz₁, Rz₂, ...),  dz_i = da's part."""

    operands = None
    maps: list[Kernel]
    adjoints: list[Kernel]

    def __init__(self, *shapes: Shape, axis: int) -> None:
        ends = np.cumsum([shape[axis] for shape in shapes]).tolist()
        self.shape = (*shapes[0][:axis], ends[-1], *shapes[0][axis + 1 :])
        self.adjoints, self.maps = [], []
        for shape, end in zip(shapes, ends, strict=True):
            key = (slice(None),) * axis + (slice(end - shape[axis], end),)
            self._assemble(key)

    def _assemble(self, key: tuple[Any, ...]) -> None:
        part = index_text(key)
        taken, _ = view(self.shape, lambda a: a[(*key, ...)], f"{{0}}{part}")
        put = taken.adjoint(0, "{0}", int(np.prod(self.shape)))
        self.adjoints.append(taken)
        self.maps.append(replace(put, disjoint=True, whole=False, part=part))


class Stack(Concatenate):
    """a = (z₁, z₂, ...) along a new axis:  Ra = (Rz₁, Rz₂, ...),  dz_i = da[i]."""

    def __init__(self, *shapes: Shape, axis: int) -> None:
        self.shape = (*shapes[0][:axis], len(shapes), *shapes[0][axis:])
        self.adjoints, self.maps = [], []
        for i in range(len(shapes)):
            self._assemble((slice(None),) * axis + (i,))


class PerCase(View):
    """a = z for every case, where z depends on parameters alone."""

    def select(self, z: Array) -> Array:
        return z

    def text(self, z: str) -> str:
        return z


def per_case(z: Node) -> Node:
    """z with a case axis, every case being the same."""
    node = PerCase.of(z)
    node.per_case = True
    return node


def getitem(x: Operand, key: Any) -> Node:
    """x[key] by integers, slices, ``...`` and ``None``; the case axis is not part of the key.

    Raises
    ------
    RopTypeError
        If the key holds anything else, such as an array of indices.
    RopValueError
        If an index is out of bounds, or the key has too many.

    Examples
    --------
    >>> x = rop.data("x", (5, 3))
    >>> x[0].shape, x[1:, None].shape, x[..., -1].shape
    ((3,), (4, 1, 3), (5,))
    """
    node = as_node(x)
    keys = key if isinstance(key, tuple) else (key,)
    for k in keys:
        if isinstance(k, bool) or not isinstance(k, int | np.integer | slice | EllipsisType | None):
            raise RopTypeError(
                f"index of {node!r}: expected integers, slices, ... or None, got "
                f"{type(k).__name__} ({user_line()}); gather single elements with rop.stack"
            )
    frozen = tuple((k.start, k.stop, k.step) if isinstance(k, slice) else k for k in keys)
    selection = tuple(slice(*k) if isinstance(k, tuple) else k for k in frozen)
    try:
        selected = np.empty(node.shape, np.int8)[
            (*selection, *(() if ... in selection else (...,)))
        ]
    except (IndexError, TypeError, ValueError) as error:
        raise RopValueError(f"index of {node!r}: {error} ({user_line()})") from None
    if selected.size == 0:
        raise RopValueError(f"index of {node!r}: {keys} selects nothing ({user_line()})")
    return GetItem.of(node, key=frozen)


def reshape(x: Operand, shape: int | Sequence[int]) -> Node:
    """x in another shape with as many elements; one axis may be -1.

    >>> x = rop.data("x", 784)
    >>> rop.reshape(x, (1, 28, -1)).shape
    (1, 28, 28)
    """
    node = as_node(x)
    to = integers(shape)
    try:
        to = np.empty(node.shape, np.int8).reshape(to).shape
    except ValueError:
        raise misfit("reshape", f"a shape of {node.size} elements", to, node.shape) from None
    return Reshape.of(node, shape=to)


def transpose(x: Operand, axes: Sequence[int] | None = None) -> Node:
    """x with its axes permuted, by default reversed. Also ``x.T``.

    >>> x = rop.data("x", (2, 3, 4))
    >>> rop.transpose(x).shape, rop.transpose(x, (1, 0, 2)).shape
    ((4, 3, 2), (3, 2, 4))
    """
    node = as_node(x)
    rank = len(node.shape)
    order = tuple(range(rank))[::-1] if axes is None else integers(axes)
    if sorted(axis + rank * (axis < 0) for axis in order) != list(range(rank)):
        raise misfit("transpose", f"axes that permute {rank} axes", order, node.shape)
    return Transpose.of(node, axes=tuple(axis % rank for axis in order))


def broadcast_to(x: Operand, shape: int | Sequence[int]) -> Node:
    """x repeated to a shape, by NumPy's rule.

    >>> b = rop.param("b", 3)
    >>> rop.Objective(rop.sum(rop.broadcast_to(b, (2, 3)))).value_and_gradient([1.0, 2.0, 3.0])
    (12.0, array([2., 2., 2.]))
    """
    node = as_node(x)
    to = integers(shape)
    try:
        fits = np.broadcast_to(np.empty(node.shape, np.int8), to).size > 0
    except ValueError:
        fits = False
    if not fits:
        raise misfit("broadcast_to", f"a shape that broadcasts to {to}", node.shape)
    return Broadcast.of(node, shape=to)


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Sum of x over one axis, several, or all; never over the cases.

    >>> x = rop.param("x", (2, 3))
    >>> rop.sum(x).shape, rop.sum(x, axis=0).shape, rop.sum(x, axis=0, keepdims=True).shape
    ((), (3,), (1, 3))
    """
    node = as_node(x)
    return Sum.of(node, axes=axes_of("sum", node, axis), keep=keepdims)


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Node:
    """Mean of x over one axis, several, or all; never over the cases.

    >>> x = rop.param("x", 2)
    >>> rop.Objective(rop.mean(x)).value_and_gradient([3.0, 4.0])
    (3.5, array([0.5, 0.5]))
    """
    node = as_node(x)
    axes = axes_of("mean", node, axis)
    count = int(np.prod([node.shape[i] for i in axes]))
    return Sum.of(node, axes=axes, keep=keepdims, c=1.0 / count)


def concatenate(nodes: Sequence[Operand], axis: int = 0) -> Node:
    """Join nodes along an axis that they have; the other axes must agree.

    >>> x, y = rop.data("x", 3), rop.data("y", 2)
    >>> rop.concatenate([x, y]).shape
    (5,)
    """
    parents = _nodes("concatenate", nodes, axis)
    shapes = [node.shape for node in parents]
    axis, rank = operator.index(axis), len(shapes[0])
    if rank == 0 or not -rank <= axis < rank:
        raise misfit("concatenate", f"operands with an axis {axis} (scalars: rop.stack)", *shapes)
    axis %= rank
    rests = {(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}
    if len(rests) > 1:
        raise misfit("concatenate", f"shapes equal in all axes but axis {axis}", *shapes)
    return Concatenate.of(*parents, axis=axis)


def stack(nodes: Sequence[Operand], axis: int = 0) -> Node:
    """Join nodes of one shape along a new axis.

    >>> x, y = rop.data("x", 3), rop.data("y", 3)
    >>> rop.stack([x, y]).shape
    (2, 3)
    """
    parents = _nodes("stack", nodes, axis)
    shapes = [node.shape for node in parents]
    if len(set(shapes)) > 1:
        raise misfit("stack", "operands of one shape", *shapes)
    axis, rank = operator.index(axis), len(shapes[0]) + 1
    if not -rank <= axis < rank:
        raise misfit("stack", f"an axis between {-rank} and {rank - 1}", (axis,))
    return Stack.of(*parents, axis=axis % rank)


def _nodes(op: str, nodes: Iterable[Operand], axis: int) -> list[Node]:
    check(op, "axis", axis, int)
    check(op, "nodes", nodes, Iterable)
    parents = [as_node(node) for node in nodes]
    if not parents:
        raise RopValueError(f"{op}: expected at least one node, got none ({user_line()})")
    return parents


def axes_of(op: str, node: Node, axis: Axis) -> tuple[int, ...]:
    """Axes as distinct numbers from 0 on, in order; None is all of them."""
    rank = len(node.shape)
    axes = tuple(range(rank)) if axis is None else integers(axis)
    if any(not -rank <= i < rank for i in axes) or len({i % rank for i in axes}) < len(axes):
        raise misfit(op, f"distinct axes below {rank}", axes, node.shape)
    return tuple(sorted(i % rank for i in axes))


def integers(given: int | Sequence[int]) -> tuple[int, ...]:
    """One integer or several, of Python or NumPy, as a tuple of Python's own."""
    several = given if isinstance(given, Sequence | np.ndarray) else (given,)
    try:
        return tuple(operator.index(i) for i in several)
    except TypeError:
        raise RopTypeError(f"expected integers, got {given!r} ({user_line()})") from None


def index_text(key: Sequence[Any]) -> str:
    """An index as it is written in Python, in brackets."""
    return f"[{', '.join(map(_key_text, key))}]"


def _key_text(key: Any) -> str:
    if isinstance(key, slice):
        bounds = ["" if bound is None else str(bound) for bound in (key.start, key.stop)]
        return ":".join(bounds if key.step is None else [*bounds, str(key.step)])
    return "..." if key is Ellipsis else str(key)
