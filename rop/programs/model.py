"""The model that an objective's programs are made for: its nodes in order, and where values lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rop.graph import Node, Shape, ancestors, descendants
from rop.ops.families import Bilinear, Linear
from rop.ops.kernels import Loops
from rop.ops.rules import Place, State, Target, Value
from rop.programs.loss import Loss
from rop.programs.names import node_names
from rop.programs.steps import Emitter, Program


class Model:
    """A graph F with a loss L, and what all programs of it share.

    Parameters
    ----------
    z : Node
        The outputs of F.
    loss : Loss
        The loss L.
    parameters : sequence of Node
        The parameters, in the order in which they make up θ.
    hidden : sequence of Node
        Units whose changes structural damping penalises (sec. 8.4).
    distance : {"squared", "matching"}
        How their changes are measured.

    Attributes
    ----------
    nodes : list of Node
        All nodes, in the order in which the sweeps visit them.
    network : list of Node
        Those that z depends on.
    active : set of Node
        Those of them that depend on a parameter.
    into : dict of Node to Node
        Nodes whose values are only terms of another node's value, and that node; see `sums`.
    names : dict of Node to str
        Names of the nodes' values.
    size : int
        Number of elements of θ.
    a : dict of Node to Value
        The nodes' values.
    d : dict of Node to Value
        ∇L: the adjoints of z, and of the nodes between z and the loss.
    losses : Value
        The loss of each case.
    N, mu : Value
        1/N, and μ/N of structural damping.
    forward, loss_value, loss_gradient, loss_curvature, adjoints : Program
        The stages, which run once for each θ and batch: a_i and s'(z_i); the loss of each case; ∇L;
        the factors of L''; da_i and s''(z_i)·da_i for Hv.
    """

    def __init__(
        self,
        z: Node,
        loss: Loss,
        parameters: Sequence[Node],
        hidden: Sequence[Node],
        distance: str,
    ) -> None:
        self.z = z
        self.loss = loss
        self.parameters = parameters
        self.hidden = hidden
        self.distance = distance
        self.nodes = schedule(ancestors(z, *loss.given, *hidden))
        self.network = self.leading_to(z)
        everything = dict.fromkeys([*parameters, *self.nodes])
        self.names = node_names(list(everything), z)
        self.active = descendants(self.network, parameters)
        self.into = sums(self.nodes, {z, *loss.given, *hidden})
        self.forward, self.adjoints = Program("forward"), Program("adjoints")
        self.loss_value, self.loss_gradient = Program("loss value"), Program("loss gradient")
        self.loss_curvature = Program("loss curvature")
        self._memo: dict[tuple[Node, str], Value] = {}
        self.size = 0
        self.a, self.d = self._leaves(), State()
        per_case = z.per_case or any(node.per_case for node in loss.given)
        self.losses = Value("loss", (), per_case)
        self.N = Value("1/N", (), False, place=Place("cases"))
        self.mu = Value("μ/N", (), False, place=Place("strength"))

    @cached_property
    def data_shapes(self) -> dict[str, Shape]:
        """Shape for one case of each entry of a batch."""
        return {str(node.name): node.shape for node in self.nodes if node.kind == "data"}

    @cached_property
    def constants(self) -> NDArray[np.float64]:
        """The numbers of all constants, one after the other."""
        arrays = [node.constant.ravel() for node in self.nodes if node.constant is not None]
        return np.concatenate(arrays) if arrays else np.empty(0)

    def leading_to(self, *ends: Node) -> list[Node]:
        """The nodes that these depend on, and themselves, in topological order."""
        network = set(ancestors(*ends))
        return [node for node in self.nodes if node in network]

    def _leaves(self) -> State:
        a, constants = State(), 0
        for node in self.parameters:
            name = self.names[node]
            a[node] = Value(name, node.shape, False, place=Place("theta", self.size))
            self.size += node.size
        for node in self.nodes:
            if node.kind == "data":
                place = Place(f"data {node.name}")
                a[node] = Value(self.names[node], node.shape, True, place=place)
            elif node.constant is not None:
                place = Place("constants", constants)
                a[node] = Value(self.names[node], node.shape, False, place=place)
                constants += node.size
        return a

    def emit_to(
        self,
        program: Program,
        directional: bool = False,
        by_case: bool = False,
        bends: Program | None = None,
    ) -> Emitter:
        """What adds steps to a program; see `Emitter`. By default bends go to the adjoints."""
        return Emitter(
            program,
            self.names,
            self.forward,
            self.adjoints if bends is None else bends,
            self._memo,
            directional=directional,
            case_by_case=by_case,
        )

    def given(self, name: str) -> Value:
        """A vector of the outputs' space that a program is given."""
        z, own = self.z, self.names.apart(self.z, name, name)
        return Value(own, z.shape, z.per_case, True, place=Place("input"))

    def result(self, prefix: str) -> Value:
        """A vector of the outputs' space that a program is to make."""
        z, name = self.z, self.names.of(self.z, prefix)
        return Value(name, z.shape, z.per_case, True, place=Place("output"))

    def blocks(self, prefix: str, buffer: str, directional: bool) -> State:
        """The parameters' parts of v, or of a result of θ's size."""
        blocks, offset = State(), 0
        for node in self.parameters:
            name = self.names.of(node, prefix)
            blocks[node] = Value(name, node.shape, False, directional, Place(buffer, offset))
            offset += node.size
        return blocks

    def finish(self, emit: Emitter, d: State, prefix: str, results: State) -> None:
        """Bring the parameters' adjoints to where results belong."""
        for node in self.parameters:
            emit.begin(node, "reverse")
            emit.finish(Target(d, node, prefix), results[node])

    @cached_property
    def convex(self) -> Value:
        """L'' as a matrix, made positive semidefinite (sec. 6.3)."""
        m = self.z.size
        return Value("L''", (m, m), self.z.per_case, place=Place("convex"))

    def slope(self, node: Node) -> Value:
        """s'(x) of an elementwise node, kept for the products."""
        return self._memo[node, "s'"]

    def damped_at(self, node: Node) -> Node:
        """Where the term of a hidden unit enters: at its activation, or before the nonlinearity."""
        return node.parents[0] if self.distance == "matching" else node


