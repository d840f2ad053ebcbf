"""The empirical Fisher preconditioner on its definition, and what it does for CG (sec. 11)."""

import numpy as np
import pytest

import rop
from rop.hf.batches import Cases
from rop.hf.cg import pcg
from rop.hf.evaluation import Evaluator
from rop.hf.preconditioners import (
    ChapelleErhan,
    EmpiricalFisher,
    ExactDiagonal,
    GivenDiagonal,
    NoPreconditioner,
)
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
    inverse = EmpiricalFisher(0.6, 0.02, 0.0).inverse(d, 0.1)
    np.testing.assert_allclose(inverse(r), expected, rtol=1e-14)
    by_entry = EmpiricalFisher(0.6, 0.02, 0.0).inverse(d, np.full(3, 0.1))
    np.testing.assert_allclose(by_entry(r), expected, rtol=1e-14)


def test_the_exponent_goes_from_none_to_jacobi():
    d, r = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    np.testing.assert_array_equal(EmpiricalFisher(0.0, 0.0, 0.0).inverse(d, 0.0)(r), r)
    np.testing.assert_allclose(EmpiricalFisher(1.0, 0.0, 0.0).inverse(d, 0.0)(r), r / d)


def test_float32_stays_float32():
    inverse = EmpiricalFisher().inverse(np.ones(3, np.float32), 1e-20)
    assert inverse(np.ones(3, np.float32)).dtype == np.float32


@pytest.mark.parametrize("least", [0.0, -1.0, np.nan])
def test_an_entry_that_is_not_positive_is_refused(least):
    with pytest.raises(rop.RopError, match=r"d \+ κ must be positive"):
        EmpiricalFisher(relative_kappa=0.0).inverse(np.array([1.0, least]), 0.0)


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
    lam, policy = 1e-4, EmpiricalFisher(relative_kappa=0.0)
    plain, preconditioned = (
        pcg(lambda v: at.ggnvp(v) + lam * v, -at.gradient(), None, inverse, residual=1e-8)
        for inverse in (None, policy.inverse(policy.diagonal(at), lam))
    )
    assert preconditioned.steps < plain.steps / 2
    exact = np.linalg.solve(batch["x"].T @ batch["x"] / 200 + lam * np.eye(20), -at.gradient())
    assert norm(preconditioned.x - exact) <= 1e-4 * norm(exact)


@pytest.mark.parametrize(
    "distribution, probes", [("rademacher", 1), ("rademacher", 3), ("gaussian", 1), ("gaussian", 4)]
)
def test_chapelle_erhans_estimate_is_unbiased(distribution, probes):
    objective, theta, batch = classifier(l2=0.2)
    at = objective.linearize(theta, batch, engine="numpy")
    policy = ChapelleErhan(probes=probes, distribution=distribution)
    estimates = np.array([policy.diagonal(at, seed) for seed in range(600)])
    error = estimates.std(0) / np.sqrt(600)
    exact = np.diag(at.G.matrix())
    assert (np.abs(estimates.mean(0) - exact) <= 4.5 * error + 1e-12).all()
    np.testing.assert_array_equal(policy.diagonal(at, 3), policy.diagonal(at, 3))
    assert not np.array_equal(estimates[0], estimates[1])


@pytest.mark.ci
def test_signs_have_less_variance_than_gaussian_numbers_and_probes_less_still():
    objective, theta, batch = classifier()
    at = objective.linearize(theta, batch, engine="numpy")

    def variance(**settings):
        policy = ChapelleErhan(**settings)
        return np.var([policy.diagonal(at, seed) for seed in range(400)], axis=0).sum()

    signs, gaussian = variance(), variance(distribution="gaussian")
    assert signs < 0.95 * gaussian  # erratum M61
    assert variance(probes=4) == pytest.approx(signs / 4, rel=0.2)
    assert variance(probes=4, distribution="gaussian") == pytest.approx(gaussian / 4, rel=0.2)


def test_the_exact_diagonal_and_ones_own():
    objective, theta, batch = classifier(l2=0.2)
    at = objective.linearize(theta, batch, engine="numpy")
    exact = np.diag(at.G.matrix())
    np.testing.assert_allclose(ExactDiagonal().diagonal(at), exact, rtol=1e-9)
    own = GivenDiagonal(estimate=lambda at: at.diagonal("exact") + 1)
    np.testing.assert_allclose(own.diagonal(at), exact + 1, rtol=1e-9)
    with pytest.raises(rop.RopError, match=r"must return shape \(66,\), got \(2,\)"):
        GivenDiagonal(estimate=lambda at: np.ones(2)).diagonal(at)
    with pytest.raises(rop.RopError, match="give estimate="):
        GivenDiagonal()


