"""Pictures of graphs: where boxes and edges lie, what is written, and the same as text."""

import re
import subprocess
import sys
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import rop
from rop.errors import RopTypeError, RopValueError
from rop.graph import ancestors
from rop.nets import autoencoder, mlp
from rop.objective.definition import programs_of
from rop.show.drawing import draw, to_dot, to_mermaid
from rop.show.pictures.boxes import SHOWN, Box, boxes_of, folded
from rop.show.pictures.layers import layers
from rop.show.pictures.layout import layered
from rop.show.pictures.painting import box_size


def classifier():
    _, z = mlp([784, 300, 10])
    return rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 10)), l2=2e-5)


def deep_autoencoder():
    x, z = autoencoder([784, 400, 200, 100, 50, 25, 6])
    return rop.Objective(z, rop.SigmoidCrossEntropy(x))


def recurrent(steps):
    x, t = rop.data("x", (steps, 3)), rop.data("t", (steps, 2))
    Wx, Wh, b, h = rop.param("Wx", (8, 3)), rop.param("Wh", (8, 8)), rop.param("b", 8), 0.1
    Wz, h = rop.param("Wz", (2, 8)), rop.param("h0", 8)
    outputs = []
    for k in range(steps):
        h = rop.tanh(Wx @ x[k] + Wh @ h + b)
        outputs.append(Wz @ h)
    return rop.Objective(rop.stack(outputs), rop.SquaredError(t))


def residual():
    y, t = rop.data("x", 16), rop.data("t", 16)
    for k in range(8):
        y = y + rop.param(f"V{k}", (16, 16)) @ rop.relu(rop.param(f"W{k}", (16, 16)) @ y)
    return rop.Objective(y, rop.SquaredError(t, weight=rop.data("mask", 16)))


def rosenbrock():
    p = rop.param("p", 2)
    z = rop.stack([10 * (p[1] - p[0] * p[0]), 1 - p[0]])
    return rop.Objective(z, rop.SquaredError(np.zeros(2)))


def loss_as_graph():
    x, t = rop.data("x", 5), rop.data("t", 3)
    z = rop.param("W", (3, 5)) @ x
    energy = rop.sum(rop.log(1 + rop.exp((z - t) ** 2))).named("energy")
    return rop.Objective(z, rop.LossGraph(energy))


def identity():
    return rop.Objective(rop.param("p", 3), rop.SquaredError(np.ones(3)))


GRAPHS = {
    "classifier": classifier(),
    "autoencoder": deep_autoencoder(),
    "recurrent, 5 steps": recurrent(5),
    "recurrent, 20 steps": recurrent(20),
    "residual": residual(),
    "rosenbrock": rosenbrock(),
    "loss as a graph": loss_as_graph(),
    "identity": identity(),
    "a node": rop.exp(rop.param("P", (2, 2))) @ rop.data("x", 2),
    "a leaf": rop.data("x"),
    "wide": rop.stack([rop.tanh(rop.param(f"p{i}", 2)) for i in range(60)]),
}
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())


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


def texts(figure):
    """What is written in a picture, with the rectangle of each."""
    renderer = figure.canvas.get_renderer()
    (ax,) = figure.axes
    return [(text.get_text(), text.get_window_extent(renderer)) for text in ax.texts]


def forms(figure):
    """The boxes of a picture, those of its legend too, without the edges."""
    (ax,) = figure.axes
    return [patch for patch in ax.patches if patch.get_fill() and patch.get_zorder() == 3]


def inside(place, frame):
    across = frame.x0 < place.x0 and place.x1 < frame.x1
    return across and frame.y0 < place.y0 and place.y1 < frame.y1


@every_graph
@pytest.mark.parametrize("dpi", [72, 150])
def test_no_text_touches_another_or_leaves_its_box(graph, dpi):
    figure = draw(graph)
    figure.set_dpi(dpi)
    written = texts(figure)
    for (one, a), (other, b) in combinations(written, 2):
        assert not a.overlaps(b), f"{one} and {other} overlap"
    frames = [patch.get_window_extent() for patch in forms(figure)]
    page = figure.bbox
    assert all(inside(place, page) for _, place in written)
    for box in folded(boxes_of(graph)):
        for wanted in (box.name, box.detail):
            places = [place for text, place in written if text == wanted]
            assert any(inside(place, frame) for place in places for frame in frames), wanted


@every_graph
def test_every_node_is_written_with_name_op_and_shape(graph):
    written = [text for text, _ in texts(draw(graph))]
    for box in folded(boxes_of(graph)):
        assert box.name in written
        assert box.detail in written


