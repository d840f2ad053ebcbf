"""The places of boxes and edges: layers from left to right, in lines, like text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from rop.show.pictures.boxes import Box
from rop.show.pictures.layers import APART, WIRE, Slot, layers, placed, sides, slots, sweep

Point: TypeAlias = tuple[float, float]

LINE_WIDTH = 10.5  # inches


@dataclass(frozen=True)
class Edge:
    """A part of an edge: its points, the box from which it comes, the box at which it ends."""

    points: list[Point]
    source: Box
    target: Box | None


@dataclass
class Layout:
    """The place of everything, in inches; y grows downwards.

    Attributes
    ----------
    layer : dict of Box to int
        The layer of each box.
    line : list of int
        The line in which each layer is set.
    centre : dict of Box to (float, float)
        The centres of the boxes.
    edges : list of Edge
        The edges, in parts that lead from one layer to the next.
    cut : tuple of float, or None
        x, top and bottom of the cut between F and L.
    width, height : float
        The size of the whole.
    """

    layer: dict[Box, int]
    line: list[int]
    centre: dict[Box, Point] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    cut: tuple[float, float, float] | None = None
    width: float = 0.0
    height: float = 0.0


def layered(boxes: Sequence[Box], sizes: Mapping[Box, Point]) -> Layout:
    """Lay out a graph.

    Parameters
    ----------
    boxes : sequence of Box
        Parents before children, and F before what is beyond it.
    sizes : mapping of Box to (float, float)
        Width and height of each box, in inches.

    Returns
    -------
    Layout
    """
    layer = layers(boxes)
    columns, links = slots(boxes, layer)
    heights = {slot: 0.0 for column in columns for slot in column}
    heights |= {(box, at): sizes[box][1] for box, at in layer.items()}
    side = sides(boxes, layer, columns)
    y = sweep(columns, links, heights, side)

    widths = [0.0] * len(columns)
    for box, at in layer.items():
        widths[at] = max(widths[at], sizes[box][0])
    gaps = [max([0.34, *(min(0.3 * abs(y[b] - y[a]), 0.8) for a, b in gap)]) for gap in links]
    wires = [len({a for a, _ in gap}) for gap in links]
    F = 1 + max(at for box, at in layer.items() if not box.beyond)
    cut = F - 1 if F < len(columns) else None
    pitch = [width + gap for width, gap in zip(widths, gaps, strict=True)]
    layout = Layout(layer, _lines(pitch, max(y.values()) - min(y.values()), wires, cut))
    turns = [i for i, (a, b) in enumerate(pairwise(layout.line)) if a != b]
    margin = WIRE * (2 + max(wires[i] for i in turns)) if turns else 0.0

    left = [0.0] * len(columns)
    centre: dict[Slot, Point] = {}
    top, bottoms = 0.0, []
    for number in range(layout.line[-1] + 1):
        members = [i for i, line in enumerate(layout.line) if line == number]
        y |= _straightened([columns[i] for i in members], y, heights, side)
        inside = [slot for i in members for slot in columns[i]]
        shift = top - min(y[slot] - heights[slot] / 2 for slot in inside)
        bottoms.append(shift + max(y[slot] + heights[slot] / 2 for slot in inside))
        x = margin
        for i in members:
            left[i] = x
            centre |= {slot: (x + widths[i] / 2, y[slot] + shift) for slot in columns[i]}
            if i == cut:
                layout.cut = (x + widths[i] + gaps[i] / 2, top, bottoms[-1])
            x += widths[i] + gaps[i]
        layout.width = max(layout.width, x - gaps[members[-1]] + margin)
        top = bottoms[-1] + 2 * APART + WIRE * (2 + wires[members[-1]])
    layout.height = bottoms[-1]
    layout.centre = {box: centre[box, at] for box, at in layer.items()}

    def half(slot: Slot) -> float:
        """From a slot's middle to where its links start: at a box, or across the layer."""
        box, at = slot
        return sizes[box][0] / 2 if layer[box] == at else -widths[at] / 2

    for i, gap in enumerate(links):
        sources = sorted({a for a, _ in gap}, key=lambda slot: centre[slot][1])
        for a, b in gap:
            (xa, ya), (xb, yb) = centre[a], centre[b]
            points = [(xa + half(a), ya), (left[i] + widths[i], ya)]
            if i in turns:
                # The topmost edge turns outermost, and then lowest, so that they do not cross.
                turn = len(sources) - sources.index(a)
                right = layout.width - WIRE * (len(sources) - turn)
                low = bottoms[layout.line[i]] + APART + WIRE * turn
                points += [(right, ya), (right, low), (WIRE * turn, low), (WIRE * turn, yb)]
            points.append((left[i + 1], yb))
            target = b[0] if layer[b[0]] == i + 1 else None
            if target is not None:
                points.append((xb - half(b), yb))
            layout.edges.append(Edge(points, a[0], target))
    return layout


def _straightened(
    columns: list[list[Slot]],
    y: Mapping[Slot, float],
    heights: Mapping[Slot, float],
    side: Mapping[Slot, int],
) -> dict[Slot, float]:
    """Give an edge that passes several layers of a line the same y in all of them."""
    level: dict[Box, float] = {}
    for slot in (slot for column in columns for slot in column if not heights[slot]):
        # As far from the straight path at y = 0 as the edge gets anywhere.
        level[slot[0]] = max(y[slot], level.get(slot[0], 0.0), key=abs)
    wanted = {s: y[s] if heights[s] else level[s[0]] for column in columns for s in column}
    weights = {s: 1e6 if side[s] == 0 else 1.0 if heights[s] else 1e3 for s in wanted}
    wanted |= {slot: 0.0 for slot in wanted if side[slot] == 0}
    result: dict[Slot, float] = {}
    for column in columns:
        result |= placed(column, wanted, weights, heights)
    return result


def _lines(widths: list[float], height: float, wires: list[int], cut: int | None) -> list[int]:
    """The line of each layer: lines of about one length, broken where few edges cross."""
    height += WIRE * max(wires)  # of one line, with the edges that lead to the next
    count = int(np.ceil(sum(widths) / max(LINE_WIDTH, np.sqrt(sum(widths) * height))))
    reached = np.cumsum(widths) / sum(widths) * count
    turns = set()
    for number in range(1, count):
        ideal = int(np.searchsorted(reached, number))
        near = [i for i in range(ideal - 2, ideal + 2) if 0 <= i < len(widths) - 1 and i != cut]
        if near:
            turns.add(min(near, key=lambda i: (wires[i], abs(i - ideal))))
    return [sum(i > turn for turn in turns) for i in range(len(widths))]
