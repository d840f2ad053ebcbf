"""What notebooks show, and that repr is short."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import rop
from rop.errors import RopTypeError
from rop.hf.result import Records
from rop.support import display


@pytest.fixture(scope="module")
def shown():
    x, z = rop.nets.mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((40, 4)), "t": np.eye(3)[rng.integers(0, 3, 40)]}
    theta = objective.init("glorot", seed=1)
    run = rop.hf.minimize(objective, theta, batch, engine="numpy", iterations=30)
    steps = rop.step(objective.linearize(theta, batch, engine="numpy"), "hvp", theta)
    steps.position = 2
    return {
        "step": steps,
        "snapshot": steps.current,
        "node": z,
        "objective": objective,
        "linearization": objective.linearize(theta, batch, engine="numpy"),
        "listing": rop.explain(objective, "hvp"),
        "report": rop.check(objective, theta, batch, engine="numpy"),
        "result": run,
        "records": run.records,
        "record": run.records[0],
    }


class Elements(HTMLParser):
    """Checks that elements are closed in their order, and keeps the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.names = [], "", []

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.names.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(html):
    elements = Elements()
    elements.feed(html)
    elements.close()
    assert elements.open == []
    return elements


@pytest.mark.parametrize(
    "name, elements, words",
    [
        ("objective", {"svg", "table"}, ["SoftmaxCrossEntropy", "51 parameters", "W1", "6 × 4"]),
        ("linearization", {"table"}, ["40 cases", "cached", "MiB", "ggnvp", "hvp"]),
        ("step", {"table", "pre"}, ["2 of", "Rda", "x2 += b1"]),
        ("snapshot", {"pre"}, ["x2 += b1", "value of add"]),
        ("report", {"details"}, ["rop.check  PASS", "Hv   PASS"]),
        ("result", {"img"}, ["the limit of iterations is reached", "after 30 iterations"]),
        ("records", {"table"}, ["the last 20 of 30 iterations", "29", "‖∇f‖"]),
    ],
)
def test_html(shown, name, elements, words):
    found = parsed(shown[name]._repr_html_())
    assert elements <= set(found.names)
    for word in words:
        assert word in found.text


def test_a_listing_is_a_formula(shown):
    text = shown["listing"]._repr_latex_()
    assert text.startswith("$") and r"\mathcal{R}x_{2} &= \mathcal{R}W_{1}\,x" in text
    assert shown["listing"]._repr_html_() is None


def test_a_node_is_a_picture(shown):
    text = shown["node"]._repr_svg_()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert shown["node"]._repr_svg_() == text  # whatever the run
    assert shown["node"]._repr_html_() is None


def test_a_report_that_fails_says_what_without_its_details(shown):
    x, z = rop.nets.mlp([4, 6, 3])
    theta = np.linspace(0.1, 1.0, 5)
    report = rop.check_products(
        theta, value=lambda t: np.sin(t).sum(), gradient=np.cos, hvp=lambda t, v: np.sin(t) * v
    )
    found = parsed(report._repr_html_())
    before, _, after = report._repr_html_().partition("<details>")
    assert "Hv   FAIL" in before and "∇f   PASS" not in before
    assert "∇f   PASS" in after
    assert "Reproduce" in found.text


def test_repr_is_short(shown):
    many = rop.Objective(
        rop.stack([rop.sum(rop.param(f"parameter{i}", 3)) for i in range(300)]),
        rop.SquaredError(np.zeros(300)),
    )
    for thing in (*shown.values(), many, many.linearize(np.zeros(900), engine="numpy")):
        assert 5 < len(repr(thing)) < 1500
        assert repr(thing).startswith(("<", "Result("))


def test_what_lies_within_is_short_too(shown):
    report, objective = shown["report"], shown["objective"]
    assert re.fullmatch(
        r"<ProductReport of hvp: pass, \de-\d\d from .*>", repr(report.products["hvp"])
    )
    assert repr(objective.loss) == "<SoftmaxCrossEntropy of t>"
    assert repr(rop.LossGraph(rop.sum(objective.z))) == "<LossGraph of sum>"
    assert repr(objective.z.op) == "<Add: shape (3,)>"
    assert repr(rop.museum.EXHIBITS) == f"<Exhibits: {len(rop.museum.EXHIBITS)}; print them>"
    assert len(str(rop.museum.EXHIBITS).splitlines()) == len(rop.museum.EXHIBITS)
    for exhibit in rop.museum.EXHIBITS:
        assert repr(exhibit).startswith("<Exhibit ") and len(repr(exhibit)) < 300


def test_records_are_a_list(shown):
    records = shown["records"]
    assert isinstance(records, list) and isinstance(records, Records)
    assert records == list(records)
    assert Records(records[:5])._repr_html_().count("<tr>") == 1 + 5


def test_markup_in_what_is_said_is_text(shown):
    it = replace(shown["record"], events=("<script>",))
    assert "<script>" not in Records([it])._repr_html_()


def test_what_has_no_picture_is_named():
    with pytest.raises(RopTypeError, match="there is no picture of a int"):
        display.figure(3)


def test_the_core_imports_no_pictures():
    """Only what is shown loads matplotlib."""
    program = """
import sys, rop
x = rop.data("x", 2)
repr(rop.Objective(rop.param("W", (2, 2)) @ x, rop.SquaredError([0, 0])))
assert not any(name.startswith("matplotlib") for name in sys.modules)
x._repr_svg_()
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
