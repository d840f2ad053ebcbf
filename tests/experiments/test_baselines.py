"""The first-order baselines on quadratics, and the metering of work."""

from itertools import islice

import numpy as np
import pytest

import rop
from rop.experiments import baselines
from rop.experiments.metering import Metered

EIGENVALUES = np.array([1.0, 0.3, 0.05])
START = np.array([1.0, -2.0, 3.0])


def gradient(theta):
    return EIGENVALUES * theta


def after(method, steps):
    return next(islice(method, steps - 1, None)).copy()


def test_sgd_is_gradient_descent():
    found = after(baselines.sgd(START, gradient, 0.5), 7)
    np.testing.assert_allclose(found, START * (1 - 0.5 * EIGENVALUES) ** 7, rtol=1e-14)


def test_nesterovs_momentum_is_that_of_the_recursion():
    """x_t = y_t - ε∇f(y_t), y_{t+1} = x_t + μ(x_t - x_{t-1}): Sutskever et al. 2013, appendix."""
    rate, steps = 0.4, 600
    x = before = START
    for t in range(steps):
        mu = min(1 - 0.5 / (t // 250 + 1), 0.7)
        y = x + mu * (x - before)
        x, before = y - rate * gradient(y), x
    found = after(baselines.nesterov(START, gradient, rate, 0.7), steps)
    np.testing.assert_allclose(found, x, rtol=1e-9)


def test_momentum_rises_and_helps_where_the_curvature_is_low():
    plain = after(baselines.sgd(START, gradient, 0.5), 600)
    fast = after(baselines.nesterov(START, gradient, 0.5, 0.99), 600)
    assert np.linalg.norm(fast) < np.linalg.norm(plain) / 100


def test_adams_first_step_has_the_size_of_the_rate_and_it_converges():
    first = after(baselines.adam(START, gradient, 0.01), 1)
    np.testing.assert_allclose(np.abs(first - START), 0.01, rtol=1e-6)
    found = after(baselines.adam(START, gradient, 0.05), 3000)
    assert np.linalg.norm(found) < 1e-2


def test_the_start_is_not_changed():
    start = START.copy()
    methods = (
        baselines.sgd(start, gradient, 0.1),
        baselines.nesterov(start, gradient, 0.1, 0.9),
        baselines.adam(start, gradient, 0.1),
    )
    for method in methods:
        after(method, 3)
        np.testing.assert_array_equal(start, START)


def test_a_run_measures_at_equal_times_and_stops_where_it_diverges():
    rows = baselines.run(baselines.sgd(START, gradient, 0.1), 0.1, np.linalg.norm, points=5)
    assert 1 <= len(rows) <= 5
    assert rows[-1]["seconds"] >= 0.1 and rows[-1]["steps"] >= len(rows)
    assert rows[-1]["error"] < np.linalg.norm(START)
    rows = baselines.run(baselines.sgd(START, gradient, 1e6), 5.0, np.linalg.norm, points=5000)
    assert np.isnan(rows[-1]["error"]) and rows[-1]["seconds"] < 5


@pytest.fixture
def problem():
    _, z = rop.nets.mlp([5, 7, 3])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 3)))
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((20, 5)), "t": rng.standard_normal((20, 3))}
    return objective, objective.init("glorot"), batch


def test_minibatch_gradients_are_unbiased_and_seeded(problem):
    objective, theta, batch = problem
    draw = baselines.minibatch_gradient(objective, batch, 5, 0, "numpy")
    again = baselines.minibatch_gradient(objective, batch, 5, 0, "numpy")
    found = [draw(theta) for _ in range(2000)]
    np.testing.assert_array_equal(found[:3], [again(theta) for _ in range(3)])
    expected = objective.linearize(theta, batch, "numpy").gradient()
    error = np.linalg.norm(np.mean(found, axis=0) - expected) / np.linalg.norm(expected)
    assert error < 0.1


def test_work_is_counted_in_gradients_of_all_cases(problem):
    objective, theta, batch = problem
    metered = Metered(objective, 20)
    at = metered.linearize(theta, batch, engine="numpy")
    np.testing.assert_array_equal(
        at.gradient(), objective.linearize(theta, batch, "numpy").gradient()
    )
    assert metered.gradients == 1
    P, P1 = 5 * 7 + 7 * 3, 5 * 7
    one = 3 * P - P1
    at.ggnvp(theta)
    assert metered.gradients == pytest.approx(1 + (4 * P - 2 * P1) / one)
    at.hvp(theta)
    assert metered.gradients == pytest.approx(1 + (10 * P - 6 * P1) / one)
    half = {name: array[:10] for name, array in batch.items()}
    before = metered.gradients
    assert metered.value(theta, half, "numpy") == objective.value(theta, half, "numpy")
    assert metered.gradients - before == pytest.approx(0.5 * P / one)
    before = metered.gradients
    at.diagonal("empirical-fisher")
    assert metered.gradients - before == pytest.approx((3 * P - P1) / one)


def test_hf_works_alike_on_a_metered_objective(problem):
    objective, theta, batch = problem
    metered = Metered(objective, 20)
    settings = {"iterations": 4, "engine": "numpy"}
    result = rop.hf.minimize(metered, theta, batch, **settings)
    expected = rop.hf.minimize(objective, theta, batch, **settings)
    np.testing.assert_array_equal(result.theta, expected.theta)
    assert metered.count["ggnvp"] == 20 * result.nhev
    # One more: ∇f at the last θ, for the pairs of the next iteration.
    assert metered.count["gradient"] == 20 * (result.njev + 1)