def schedule(nodes: Sequence[Node]) -> list[Node]:
    """Order a graph so that little has to be remembered between its early and its late nodes.

    What depends on the same step of a recurrence comes together, even where the user has built all
    states first and all outputs afterwards. Takes and returns a topological order.
    """
    depth: dict[Node, int] = {}
    uses: dict[Node, list[Node]] = {}
    for node in nodes:
        depth[node] = 1 + max((depth[parent] for parent in node.parents), default=0)
        for parent in node.parents:
            uses.setdefault(parent, []).append(node)
    place = dict(depth)
    for node in reversed(nodes):
        remembered = sum(parent.size for parent in node.parents if parent.op is not None)
        if node in uses and remembered < node.size:
            # Its operands are smaller than itself: better to remember these.
            place[node] = min(place[user] for user in uses[node]) - 1
    return sorted(nodes, key=lambda node: (place[node], node.order))


def sums(nodes: Sequence[Node], apart: Collection[Node]) -> dict[Node, Node]:
    """Which nodes only add to another node, and so need no memory of their own: W x in W x + b.

    Returns the node whose value each of them becomes a term of. Values of the nodes `apart` are
    wanted by themselves.
    """
    uses = Counter(parent for node in nodes for parent in node.parents)
    into: dict[Node, Node] = {}
    for node in reversed(nodes):
        if not isinstance(node.op, Linear):
            continue
        for parent, A in zip(node.parents, node.op.maps, strict=True):
            passed_on = isinstance(A, Loops) and A.identity and uses[parent] == 1
            if passed_on and parent not in apart and _adds(parent, node):
                into[parent] = into.get(node, node)
    return into


def _adds(parent: Node, node: Node) -> bool:
    if not isinstance(parent.op, Linear | Bilinear):
        return False
    if parent.per_case != node.per_case or parent.size != node.size:
        return False
    return all(isinstance(A, Loops) and not A.disjoint for A in parent.op.maps)