def test_an_objective_is_written_as_it_is():
    objective = classifier()
    written = [text for text, _ in texts(draw(objective))]
    for expected in [
        *["x", "784", "W1", "300 × 784", "a1", "matvec · 300", "y2", "tanh · 300", "z", "add · 10"],
        *["L", "SoftmaxCrossEntropy", "F", "data", "parameter", "op", "loss"],
    ]:
        assert expected in written
    assert "mean over cases of L(F(θ))" in written[0] and "238,510 parameters" in written[0]
    assert set(programs_of(objective).names.values()) <= set(written)
    assert "constant" not in written


def test_a_scalar_without_a_loss_is_a_mean_of_F():
    w = rop.param("w", 3)
    written = [text for text, _ in texts(draw(rop.Objective(rop.sum(w * w))))]
    assert written[0].startswith("f(θ) = mean over cases of F(θ) ") and "L" not in written


def test_leaves_and_ops_have_different_forms():
    drawn = forms(draw(classifier()))
    assert {type(form).__name__ for form in drawn} == {"Polygon", "FancyBboxPatch"}
    assert sum(type(form).__name__ == "Polygon" for form in drawn) == 4 + 1  # one in the legend
    assert len({form.get_facecolor() for form in drawn}) == 4  # data, parameter, op, loss


SIGNATURES = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_a_picture_is_saved_by_its_suffix(suffix, tmp_path):
    path = tmp_path / f"graph.{suffix}"
    figure = draw(rosenbrock(), path)
    assert isinstance(figure, Figure)
    assert path.read_bytes().startswith(SIGNATURES[suffix])
    assert path.stat().st_size > 4000
    if suffix == "svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_another_suffix_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "graph.bmp"
    with pytest.raises(RopValueError, match=r"path: expected .*\.svg.*got .*graph\.bmp"):
        draw(identity(), path)
    assert not path.exists()


def test_a_picture_shows_itself_in_a_notebook():
    assert draw(identity())._repr_png_().startswith(SIGNATURES["png"])


def test_axes_are_drawn_into_and_all_is_scaled_to_them(tmp_path):
    figure = Figure(figsize=(8, 3))
    left, right = figure.subplots(1, 2)
    assert draw(classifier(), tmp_path / "two.png", ax=right) is figure
    assert not left.texts
    frame = right.get_window_extent()
    extents = [text.get_window_extent() for text in right.texts]
    assert len(extents) > 20
    for extent in extents:
        assert frame.x0 <= extent.x0 and extent.x1 <= frame.x1
    for a, b in combinations(extents, 2):
        assert not a.overlaps(b)


@pytest.mark.parametrize("function", [draw, to_dot, to_mermaid])
def test_what_is_no_graph_is_refused(function):
    with pytest.raises(RopTypeError, match="expected an Objective or a node, got int"):
        function(3)


def chain(length):
    y = rop.data("x", 2)
    for _ in range(length):
        y = rop.tanh(y)
    return y


LARGE = {
    "chain": chain(20_000),
    "many leaves": rop.stack([rop.param(f"p{i}", 2) for i in range(2000)]),
    "recurrent": recurrent(300),
}


@pytest.mark.parametrize("graph", LARGE.values(), ids=LARGE.keys())
def test_of_a_very_large_graph_the_picture_says_how_much_is_left_out(graph):
    boxes = boxes_of(graph)
    shown = folded(boxes)
    kept = [box for box in shown if box.kind != "folded"]
    assert len(boxes) > SHOWN >= len([box for box in kept if not box.beyond])
    hidden = len(boxes) - len(kept)
    stated = [int(b.name.split()[0].replace(",", "")) for b in shown if b.kind == "folded"]
    assert sum(stated) == hidden > 0
    written = [text for text, _ in texts(draw(graph))]
    assert f"{hidden:,} nodes not shown" in written[0]
    assert "not shown" in written


def test_of_a_recurrence_the_first_and_the_last_round_are_shown():
    shown = folded(boxes_of(recurrent(100)))
    assert len(shown) < 50
    (rounds,) = [box for box in shown if box.detail.endswith("rounds more")]
    assert rounds.detail == "97 rounds more"  # the last one ends in z
    assert {"Wx", "Wh", "b", "Wz", "x"} <= {parent.name for parent in rounds.parents}
    elements = [box.detail for box in shown if box.name.startswith("y")]
    assert elements == ["tanh · 8"] * 3


def reachable(box):
    found, stack = set(), list(box.parents)
    while stack:
        one = stack.pop()
        if one not in found:
            found.add(one)
            stack.extend(one.parents)
    return found


