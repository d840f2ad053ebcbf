"""The player's data are the library's numbers, and its page shows them in a browser."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from random_graphs import examples, models

import rop
from rop.cli import main
from rop.errors import RopTypeError, RopValueError
from rop.objective.recording import KINDS
from rop.programs.catalogue import PRODUCTS
from rop.show.player.data import encoded


def two_three_two(l2=0.0, cases=2):
    x, t = rop.data("x", 2), rop.data("t", 2)
    W1, b1 = rop.param("W1", (3, 2)), rop.param("b1", 3)
    W2, b2 = rop.param("W2", (2, 3)), rop.param("b2", 2)
    z = W2 @ rop.tanh(W1 @ x + b1) + b2
    objective = rop.Objective(z, rop.SquaredError(t), l2=l2)
    rng = np.random.default_rng(3)
    batch = {"x": rng.normal(size=(cases, 2)), "t": rng.normal(size=(cases, 2))}
    at = objective.linearize(rng.normal(size=objective.n) * 0.7, batch, engine="numpy")
    return at, rng.normal(size=objective.n)


def layers(*sizes, cases=4, dtype=np.float64):
    h, rng = rop.data("x", sizes[0]), np.random.default_rng(0)
    for i, (n, m) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        h = rop.tanh(rop.param(f"W{i}", (m, n)) @ h + rop.param(f"b{i}", m))
    objective = rop.Objective(h, rop.SquaredError(rop.data("t", sizes[-1])))
    batch = {
        "x": rng.normal(size=(cases, sizes[0])).astype(dtype),
        "t": rng.normal(size=(cases, sizes[-1])).astype(dtype),
    }
    theta = objective.init("glorot", seed=0).astype(dtype)
    at = objective.linearize(theta, batch, engine="numpy")
    return at, rng.normal(size=objective.n).astype(dtype)


def stored(table):
    """The numbers of a table; NaN where it is blank."""
    return np.array([[float(n) if n != "" else np.nan for n in row] for row in table["numbers"]])


def kept(array, table):
    """The part of an array that the player keeps."""
    return array.reshape(-1, table["columns"])[:12, :12]


def page_data(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found.group(1))


@pytest.mark.ci
@given(models())
@examples(25)
def test_every_number_is_the_librarys(model):
    at = model.objective.linearize(model.theta, model.batch, engine="numpy")
    v, u = model.vectors()
    for product, vector in (("hvp", v), ("vjp", u)):
        data = page_data(rop.play(at, product, vector).html)
        tables = [stored(table) for table in data["tables"]]
        for one in data["products"]:
            own = None if one["name"] == "gradient" else vector
            stepping = rop.step(at, one["name"], own)
            assert len(one["steps"]) + one["left"] == len(stepping)
            for entry, step in zip(one["steps"], stepping, strict=True):
                term = data["terms"][entry["term"]]
                assert term["text"][2:] in step.formula and term["rule"] == step.rule
                arrays = [*step.operands.values(), step.result]
                names = dict.fromkeys(name for name, _ in term["operands"])
                assert list(names) == list(step.operands)
                by_name = {
                    name: number
                    for (name, _), number in zip(term["operands"], entry["operands"], strict=True)
                }
                numbers = [*by_name.values(), entry["result"]]
                for array, number in zip(arrays, numbers, strict=True):
                    expected = kept(array, data["tables"][number])
                    blank = np.isnan(tables[number])
                    assert not blank.any() or "[" in step.formula  # a part is still to come
                    np.testing.assert_array_equal(tables[number], np.where(blank, np.nan, expected))


@pytest.mark.parametrize("product", ["gradient", "jvp", "ggnvp", "hvp"])
def test_the_values_of_the_nodes_fill_in_as_they_do_in_step(product):
    at, v = two_three_two()
    data = rop.play(at, "ggnvp", v).data
    (one,) = (one for one in data["products"] if one["name"] == product)
    stepping = rop.step(at, product, None if product == "gradient" else v)
    for position in range(len(stepping) + 1):
        stepping.position = position
        rows = {
            row[0]: values
            for row, values in zip(stepping.rows(), stepping.values().values(), strict=True)
        }
        assert set(rows) == set(one["values"])
        for name, values in rows.items():
            for kind in KINDS:
                history = one["values"][name].get(kind, [])
                latest = [table for since, table in history if since <= position]
                assert bool(latest) == (kind in values), (name, kind, position)
                if latest:
                    array = values[kind]
                    table = data["tables"][latest[-1]]
                    np.testing.assert_array_equal(stored(table), kept(array, table))


def test_gv_is_hv_without_the_lines_of_curvature():
    at, v = two_three_two()
    data = rop.play(at, "ggnvp", v).data
    (one,) = (one for one in data["products"] if one["name"] == "ggnvp")
    own = {step["term"] for step in one["steps"]}
    grey = [data["terms"][term] for term, _ in one["listing"] if term not in own]
    assert [f"{term['target']} {term['text']}" for term in grey] == [
        "dy2 + W2ᵀ dz",
        "s''(x2) + tanh''(y2)",
        "s''·da(x2) + s''(x2) * dy2",
        "RdW2 + Σ dz Ry2ᵀ",
        "Rdy2 + RW2ᵀ dz",
        "Rdx2 + s''·da(x2) * Rx2",
    ]
    assert [term["text"] for term in grey if term["curvature"]] == [
        "+ Σ dz Ry2ᵀ",
        "+ RW2ᵀ dz",
        "+ s''·da(x2) * Rx2",
    ]
    start = data["start"] - sum(len(other["steps"]) for other in data["products"][:2])
    opening = one["steps"][start]
    assert data["terms"][opening["term"]]["text"] == "+ s'(x2) * Rdy2"
    assert opening["reason"].endswith("in the listing `s''·da(x2) * Rx2`.")


def test_gv_has_both_terms_of_what_is_in_the_loss():
    x, y = rop.nets.mlp([2, 3, 2])
    loss = rop.LossGraph(rop.sum(rop.square(rop.exp(y) - rop.data("t", 2))))
    objective = rop.Objective(y, loss)
    theta = objective.init("glorot", seed=0)
    at = objective.linearize(theta, {"x": np.eye(2), "t": np.eye(2)}, engine="numpy")
    data = rop.play(at, "ggnvp", theta).data
    (one,) = (one for one in data["products"] if one["name"] == "ggnvp")
    terms = [data["terms"][step["term"]] for step in one["steps"]]
    reasons = {term["text"]: step["reason"] for term, step in zip(terms, one["steps"], strict=True)}
    assert reasons["+ s'(z) * Rdx4"].endswith(
        "The second, where `s'(z)` changes, is `R{s'(z)} * dx4 = s''(z) * Rz * dx4`, in the "
        "listing `s''·da(z) * Rz`. They are parts of L'', so Gv has both."
    )
    assert reasons["+ s''·da(z) * Rz"].endswith("It is a part of L'', so Gv has it too.")
    assert "So Gv has one term, `s'(x2) * Rdy2`." in reasons["+ s'(x2) * Rdy2"]


def test_the_listing_of_each_product_keeps_its_order():
    at, v = layers(3, 4, 3, 2)
    for one in rop.play(at, "hvp", v).data["products"]:
        own = [step["term"] for step in one["steps"]]
        terms = [term for term, _ in one["listing"]]
        assert len(set(terms)) == len(terms)
        assert [term for term in terms if term in set(own)] == own


def test_a_page_needs_no_network_and_is_small(tmp_path):
    at, v = layers(784, 100, 50, 10, dtype=np.float32)
    file = tmp_path / "player.html"
    player = rop.play(at, "ggnvp", v, path=file)
    text = file.read_text(encoding="utf-8")
    assert text == player.html and len(text.encode()) < 1_000_000
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)\s*=|@import|url\((?!#)|fetch\(|XMLHttp""", text)
    assert page_data(text) == player.data
    first = player.data["tables"][0]
    assert (first["rows"], first["columns"]) == (100, 784)
    assert stored(first).shape == (12, 12)


