"""Tikhonov damping, the reduction ratio and the Levenberg-Marquardt rule (sec. 8.1, 8.5)."""

from math import inf, nan

import numpy as np
import pytest

import rop
from rop.hf.cg import pcg
from rop.hf.damping import Tikhonov
from rop.hf.levenberg_marquardt import LevenbergMarquardt, reduction_ratio


def model(n=6, seed=0):
    rng = np.random.default_rng(seed)
    J = rng.standard_normal((n, n))
    return J.T @ J, rng.standard_normal(n)


def step(B, g, lam):
    return pcg(Tikhonov(lam).damp(lambda v: B @ v, lam), -g, residual=1e-14).x


@pytest.mark.parametrize("lam", [1e-2, 1.0, 1e3])
def test_the_damped_step_solves_the_damped_system(lam):
    B, g = model()
    np.testing.assert_allclose(step(B, g, lam), -np.linalg.solve(B + lam * np.eye(6), g), rtol=1e-8)


def test_much_damping_is_gradient_descent():
    B, g = model()
    np.testing.assert_allclose(step(B, g, 1e9), -g / 1e9, rtol=1e-7)  # erratum M36


def test_eigencomponents_shrink_by_their_share():
    B, g = model()
    values, V = np.linalg.eigh(B)
    undamped = -np.linalg.solve(B, g)
    shares = (V.T @ step(B, g, 0.7)) / (V.T @ undamped)
    np.testing.assert_allclose(shares, values / (values + 0.7), rtol=1e-8)


def test_lam_is_on_the_scale_of_f():
    B, g = model()
    np.testing.assert_allclose(step(B, g, 1.0), step(2 * B, 2 * g, 2.0), rtol=1e-12)


def test_the_penalty_is_the_difference_of_the_models():
    B, g = model()
    delta = step(B, g, 0.3)
    damped = g @ delta + delta @ (B + 0.3 * np.eye(6)) @ delta / 2
    undamped = g @ delta + delta @ B @ delta / 2
    assert Tikhonov(0.3).penalty(delta, 0.3) == pytest.approx(damped - undamped, rel=1e-12)
    assert Tikhonov(0.3).diagonal(0.3) == 0.3


def test_a_perfect_model_has_ratio_one_whatever_f_is():
    B, g = model()
    delta = step(B, g, 0.1)
    q = g @ delta + delta @ B @ delta / 2
    for f in (0.0, 50.0):
        assert reduction_ratio(f, f + q, q) == pytest.approx(1.0, rel=1e-12)  # erratum M1


@pytest.mark.parametrize(
    "f_before, f_after, q, rho",
    [
        (1.0, 0.5, -1.0, 0.5),
        (1.0, 1.0, -1.0, 0.0),
        (1.0, 0.5, +1.0, -0.5),  # a warm start that CG did not bring below 0 (sec. 8.5)
        (1.0, 2.0, -1.0, -inf),
        (1.0, 2.0, +1.0, -inf),  # would be +1 and lower λ (erratum M48)
        (1.0, nan, -1.0, -inf),
        (1.0, inf, -1.0, -inf),
        (1.0, 1.0, 0.0, -inf),
    ],
)
def test_the_reduction_ratio(f_before, f_after, q, rho):
    assert reduction_ratio(f_before, f_after, q) == rho


@pytest.mark.parametrize(
    "rho, factor",
    [
        (1.1, 2 / 3),
        (0.7500001, 2 / 3),
        (0.75, 1),
        (0.5, 1),
        (0.25, 1),
        (0.2499999, 3 / 2),
        (-1.0, 3 / 2),
        (-inf, 3 / 2),
        (nan, 3 / 2),
    ],
)
def test_the_rule_of_the_2012_text(rho, factor):
    assert LevenbergMarquardt(lower_by=2 / 3).update(0.9, rho) == 0.9 * factor


def test_the_rule_stays_within_its_bounds():
    rule = LevenbergMarquardt(lowest=1e-3, highest=1e3)
    assert rule.update(1.2e-3, 1.0) == 1e-3
    assert rule.update(900.0, 0.0) == 1e3


@pytest.mark.parametrize(
    "settings",
    [{"poor": 0.8}, {"raise_by": 0.5}, {"lower_by": 1.5}, {"lower_by": 0.0}, {"lowest": -1.0},
     {"lowest": 2.0, "highest": 1.0}, {"poor": nan}],
)  # fmt: skip
def test_a_rule_that_cannot_work_is_refused(settings):
    with pytest.raises(
        rop.RopError,
        match="LevenbergMarquardt: ([a-z_]+ must be|expected poor)",
    ):
        LevenbergMarquardt(**settings)


@pytest.mark.parametrize("lam", [-1.0, 1e31, nan])
def test_a_lam_out_of_bounds_is_refused(lam):
    with pytest.raises(rop.RopError, match="Tikhonov: lam.* must (lie within|be a finite number)"):
        Tikhonov(lam)
