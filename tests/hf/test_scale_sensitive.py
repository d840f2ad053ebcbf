"""Scale-sensitive damping: the invariances of sec. 8.3, and where they end."""

from math import exp

import numpy as np
import pytest
import scipy.sparse
from damped import damped
from scipy.sparse.linalg import aslinearoperator

import rop
from rop.hf import (
    ExactDiagonal,
    HessianFree,
    LastIterate,
    Reparameterized,
    ScaleSensitive,
    Tikhonov,
    pcg,
)  # fmt: skip
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.damping_matrices import DiagonalMatrix, GramMatrix

EXACT = ConjugateGradient(max_steps=500, progress=None, residual=1e-13, forcing=None)
SCALES = np.geomspace(1e-2, 1e2, 5)


def regression(scales=1.0, beta=1.0, parameterization="plain"):
    """Return β times a tanh regression whose weights are diag(scales) w, or exp w."""
    rng = np.random.default_rng(0)
    w = rop.param("w", 5)
    W = rop.exp(w) if parameterization == "exp" else w * (np.ones(5) * scales)
    z = rop.tanh(rop.dot(W, rop.data("x", 5)))
    objective = rop.Objective(z, rop.SquaredError(rop.data("t"), weight=np.array(beta)))
    data = {"x": rng.standard_normal((40, 5)), "t": rng.uniform(-1, 1, 40)}
    weights = np.array([0.3, 1.1, 0.7, 0.2, 0.9])
    theta = np.log(weights) if parameterization == "exp" else weights / scales
    return objective, theta, data


def run(problem, damping, iterations=6, **settings):
    recipe = damped(damping=damping, cg=EXACT, selection=LastIterate(), decay=0.0, **settings)
    optimizer = HessianFree(*problem, recipe, engine="numpy", dtype=np.float64)
    return [next(optimizer) for _ in range(iterations)], optimizer.theta


def test_diag_g_makes_runs_invariant_to_the_scale_of_f():
    one, theta = run(regression(), ScaleSensitive(0.3))
    other, theta_1000 = run(regression(beta=1000.0), ScaleSensitive(0.3))
    np.testing.assert_allclose(theta_1000, theta, rtol=1e-7)
    for a, b in zip(one, other, strict=True):
        assert b.lam_after == a.lam_after
        assert b.rho == pytest.approx(a.rho, rel=1e-6)
        assert b.f_after == pytest.approx(1000 * a.f_after, rel=1e-7)
    _, tikhonov = run(regression(), Tikhonov(0.3), iterations=3)
    _, tikhonov_1000 = run(regression(beta=1000.0), Tikhonov(0.3), iterations=3)
    assert not np.allclose(tikhonov_1000, tikhonov, rtol=1e-2)


def test_diag_g_makes_runs_invariant_to_diagonal_reparameterizations():
    _, theta = run(regression(), ScaleSensitive(0.3))
    _, scaled = run(regression(SCALES), ScaleSensitive(0.3))
    np.testing.assert_allclose(SCALES * scaled, theta, rtol=1e-7)
    # Towards the identity the invariance goes: κ and p < 1 assume something about the scale.
    for damping in (ScaleSensitive(0.3, relative_kappa=0.1), ScaleSensitive(0.3, exponent=0.5)):
        _, theta = run(regression(), damping)
        _, scaled = run(regression(SCALES), damping)
        assert not np.allclose(SCALES * scaled, theta, rtol=1e-2)


@pytest.mark.parametrize("kappa", [0.0, 0.1])
def test_a_relative_kappa_keeps_the_invariance_to_the_scale_of_f(kappa):
    damping = ScaleSensitive(0.3, relative_kappa=kappa)
    preconditioner = ExactDiagonal(relative_kappa=0.01)
    _, theta = run(regression(), damping, preconditioner=preconditioner)
    _, other = run(regression(beta=50.0), damping, preconditioner=preconditioner)
    np.testing.assert_allclose(other, theta, rtol=1e-7)


def operator(c):
    return aslinearoperator(np.diag(c))


def test_ctc_damps_the_weights_themselves_whatever_their_parameterization():
    lam = 0.05
    objective, theta, data = regression()
    at = objective.linearize(theta, data, engine="numpy")
    expected = -np.linalg.solve(at.G.matrix() + lam * np.eye(5), at.gradient())
    objective, theta, data = regression(parameterization="exp")
    at = objective.linearize(theta, data, engine="numpy")
    kinds = (np.asarray, np.diag, scipy.sparse.diags_array, operator)
    for kind in kinds:

        def jacobian(theta, kind=kind):
            return kind(np.exp(theta))

        penalty = Reparameterized(lam, jacobian=jacobian).matrix(at, 0.0, 0)
        delta = pcg(penalty.damp(at.ggnvp, lam), -at.gradient(), residual=1e-14).x
        np.testing.assert_allclose(np.exp(theta) * delta, expected, rtol=1e-8)  # Cδ, erratum M40
        assert penalty.penalty(delta, lam) == pytest.approx(lam * expected @ expected / 2, rel=1e-8)
        np.testing.assert_allclose(penalty.diagonal(lam), lam * np.exp(2 * theta), rtol=1e-12)
    wrong = Reparameterized(jacobian=lambda t: np.eye(4))
    with pytest.raises(rop.RopError, match=r"shape \(m, 5\)"):
        wrong.matrix(at, 0.0, 0)
    with pytest.raises(rop.RopError, match="give jacobian="):
        Reparameterized()


