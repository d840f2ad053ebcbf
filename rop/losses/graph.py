"""Any loss as a graph on the outputs: its L'' comes from the same four sweeps (sec. 6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Shape, ancestors, descendants
from rop.ops.kernels import Array, Loops, einsum, letters, view
from rop.ops.rules import Emit, State, Target, Value
from rop.programs.loss import Loss
from rop.programs.sweeps import r_forward, r_reverse, reverse
from rop.support.arguments import named


class LossGraph(Loss):
    """Any loss, written as a graph on the outputs; its L'' comes from the same four sweeps.

    Parameters
    ----------
    node : Node
        The loss for one case, built from the outputs z (and data); summed if it has axes. It must
        not depend on parameters but through z.
    convexify : {None, "shift", "eigen"}
        What replaces an L'' that is not positive semidefinite in Gv, so that G is (sec. 6.3): None
        keeps it; "shift" adds the smallest multiple of I that makes it so, case by case (not of
        its diagonal, erratum M32); "eigen" drops negative eigenvalues. Hv stays exact.

    Raises
    ------
    RopValueError
        If convexify is none of these.

    Examples
    --------
    >>> z, y = rop.param("w", 5) @ rop.data("x", 5), rop.data("y")
    >>> rop.Objective(z, rop.LossGraph(rop.sqrt(1 + (z - y) ** 2) - 1))
    <Objective: LossGraph of (), 5 parameters in w>
    """

    @named
    def __init__(self, node: Node, convexify: Literal["shift", "eigen"] | None = None) -> None:
        if convexify not in (None, "shift", "eigen"):
            raise RopValueError(
                f"LossGraph: convexify must be None, 'shift' or 'eigen', got {convexify!r}"
            )
        if not isinstance(node, Node):
            raise RopTypeError(
                f"LossGraph: node must be a node that is built from the outputs, got {node!r}"
            )
        self.node = node
        self.convexify = convexify
        self.given = (self.node,)

    def fit(self, z: Node) -> None:
        """Raise RopValueError if the loss does not depend on z, or on parameters beside z."""
        nodes = ancestors(self.node)
        if z not in nodes:
            raise RopValueError("LossGraph: the loss does not depend on the outputs z")
        others = [node for node in nodes if node is not z]
        parameters = [node for node in others if node.kind == "param"]
        beside, inner = descendants(others, parameters), set(ancestors(z))
        for node in others:
            if node not in inner and any(p in beside and p is not z for p in node.parents):
                raise RopValueError(
                    f"LossGraph: the loss depends on parameters beside the outputs z, at {node!r}; "
                    "make all that depends on parameters part of z (rop.concatenate)"
                )

    def refuse_batch(self, batch: Mapping[str, Array]) -> None:
        """Refuse nothing: only the user knows what the loss is made for."""

    def value(self, emit: Emit, target: Target, a: State, z: Node) -> None:
        shape = self.node.shape
        emit.begin(self.node, "loss")
        emit(target, einsum(f"{letters(shape)}->", (shape,), "sum({0})"), a[self.node])

    def gradient(self, emit: Emit, a: State, z: Node, N: Value) -> State:
        """The reverse sweep from the loss to z."""
        nodes, d = beyond(z, self), State()
        emit.begin(self.node, "loss")
        emit(Target(d, self.node, "d"), _filled(self.node.shape), N)
        reverse(nodes, emit, a, d, descendants(nodes, [z]))
        return d

    def hvp(
        self, emit: Emit, a: State, d: State, z: Node, N: Value, Rz: Value, Rdz: Target
    ) -> None:
        """The R-forward sweep from Rz, and the R-reverse sweep with the curvature rule."""
        nodes, R, Rd = beyond(z, self), State({z: Rz}), State()
        if Rdz.node in Rdz.state:
            Rd[z] = Rdz.state[Rdz.node]
        r_forward(nodes, emit, a, R, {})
        r_reverse(nodes, emit, a, R, d, Rd, descendants(nodes, [z]), curvature=True)
        if z in Rd:
            Rdz.state[Rdz.node] = Rd[z]


def beyond(z: Node, loss: Loss) -> list[Node]:
    """The nodes of a loss that depend on the outputs z: none, unless it is a graph."""
    if not isinstance(loss, LossGraph):
        return []
    nodes = ancestors(loss.node)
    after = descendants(nodes, [z])
    return [node for node in nodes if node in after and node is not z]


def _filled(shape: Shape) -> Loops:
    """The kernel that fills a shape with the scalar 1/N."""
    repeat, _ = view((), lambda one: np.broadcast_to(one, shape), "1/N")
    return repeat
