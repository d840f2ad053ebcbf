"""Adaptive HF (Motokawa & Tezuka 2020): algorithm 1, theorem 1, and what its errata say."""

from dataclasses import replace
from math import inf, isnan, nan

import numpy as np
import pytest

import rop
from rop.hf import (
    Armijo,
    HessianFree,
    Moments,
    compare,
    conjugate_smoothness,
    minimize,
    pcg,
    prerun,
    read_log,
    recipes,
    replay,
)
from rop.hf.line_search import NoLineSearch
from rop.hf.vectors import norm

VARIANTS = "paper", "proof", "released-code"


def run(problem, recipe, iterations, **settings):
    settings = {"engine": "numpy", "dtype": np.float64, "lanczos_steps": 0} | settings
    return minimize(*problem, recipe, iterations=iterations, **settings)


@pytest.fixture
def quadratic():
    """½ Σ d p² with the largest d, which is L, 4; its minimum is 0."""
    d = np.array([4.0, 2.0, 1.0, 0.5])
    p = rop.param("p", 4)
    return rop.Objective(0.5 * rop.dot(d, p**2)), np.array([0.1, -0.2, 0.3, 0.2]), {}


def proof(quadratic, **settings):
    # The theorem wants σ known beforehand, and L.
    sigma = norm(quadratic[0].linearize(quadratic[1], {}, engine="numpy").gradient())
    settings = {"epsilon": 0.05, "sigma": sigma, "L": 4.0, "beta2": 0.5} | settings
    return recipes.adaptive_hf("proof", batch=1, **settings)


def algorithm_1(problem, variant, iterations):
    """Algorithm 1 as the paper, its proof or the authors' code has it, without rop.hf's loop."""
    objective, theta, data = problem
    epsilon, sigma, L, beta2, lam, n = 0.1, 2.0, 5.0, 0.01, 10.0, len(theta)
    beta1 = epsilon / (epsilon + 2 * sigma)
    m, v = np.zeros(n), np.zeros(n)
    for t in range(1, iterations + 1):
        at = objective.linearize(theta, data, engine="numpy")
        g, H = at.gradient(), at.H.matrix()
        f = at.value
        damped = H + lam * np.eye(n)
        if variant == "proof":
            delta = g @ g / (g @ damped @ g) * -g  # one step of CG from 0
            new, xi = -g, 2 * sigma
        else:
            delta, xi = np.linalg.solve(damped, -g), 1e-8
            new = delta
        m, v = beta1 * m + (1 - beta1) * new, beta2 * v + (1 - beta2) * new**2
        m_hat, v_hat = m, v
        if variant == "paper":
            m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        elif variant == "released-code":
            m_hat, v_hat = m, v = m / (1 - beta1), v / (1 - beta2)
        size = np.linalg.norm(g)
        bracket = size**2 * (1 - beta1) - size * (beta1 - beta1**t) * sigma
        alpha = 4 * bracket / (3 * L * (1 - beta1**t) ** 2 * sigma)
        alpha = 0.05 if variant == "released-code" else alpha
        moved = theta + alpha * m_hat / (np.sqrt(v_hat) + xi)
        compared = moved if variant == "released-code" else theta + delta
        q = g @ delta + delta @ H @ delta / 2
        change = objective.value(compared, data, engine="numpy") - f
        rho = change / q if change <= 0 else -inf
        lam = max(lam * (2 / 3 if rho > 0.75 else 1.5 if rho < 0.25 else 1.0), 0.1)
        theta = moved
    return theta, lam


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_variants_are_the_paper_the_proof_and_the_code(problem, variant):
    recipe = recipes.adaptive_hf(
        variant, epsilon=0.1, sigma=2.0, L=5.0, beta2=0.01, learning_rate=0.05, batch=1.0
    )
    if variant != "proof":  # CG to the end, so that its δ is the solution
        recipe = recipe.replace(progress=None, residual=1e-13, max_steps=500)
    result = run(problem, recipe, 12)
    theta, lam = algorithm_1(problem, variant, 12)
    np.testing.assert_allclose(result.theta, theta, rtol=1e-7, atol=1e-9)
    assert result.lam == pytest.approx(lam)
    assert result.lam != 10.0


