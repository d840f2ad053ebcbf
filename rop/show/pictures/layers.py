"""A graph in layers: the layer of each box, its order in the layer, and its height.

Longest paths say how many layers there are, barycentre sweeps the order within each, and an edge
that passes a layer has a slot of its own there, so that no edge runs through a box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import numpy as np

from rop.show.pictures.boxes import Box

Slot: TypeAlias = tuple[Box, int]  # a box, or its edge, in a layer
Links: TypeAlias = list[list[tuple[Slot, Slot]]]  # from each layer to the next

SWEEPS = 12
# Inches.
APART = 0.13  # from a box to what is above and below it
WIRE = 0.09  # between edges that run side by side


def layers(boxes: Sequence[Box]) -> dict[Box, int]:
    """The layer of each box: as few layers as there can be, and short edges.

    Parameters
    ----------
    boxes : sequence of Box
        Parents before children, and F before what is beyond it.

    Returns
    -------
    dict of Box to int
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    longest: dict[Box, int] = {}
    F = 0  # number of its layers
    for box in boxes:
        least = F if box.beyond else 0
        longest[box] = max([least, *(longest[parent] + 1 for parent in box.parents)])
        F = F if box.beyond else max(F, longest[box] + 1)
    last = max(longest.values())
    number, n = {box: i for i, box in enumerate(boxes)}, len(boxes)
    links = {(number[parent], number[box]) for box in boxes for parent in box.parents}
    if not links:
        return longest
    # Minimise Σ (child's layer - parent's layer) over all links between ops, where each is at least
    # 1; the vertices of this polyhedron are integral. Without weight of their own, ops come early
    # and leaves just before their first use.
    parents, children = np.array(sorted(links)).T
    leaf = np.array([not box.parents for box in boxes])
    rows, between_ops = np.arange(len(parents)), np.where(leaf[parents], 0.0, 1.0)
    shape = len(parents), n
    earlier = coo_array((np.ones(len(rows)), (rows, parents)), shape)
    later = coo_array((np.ones(len(rows)), (rows, children)), shape)
    A: Any = earlier - later
    solution = linprog(
        (later - earlier).T @ between_ops + np.where(leaf, -1e-6, 1e-4),
        A_ub=A,
        b_ub=-np.ones(len(rows)),
        bounds=[(F, last) if box.beyond else (0, F - 1) for box in boxes],
        method="highs-ds",
    )
    assert solution.x is not None  # the longest paths are a solution
    return {box: round(at) for box, at in zip(boxes, solution.x, strict=True)}


def slots(boxes: Sequence[Box], layer: Mapping[Box, int]) -> tuple[list[list[Slot]], Links]:
    """The slots of each layer, and the links between them.

    Parameters
    ----------
    boxes : sequence of Box
        The graph.
    layer : mapping of Box to int
        The layer of each box.

    Returns
    -------
    list of list of Slot
        The boxes and the passing edges of each layer.
    list of list of (Slot, Slot)
        The links from each layer to the next.
    """
    columns: list[list[Slot]] = [[] for _ in range(1 + max(layer.values()))]
    links: Links = [[] for _ in columns]
    last_use: dict[Box, int] = {}
    for box in boxes:
        for parent in box.parents:
            last_use[parent] = max(layer[box], last_use.get(parent, 0))
    for box in boxes:
        columns[layer[box]].append((box, layer[box]))
        # One lane serves all uses of a node, as a bus does.
        for passed in range(layer[box] + 1, last_use.get(box, 0)):
            columns[passed].append((box, passed))
            links[passed - 1].append(((box, passed - 1), (box, passed)))
        for parent in dict.fromkeys(box.parents):
            links[layer[box] - 1].append(((parent, layer[box] - 1), (box, layer[box])))
    return columns, links


