"""The graph: data, parameters and the nodes built from them (sec. 5, fig. 1).

A model is written for one case. A node's shape is its shape for one case; at run time every node
that depends on data carries the cases as axis 0 (sec. 7.1), parameters do not.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from math import prod
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopTypeError
from rop.support.declarations import finite_numbers, identifier, shape_of
from rop.support.display import Displayed
from rop.support.notation import Notation
from rop.support.user import user_line

Shape: TypeAlias = tuple[int, ...]

_creation = itertools.count()


class Operation(Protocol):
    """What a graph knows of a node's op; its rules are in `rop.ops`."""

    shape: Shape

    @property
    def name(self) -> str:
        """The op's name in listings and errors."""

    def literal(self, parents: Sequence[str]) -> str:
        """The op's value as a formula of its parents' names."""


class Node(Notation, Displayed):
    """One node of a graph: an op applied to its parents (the paper's P_i), or a leaf.

    Nodes can only be built from nodes that exist, so the order of their creation is a topological
    order, and every sweep is a plain loop. A node holds no values and no gradients.

    Attributes
    ----------
    op : Operation or None
        What computes the node from its parents; None for data, parameters and constants.
    parents : tuple of Node
        The nodes whose values z_i enter the op.
    shape : tuple of int
        Shape for one case.
    kind : str
        "data", "param", "constant" or "op".
    per_case : bool
        Whether the node depends on data, and so has the case axis at run time.
    name : str or None
        The name of a data or parameter node; any node can be given one by `named`.
    constant : ndarray or None
        The values of a constant.
    integer : bool
        Whether it is data made of integers, as `rop.take` reads positions from.
    line : str
        Where in the user's own file it was built.

    Examples
    --------
    >>> W, x = rop.param("W", (3, 2)), rop.data("x", 2)
    >>> y = rop.tanh(W @ x).named("y")
    >>> y, y.shape, y.per_case, y.parents
    (<tanh y: shape (3,)>, (3,), True, (<matvec: shape (3,)>,))
    """

    __slots__ = (
        "__weakref__",
        "constant",
        "integer",
        "kind",
        "line",
        "name",
        "op",
        "order",
        "parents",
        "per_case",
        "shape",
    )

    def __init__(
        self,
        op: Operation | None,
        parents: tuple[Node, ...],
        shape: Shape,
        kind: str = "op",
        name: str | None = None,
        constant: NDArray[np.float64] | None = None,
        integer: bool = False,
    ) -> None:
        self.op = op
        self.parents = parents
        self.shape = shape
        self.kind = kind
        self.name = name
        self.constant = constant
        self.integer = integer
        self.per_case: bool = kind == "data" or any(parent.per_case for parent in parents)
        self.order = next(_creation)
        self.line = user_line()

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Restore a copy, or a node from another process: it comes after all nodes of this one."""
        for name, value in state[1].items():
            setattr(self, name, value)
        self.order = next(_creation)

    @property
    def size(self) -> int:
        """Number of elements for one case."""
        return prod(self.shape)

    def named(self, name: str) -> Node:
        """Give the node a name for listings, pictures and reports; returns the node."""
        self.name = identifier(name)
        return self

    def __repr__(self) -> str:
        what = self.kind if self.op is None else self.op.name
        return f"<{what}{f' {self.name}' if self.name else ''}: shape {self.shape}>"


Operand: TypeAlias = Node | ArrayLike


def data(
    name: str, shape: int | Iterable[int] = (), dtype: type[float] | type[int] = float
) -> Node:
    """Declare an input that is given case by case: x, t, or a weight.

    Parameters
    ----------
    name : str
        The batch's key for it.
    shape : int or tuple of int
        Shape for one case; the batch holds an array (N, *shape).
    dtype : {float, int}
        With int the batch must hold integers, such as the positions that `rop.take` reads at.

    Returns
    -------
    Node

    Raises
    ------
    RopTypeError, RopValueError
        If the name is not an identifier or the shape not one of positive integers.

    Examples
    --------
    >>> x, t = rop.data("x", 784), rop.data("t")
    >>> x, t.shape, x.per_case
    (<data x: shape (784,)>, (), True)
    """
    if dtype not in (float, int):
        raise RopTypeError(f"data {name!r}: dtype must be float or int, got {dtype!r}")
    axes, key = shape_of(name, shape), identifier(name)
    return Node(None, (), axes, "data", key, integer=dtype is int)


def param(name: str, shape: int | Iterable[int] = ()) -> Node:
    """Declare a parameter: a part of θ, the same for all cases.

    Parameters
    ----------
    name : str
        Its key in `Objective.pack` and `Objective.unpack`.
    shape : int or tuple of int
        Its shape; a weight matrix that maps x to y is (len(y), len(x)), as in ``W @ x``.

    Returns
    -------
    Node

    Raises
    ------
    RopTypeError, RopValueError
        If the name is not an identifier or the shape not one of positive integers.

    Examples
    --------
    >>> W, b = rop.param("W", (300, 784)), rop.param("b", 300)
    >>> (W @ rop.data("x", 784) + b).shape
    (300,)
    """
    return Node(None, (), shape_of(name, shape), "param", identifier(name))


def constant(values: ArrayLike) -> Node:
    """Make a node of fixed numbers, the same for all cases; its derivatives are zero.

    Operators do this by themselves for numbers and arrays.

    Parameters
    ----------
    values : array_like of float
        The numbers.

    Returns
    -------
    Node

    Raises
    ------
    RopTypeError, RopValueError
        If the values are not real numbers, or not finite.

    Examples
    --------
    >>> c = rop.constant([1.0, 2.0])
    >>> c, c.constant
    (<constant: shape (2,)>, array([1., 2.]))
    """
    array = finite_numbers(values)
    return Node(None, (), array.shape, "constant", None, array)


def as_node(operand: Operand) -> Node:
    """Return the operand itself if it is a node, else a constant made of it."""
    return operand if isinstance(operand, Node) else constant(operand)


def ancestors(*outputs: Node) -> list[Node]:
    """All nodes that the outputs depend on and the outputs, in topological order."""
    found: dict[Node, None] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack.extend(node.parents)
    return sorted(found, key=lambda node: node.order)


def descendants(nodes: Iterable[Node], sources: Collection[Node]) -> set[Node]:
    """Those of the nodes, given in topological order, that depend on one of the sources."""
    found = set(sources)
    for node in nodes:
        if any(parent in found for parent in node.parents):
            found.add(node)
    return found
