"""What a picture shows of a graph: a box for every node, or for all those that are too many."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from rop.errors import RopTypeError
from rop.graph import Node, ancestors
from rop.losses import LossGraph
from rop.objective.objective import Objective
from rop.programs.names import node_names

SHOWN = 240  # boxes of F, and of L; of what is larger the middle is not shown


@dataclass(frozen=True, eq=False)
class Box:
    """What is drawn for a node.

    Attributes
    ----------
    name, detail : str
        The two lines of its label.
    kind : str
        "data", "param", "constant", "op", "loss" or "folded".
    parents : tuple of Box
        Where its edges come from.
    beyond : bool
        Whether it belongs to L, and so stands right of the cut between F and L.
    """

    name: str
    detail: str
    kind: str
    parents: tuple[Box, ...] = field(default=(), repr=False)
    beyond: bool = False


def boxes_of(what: Objective | Node) -> list[Box]:
    """The boxes of all nodes, those of F first, and of the loss.

    Parameters
    ----------
    what : Objective or Node
        A node stands for all that it depends on.

    Returns
    -------
    list of Box
        Parents before children.

    Raises
    ------
    RopTypeError
        If it is neither an objective nor a node.
    """
    if isinstance(what, Objective):
        z, loss = what.z, what.loss
    elif isinstance(what, Node):
        z, loss = what, LossGraph(what)
    else:
        raise RopTypeError(f"expected an Objective or a node, got {type(what).__name__}")
    F = ancestors(z)
    inside = set(F)
    nodes = F + [node for node in ancestors(*loss.given) if node not in inside]
    names = node_names(sorted(nodes, key=lambda node: node.order), z)
    own_graph = loss.node if isinstance(loss, LossGraph) and loss.node is not z else None
    boxes: dict[Node, Box] = {}
    for node in nodes:
        boxes[node] = Box(
            names[node],
            _detail(node),
            "loss" if node is own_graph else node.kind,
            tuple(boxes[parent] for parent in node.parents),
            beyond=node not in inside,
        )
    if isinstance(loss, LossGraph):
        return list(boxes.values())
    parents = tuple(boxes[node] for node in (z, *loss.given))
    return [*boxes.values(), Box("L", loss.name, "loss", parents, beyond=True)]


def folded(boxes: list[Box]) -> list[Box]:
    """The boxes to show: where F or L is too large, one for all ops, one for all leaves left out.

    Parameters
    ----------
    boxes : list of Box
        All boxes.

    Returns
    -------
    list of Box
        At most `SHOWN` + 2 each for F and L; parents before children.
    """
    if max(Counter(box.beyond for box in boxes).values()) <= SHOWN:
        return boxes
    drawn: dict[Box, Box] = {}
    for beyond in (False, True):
        part = [box for box in boxes if box.beyond == beyond]
        shown = set(part if len(part) <= SHOWN else _shown(part))
        # Leaves first: all that a folded box needs is then drawn before it.
        for what in ("leaves", "ops"):
            group = [box for box in part if bool(box.parents) == (what == "ops")]
            hidden = dict.fromkeys(box for box in group if box not in shown)
            parents = dict.fromkeys(p for box in hidden for p in box.parents if p not in hidden)
            stand_in: Box | None = None
            for box in group:
                if box in shown:
                    drawn[box] = replace(box, parents=tuple(drawn[p] for p in box.parents))
                    continue
                if stand_in is None:
                    stand_in = Box(
                        f"{len(hidden):,} {what}",
                        "not shown",
                        "folded",
                        tuple(dict.fromkeys(drawn[parent] for parent in parents)),
                        beyond=beyond,
                    )
                drawn[box] = stand_in
    return list(dict.fromkeys(drawn.values()))


def _detail(node: Node) -> str:
    if node.constant is not None and node.constant.ndim == 0:
        return f"{float(node.constant):g}"
    shape = " × ".join(map(str, node.shape)) or "scalar"
    return shape if node.op is None else f"{node.op.name} · {shape}"


def _shown(part: list[Box]) -> list[Box]:
    """The first and the last ops of F, or of L, and leaves that they use."""
    ops = [box for box in part if box.parents]
    ops = list(dict.fromkeys(ops[: SHOWN // 4] + ops[-SHOWN // 4 :]))
    leaves = {box for box in part if not box.parents}
    used = dict.fromkeys(parent for box in ops for parent in box.parents if parent in leaves)
    return ops + list(used)[: SHOWN // 2]