def test_the_choices_have_names(problem):
    paper = recipes.adaptive_hf("paper", batch=1.0, sigma=2.0, L=5.0)
    changes = [{}, {"g": "delta"}, {"xi": 4.0}, {"curvature": "ggn"}, {"reduction": "step"},
               {"size": "alpha_tilde"}, {"size": "alpha_star"}, {"correction": "none"},
               {"of": "gradient"}, {"size": None}]  # fmt: skip
    thetas = {run(problem, paper.replace(**change), 6).theta.tobytes() for change in changes}
    assert len(thetas) == len(changes)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_can_be_resumed_and_replayed_bit_by_bit(problem, tmp_path, variant):
    recipe = recipes.adaptive_hf(variant, batch=16, sigma=2.0, L=5.0, beta2=0.1)
    whole = run(problem, recipe, 9)
    kept = {"folder": tmp_path, "resume": True}
    run(problem, recipe, 4, **kept)
    resumed = run(problem, recipe, 9, **kept)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    assert compare(resumed.records, whole.records) is None
    assert read_log(tmp_path).records[-1].adaptive == whole.records[-1].adaptive
    assert len(list(replay(tmp_path, *problem))) == 9


def test_the_record_has_every_quantity(quadratic):
    recipe = proof(quadratic)
    moments = recipe.moments
    largest = 0.0
    for it in run(quadratic, recipe, 20).records:
        step = it.adaptive
        assert step.t == it.number + 1
        assert step.beta1 == 0.05 / (0.05 + 2 * moments.sigma)
        assert step.g_norm == it.gradient_norm
        largest = max(largest, it.gradient_norm)
        assert (step.sigma_t, step.L) == (largest, 4.0)
        assert it.step.alpha == step.alpha_hat > 0
        assert 0 < step.root_v_range[0] <= step.root_v_range[1] <= step.sigma_t
        assert it.step_norm <= it.step.alpha * step.m_norm / moments.xi
        assert it.rho_step == pytest.approx((it.f_after - it.f_before) / it.q)
        # d is 4 along the first axis, and 0.5 along the last.
        assert 0.5 <= it.L_seen <= 4.0
    columns = rop.hf.columns(run(quadratic, recipe, 3).records)
    assert columns["adaptive.alpha_hat"] == [step.alpha_hat for step in _steps(quadratic, recipe)]


def _steps(problem, recipe):
    return [it.adaptive for it in run(problem, recipe, 3).records]


def test_alpha_hat_is_eq_30_with_its_substitutions_and_at_most_eq_28s(quadratic):
    moments = Moments(0.05, 2.0, 4.0, 0.5, xi=4.0)
    g = np.array([2.0, 0.0])  # so that σ_t = σ from the first iteration
    before = None
    for t in range(1, 8):
        _, before, step = moments.advance(before, t, 1.0, g, -g)
        assert step.alpha_hat == pytest.approx(step.alpha_tilde, rel=1e-14)
        assert step.alpha_tilde < step.alpha_proof


@pytest.mark.parametrize("seed", range(20))
def test_alpha_hat_is_positive_while_g_is_above_epsilon(seed):
    rng = np.random.default_rng(seed)
    epsilon, sigma = rng.uniform(1e-5, 0.1), rng.uniform(30, 100)
    moments = Moments(epsilon, sigma, rng.uniform(50, 300), xi=2 * sigma)
    for t in (1, 2, 3, 1000):
        least = []
        for size in (epsilon, epsilon * 0.49):
            g = np.array([size])
            least.append(moments.advance(None, t, 1.0, g, -g)[2].alpha_hat)
        assert least[0] > 0
        # Not so below ε/2, once the averages are full.
        assert (least[1] > 0) == (t == 1)


