"""In which order the nodes are computed, and which of them need no memory of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from rop.graph import Node
from rop.ops.families import Bilinear, Linear
from rop.ops.kernels import Loops


def schedule(nodes: Sequence[Node]) -> list[Node]:
    """Order a graph so that little has to be remembered between its early and its late nodes.

    What depends on the same step of a recurrence comes together, even where the user has built all
    states first and all outputs afterwards.

    Parameters
    ----------
    nodes : sequence of Node
        The graph, in topological order.

    Returns
    -------
    list of Node
        The same nodes in another topological order.
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

    Parameters
    ----------
    nodes : sequence of Node
        The graph, in topological order.
    apart : collection of Node
        Nodes whose values are wanted by themselves.

    Returns
    -------
    dict of Node to Node
        From such a node to the one whose value it becomes a term of.
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
