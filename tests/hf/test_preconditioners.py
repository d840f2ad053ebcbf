"""The empirical Fisher preconditioner on its definition, and what it does for CG (sec. 11)."""

import numpy as np
import pytest

import rop
from rop.hf.cg import pcg
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.vectors import norm
from rop.nets import mlp


def classifier(l2=0.0, cases=30, seed=0):
    rng = np.random.default_rng(seed)
    x, z = mlp([5, 7, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=l2)
    theta = objective.init("glorot", seed=seed)
    batch = {"x": rng.standard_normal((cases, 5)), "t": np.eye(3)[rng.integers(3, size=cases)]}
    return objective, theta, batch


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_the_diagonal_is_the_mean_of_squared_gradients_of_single_cases(l2):
    objective, theta, batch = classifier(l2)
    expected = np.zeros(objective.n)
    for i in range(30):
        case = {name: array[i : i + 1] for name, array in batch.items()}
        gradient = objective.linearize(theta, case, engine="numpy").gradient() - l2 * theta
        expected += gradient**2 / 30  # erratum M59: the mean, not the sum
    at = objective.linearize(theta, batch, engine="numpy")
    np.testing.assert_allclose(EmpiricalFisher().diagonal(at), expected + l2, rtol=1e-10)


def test_the_inverse_is_that_of_the_damped_diagonal_to_the_power():
    d = np.array([0.0, 0.5, 2.0])
    r = np.array([1.0, -2.0, 3.0])
    expected = r / (d + 0.1 + 0.02) ** 0.6
    inverse = EmpiricalFisher(exponent=0.6, kappa=0.02).inverse(d, 0.1)
    np.testing.assert_allclose(inverse(r), expected, rtol=1e-14)
    by_entry = EmpiricalFisher(exponent=0.6, kappa=0.02).inverse(d, np.full(3, 0.1))
    np.testing.assert_allclose(by_entry(r), expected, rtol=1e-14)


def test_the_exponent_goes_from_none_to_jacobi():
    d, r = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    np.testing.assert_array_equal(EmpiricalFisher(exponent=0.0).inverse(d, 0.0)(r), r)
    np.testing.assert_allclose(EmpiricalFisher(exponent=1.0).inverse(d, 0.0)(r), r / d)


def test_float32_stays_float32():
    inverse = EmpiricalFisher().inverse(np.ones(3, np.float32), 1e-20)
    assert inverse(np.ones(3, np.float32)).dtype == np.float32


@pytest.mark.parametrize("least", [0.0, -1.0, np.nan])
def test_an_entry_that_is_not_positive_is_refused(least):
    with pytest.raises(rop.RopError, match=r"d \+ κ must be positive"):
        EmpiricalFisher().inverse(np.array([1.0, least]), 0.0)


def test_no_preconditioner_is_none():
    objective, theta, batch = classifier()
    at = objective.linearize(theta, batch, engine="numpy")
    assert NoPreconditioner().diagonal(at) is None
    assert NoPreconditioner().inverse(None, 1.0) is None


def test_it_saves_steps_where_parameters_are_on_different_scales():
    rng = np.random.default_rng(0)
    scales = np.geomspace(0.03, 30, 20)
    batch = {"x": rng.standard_normal((200, 20)) * scales, "t": rng.standard_normal((200, 1))}
    objective = rop.Objective(
        rop.param("w", (1, 20)) @ rop.data("x", 20), rop.SquaredError(rop.data("t", 1))
    )
    at = objective.linearize(np.zeros(20), batch, engine="numpy")
    lam, policy = 1e-4, EmpiricalFisher()
    plain, preconditioned = (
        pcg(lambda v: at.ggnvp(v) + lam * v, -at.gradient(), None, inverse, residual=1e-8)
        for inverse in (None, policy.inverse(policy.diagonal(at), lam))
    )
    assert preconditioned.steps < plain.steps / 2
    exact = np.linalg.solve(batch["x"].T @ batch["x"] / 200 + lam * np.eye(20), -at.gradient())
    assert norm(preconditioned.x - exact) <= 1e-4 * norm(exact)
