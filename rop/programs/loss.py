"""A loss L(z) as the algorithms see it: the rules for its value, ∇L and products with L''.

The mean over cases enters here, as the factor 1/N of ∇L and L'', and nowhere else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

from rop.graph import Node
from rop.ops.kernels import Array
from rop.ops.rules import Emit, State, Target, Value


class Loss(ABC):
    """What the algorithms ask of a loss; `rop.losses` has those to choose from.

    Attributes
    ----------
    given : tuple of Node
        The nodes that it takes besides the outputs z.
    convexify : {None, "shift", "eigen"}
        What replaces an L'' that is not positive semidefinite in Gv (sec. 6.3); None keeps it.
    """

    given: tuple[Node, ...]
    convexify: Literal["shift", "eigen"] | None = None

    def __repr__(self) -> str:
        given = (node.name or (node.op.name if node.op else node.kind) for node in self.given)
        return f"<{self.name} of {', '.join(given)}>"

    @property
    def name(self) -> str:
        """The loss's name in listings and errors."""
        return type(self).__name__

    @property
    def classes(self) -> str | None:
        """Name of the targets if a batch may give them as labels, without the axis of classes."""
        return None

    @abstractmethod
    def fit(self, z: Node) -> None:
        """Raise RopValueError if the loss cannot be one of the outputs z."""

    @abstractmethod
    def refuse_batch(self, batch: Mapping[str, Array]) -> None:
        """Raise RopValueError if targets in a batch are not such as the loss is made for."""

    @abstractmethod
    def value(self, emit: Emit, target: Target, a: State, z: Node) -> None:
        """Emit the loss of each case, without 1/N."""

    @abstractmethod
    def gradient(self, emit: Emit, a: State, z: Node, N: Value) -> State:
        """Emit ∇L; returns the adjoints of z and of the nodes between z and the loss."""

    @abstractmethod
    def hvp(
        self, emit: Emit, a: State, d: State, z: Node, N: Value, Rz: Value, Rdz: Target
    ) -> None:
        """Emit L'' Rz."""
