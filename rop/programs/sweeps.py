"""The four sweeps: forward, R-forward, reverse and R-reverse, each a plain loop over the nodes.

A sweep keeps one dictionary from node to value; a node that is missing in it is zero there. A step
is emitted only where something is to be computed: R of data and da of what reaches no parameter do
not exist. `into` leads from nodes that are only terms of another node, as W x in W x + b, to that
node: what they compute is added there at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from rop.graph import Node
from rop.ops.families import Linear
from rop.ops.op import Op
from rop.ops.rules import Emit, State, Target


def forward(nodes: Sequence[Node], emit: Emit, a: State, into: dict[Node, Node]) -> None:
    """a_i = s_i(z_i), for every node that is not a leaf."""
    for node, op in _applied(nodes):
        emit.begin(node, "value")
        target = Target(a, into.get(node, node), "")
        op.value(emit, target, [a.get(parent) for parent in node.parents])
        emit.end(target)
        a[node] = a[target.node]


def r_forward(
    nodes: Sequence[Node], emit: Emit, a: State, R: State, into: dict[Node, Node]
) -> None:
    """Ra_i from Rz_i (sec. 5)."""
    for node, op in _applied(nodes):
        if any(parent in R for parent in node.parents):
            emit.begin(node, "R")
            target = Target(R, into.get(node, node), "R")
            z = [a.get(parent) for parent in node.parents]
            op.R(emit, target, a[node], z, [R.get(parent) for parent in node.parents])
            emit.end(target)
            if target.node in R:
                R[node] = R[target.node]


def reverse(
    nodes: Sequence[Node], emit: Emit, a: State, d: State, active: Collection[Node]
) -> None:
    """dz_i from da_i, for the parents that are active: those that depend on a parameter."""
    uses = _uses(nodes, d)
    for node, op in reversed(_applied(nodes)):
        if node in d:
            emit.begin(node, "reverse")
            z = [a.get(parent) for parent in node.parents]
            op.reverse(emit, d[node], a[node], z, _targets(node, d, active, "d", uses))


def r_reverse(
    nodes: Sequence[Node],
    emit: Emit,
    a: State,
    R: State,
    d: State,
    Rd: State,
    active: Collection[Node],
    *,
    curvature: bool,
) -> None:
    """R{reverse}: the reverse rule applied to Rda, plus the curvature rule (sec. 5).

    Started from Rdz = L'' Rz, it gives Hv with the curvature rule, and Gv without: Gauss-Newton
    keeps curvature at the loss only (sec. 6).
    """
    uses = _uses(nodes, Rd)
    for node, op in reversed(_applied(nodes)):
        z = [a.get(parent) for parent in node.parents]
        Rz = [R.get(parent) for parent in node.parents]
        curved = curvature and node in d and any(Rz) and not isinstance(op, Linear)
        # Where both rules add to a target, neither is alone.
        targets = _targets(node, Rd, active, "Rd", Counter() if curved else uses)
        if node in Rd:
            emit.begin(node, "reverse")
            op.reverse(emit, Rd[node], a[node], z, targets)
        if curved:
            emit.begin(node, "curvature")
            op.curvature(emit, d[node], a[node], z, Rz, targets)


def _applied(nodes: Sequence[Node]) -> list[tuple[Node, Op]]:
    return [(node, node.op) for node in nodes if isinstance(node.op, Op)]


def _uses(nodes: Sequence[Node], d: State) -> Counter[Node]:
    """How often each node's adjoint is added to; being given from outside counts as once."""
    return Counter(p for node in nodes for p in node.parents) + Counter(d.keys())


def _targets(
    node: Node, d: State, active: Collection[Node], prefix: str, uses: Counter[Node]
) -> list[Target | None]:
    return [
        Target(d, parent, prefix, alone=uses[parent] == 1) if parent in active else None
        for parent in node.parents
    ]
