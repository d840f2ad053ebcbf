"""What a check would see at a θ is counted by putting bugs in."""

import time

import numpy as np
import pytest
import zoo

import rop
from rop.checking import check
from rop.checking.mutations import mutations
from rop.checking.power import SECONDS, measure_power, random_theta
from rop.checking.trials import Trials, products_of


def small(scale=1.0):
    x, t = rop.data("x", 3), rop.data("t", 2)
    y = rop.tanh(rop.param("W1", (4, 3)) @ x + rop.param("b1", 4))
    objective = rop.Objective(rop.param("W2", (2, 4)) @ y, rop.SquaredError(t))
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((5, 3)), "t": rng.standard_normal((5, 2))}
    return objective, random_theta(objective, scale, rng), batch


@pytest.mark.ci
def test_at_weights_of_order_one_nothing_hides():
    power = measure_power(*small(), seconds=60)
    assert power.tried > 20
    assert power.seen == power.tried, power.hidden
    assert power.scale is None
    assert power.theta is None
    assert power.lines()[0].startswith(f"Power at this theta: {power.seen} of {power.tried}")


@pytest.mark.ci
def test_tiny_weights_hide_second_derivatives_and_a_better_theta_is_offered():
    objective, theta, batch = small(1e-6)
    power = measure_power(objective, theta, batch, seconds=60)
    assert any("tanh, curvature" in bug for bug in power.hidden)
    seen, tried = power.rules["tanh"]["curvature"]
    assert seen < tried / 2
    assert power.uncovered > 0.8 * power.retried
    assert power.theta.shape == theta.shape
    again = measure_power(objective, power.theta, batch, seconds=4)
    assert again.seen / again.tried > power.seen / power.tried
    text = "\n".join(power.lines())
    assert "hidden in tanh: " in text
    assert "weights of size" in text


def test_the_counts_add_up():
    objective, theta, batch = small(30.0)
    power = measure_power(objective, theta, batch, seconds=3)
    every = sum(1 for _ in mutations(objective, 5))
    assert power.tried + power.equivalent + power.untried == every
    assert power.tried == power.seen + len(power.hidden)
    assert sum(n for rules in power.rules.values() for _, n in rules.values()) == power.tried
    assert sum(k for rules in power.rules.values() for k, _ in rules.values()) == power.seen


@pytest.mark.ci
def test_the_report_carries_the_power():
    start = time.perf_counter()
    report = check(*small(), power=True)
    # Its time is bounded, whatever else this machine is doing.
    assert time.perf_counter() - start < SECONDS + 25
    assert report.ok
    assert "Power at this theta" in str(report)
    assert report.to_dict()["power"]["seen"] == report.power.seen
    assert "power=True" in report.reproduce
    assert check(*small()).power is None


@pytest.mark.ci
@pytest.mark.parametrize("name", ["Tanh", "MatMat", "Convolution", "Swirl"])
def test_no_bug_changes_a_product_that_is_taken_for_right(name):
    objective, theta, batch, _ = zoo.example(name)
    trials = Trials(objective, theta, batch, "numba", 0)
    trials.change(next(mutations(objective, 5)))
    right = trials.products
    for mutation in mutations(objective, 5):
        found = trials.evaluated(mutation.inject(objective, 5))
        untouched = right.keys() - products_of(mutation)
        for product in untouched & found.keys():
            np.testing.assert_array_equal(found[product], right[product], str(mutation))