def test_alpha_hat_is_below_alpha_star_and_f_falls_by_what_the_proof_says(quadratic):
    recipe = proof(quadratic)
    records = run(quadratic, recipe, 200).records
    ratios = [it.adaptive.alpha_hat / it.adaptive.alpha_star for it in records]
    assert max(ratios) <= 1
    for it in records:
        assert it.f_after < it.f_before
        if it.number:
            assert it.f_before - it.f_after >= recipe.moments.C * it.gradient_norm**2


def test_eq_26_bounds_the_least_gradient(quadratic):
    recipe = proof(quadratic, epsilon=1.0)
    records = run(quadratic, recipe, 400).records
    assert records[0].adaptive.g_bound == inf
    least = inf
    for it in records[1:]:
        least = min(least, it.gradient_norm)
        bound = it.adaptive.g_bound
        assert least <= bound
        C, T = recipe.moments.C, it.number + 1
        assert bound**2 == pytest.approx(records[1].f_before / ((T - 1) * C))
    # In the paper's ranges the bound says nothing: ‖g‖ of a classifier is about 1.
    widest = Moments(0.1, 30.0, 50.0, xi=60.0)
    assert f"{np.sqrt(2.3 / (1449 * widest.C)):.0f}" == "360"
    assert f"{2.3 / (widest.C * widest.epsilon**2):.0e}" == "2e+10"


def test_with_algorithm_1s_beta1_no_xi_is_admissible():
    # Erratum H7: ξ > σ²β₁/(ε(1 - β₁) - β₁σ), whose denominator vanishes for β₁ = ε/(ε + σ).
    epsilon, sigma = 0.1, 50.0
    algorithms = epsilon / (epsilon + sigma)
    assert epsilon * (1 - algorithms) - algorithms * sigma == pytest.approx(0, abs=1e-15)
    beta1 = Moments(epsilon, sigma).beta1
    least = sigma**2 * beta1 / (epsilon * (1 - beta1) - beta1 * sigma)
    assert least == pytest.approx(sigma)


def test_only_the_gradient_is_a_conjugate_gradient_vector(problem):
    # Erratum H8: with g = -δ of CG the L of definition 1 grows without bound as y approaches x.
    objective, x, data = problem
    at = objective.linearize(x, data, engine="numpy")
    gradient = at.gradient()
    delta = pcg(lambda v: at.hvp(v) + v, -gradient, max_steps=50).x
    rng = np.random.default_rng(0)
    away = rng.standard_normal(x.size)
    u = away / norm(away)
    epsilon = np.finfo(float).eps
    for distance in (1e-1, 1e-3, 1e-5):
        s = (x + distance * u) - x
        f_y = objective.value(x + s, data, engine="numpy")
        of_gradient = conjugate_smoothness(at.value, f_y, gradient @ s, norm(s))
        of_delta = conjugate_smoothness(at.value, f_y, -delta @ s, norm(s))
        # With ∇f it is the curvature along s; with -δ a term 2 (∇f + δ)ᵀs/‖s‖² comes on top.
        on_top = 2 * (gradient + delta) @ s / norm(s) ** 2
        rounding = 16 * epsilon * (abs(f_y - at.value) + norm(gradient) * norm(s)) / norm(s) ** 2
        assert of_delta - of_gradient == pytest.approx(on_top, rel=16 * epsilon, abs=rounding)
    assert abs(on_top) > 1e3 * abs(of_gradient)


