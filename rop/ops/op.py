"""The base of all ops: how they are made, shared and pickled, and the four rules that each has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Operand, Shape, as_node
from rop.ops.rules import Emit, Target, Targets, Value, Values
from rop.support.user import user_line


class Op(ABC):
    """What a node does, for given operand shapes: its value and its three derivative rules.

    Subclass `Linear`, `Bilinear` or `Elementwise` to add an op, or `General` for an op of none of
    these families, and build nodes with ``MyOp.of(x)``.

    Parameters
    ----------
    shapes : tuple of int
        Shapes of the operands for one case.

    Examples
    --------
    >>> y = rop.tanh(rop.data("x", 3))
    >>> isinstance(y.op, rop.ops.Op), y.op.name
    (True, 'tanh')
    """

    operands: ClassVar[int | None] = 1
    fixed: ClassVar[tuple[int, ...]] = ()  # operands that no derivative passes through
    supplied: ClassVar[tuple[str, ...]] = ()  # what a user's subclass must define
    shape: Shape
    _made_of: tuple[type[Op], tuple[Shape, ...], dict[str, Any]] | None = None

    def __init__(self, *shapes: Shape) -> None:
        if not shapes or any(isinstance(shape, Node) for shape in shapes):
            name, got = type(self).__name__, "a node" if shapes else "nothing"
            raise RopTypeError(
                f"{name}: expected shapes, got {got}; to apply the op write {name}.of(...) "
                f"({user_line()})"
            )
        self.shape = self.output_shape(*shapes)
        for rule in self.supplied:
            if not hasattr(self, rule.partition("(")[0]):
                raise RopTypeError(f"{type(self).__name__} must define {rule} ({user_line()})")

    @property
    def name(self) -> str:
        """The op's name in listings and errors."""
        return type(self).__name__.lower()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: shape {self.shape}>"

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of the result for one case; raises RopValueError where the operands do not fit."""
        return shapes[0]

    def literal(self, parents: Sequence[str]) -> str:
        """The op's value as a formula of its parents' names."""
        return f"{self.name}({', '.join(parents)})"

    @classmethod
    def of(cls, *parents: Operand, **options: Any) -> Node:
        """Build the node that applies the op to its parents.

        Parameters
        ----------
        *parents : Node or array_like
            The operands; numbers and arrays become constants.
        **options
            Further arguments of the op's constructor, hashable.

        Returns
        -------
        Node

        Raises
        ------
        RopTypeError
            If the number of operands is wrong.
        RopValueError
            If the operands' shapes do not fit.
        """
        nodes = tuple(as_node(parent) for parent in parents)
        if cls.operands is not None and len(nodes) != cls.operands:
            raise RopTypeError(
                f"{cls.__name__.lower()} takes {cls.operands} operand(s), got {len(nodes)} "
                f"({user_line()})"
            )
        op = _op(cls, tuple(node.shape for node in nodes), options)
        return Node(op, nodes, op.shape)

    def __copy__(self) -> Op:
        """Make an op that can be changed without changing this one."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._made_of = None
        return copy

    def __reduce__(self) -> Any:
        """Pickle what the op was made of: its functions and kernels are made anew from that."""
        return (_op, self._made_of) if self._made_of else super().__reduce__()

    @abstractmethod
    def value(self, emit: Emit, a: Target, z: Values) -> None:
        """a = s(z)."""

    @abstractmethod
    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        """Ra, from Rz."""

    @abstractmethod
    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        """dz, from da; R{reverse} is the same rule from Rda, plus the curvature rule."""

    @abstractmethod
    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        """What R{reverse} has besides the reverse rule: the terms that Gauss-Newton drops."""


def _op(cls: type[Op], shapes: tuple[Shape, ...], options: dict[str, Any]) -> Op:
    """The op of a class for given shapes: the many equal nodes of an unrolled network share one."""
    key = (cls, shapes, *options.items())
    found = _made.get(key)
    if found is None:
        found = _made.setdefault(key, cls(*shapes, **options))
        found._made_of = cls, shapes, options
    return found


_made: dict[tuple[Any, ...], Op] = {}


def misfit(op: str, expected: str, *shapes: Shape) -> RopValueError:
    """Make the error of operands that do not fit together, which points at the user's line."""
    got = " and ".join(str(shape) for shape in shapes)
    return RopValueError(f"{op}: expected {expected}, got shapes {got} ({user_line()})")