def sides(
    boxes: Sequence[Box], layer: Mapping[Box, int], columns: Sequence[Sequence[Slot]]
) -> dict[Slot, int]:
    """Which slots lie on the longest path, which is drawn straight, and which above or below it.

    Parameters
    ----------
    boxes : sequence of Box
        The graph.
    layer : mapping of Box to int
        The layer of each box.
    columns : sequence of sequence of Slot
        The slots of each layer.

    Returns
    -------
    dict of Slot to int
        0 on the path; 1 below it, for what branches off from its ops; -1 above it, for the rest.
    """
    length: dict[Box, int] = {}
    uses: dict[Box, list[Box]] = {box: [] for box in boxes}
    for box in boxes:
        length[box] = 1 + max((length[parent] for parent in box.parents), default=0)
        for parent in box.parents:
            uses[parent].append(box)
    path = [max(boxes, key=lambda box: length[box])]
    while path[-1].parents:
        path.append(max(path[-1].parents, key=lambda p: (length[p], p.kind == "data")))
    trunk = {box for box in path if box.parents}
    below = set(trunk)
    for box in boxes:
        if any(parent in below for parent in box.parents):
            below.add(box)
    for box in reversed(boxes):
        if 2 * sum(use in below and use not in trunk for use in uses[box]) > len(uses[box]):
            below.add(box)
    side = {slot: 1 if slot[0] in below else -1 for column in columns for slot in column}
    for child, parent in pairwise(path):
        side |= {(parent, at): 0 for at in range(layer[parent], layer[child])}
    side[path[0], layer[path[0]]] = 0
    return side


def sweep(
    columns: list[list[Slot]], links: Links, heights: Mapping[Slot, float], side: Mapping[Slot, int]
) -> dict[Slot, float]:
    """Order the slots of each layer so that few edges cross, and give each slot its y.

    Parameters
    ----------
    columns : list of list of Slot
        The slots of each layer; they are sorted in place.
    links : list of list of (Slot, Slot)
        The links from each layer to the next.
    heights : mapping of Slot to float
        Height of each box, in inches; 0 for a passing edge.
    side : mapping of Slot to int
        -1 above, 1 below, and 0 on the path that gets y = 0.

    Returns
    -------
    dict of Slot to float
        The y of each slot's middle, in inches, growing downwards.
    """
    neighbours: dict[Slot, list[Slot]] = {slot: [] for slot in side}
    for one, other in (link for gap in links for link in gap):
        neighbours[one].append(other)
        neighbours[other].append(one)
    weights = {slot: 1.0 if side[slot] else 1e6 for slot in side}
    y = {slot: float(side[slot]) for slot in side}
    best, fewest = [list(column) for column in columns], np.inf
    for number in range(2 * SWEEPS):
        if number == SWEEPS:  # from here on the order stays
            columns[:] = best
        for column in columns if number % 2 == 0 else reversed(columns):
            wanted = {slot: _barycentre(slot, neighbours[slot], y) for slot in column}
            wanted |= {slot: 0.0 for slot in column if side[slot] == 0}
            if number < SWEEPS:
                column.sort(key=lambda slot: (side[slot], round(wanted[slot], 2)))
            y |= placed(column, wanted, weights, heights)
        if number < SWEEPS and (crossings := _crossings(links, y)) < fewest:
            best, fewest = [list(column) for column in columns], crossings
    return y


def _barycentre(slot: Slot, neighbours: Iterable[Slot], y: Mapping[Slot, float]) -> float:
    """The mean y of a slot's neighbours; edges follow themselves, and ops the path of the data."""
    weights = {
        other: 20.0 if other[0] is slot[0] else 0.1 if other[0].kind == "param" else 1.0
        for other in neighbours
    }
    total = sum(weights.values())
    return sum(w * y[other] for other, w in weights.items()) / total if total else y[slot]


def placed(
    column: Sequence[Slot],
    wanted: Mapping[Slot, float],
    weights: Mapping[Slot, float],
    heights: Mapping[Slot, float],
) -> dict[Slot, float]:
    """The y of a layer's slots: in this order, without overlap, and near the wanted ones.

    Parameters
    ----------
    column : sequence of Slot
        The slots, from top to bottom.
    wanted, weights : mapping of Slot to float
        The wanted y of each slot, and the weight of this wish.
    heights : mapping of Slot to float
        Height of each box; 0 for a passing edge.

    Returns
    -------
    dict of Slot to float
    """
    from scipy.optimize import isotonic_regression

    half = [heights[slot] / 2 for slot in column]
    steps = [a + b + (APART if a + b else WIRE) for a, b in pairwise(half)]
    offsets = np.array([0.0, *accumulate(steps)])
    target = np.array([wanted[slot] for slot in column]) - offsets
    fit = isotonic_regression(target, weights=[weights[slot] for slot in column])
    return dict(zip(column, (fit.x + offsets).tolist(), strict=True))


def _crossings(links: Links, y: Mapping[Slot, float]) -> int:
    count = 0
    for gap in links:
        a = np.array([y[one] for one, _ in gap])
        b = np.array([y[other] for _, other in gap])
        count += int(np.sum((a[:, None] < a) & (b[:, None] > b)))
    return count
