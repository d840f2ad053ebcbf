"""Reports as text, dictionary, JSON and pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest

import rop
from rop.checking import check_products
from rop.checking.power import measure_power


@pytest.fixture
def wrong_report(network):
    net = network()
    good = net.curvature_activation
    net.curvature_activation = lambda z, Rz, da: 0.5 * good(z, Rz, da)
    return check_products(net.theta, **net.functions(), blocks=net.blocks, seed=7)


def test_the_text_says_what_is_wrong_first(wrong_report):
    lines = str(wrong_report).splitlines()
    assert lines[0].startswith("rop.check  FAIL  n = 118")
    assert lines[1].startswith("Hv   FAIL         differs by ")
    assert "from differences of gradient=" in lines[1]
    assert lines[2].lstrip().startswith("block W1: ratio ")
    assert lines[2].endswith("others OK")
    assert "seed=7" in lines[-1]
    assert all(line.isprintable() and len(line) < 200 for line in lines)


def test_the_picture_shows_the_number_that_the_text_gives(wrong_report, network):
    net = network()
    for report in (wrong_report, check_products(net.theta, **net.functions(), blocks=net.blocks)):
        shown = {axis.get_title(loc="left"): axis.get_legend() for axis in report.plot().axes}
        for product in report.products.values():
            worst = product.worst
            if worst is not None and len(worst.steps) > 1 and worst.error > 0:
                (legend,) = [
                    shown[t] for t in shown if t.startswith(f"{product.symbol}: ") and shown[t]
                ]
                said = [text.get_text() for text in legend.get_texts()]
                assert f"worst, extrapolated: {worst.error:.0e}" in said


def test_directions_are_named_in_words(wrong_report):
    named = {c.direction for p in wrong_report.products.values() for c in p.comparisons}
    assert "random direction 1" in named and not any("global" in name for name in named)


def test_a_report_is_true_only_if_it_is_ok(wrong_report, network):
    net = network()
    with pytest.raises(AssertionError):
        assert wrong_report
    assert check_products(net.theta, **net.functions(), blocks=net.blocks)
    assert not replace(wrong_report, verdict="inconclusive")


def test_the_text_of_a_pass_names_the_oracle_and_the_slope(network):
    net = network()
    text = str(check_products(net.theta, **net.functions(), blocks=net.blocks))
    assert "Jv   PASS" in text
    assert "slope 2.00" in text
    assert "Jᵀu  PASS" in text
    assert "adjoint of jvp=" in text
    assert "Not checked" not in text


def test_json_holds_everything_as_plain_numbers(wrong_report, tmp_path):
    path = tmp_path / "report.json"
    text = wrong_report.to_json(path)
    assert path.read_text(encoding="utf-8") == text
    read = json.loads(text)
    assert read == json.loads(json.dumps(wrong_report.to_dict()))
    assert (read["verdict"], read["ok"], read["n"], read["seed"]) == ("fail", False, 118, 7)
    hvp = read["products"]["hvp"]
    assert hvp["symbol"] == "Hv"
    assert hvp["blocks"]["W1"]["verdict"] == "fail"
    first = hvp["comparisons"][0]
    assert len(first["steps"]) == len(first["errors"]) == len(first["noises"])
    assert "product" not in first
    assert read["products"]["vjp"]["comparisons"][0]["step"] is None


@pytest.mark.parametrize("verdict, code", [("pass", 0), ("fail", 1), ("inconclusive", 2)])
def test_exit_codes(network, verdict, code):
    net = network()
    functions = {
        "pass": {"gradient": net.gradient, "value": net.value},
        "fail": {"gradient": lambda t: -net.gradient(t), "value": net.value},
        "inconclusive": {"gradient": net.gradient},
    }[verdict]
    report = check_products(net.theta, **functions)
    assert (report.verdict, report.exit_code, report.ok) == (verdict, code, code == 0)


@pytest.mark.ci
def test_the_picture_shows_curves_slopes_noise_and_blocks(wrong_report, tmp_path):
    path = tmp_path / "report.png"
    figure = wrong_report.plot(path)
    assert path.stat().st_size > 10_000
    titles = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert {"Jv: PASS, slope 2.00", "Hv: FAIL", "Hv: ratio to the true product"} <= set(titles)
    curve = titles["Jv: PASS, slope 2.00"].lines[0]
    h, error = curve.get_xdata(), curve.get_ydata()
    assert np.log10(error[0] / error[1]) == pytest.approx(2, abs=0.02)
    flat = titles["Hv: FAIL"].lines[0].get_ydata()
    assert np.ptp(flat) < 0.1 * flat.max()
    bars = titles["Hv: ratio to the true product"].patches
    assert [abs(bar.get_width() - 1) > 1e-4 for bar in bars] == [True] * 4 + [False] * 2
    assert len(h) >= 7


def test_a_picture_of_nothing(tmp_path):
    figure = check_products(np.ones(3)).plot(tmp_path / "nothing.svg")
    assert "INCONCLUSIVE" in figure.get_suptitle()


class HalfCurvature(rop.ops.Elementwise):
    """tanh with half of its s''."""

    @staticmethod
    def s(z):
        return np.tanh(z)

    @staticmethod
    def ds(a):
        return 1.0 - a * a

    @staticmethod
    def d2s(a, ds):
        return -1.0 * a * ds


def graph(op):
    x, t = rop.data("x", 3), rop.data("t", 2)
    z = rop.param("W2", (2, 4)) @ op(rop.param("W1", (4, 3)) @ x)
    objective = rop.Objective(z, rop.SquaredError(t))
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((5, 3)), "t": rng.standard_normal((5, 2))}
    return objective, rng.standard_normal(objective.n), batch


@pytest.mark.ci
def test_the_picture_of_a_graph_shows_the_rules_of_its_nodes(tmp_path):
    figure = rop.check(*graph(HalfCurvature.of)).plot(tmp_path / "report.png")
    (panel,) = [
        a for a in figure.axes if a.get_title(loc="left") == "errors of the rules, node by node"
    ]
    rows = [label.get_text() for label in panel.get_yticklabels()]
    columns = [label.get_text().replace("\n", " ") for label in panel.get_xticklabels()]
    (wrong,) = [text for text in panel.texts if text.get_text().startswith("WRONG")]
    j, i = wrong.get_position()
    assert "half" in rows[i].lower()
    assert columns[j] == "curvature against differences of reverse"
    values = panel.images[0].get_array()
    assert values.max() == values[i, j]


@pytest.mark.ci
def test_the_picture_shows_the_power_by_op_and_rule(tmp_path):
    objective, theta, batch = graph(rop.tanh)
    report = replace(
        rop.check(objective, theta, batch),
        power=measure_power(objective, theta, batch, seconds=1.0),
    )
    figure = report.plot(tmp_path / "report.png")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    panel = figure.axes[titles.index("injected bugs that the check would see")]
    counts = [list(map(int, t.get_text().split("/"))) for t in panel.texts if t.get_text()]
    assert sum(tried for _, tried in counts) == report.power.tried
    assert sum(seen for seen, _ in counts) == report.power.seen