def test_folding_keeps_ends_and_dependencies():
    boxes = boxes_of(recurrent(300))
    shown = folded(boxes)
    names = [box.name for box in shown]
    assert {"x", "Wx", "Wh", "h0", "Wz", "y2", "z", "t", "L"} <= set(names)
    place = {box: i for i, box in enumerate(shown)}
    assert all(place[parent] < place[box] for box in shown for parent in box.parents)
    old = {box.name: box for box in boxes}
    new = {box.name: box for box in shown if box.kind != "folded"}
    last = next(name for name in reversed(names) if name.startswith("y"))
    before = {box.name for box in reachable(old[last])} & new.keys()
    # What the hidden ones need is needed by all that follows them.
    assert before <= {box.name for box in reachable(new[last])}


def test_a_graph_that_is_small_enough_is_not_folded():
    boxes = boxes_of(residual())
    assert folded(boxes) == boxes
    assert "not shown" not in texts(draw(residual()))[0][0]


def parsed_dot(text):
    """Labels by node, nodes by cluster, and edges."""
    assert text.startswith("digraph rop {\n") and text.endswith("\n}\n")
    labels = dict(re.findall(r'^    (n\d+) \[label="([^"]*)", shape=[^\]]*\];$', text, re.M))
    edges = re.findall(r"^  (n\d+) -> (n\d+);$", text, re.M)
    clusters = {
        name: set(re.findall(r"^    (n\d+) \[", body, re.M))
        for name, body in re.findall(r"subgraph cluster_(\w) \{\n(.*?)\n  \}", text, re.S)
    }
    # The frame: first and last line, rankdir, and three lines for each cluster.
    assert len(text.splitlines()) == 3 + 3 * len(clusters) + len(labels) + len(edges)
    assert text.count("{") == text.count("}")
    return labels, clusters, edges


def parsed_mermaid(text):
    """Labels by node, nodes by subgraph, and edges."""
    assert text.startswith("flowchart LR\n")
    node = r'^    (n\d+)[(\[{]+"([^"]*)"[)\]}]+$'
    labels = dict(re.findall(node, text, re.M))
    edges = re.findall(r"^  (n\d+) --> (n\d+)$", text, re.M)
    subgraphs = {
        name: {number for number, _ in re.findall(node, body, re.M)}
        for name, body in re.findall(r"^  subgraph (\w)\n(.*?)\n  end$", text, re.S | re.M)
    }
    assert len(text.splitlines()) == 1 + 2 * len(subgraphs) + len(labels) + len(edges)
    return labels, subgraphs, edges


@pytest.mark.parametrize(
    ("write", "parse", "newline"),
    [(to_dot, parsed_dot, r"\n"), (to_mermaid, parsed_mermaid, "<br/>")],
    ids=["dot", "mermaid"],
)
@pytest.mark.parametrize("graph", [*GRAPHS.values(), LARGE["chain"]], ids=[*GRAPHS, "large"])
def test_the_text_has_every_node_and_every_operand(graph, write, parse, newline):
    labels, parts, edges = parse(write(graph))
    if isinstance(graph, rop.Objective):
        F = ancestors(graph.z)
        nodes = ancestors(graph.z, *graph.loss.given)
        # A loss of table 2 is no node of the graph.
        own = not isinstance(graph.loss, rop.LossGraph)
        extra = 1 + len(graph.loss.given) if own else 0
        assert len(parts["L"]) == len(nodes) - len(F) + own
    else:
        F = nodes = ancestors(graph)
        own, extra = False, 0
        assert "L" not in parts
    assert len(parts["F"]) == len(F)
    assert len(labels) == len(nodes) + own
    assert len(edges) == sum(len(node.parents) for node in nodes) + extra
    assert {number for edge in edges for number in edge} <= labels.keys()
    assert {label.split(newline)[0] for label in labels.values()} == {
        box.name for box in boxes_of(graph)
    }


def test_operands_that_are_used_twice_have_two_edges():
    x = rop.data("x", 2)
    _, _, edges = parsed_dot(to_dot(x * x))
    assert edges == [("n0", "n1"), ("n0", "n1")]


def test_matplotlib_is_loaded_only_to_draw_and_pyplot_never(tmp_path):
    program = f"""
import sys, warnings
warnings.simplefilter("error")
import rop, rop.show.drawing, rop.show.plot
assert not any(name.startswith("matplotlib") for name in sys.modules)
p = rop.param("p", 2)
rop.show.drawing.to_dot(p * p), rop.show.drawing.to_mermaid(p * p)
assert not any(name.startswith("matplotlib") for name in sys.modules)
rop.show.drawing.draw(p * p, {str(tmp_path / "p.svg")!r})
assert "matplotlib.figure" in sys.modules
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