def test_the_diagonal_of_ctc_known_by_products_only_is_estimated_without_bias():
    C = np.random.default_rng(1).standard_normal((30, 6))
    exact = np.square(C).sum(0)
    np.testing.assert_allclose(GramMatrix(C, 0).diagonal(2.0), 2 * exact, rtol=1e-12)
    estimates = [GramMatrix(aslinearoperator(C), seed).diagonal(2.0) for seed in range(200)]
    error = np.std(estimates, 0) / np.sqrt(200)
    assert (np.abs(np.mean(estimates, 0) - 2 * exact) <= 4 * error).all()


@pytest.mark.parametrize(
    "damping",
    [ScaleSensitive(0.4), ScaleSensitive(0.4, method="empirical-fisher", exponent=0.5),
     ScaleSensitive(0.4, method="chapelle-erhan", relative_kappa=0.2),
     Reparameterized(0.4, jacobian=lambda t: np.vander(t))],
)  # fmt: skip
def test_the_record_has_the_damped_and_the_undamped_model(damping):
    objective, theta, data = regression()
    records, _ = run((objective, theta, data), damping, iterations=1)
    it = records[0]
    at = objective.linearize(theta, data, engine="numpy")
    D = damping.matrix(at, 0.0, 0)
    A = np.column_stack([D.damp(at.ggnvp, 0.4)(e) for e in np.eye(5)])
    delta = -np.linalg.solve(A, at.gradient())
    assert it.q == pytest.approx(at.gradient() @ delta + delta @ at.ggnvp(delta) / 2, rel=1e-9)
    assert it.cg.q[it.chosen] == pytest.approx(at.gradient() @ delta / 2, rel=1e-9)
    np.testing.assert_allclose(D.diagonal(0.4), np.diag(A - at.G.matrix()), rtol=1e-9)


def test_exponents_interpolate_between_diag_g_and_tikhonov():
    objective, theta, data = regression(SCALES)
    at = objective.linearize(theta, data, engine="numpy")
    d = at.diagonal("exact")
    for p in (0.0, 0.5, 1.0):
        D = ScaleSensitive(1.0, exponent=p).matrix(at, 0.0, 0)
        np.testing.assert_allclose(D.diagonal(1.0), d**p, rtol=1e-12)
    D = ScaleSensitive(1.0, relative_kappa=3.0).matrix(at, 0.0, 0)
    np.testing.assert_allclose(D.diagonal(1.0), d + 3.0 * d.mean(), rtol=1e-12)


def test_figure_3_much_damping_with_diag_b_is_a_circle_though_b_is_not():
    u, v, a = np.array([-1.0, 1.0]), np.array([1.0, 1.0]), 15.0
    B = np.outer(u, u) + a * np.outer(v, v)
    np.testing.assert_allclose(np.linalg.eigvalsh(B), [2.0, 2 * a])
    D = DiagonalMatrix(np.diag(B).copy())
    np.testing.assert_allclose(D.diagonal(1.0), [a + 1, a + 1])
    lam = 1e6
    for b in (u, v, np.array([1.0, 0.3])):
        step = pcg(D.damp(lambda w: B @ w, lam), b, residual=1e-14).x
        np.testing.assert_allclose(step, b / (lam * (a + 1)), rtol=1e-4)


def test_d_of_b_itself_shortens_the_step_by_one_over_one_plus_lam():
    rng = np.random.default_rng(3)
    C = rng.standard_normal((8, 8))
    B, b = C.T @ C, rng.standard_normal(8)
    D = GramMatrix(C, 0)
    undamped = np.linalg.solve(B, b)
    damped = pcg(D.damp(lambda w: B @ w, exp(0.5)), b, residual=1e-14, max_steps=500).x
    np.testing.assert_allclose(damped, undamped / (1 + exp(0.5)), rtol=1e-5)  # erratum M43
    early, early_damped = pcg(B, b, max_steps=3), pcg(D.damp(lambda w: B @ w, 2.0), b, max_steps=3)
    np.testing.assert_allclose(early_damped.x, early.x / 3, rtol=1e-10)


@pytest.mark.parametrize(
    "settings", [{"exponent": 1.1}, {"exponent": -0.1}, {"relative_kappa": -1.0}, {"lam": 1e31}]
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(rop.RopError, match="ScaleSensitive: "):
        ScaleSensitive(**settings)
