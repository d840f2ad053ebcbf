"""Pictures of graphs: what is written in them, and what they leave out."""

import subprocess
import sys
from itertools import combinations
from xml.etree import ElementTree

import pytest
from drawn_graphs import (
    LARGE,
    classifier,
    every_graph,
    identity,
    recurrent,
    residual,
    rosenbrock,
)
from matplotlib.figure import Figure

import rop
from rop.errors import RopTypeError, RopValueError
from rop.objective.definition import programs_of
from rop.show.drawing import draw, to_dot, to_mermaid
from rop.show.pictures.boxes import SHOWN, boxes_of, folded


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
    written = [text for text, _ in texts(draw(rop.Objective(rop.sum(w * rop.data("x", 3)))))]
    assert written[0].startswith("f(θ) = mean over cases of F(θ) ") and "L" not in written


def test_without_data_there_is_no_mean_and_no_first_case():
    w = rop.param("w", 3)
    objective = rop.Objective(rop.sum(w * w))
    at = objective.linearize([1.0, 1.0, 1.0])
    written = [text for text, _ in texts(draw(objective, at=at, show="a"))]
    assert written[0] == "f(θ) = F(θ)   ·   3 parameters   ·   a"


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


@pytest.mark.parametrize(("suffix", "write"), [("dot", to_dot), ("mmd", to_mermaid)])
def test_a_graph_is_saved_as_text_by_its_suffix(suffix, write, tmp_path):
    path = tmp_path / f"graph.{suffix}"
    assert isinstance(draw(rosenbrock(), path), Figure)
    assert path.read_text(encoding="utf-8") == write(rosenbrock())
    with pytest.raises(RopValueError, match="there is no folder"):
        draw(rosenbrock(), tmp_path / "absent" / f"graph.{suffix}")


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


def test_a_short_recurrence_with_an_output_at_each_step_is_folded():
    _, z, _ = rop.nets.rnn([2, 3, 2], 6)
    shown = folded(boxes_of(rop.Objective(z, rop.SquaredError(rop.data("t", (6, 2))))))
    assert [box.detail for box in shown if box.kind == "folded"] == ["3 rounds more"]


def test_a_graph_that_is_small_enough_is_not_folded():
    boxes = boxes_of(residual())
    assert folded(boxes) == boxes
    assert "not shown" not in texts(draw(residual()))[0][0]


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
