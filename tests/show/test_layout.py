"""Where boxes and edges lie in pictures of graphs."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from drawn_graphs import deep_autoencoder, every_graph, recurrent, residual
from hypothesis import given, settings
from hypothesis import strategies as st

from rop.show.pictures.boxes import Box, boxes_of
from rop.show.pictures.layers import layers
from rop.show.pictures.layout import layered
from rop.show.pictures.painting import box_size


def rectangle(layout, sizes, box):
    (x, y), (width, height) = layout.centre[box], sizes[box]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def check_layout(boxes, sizes):
    """Everything that a picture must have, whatever the graph."""
    layout = layered(boxes, sizes)
    corners = {box: rectangle(layout, sizes, box) for box in boxes}
    line = {box: layout.line[layout.layer[box]] for box in boxes}
    eps = 1e-9

    for left, top, right, bottom in corners.values():
        assert -eps <= left < right <= layout.width + eps
        assert -eps <= top < bottom <= layout.height + eps
    for a, b in combinations(corners.values(), 2):
        beside = a[2] <= b[0] or b[2] <= a[0]
        assert beside or a[3] <= b[1] or b[3] <= a[1]

    for box in boxes:
        for parent in box.parents:
            assert line[parent] <= line[box]
            if line[parent] == line[box]:
                assert corners[parent][2] < corners[box][0]
    for upper, lower in combinations(boxes, 2):
        if line[upper] < line[lower]:
            assert corners[upper][3] < corners[lower][1]

    arrows = [(edge.source, edge.target) for edge in layout.edges if edge.target is not None]
    expected = {(parent, box) for box in boxes for parent in box.parents}
    assert len(arrows) == len(expected) and set(arrows) == expected
    for edge in layout.edges:
        if edge.target is not None:
            left, top, _, bottom = corners[edge.target]
            assert edge.points[-1] == pytest.approx((left, (top + bottom) / 2))
        for one, other in pairwise(edge.points):
            low, high = np.minimum(one, other) + 1e-6, np.maximum(one, other) - 1e-6
            for box, (left, top, right, bottom) in corners.items():
                misses = high[0] <= left or right <= low[0] or high[1] <= top or bottom <= low[1]
                assert misses, f"an edge from {edge.source.name} runs through {box.name}"

    for source in {edge.source for edge in layout.edges}:
        # The parts of an edge hang together, and start at its box.
        parts = [edge for edge in layout.edges if edge.source is source]
        left, top, right, bottom = corners[source]
        starts = {(right, (top + bottom) / 2)} | {
            edge.points[-1] for edge in parts if edge.target is None
        }
        for edge in parts:
            assert min(np.abs(np.subtract(edge.points[0], start)).max() for start in starts) < 1e-6

    if any(box.beyond for box in boxes):
        x, top, bottom = layout.cut
        assert top < bottom
        of_cut = layout.line[max(layout.layer[box] for box in boxes if not box.beyond)]
        for box, (left, _, right, _) in corners.items():
            assert line[box] >= of_cut if box.beyond else line[box] <= of_cut
            if line[box] == of_cut:
                assert x < left if box.beyond else right < x
    else:
        assert layout.cut is None
    return layout


@every_graph
def test_boxes_stand_apart_after_their_parents_and_edges_run_around_them(graph):
    boxes = boxes_of(graph)
    check_layout(boxes, {box: box_size(box) for box in boxes})


@st.composite
def drawings(draw):
    """Boxes of any graph, part of it beyond F, with sizes."""
    count, sizes = draw(st.integers(1, 30)), st.floats(0.2, 3.0)
    cut = draw(st.integers(1, count))
    boxes = []
    for i in range(count):
        parents = draw(st.lists(st.sampled_from(boxes), max_size=4)) if boxes else []
        boxes.append(Box(f"b{i}", "", "op" if parents else "data", tuple(parents), i >= cut))
    return boxes, {box: (draw(sizes), draw(sizes)) for box in boxes}


@given(drawings())
@settings(deadline=None, max_examples=40)
def test_so_they_do_in_any_graph(drawing):
    check_layout(*drawing)


def depth(box):
    return 1 + max(map(depth, box.parents), default=0)


def test_there_are_as_many_layers_as_the_longest_path_has_boxes():
    boxes = boxes_of(recurrent(4).z)
    layer = layers(boxes)
    assert set(layer.values()) == set(range(max(map(depth, boxes))))


def test_leaves_stand_just_before_their_first_use():
    boxes = boxes_of(recurrent(4))
    layer = layers(boxes)
    for box in boxes:
        if not box.parents:
            first = min(layer[use] for use in boxes if box in use.parents)
            assert layer[box] == first - 1


def test_the_longest_path_is_straight_within_each_line():
    boxes = boxes_of(deep_autoencoder())
    layout = layered(boxes, {box: box_size(box) for box in boxes})
    heights = {}
    for box in boxes:
        if box.kind == "op":
            heights.setdefault(layout.line[layout.layer[box]], []).append(layout.centre[box][1])
    assert len(heights) == 4
    for ys in heights.values():
        assert len(ys) > 5
        assert np.ptp(ys) < 1e-3


def test_a_layout_is_the_same_every_time():
    both = [boxes_of(residual()) for _ in range(2)]
    first, second = (layered(boxes, dict.fromkeys(boxes, (1.0, 0.4))) for boxes in both)
    assert list(first.centre.values()) == list(second.centre.values())
