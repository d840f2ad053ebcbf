"""Structural damping's strength and its two conventions (sec. 8.4, erratum M46)."""

from functools import partial

import numpy as np
import pytest
from damped import damped

import rop
from rop.hf import (
    ChapelleErhan,
    HessianFree,
    LastIterate,
    LevenbergMarquardt,
    Recipe,
    Structural,
    Tikhonov,
)
from rop.hf.conjugate_gradient import ConjugateGradient

EXACT = ConjugateGradient(max_steps=500, progress=None, residual=1e-13, forcing=None)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x, t = rop.data("x", 3), rop.data("t", 2)
    W1, b1, W2 = rop.param("W1", (4, 3)), rop.param("b1", 4), rop.param("W2", (2, 4))
    h = rop.tanh(W1 @ x + b1)
    objective = rop.Objective(W2 @ h, rop.SquaredError(t), hidden=[h])
    data = {"x": rng.standard_normal((20, 3)), "t": rng.standard_normal((20, 2))}
    return objective, objective.init("glorot", seed=0), data


def dense(product, n):
    return np.column_stack([product(e) for e in np.eye(n)])


@pytest.mark.parametrize("relative", [True, False])
def test_the_update_is_that_of_g_and_both_penalties(problem, relative):
    objective, theta, data = problem
    lam, mu = 0.3, 0.2
    damping = Structural(mu, Tikhonov(lam), relative)
    recipe = damped(damping=damping, cg=EXACT, selection=LastIterate())
    optimizer = HessianFree(*problem, recipe, engine="numpy", dtype=np.float64)
    it = next(optimizer)
    at = objective.linearize(theta, data, engine="numpy")
    strength = lam * mu if relative else mu
    G = dense(at.ggnvp, at.n)
    S = dense(partial(at.ggnvp, mu=1.0), at.n) - G
    delta = -np.linalg.solve(G + lam * np.eye(at.n) + strength * S, at.gradient())
    np.testing.assert_allclose(optimizer.theta, theta + it.step.alpha * delta, rtol=1e-7)
    assert it.q == pytest.approx(at.gradient() @ delta + delta @ G @ delta / 2, rel=1e-7)
    assert it.cg.q[it.chosen] == pytest.approx(at.gradient() @ delta / 2, rel=1e-7)
    assert np.linalg.norm(S @ delta) > 0.1 * np.linalg.norm(G @ delta)  # or mu would not matter
    assert (it.mu_before, it.lam_before) == (mu, lam)
    assert it.mu_after / mu == pytest.approx(1.0 if relative else it.lam_after / lam)


def test_mu_is_adapted_only_where_lam_does_not_scale_it():
    rule = LevenbergMarquardt(lower_by=2 / 3)
    assert Structural(0.5, Tikhonov(1.0, rule)).adapt(1.0, 0.5, 0.9) == (2 / 3, 0.5)
    alone = Structural(0.5, Tikhonov(1.0, rule), relative=False)
    assert alone.adapt(1.0, 0.5, 0.9) == pytest.approx((2 / 3, 1 / 3))
    assert alone.adapt(1.0, 0.5, 0.1) == pytest.approx((3 / 2, 3 / 4))
    assert alone.adapt(1.0, 0.0, 0.9) == pytest.approx((2 / 3, 0.0))  # 0 stays off
    assert Structural(0.5).structural(2.0, 0.5) == 1.0
    assert alone.structural(2.0, 0.5) == 0.5


def test_the_preconditioner_sees_structural_damping(problem):
    objective, theta, data = problem
    at = objective.linearize(theta, data, engine="numpy")
    exact = np.diag(dense(partial(at.ggnvp, mu=0.7), at.n))
    estimates = [ChapelleErhan().diagonal(at, seed, 0.7) for seed in range(400)]
    error = np.std(estimates, 0) / 20
    assert (np.abs(np.mean(estimates, 0) - exact) <= 4.5 * error + 1e-12).all()
    recipe = Recipe(damping=Structural(0.7), preconditioner=ChapelleErhan(kappa=0.1))
    optimizer = HessianFree(*problem, recipe, engine="numpy", dtype=np.float64)
    records = [next(optimizer) for _ in range(10)]
    assert records[-1].f_after < 0.7 * records[0].f_before
    with pytest.raises(rop.RopError, match="Gaussian"):
        ChapelleErhan(distribution="gaussian").diagonal(at, 0, 0.7)


def test_a_strength_that_means_nothing_is_refused():
    with pytest.raises(rop.RopError, match="mu must be a finite number >= 0"):
        Structural(-1.0)
