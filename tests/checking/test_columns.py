"""full=True: sec. 7.2 to the letter."""

import numpy as np
import pytest

from rop.checking import check_products
from rop.errors import RopValueError


def full_report(net, **replaced):
    functions = net.functions() | replaced
    return check_products(net.theta, **functions, blocks=net.blocks, l2=net.l2, full=True)


@pytest.mark.parametrize("seed", range(8))
def test_every_column_agrees_to_1e_6_as_the_paper_expects(network, seed):
    activation = ("tanh", "softplus")[seed % 2]
    columns = full_report(network(activation=activation, l2=0.01, seed=seed)).columns
    assert columns.verdict == "pass"
    assert columns.step == 1e-4
    assert set(columns.errors) == {"J", "Jᵀ", "G", "H"}
    assert max(columns.errors["J"], columns.errors["G"], columns.errors["H"]) < 1e-6


@pytest.mark.parametrize("name, matrix", [("ggnvp", "G"), ("hvp", "H"), ("jvp", "J")])
def test_one_wrong_column_is_found_by_number(network, name, matrix):
    net = network()
    good = getattr(net, name)

    def wrong(theta, v):
        rest = v.copy()
        rest[17] *= 1.001
        return good(theta, rest)

    columns = full_report(net, **{name: wrong}).columns
    assert columns.verdict == "fail"
    assert columns.wrong[matrix] == (17,)
    assert columns.worst[matrix] == 17
    assert columns.errors[matrix] == pytest.approx(1e-3, rel=0.01)


def test_kinks_make_columns_differ_but_convict_none(network):
    report = full_report(network(activation="relu", cases=200))
    assert max(report.columns.errors.values()) > 1e-4
    assert sum(report.columns.beyond.values()) > 0
    assert not any(report.columns.wrong.values())
    assert report.verdict != "fail"


def test_what_raises_is_left_out_with_a_warning(network):
    net = network()

    def boom(theta, v):
        raise RuntimeError("not today")

    report = full_report(net, hvp=boom)
    assert "H" not in report.columns.errors
    assert report.columns.errors["G"] < 1e-6
    assert any("no columns of H" in warning for warning in report.warnings)


def test_large_models_are_sent_to_toy_versions():
    with pytest.raises(RopValueError, match="toy versions"):
        check_products(np.ones(20_000), gradient=lambda t: t, full=True)


def test_the_text_lists_the_matrices(network):
    text = str(full_report(network()))
    assert "Every column e_j at eps = 1e-04 (sec. 7.2): PASS" in text
    assert "G   worst column" in text


@pytest.mark.ci
def test_a_scale_of_theta_that_hides_rules_is_advised_against_with_the_measured_number(network):
    tiny = full_report(network(weights=1e-3)).warnings
    assert any("theta is tiny (rms" in warning and "sec. 7.2" in warning for warning in tiny)
    saturated = full_report(network(weights=1e3)).warnings
    assert any("of what it is at a smaller theta" in warning for warning in saturated)
    assert not full_report(network()).warnings
