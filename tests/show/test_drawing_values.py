"""Pictures that say values, or work, of each node."""

import time

import numpy as np
import pytest
from drawn_graphs import recurrent

import rop
from rop.errors import RopTypeError, RopValueError
from rop.programs.catalogue import Programs
from rop.show.drawing import to_dot, to_mermaid


def small():
    x, z = rop.nets.mlp([2, 3, 2])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 2)))
    batch = {"x": [[0.5, -1.0], [2.0, 0.25]], "t": np.eye(2)}
    theta = objective.init("glorot", seed=1)
    return objective, objective.linearize(theta, batch), theta + 0.5


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    "show, product, name, node",
    [
        ("a", "ggnvp", "y2", "tanh"),
        ("Ra", "ggnvp", "Ry2", "tanh"),
        ("da", "gradient", "dy2", "tanh"),
        ("Rda", "ggnvp", "Rdy2", "tanh"),
        ("Rda", "hvp", "Rdy2", "tanh"),
    ],
)
def test_a_picture_says_the_values_of_the_first_case(show, product, name, node, tmp_path):
    objective, at, v = small()
    trace = at.trace(product, None if product == "gradient" else v)
    numbers = " ".join(f"{number:.3g}" for number in trace[name][0])
    options = {"at": at, "v": v, "show": show, "product": product}
    said = texts(rop.draw(objective, tmp_path / "values.svg", **options))
    assert f"{node} · {numbers}" in said and f"{show}, of the first case" in said[0]
    assert (tmp_path / "values.svg").read_text().startswith("<?xml")
    assert f"{node} · {numbers}" in to_dot(objective, **options)
    assert f"{node} · {numbers}" in to_mermaid(objective, **options)


def test_what_a_product_does_not_compute_is_blank():
    objective, at, v = small()
    said = texts(rop.draw(objective, at=at, v=v, show="Ra"))
    assert said[said.index("x") + 1] == "" and said[said.index("t") + 1] == ""


def test_a_picture_says_the_work():
    objective, _, _ = small()
    said = texts(rop.draw(objective, show="flops"))
    counted = [s.rsplit(" ", 1)[1] for s in said if " · " in s and "parameters" not in s]
    assert f"matvec · {3 * 2 * 2}" in said  # RW x and RdW: nothing goes back to x
    programs = Programs(objective.z, objective.loss, objective.parameters)
    assert sum(map(int, counted)) <= programs.flops


def test_a_recurrence_of_100_steps_is_drawn_folded_and_soon():
    objective = recurrent(100)
    rop.draw(recurrent(2))  # matplotlib's own imports
    began = time.process_time()
    figure = rop.draw(objective)
    assert time.process_time() - began < 2.0
    assert len(texts(figure)) < 100 and any("rounds more" in text for text in texts(figure))


def test_bad_arguments():
    objective, at, v = small()
    other, _, _ = small()
    with pytest.raises(RopValueError, match="show: expected 'shape', 'a'"):
        rop.draw(objective, show="b")
    with pytest.raises(RopTypeError, match="needs at"):
        rop.draw(objective, show="a")
    with pytest.raises(RopTypeError, match="needs an Objective"):
        rop.draw(objective.z, at=at, show="a")
    with pytest.raises(RopValueError, match="linearization of the drawn objective"):
        rop.draw(other, at=at, show="a")
    with pytest.raises(RopTypeError, match="needs a vector v"):
        rop.draw(objective, at=at, show="Ra")
    with pytest.raises(RopValueError, match="product: expected 'gradient'"):
        rop.draw(objective, show="flops", product="Gv")