def test_smoothness_is_exact_on_a_quadratic(quadratic):
    records = run(quadratic, recipes.basic(), 1).records
    sigma, L = prerun(records)
    assert sigma == records[0].gradient_norm
    theta, moved = quadratic[1], run(quadratic, recipes.basic(), 1).theta
    step = moved - theta
    d = np.array([4.0, 2.0, 1.0, 0.5])
    assert pytest.approx(d @ step**2 / (step @ step)) == L
    assert isnan(conjugate_smoothness(1.0, 1.0, 0.0, 0.0))
    with pytest.raises(rop.RopError, match="prerun: records must have an iteration that moved"):
        prerun([])


def test_in_the_papers_ranges_the_moments_are_nearly_inactive():
    # Erratum H15: whatever came before, θ moves by α sign(δ), or by (α/ξ)δ with the proof's ξ.
    history = np.random.default_rng(0).standard_normal((20, 3))
    delta = np.array([1e-3, -0.2, 3.0])
    size = np.abs(delta)
    # The largest of the old δ, relative to the new one.
    old_over_new = np.abs(history).max() / size
    for epsilon, sigma, beta2 in ((1e-5, 100.0, 1e-10), (0.1, 30.0, 1e-4)):
        for xi, wanted, beside in (
            (1e-8, np.sign(delta), 0.0),
            (2 * sigma, delta / (2 * sigma), size / (2 * sigma)),
        ):
            moments, before = Moments(epsilon, sigma, beta2=beta2, xi=xi), None
            for t, old in enumerate([*history, delta], 1):
                direction, before, step = moments.advance(before, t, 1.0, old, old)
            assert step.beta1 <= 1.7e-3
            off = np.abs(direction / wanted - 1)
            bound = step.beta1 * (1 + old_over_new) + beta2 * (1 + old_over_new**2) + beside
            assert (off <= bound)[1:].all() and bound[1:].max() < 0.1


def test_a_unit_that_is_never_active_stays():
    for xi in (0.0, 1e-8):
        g = np.array([0.0, 1.0], np.float32)
        direction, _, _ = Moments(xi=xi).advance(None, 1, 1.0, g, -g)
        assert direction.dtype == np.float32
        np.testing.assert_allclose(direction, [0.0, -1.0], rtol=1e-6)


def test_a_vanishing_gradient_gives_no_step():
    zero = np.zeros(2)
    direction, _, step = Moments().advance(None, 1, 1.0, zero, zero)
    assert (step.alpha_hat, step.alpha_proof, step.alpha_star) == (0.0, 0.0, 0.0)
    assert not direction.any()


def test_a_step_size_that_is_not_positive_leaves_theta_where_it_is(quadratic):
    recipe = proof(quadratic).replace(epsilon=1e3)  # ‖g‖ is far below ε
    optimizer = HessianFree(*quadratic, recipe, engine="numpy", dtype=np.float64)
    next(optimizer)
    theta = optimizer.theta
    it = next(optimizer)
    assert it.adaptive.alpha_hat < 0 == it.step.alpha
    np.testing.assert_array_equal(optimizer.theta, theta)
    assert any("its step size is not above 0: theta stays" in event for event in it.events)


def test_without_a_line_search_f_may_rise_but_stays_finite():
    step = NoLineSearch().search(lambda alpha: 2.0, 1.0, -1.0, first=0.5)
    assert (step.alpha, step.f, step.outcome) == (0.5, 2.0, "unchecked")
    for value in (inf, nan):
        step = NoLineSearch().search(lambda alpha, value=value: value, 1.0, -1.0)
        assert (step.alpha, step.f, step.outcome) == (0.0, 1.0, "rejected")


def test_a_rise_is_said_and_a_line_search_prevents_it(quadratic):
    recipe = proof(quadratic, L=1e-3)  # far too small a bound, so the steps are far too long
    records = run(quadratic, recipe, 5).records
    assert any("f rose, and the step was taken unchecked" in it.events for it in records)
    searched = run(quadratic, replace(recipe, line_search=Armijo()), 5).records
    assert all(it.f_after <= it.f_before for it in searched)
    assert searched[0].step.trials[0][0] == searched[0].adaptive.alpha_hat
