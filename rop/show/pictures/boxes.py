"""The boxes of a graph's picture: one for every node, or one for many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from rop.errors import RopTypeError
from rop.graph import Node, ancestors
from rop.losses import LossGraph
from rop.objective.objective import Objective
from rop.programs.model import schedule
from rop.programs.names import node_names
from rop.show.folding import repetitions
from rop.support.words import counted

# In F or L with more boxes than SHORT a recurrence is folded. Beyond WHOLE, all that repeats is,
# and at most SHOWN ops and half as many leaves are shown.
SHORT, WHOLE, SHOWN = 30, 60, 240


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
        Whether it belongs to L, right of the cut between F and L.
    said : str or None
        What is said of the node instead of its shape.
    holds : tuple of str
        The names of the nodes that it stands for instead of one.
    """

    name: str
    detail: str
    kind: str
    parents: tuple[Box, ...] = field(default=(), repr=False)
    beyond: bool = False
    said: str | None = None
    holds: tuple[str, ...] = field(default=(), repr=False)

    @property
    def line(self) -> str:
        """The second line of the label."""
        if self.said is None:
            return self.detail
        op = self.detail.partition(" · ")[0] if self.kind in ("op", "loss") else ""
        return " · ".join(filter(None, (op, self.said)))


def boxes_of(what: Objective | Node, said: Mapping[Node, str] | None = None) -> list[Box]:
    """The boxes of all nodes, those of F first, and of the loss.

    Parameters
    ----------
    what : Objective or Node
        A node stands for all that it depends on.
    said : mapping of Node to str, optional
        What is said of each node instead of its shape.

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
    if isinstance(what, Objective):
        everything = schedule(ancestors(z, *loss.given, *what.hidden))
        names = node_names(list(dict.fromkeys([*what.parameters, *everything])), z)
    else:
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
            said=None if said is None else said.get(node, ""),
        )
    if isinstance(loss, LossGraph):
        return list(boxes.values())
    parents = tuple(boxes[node] for node in (z, *loss.given))
    return [*boxes.values(), Box("L", loss.name, "loss", parents, beyond=True)]


def folded(boxes: list[Box]) -> list[Box]:
    """The boxes to show: the ends of a recurrence, and the ends of a large graph.

    Parameters
    ----------
    boxes : list of Box
        All boxes.

    Returns
    -------
    list of Box
        Parents before children. One box stands for ops that are left out, and one for the leaves
        that only they use.
    """
    most = max(Counter(box.beyond for box in boxes).values())
    times = _times(boxes, recurrences=most <= WHOLE) if most > SHORT else {}
    if most <= WHOLE and not times:
        return boxes
    drawn: dict[Box, Box] = {}
    for beyond in (False, True):
        part = [box for box in boxes if box.beyond == beyond]
        ops = [box for box in part if box.parents]
        leaves = [box for box in part if not box.parents]
        shown = set(_shown([box for box in ops if box not in times]))
        used = dict.fromkeys(p for box in shown for p in box.parents if not p.parents)
        few = leaves if len(leaves) <= SHOWN // 2 and not ops else list(used)[: SHOWN // 2]
        # Leaves first: all that a folded box needs is then drawn before it.
        _draw([leaves], set(few), "leaves", {}, drawn)
        _draw(_runs(ops, shown), shown, "ops", times, drawn)
    return list(dict.fromkeys(drawn.values()))


def _runs(ops: list[Box], shown: set[Box]) -> list[list[Box]]:
    """Runs of ops that are all shown, or all left out."""
    return [list(run) for _, run in groupby(ops, lambda box: box in shown)]


def _draw(
    groups: list[list[Box]],
    shown: set[Box],
    what: str,
    times: Mapping[Box, int],
    drawn: dict[Box, Box],
) -> None:
    """Enter the boxes of each group as they are drawn: those left out as one box."""
    for group in groups:
        hidden = dict.fromkeys(box for box in group if box not in shown)
        outside = dict.fromkeys(p for box in hidden for p in box.parents if p not in hidden)
        rounds = {times.get(box) for box in hidden}
        again = next(iter(rounds)) if len(rounds) == 1 else None
        stand_in: Box | None = None
        for box in group:
            if box in shown:
                drawn[box] = replace(box, parents=tuple(drawn[p] for p in box.parents))
                continue
            if stand_in is None:
                stand_in = Box(
                    f"{len(hidden):,} {what}",
                    "not shown" if again is None else f"{counted(again, 'round')} more",
                    "folded",
                    tuple(dict.fromkeys(drawn[parent] for parent in outside)),
                    beyond=box.beyond,
                    holds=tuple(other.name for other in hidden),
                )
            drawn[box] = stand_in


def _detail(node: Node) -> str:
    shape = " × ".join(map(str, node.shape)) or "scalar"
    return shape if node.op is None else f"{node.op.name} · {shape}"


def _times(boxes: list[Box], recurrences: bool) -> dict[Box, int]:
    """The ops of middle rounds, with the number of these rounds: of recurrences only, or of all."""
    found: dict[Box, int] = {}
    for beyond in (False, True):
        ops = [box for box in boxes if box.beyond == beyond and box.parents]
        for start, length, rounds in repetitions([(box.name, box.detail) for box in ops]):
            middle = ops[start + length : start + (rounds - 1) * length]
            if not recurrences or _parameters(ops[start:][:length]) & _parameters(middle):
                found |= dict.fromkeys(middle, rounds - 2)
    return found


def _parameters(ops: list[Box]) -> set[Box]:
    """The parameters that ops use. The rounds of a recurrence share theirs; layers do not."""
    return {parent for box in ops for parent in box.parents if parent.kind == "param"}


def _shown(ops: list[Box]) -> list[Box]:
    """The first and the last ops, where there are too many."""
    if len(ops) <= SHOWN:
        return ops
    return ops[: SHOWN // 4] + ops[-SHOWN // 4 :]