def test_kappa_can_follow_the_diagonal_and_the_scale_of_parameters():
    objective, _, _ = classifier()
    d, r = np.linspace(0.5, 2, objective.n), np.ones(objective.n)
    mean = (d + 0.1).mean()
    P = ExactDiagonal(exponent=0.6, kappa=0.02, relative_kappa=0.01)
    np.testing.assert_allclose(P.inverse(d, 0.1)(r), (d + 0.1 + 0.02 + 0.01 * mean) ** -0.6)
    each = P.inverse(d, 0.1, objective)(r)
    for place in objective.slices.values():
        mean = (d[place] + 0.1).mean()
        np.testing.assert_allclose(each[place], (d[place] + 0.12 + 0.01 * mean) ** -0.6)
    scaled = ExactDiagonal(exponent=0.6, kappa=0.02, scale={"W1": 50.0, "b2": 0.0})
    s = np.ones(objective.n)
    s[objective.slices["W1"]], s[objective.slices["b2"]] = 50.0, 0.0
    np.testing.assert_allclose(scaled.inverse(d, 0.1, objective)(r), (d + 0.1 + 0.02 * s) ** -0.6)
    with pytest.raises(rop.RopError, match=r"scale names \['W9'\], but the parameters are \['W1'"):
        ExactDiagonal(scale={"W9": 1.0}).inverse(d, 0.1, objective)


def test_an_estimate_for_the_gradient_is_averaged_over_its_pieces():
    objective, theta, batch = classifier()
    for policy in (ExactDiagonal(cases="gradient"), ChapelleErhan(cases="gradient")):
        evaluator = Evaluator(objective, batch, engine="numpy", chunk=13)
        _, _, diagonal = evaluator.gradient(theta, Cases(0, 30, 30), policy, 5)
        pieces = [(0, 13), (13, 26), (26, 30)]
        expected = np.zeros(objective.n)
        for number, (start, stop) in enumerate(pieces):
            piece = {name: array[start:stop] for name, array in batch.items()}
            at = objective.linearize(theta, piece, engine="numpy")
            expected += (stop - start) / 30 * policy.diagonal(at, 5 + number)
        np.testing.assert_allclose(diagonal, expected, rtol=1e-10)


def test_an_indefinite_loss_has_no_root_to_estimate_from():
    z = rop.data("x", 2) * rop.param("w", 2)
    y = rop.tanh(z)
    objective = rop.Objective(z, rop.LossGraph(rop.dot(y, y)))
    at = objective.linearize([2.0, -2.0], {"x": np.ones((3, 2))}, engine="numpy")
    for distribution in ("rademacher", "gaussian"):
        with pytest.raises(rop.RopError, match="semidefinite L''"):
            ChapelleErhan(distribution=distribution).diagonal(at)


@pytest.mark.parametrize(
    "make, settings",
    [(EmpiricalFisher, {"exponent": 1.5}), (ExactDiagonal, {"kappa": -1.0}),
     (ExactDiagonal, {"relative_kappa": -1.0}), (ExactDiagonal, {"cases": "all"}),
     (ChapelleErhan, {"probes": 0}), (ChapelleErhan, {"distribution": "uniform"})],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(make, settings):
    with pytest.raises(rop.RopError, match=f"{make.__name__}: "):
        make(**settings)


def test_an_array_with_hardly_any_curvature_keeps_p_in_range():
    """Without a bound P⁻¹ would magnify rounding errors by 1e100."""
    w, b = rop.param("w", 3), rop.param("b", 2)
    objective = rop.Objective(rop.sum(w) * rop.sum(b), rop.SquaredError(0.0))
    for dtype in (np.float32, np.float64):
        tiny = np.finfo(dtype).tiny
        d = np.array([1, 2, 3, tiny, 0], dtype)
        P = 1 / EmpiricalFisher(exponent=1.0).inverse(d, 0.0, objective)(np.ones(5, dtype))
        np.testing.assert_allclose(P[:3], d[:3] + 0.2, rtol=1e-6)
        np.testing.assert_allclose(P[3:], 0.1 * 1.2 * np.finfo(dtype).eps, rtol=1e-6)
