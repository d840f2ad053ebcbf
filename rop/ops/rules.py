"""The terms in which ops and losses write their rules: values, targets, and what takes the steps.

``emit(target, kernel, *operands)`` adds one term to the target. It does nothing when an operand is
zero (R of data) or when nobody asks for the target (da of data), so the rules need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, TypeAlias

from rop.graph import Node, Shape
from rop.ops.kernels import Kernel


@dataclass(frozen=True, eq=False)
class Place:
    """A fixed place outside a program's own memory, such as θ, the batch, or a product's result.

    Attributes
    ----------
    buffer : str
        Name of the buffer.
    offset : int
        First element, for one direction.
    row : int or None
        Elements from one case (or direction) to the next, where that is not the value's own size.
    """

    buffer: str
    offset: int = 0
    row: int | None = None


class Value:
    """An array that steps read and write: a_i, Ra_i, da_i, Rda_i, s'(z_i) or a part of the loss.

    Attributes
    ----------
    name : str
        As in listings: y2, Rx2, dW1.
    shape : tuple of int
        For one case and one direction.
    per_case, per_direction : bool
        Whether it has an axis of cases, and one of directions: (cases, directions, *shape).
    place : Place or None
        Where it lies, if not in the program's own memory.
    """

    __slots__ = ("name", "per_case", "per_direction", "place", "shape", "size")

    def __init__(
        self,
        name: str,
        shape: Shape,
        per_case: bool,
        per_direction: bool = False,
        place: Place | None = None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.size = prod(shape)
        self.per_case = per_case
        self.per_direction = per_direction
        self.place = place

    def __repr__(self) -> str:
        return f"<value {self.name}: {self.shape}>"

    def elements(self, cases: int, directions: int) -> int:
        """Number of elements for so many cases and directions."""
        return (
            self.size * (cases if self.per_case else 1) * (directions if self.per_direction else 1)
        )


State: TypeAlias = dict[Node, Value]


@dataclass(slots=True)
class Target:
    """The value of one node in one sweep, not yet made: the first step that reaches it makes it.

    Attributes
    ----------
    state : dict of Node to Value
        The sweep's values so far.
    node : Node
        The node.
    prefix : str
        "", "R", "d" or "Rd".
    alone : bool
        Whether one step only will ever reach the target.
    """

    state: State
    node: Node
    prefix: str
    alone: bool = False


Values: TypeAlias = Sequence[Value | None]  # None is zero
Targets: TypeAlias = Sequence[Target | None]  # None where nobody asks for it


class Emit(Protocol):
    """Takes the terms that rules are made of, and turns them into something that runs.

    Attributes
    ----------
    case_by_case : bool
        Whether adjoints of what does not depend on data are wanted for each case.
    """

    case_by_case: bool

    @property
    def names(self) -> Mapping[Node, str]:
        """Names of the nodes' values."""

    def begin(self, node: Node, rule: str) -> None:
        """Name the node and the rule that the next terms belong to."""

    def __call__(self, target: Target | None, kernel: Kernel, *operands: Value | None) -> None:
        """Add a term to the target; nothing if nobody asks for it or an operand is zero."""

    def end(self, target: Target) -> None:
        """Close a target that was put together from parts: what no part reaches is zero."""

    def once(
        self, label: str, kernel: Kernel, *operands: Value | None, shape: Shape | None = None
    ) -> Value:
        """Compute something of the current node once per θ, whatever the direction.

        Its label tells it from other such things of the node: "s'", "s''·da", "p". It has the
        node's shape if no other is given.
        """

    def temporary(self, name: str, shape: Shape, kernel: Kernel, *operands: Value) -> Value:
        """Compute something of this sweep that is no node's value, such as pᵀRz in softmax."""
