"""Where a run ends at a saddle or a maximum it says so, with a direction that leads down."""

import numpy as np
import pytest

import rop
from rop.hf import Recipe, minimize
from rop.hf.evaluation import Evaluator
from rop.hf.stationary import negative_curvature

SETTINGS = {"engine": "numpy", "dtype": np.float64}


def quadratic(eigenvalues, seed=0):
    """Return f = ½ pᵀBp as its own loss, and B, with the given eigenvalues."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))
    B = Q * eigenvalues @ Q.T
    p = rop.param("p", len(eigenvalues))
    return rop.Objective(p, rop.LossGraph(0.5 * rop.dot(p, B @ p))), B


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "eigenvalues", [[1.0, 2.0, -0.5], [-1.0, -2.0, -3.0], [-1e-2, 0.0, 1.0, 4.0], [-1.0]]
)
def test_a_saddle_or_a_maximum_is_told(eigenvalues, dtype):
    objective, B = quadratic(np.array(eigenvalues))
    theta = np.zeros(objective.n)
    result = minimize(objective, theta, {}, engine="numpy", dtype=dtype)
    assert (result.reason, result.success, result.status) == ("saddle", False, 2)
    assert "the gradient vanishes, but H has a negative eigenvalue" in result.message
    assert result.eigenvalue == pytest.approx(min(eigenvalues), rel=1e-3)
    v = result.direction
    assert v @ v == pytest.approx(1.0, rel=1e-5)
    assert v @ B @ v == pytest.approx(min(eigenvalues), rel=1e-3)
    for side in (0.1, -0.1):
        assert objective.value(side * v, {}) < result.fun


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("eigenvalues", [[1.0, 2.0], [0.0, 1.0, 3.0], [1e-6, 1.0, 100.0]])
def test_a_minimum_is_a_success(eigenvalues, dtype):
    objective, _ = quadratic(np.array(eigenvalues))
    result = minimize(objective, np.zeros(objective.n), {}, engine="numpy", dtype=dtype)
    assert (result.reason, result.success) == ("gradient", True)
    assert (result.eigenvalue, result.direction) == (None, None)


def test_the_steps_can_be_given_or_left_out():
    objective, _ = quadratic(np.r_[-1.0, np.linspace(1, 2, 40)])
    theta = np.zeros(objective.n)
    assert minimize(objective, theta, {}, lanczos_steps=0, **SETTINGS).reason == "gradient"
    few = minimize(objective, theta, {}, lanczos_steps=8, **SETTINGS)
    assert few.reason == "saddle" and -1.0 - 1e-9 <= few.eigenvalue < 0
    for wrong in (-1, 2.5):
        with pytest.raises(rop.RopError, match="lanczos_steps must be an int >= 0"):
            minimize(objective, theta, {}, lanczos_steps=wrong)


def test_it_counts_all_cases_in_pieces_and_says_what_it_costs():
    rng = np.random.default_rng(0)
    x, z = rop.nets.mlp([3, 4, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)))
    data = {"x": rng.standard_normal((50, 3)), "t": rng.standard_normal((50, 2))}
    theta = objective.init("normal", seed=1)
    H = objective.linearize(theta, data, dtype=np.float64).H.matrix()
    evaluator = Evaluator(objective, data, engine="numpy", chunk=20)
    found = negative_curvature(evaluator, theta, objective.n)
    lowest = np.linalg.eigvalsh(H)[0]
    assert lowest < 0 and found[0] == pytest.approx(lowest, rel=1e-8)
    np.testing.assert_allclose(H @ found[1], lowest * found[1], atol=1e-6)
    assert evaluator.products == objective.n
    few = Evaluator(objective, data, engine="numpy", chunk=20)
    negative_curvature(few, theta, 7)
    assert few.products == 7


def test_a_saddle_that_the_gradient_does_not_see_is_told():
    # From (1, 0) every gradient lies along z₀; f falls along z₁.
    z = rop.param("z", 2)
    square = z[1] * z[1]
    f = 0.5 * z[0] * z[0] - 0.5 * square + 0.25 * square * square
    result = minimize(rop.Objective(z, rop.LossGraph(f)), [1.0, 0.0], {}, Recipe(), **SETTINGS)
    assert result.reason == "saddle"
    assert result.eigenvalue == pytest.approx(-1.0)
    assert abs(result.direction[1]) == pytest.approx(1.0)


def test_a_product_that_is_not_finite_says_nothing():
    p = rop.param("p", 2)
    objective = rop.Objective(rop.exp(p), rop.SquaredError(np.zeros(2)))
    evaluator = Evaluator(objective, {}, engine="numpy", chunk=1)
    with np.errstate(all="ignore"):
        assert negative_curvature(evaluator, np.array([400.0, 400.0]), 2) is None