def test_data_cannot_end_the_script():
    data = {"rule": "value of </script><!--", "number": 0.1}
    text = encoded(data)
    assert "<" not in text and json.loads(text) == data


@pytest.mark.ci
def test_the_first_thousand_steps_of_a_long_product():
    w, h = rop.param("w", 2), rop.data("x", 2)
    for _ in range(150):
        h = rop.tanh(w * h)
    objective = rop.Objective(h, rop.SquaredError(rop.data("t", 2)))
    at = objective.linearize(np.ones(2), {"x": np.ones((1, 2)), "t": np.ones((1, 2))})
    player = rop.play(at, "hvp", np.ones(2))
    (one,) = (one for one in player.data["products"] if one["name"] == "hvp")
    assert len(one["steps"]) == 1000
    assert one["left"] == len(rop.step(at, "hvp", np.ones(2))) - 1000 > 0


def test_the_products_that_take_the_same_vector():
    at, v = two_three_two()
    u = np.ones((2, 2))
    offered = {"gradient": [None], "vjp": [u], "loss_hvp": [u], "jvp": [v], "hvp": [v]}
    for product, (vector,) in offered.items():
        names = [one["name"] for one in rop.play(at, product, vector).data["products"]]
        taken = ("", PRODUCTS[product].vector)
        same = [name for name, each in PRODUCTS.items() if each.vector in taken]
        assert product in names and names == same


def test_bad_arguments():
    at, v = two_three_two()
    with pytest.raises(RopTypeError, match="play: expected a Linearization"):
        rop.play(at.objective, "ggnvp", v)
    with pytest.raises(RopValueError, match="expected 'gradient', "):
        rop.play(at, "Gv", v)
    with pytest.raises(RopTypeError, match="needs a vector v"):
        rop.play(at)


def test_a_notebook_shows_it_in_a_sandbox():
    at, v = two_three_two()
    player = rop.play(at, "ggnvp", v)
    frame = player._repr_html_()
    assert 'sandbox="allow-scripts"' in frame
    assert frame.count("<") == 2  # the page itself is escaped
    assert repr(player) == "<Player of ggnvp: 74 steps of 4 products>"


def test_the_command(tmp_path, capsys):
    model = tmp_path / "m.py"
    model.write_text(
        "import numpy as np, rop\n"
        "def build():\n"
        "    f = rop.Objective(rop.sum(rop.sin(rop.param('w', 3))))\n"
        "    return f, np.ones(3), {}\n"
    )
    file = tmp_path / "p.html"
    for product in PRODUCTS:
        assert main(["play", f"{model}:build", "--product", product, "--out", str(file)]) == 0
        assert capsys.readouterr().out.strip() == str(file)
        assert product in [one["name"] for one in page_data(file.read_text("utf-8"))["products"]]
