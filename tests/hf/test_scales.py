"""Fits whose data have other units end as those in ordinary units do, and none at θ_0."""

from math import inf

import numpy as np
import pytest

import rop
from rop.hf import HessianFree, NoPreconditioner, Recipe, minimize, recipes
from rop.hf.levenberg_marquardt import LevenbergMarquardt

X = np.linspace(0.0, 3.0, 40)
FITTED = [2.0, 1.3]


def decay(unit, noise=0.0):
    """Return the fit of p0 exp(-p1 x) to data in some unit, θ_0 and the data."""
    p = rop.param("p", 2)
    z = unit * p[0] * rop.exp(-p[1] * rop.data("x"))
    y = 2 * np.exp(-1.3 * X) + noise * np.random.default_rng(0).normal(size=len(X))
    objective = rop.Objective(z, rop.SquaredError(rop.data("y")))
    return objective, [1.0, 0.5], {"x": X, "y": unit * y}


@pytest.mark.parametrize("unit", [1e-15, 1e-9, 1e-6, 1e-3, 1.0, 1e6, 1e10])
def test_the_unit_of_the_data_does_not_matter(unit):
    result = minimize(*decay(unit, 0.05), iterations=200, dtype=np.float64)
    usual = minimize(*decay(1.0, 0.05), iterations=200, dtype=np.float64)
    assert (result.success, result.reason) == (True, "precision")
    np.testing.assert_allclose(result.theta, usual.theta, rtol=1e-5)
    assert result.nit <= usual.nit + 60


@pytest.mark.parametrize("unit", [1e-10, 1e-5, 1.0, 1e5])
def test_nor_does_it_in_float32(unit):
    objective, theta, data = decay(unit, 0.05)
    result = minimize(objective, theta, data, iterations=200)
    best = minimize(objective, theta, data, iterations=200, dtype=np.float64).fun
    f = objective.value(result.theta.astype(np.float64), data)
    # A gain below the rounding error of the 40 terms of f ends the run.
    assert best <= f <= best * (1 + 40 * np.finfo(np.float32).eps)
    assert result.success


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_fit_without_residual_has_converged(unit):
    result = minimize(*decay(unit), iterations=300, dtype=np.float64)
    np.testing.assert_allclose(result.theta, FITTED, rtol=1e-10)
    assert result.success


def test_damping_that_hides_the_gain_ends_no_run():
    run = HessianFree(*decay(1e-9, 0.05), recipes.damped(), dtype=np.float64)
    first = next(run)
    assert run.ended is None
    assert first.rho_judged == inf
    assert first.lam_after < 1e-6 * first.lam_before
    assert "damping keeps the predicted gain below the rounding error of f" in first.events[0]
    assert "the predicted gain is below f's rounding error" in first.explain().lower()


def test_bounds_by_the_curvature_along_the_update():
    rule = LevenbergMarquardt()
    assert rule.bounded(1.0, 1e-9) == pytest.approx(1e-3)
    assert rule.bounded(1e-20, 2.0) == pytest.approx(2e-10)
    assert LevenbergMarquardt(lowest=1e-20).bounded(1e-18, 2.0) == 1e-18
    assert [rule.bounded(0.5, c) for c in (1.0, 0.0, -1.0, inf, np.nan)] == [0.5] * 5
    assert LevenbergMarquardt(lowest=0.1, highest=1e3).bounded(1.0, 1e-12) == 0.1


def test_without_data_there_is_no_empirical_fisher():
    # Rosenbrock's function in 100 dimensions: with sq(∇f) as P it took 858 iterations.
    a = rop.param("a", 100)
    z = rop.concatenate([a[:-1] - 1.0, (a[1:] - a[:-1] * a[:-1]) * 10.0])
    objective = rop.Objective(z, rop.SquaredError(np.zeros(198)))
    start = np.tile([-1.2, 1.0], 50)
    usual = minimize(objective, start, {}, iterations=1000, dtype=np.float64)
    plain = Recipe(preconditioner=NoPreconditioner())
    same = minimize(objective, start, {}, plain, iterations=1000, dtype=np.float64)
    assert usual.fun < 1e-20 and usual.success
    assert np.array_equal(usual.theta, same.theta)
