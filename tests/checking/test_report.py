"""Reports as text, dictionary, JSON and pictures."""

import json

import numpy as np
import pytest

from rop.checking import check_products


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


def test_the_picture_shows_curves_slopes_noise_and_blocks(wrong_report, tmp_path):
    path = tmp_path / "report.png"
    figure = wrong_report.plot(path)
    assert path.stat().st_size > 10_000
    titles = {axes.get_title(): axes for axes in figure.axes}
    assert {"Jv: PASS, slope 2.00", "Hv: FAIL", "Hv: ratio to the true product"} <= set(titles)
    curve = titles["Jv: PASS, slope 2.00"].lines[0]
    h, error = curve.get_xdata(), curve.get_ydata()
    assert np.log10(error[0] / error[1]) == pytest.approx(2, abs=0.02)
    flat = titles["Hv: FAIL"].lines[0].get_ydata()
    assert np.ptp(flat) < 0.1 * flat.max()
    bars = titles["Hv: ratio to the true product"].patches
    assert [abs(bar.get_height() - 1) > 1e-4 for bar in bars] == [True] * 4 + [False] * 2
    assert len(h) >= 7


def test_a_picture_of_nothing(tmp_path):
    figure = check_products(np.ones(3)).plot(tmp_path / "nothing.svg")
    assert "INCONCLUSIVE" in figure.get_suptitle()
