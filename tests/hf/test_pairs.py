"""Quasi-Newton pairs against dense matrices; CG's length and forcing terms; what they give."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from dense_bfgs import started
from hypothesis import given
from hypothesis import strategies as st

import rop
from rop.hf import Forcing, HessianFree, Length, Limit, QuasiNewton, Recipe, minimize, pcg, vectors
from rop.hf.pairs import Corrected, Memory, Sample


def matrix(n, seed=0):
    R = np.random.default_rng(seed).standard_normal((n, n))
    return R @ R.T + np.eye(n)


@pytest.mark.parametrize("preconditioned", [False, True])
def test_the_correction_is_that_of_the_dense_bfgs_matrix(preconditioned):
    A, rng = matrix(7), np.random.default_rng(1)
    pairs = np.array([(s, A @ s) for s in rng.standard_normal((4, 7))])
    d = rng.uniform(0.5, 2, 7) if preconditioned else np.ones(7)
    s, y = pairs[-1]
    H = started(np.diag(d), pairs)
    correct = Corrected((lambda r: d * r) if preconditioned else None, pairs)
    for r in np.eye(7):
        np.testing.assert_allclose(correct(r), H @ r, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(correct(y), s, rtol=1e-10)  # the secant equation


def test_all_pairs_of_a_whole_run_of_cg_are_the_inverse():
    A, b = matrix(6), np.arange(1.0, 7.0)
    solution = pcg(A, b, pairs=6, max_steps=6)
    for p, Ap in solution.pairs:
        np.testing.assert_allclose(Ap, A @ p, rtol=1e-9)
    pairs = QuasiNewton().update(None, solution.pairs, Memory())
    other = np.random.default_rng(2).standard_normal(6)
    np.testing.assert_allclose(Corrected(None, pairs)(other), np.linalg.solve(A, other), rtol=1e-6)


def test_the_latest_pairs_with_positive_curvature_are_kept():
    e = np.eye(3)
    rule, memory = QuasiNewton(most=2), Memory()
    assert (
        rule.update(None, [(e[0], -e[0]), (e[0], e[1]), (e[0], np.full(3, np.nan))], memory) is None
    )
    pairs = rule.update(None, [(e[0], e[0])], memory)
    pairs = rule.update(pairs, [(e[1], 2 * e[1]), (e[2], 3 * e[2])], memory)
    np.testing.assert_array_equal(pairs, [(e[1], 2 * e[1]), (e[2], 3 * e[2])])


@pytest.mark.parametrize("n, dtype, number", [
    (650, np.float64, 160), (6040, np.float64, 86), (6040, np.float32, 160),
    (52_552, np.float32, 20), (842_000, np.float32, 20),
])  # fmt: skip
def test_the_number_of_pairs_follows_from_their_memory(n, dtype, number):
    theta = np.zeros(n, dtype)
    assert QuasiNewton().number(theta) == number
    assert QuasiNewton(most=7).number(theta) == 7


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=30), st.integers(1, 6))
def test_memory_keeps_what_it_returned(appended, most):
    memory, returned, serial = Memory(), [(None, [])], 0
    for of, count in appended:
        pairs, expected = returned[-1 - of % len(returned)]  # also what was returned long ago
        new = [(np.full(3, serial + i), np.full(3, -serial - i)) for i in range(1, count + 1)]
        serial += count
        new = new[-most:]
        returned.append((memory.append(pairs, new, most), [*expected, *new][-most:]))
        for found, wanted in returned[1:]:
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_long_vectors_are_corrected_as_short_ones(monkeypatch, dtype, tolerance):
    A, rng = matrix(30), np.random.default_rng(3)
    pairs = np.array([(s, A @ s) for s in rng.standard_normal((9, 30))]).astype(dtype)
    r = rng.standard_normal(30).astype(dtype)
    short = Corrected(None, pairs)(r)
    monkeypatch.setattr(vectors, "_LONG", 1)
    np.testing.assert_allclose(Corrected(None, pairs)(r), short, rtol=tolerance)


def test_a_run_goes_on_from_an_earlier_state_with_the_same_bits():
    a = rop.param("a", 2)
    f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    recipe = Recipe(pairs=QuasiNewton(most=4))
    run = HessianFree(f, [-1.2, 1.0], {}, recipe, dtype=np.float64)
    for _ in range(6):
        next(run)
    earlier = run.state
    first = [next(run).f_after for _ in range(8)]
    run.state = earlier
    assert [next(run).f_after for _ in range(8)] == first


@pytest.mark.parametrize(
    "steps, taken", [(3, [0, 1, 2]), (5, [0, 2, 4]), (9, [0, 4, 8]), (16, [0, 4, 8, 12])]
)
def test_a_sample_is_spread_over_the_run(steps, taken):
    sample = Sample(4)
    for j in range(steps):
        sample.add(np.array([1.0 * j]), np.array([2.0 * j]))
    assert [(p[0], Ap[0]) for p, Ap in sample.pairs] == [(j, 2 * j) for j in taken]


def test_forcing_stops_cg_in_the_norm_of_the_preconditioner():
    A, b, d = matrix(40, 3), np.ones(40), np.linspace(0.1, 3, 40)
    for eta in (0.5, 1e-3):
        solution = pcg(A, b, None, np.diag(d), forcing=eta, store=range(1, 400))
        sizes = [np.sqrt((r := A @ it.x - b) @ (d * r)) for it in solution.iterates]
        enough = eta * np.sqrt(b @ (d * b))
        assert solution.reason == "residual"
        assert sizes[-1] <= enough * (1 + 1e-6) and min(sizes[:-1]) > enough


def test_forcing_terms_follow_the_gradient():
    rule = Forcing(gamma=0.9, most=0.5, least=1e-3)
    assert rule.eta(1.0, np.nan) == rule.eta(2.0, 1.0) == 0.5
    assert rule.eta(1.0, 10.0) == pytest.approx(0.009)
    assert rule.eta(1.0, 1e6) == 1e-3


@pytest.mark.parametrize(
    "length, rho, steps, chosen, after",
    [(8, 0.6, 8, 8, 16), (8, 0.6, 5, 5, 8), (200, 0.9, 200, 200, 250), (8, 0.4, 8, 8, 5),
     (8, 0.4, 8, 3, 4), (8, -np.inf, 8, 7, 8), (1, -np.inf, 1, 0, 1), (8, np.nan, 8, 8, 5),
     (1, 0.6, 1, 1, 2)],
)  # fmt: skip
def test_the_length_follows_the_model(length, rho, steps, chosen, after):
    found = Length().update(Limit(length), 250, rho=rho, steps=steps, chosen=chosen)
    assert found.steps == after


def attempts(rule, cost, rhos):
    """The limits of runs whose ρ follow each other, each run as long as it may be."""
    limit, found = Limit(1), []
    for rho in rhos:
        steps = limit.steps
        limit = rule.update(limit, 99, rho=rho, steps=steps, chosen=1, cost=cost)
        found.append(limit.steps)
    return found


def test_longer_runs_wait_twice_as_long_after_each_that_fails():
    good, bad = 0.9, -np.inf
    rhos = [good, bad, good, good, bad, *[good] * 4, bad, *[good] * 4]
    expected = [2, 1, 1, 2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 2]
    assert attempts(Length(patience=4), 0.1, rhos) == expected
    # A bad run of one step counts from anew, and a longer run that holds forgets the failures.
    assert attempts(Length(), 0.1, [good, bad, good, bad, good, good]) == [2, 1, 1, 1, 1, 2]
    held = [good, bad, good, good, good, bad, bad, good, good]
    assert attempts(Length(), 0.1, held) == [2, 1, 1, 2, 4, 1, 1, 1, 2]


def test_one_step_goes_on_for_the_work_of_two_products():
    at_once = Length(patience=1)
    assert attempts(at_once, 0.6, [0.9] * 3) == [1, 2, 4]
    assert attempts(at_once, 4 / 3, [0.9] * 4) == [1, 1, 2, 4]
    assert attempts(at_once, 2.0, [0.9] * 4) == [1, 1, 1, 2]


def test_where_products_are_dear_longer_runs_always_wait():
    good, bad = 0.9, -np.inf
    rhos = [good] * 6 + [bad] + [good] * 7
    expected = [1] * 5 + [2, 1] + [1] * 5 + [2, 4]
    assert attempts(Length(patience=2), 4 / 3, rhos) == expected


@pytest.mark.parametrize(
    "q, cost, cut_off, after",
    [((0, -3, -9.1), 1.0, True, 4), ((0, -3, -8), 1.0, True, 1),
     ((0, -1, -5, -6, -6.1), 1.0, True, 2), ((0, -1, -5, -6, -6.1), 0.9, True, 8),
     ((0, -3, -8), 1.0, False, 4)],
)  # fmt: skip
def test_where_products_are_dear_longer_runs_must_pay(q, cost, cut_off, after):
    steps = len(q) - 1
    limit = Length().update(
        Limit(steps), 99, rho=1.0, steps=steps, chosen=steps, q=q, cost=cost, cut_off=cut_off
    )
    assert limit.steps == after


def test_a_step_of_lbfgs_is_the_minimum_of_the_pairs_model():
    A, b = matrix(6), np.arange(1.0, 7.0)
    rule = QuasiNewton()
    pairs = rule.update(None, pcg(A, np.ones(6), pairs=6, max_steps=6).pairs, Memory())
    solution = rule.step(b, rule.inverse(None, pairs))
    x = np.linalg.solve(A, b)
    (iterate,) = solution.iterates
    np.testing.assert_allclose(iterate.x, x, rtol=1e-6)
    assert iterate.q == pytest.approx(x @ A @ x / 2 - b @ x, rel=1e-9)
    assert (solution.reason, solution.products, iterate.steps) == ("pairs", 0, 1)


def test_a_rejected_step_of_lbfgs_is_followed_by_one_of_cg():
    run = HessianFree(*logistic(), dtype=np.float64)
    next(run)
    s, y = run.state.pairs[-1]
    run.state = replace(run.state, pairs=np.array([(s, 1e-9 * y)]))  # a step 1e9 times too long
    run.recipe = run.recipe.replace(trials=3)
    first, second = next(run), next(run)
    assert (first.cg.reason, first.step.alpha, second.cg.products) == ("pairs", 0.0, 1)
    assert second.f_after < first.f_before


def logistic(scale=1.0, unit=1.0, l2=1e-2):
    """Logistic regression, strongly convex: scale · f(θ / unit), and the penalty."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 12)) * np.geomspace(0.1, 3, 12)
    t = (X @ rng.standard_normal(12) + rng.standard_normal(200) > 0).astype(float)
    w = rop.param("w", 12) * (1 / unit)
    loss = rop.SigmoidCrossEntropy(rop.data("t"), weight=np.array(scale))
    z = rop.dot(w, rop.data("x", 12))
    return rop.Objective(z, loss, l2=l2), np.zeros(12), {"x": X, "t": t}


EAGER = Recipe(length=Length(patience=1))  # longer runs of CG, although products are dear


def test_the_end_is_superlinear():
    run = HessianFree(*logistic(), EAGER, dtype=np.float64, gradient_norm=1e-13)
    norms = [it.gradient_norm for it in run]
    assert run.ended in ("gradient", "precision")
    rates = [after / before for before, after in pairwise(norms) if before > 1e-10]
    assert rates[-1] < 0.01 and rates[-1] < rates[-3] / 3
    objective, _, data = logistic()
    at = objective.linearize(run.theta, data)
    gradient = at.gradient()
    left = gradient @ np.linalg.solve(at.H.matrix(), gradient) / 2
    assert left <= np.finfo(np.float64).eps * at.value  # f cannot tell θ from the minimum


def test_where_products_are_dear_pairs_come_to_the_same_end_with_less_work():
    def work_and_f(recipe):
        found = minimize(*logistic(), recipe, iterations=60, dtype=np.float64)
        works = [it.work for it in found.records]
        return sum(it.gradients + 4 / 3 * it.products for it in works), found.fun

    (eager, least), (usual, f) = work_and_f(EAGER), work_and_f(Recipe())
    assert f == pytest.approx(least, rel=1e-14)
    assert usual < eager / 1.5


@pytest.mark.parametrize("scale, unit", [(1e6, 1.0), (1e-6, 1.0), (1.0, 1e3), (1e6, 1e-3)])
def test_the_units_of_f_and_theta_leave_the_path_unchanged(scale, unit):
    usual = minimize(*logistic(l2=0.0), iterations=7, dtype=np.float64)
    other = minimize(*logistic(scale, unit, 0.0), iterations=7, dtype=np.float64)
    np.testing.assert_allclose(other.theta / unit, usual.theta, rtol=1e-6)
    for a, b in zip(usual.records, other.records, strict=True):
        assert (a.cg.steps, a.chosen, a.length_after) == (b.cg.steps, b.chosen, b.length_after)


def test_the_first_update_is_one_step_along_the_preconditioned_gradient():
    objective, theta, data = logistic()
    run = HessianFree(objective, theta, data, dtype=np.float64)
    it = next(run)
    at = objective.linearize(theta, data)
    d = at.diagonal("empirical-fisher")
    direction = at.gradient() / (d + 0.1 * d.mean()) ** 0.75
    step = run.theta - theta
    np.testing.assert_allclose(step / np.linalg.norm(step), -direction / np.linalg.norm(direction))
    assert (it.cg.steps, it.length_before, it.pairs) == (1, 1, 0)
    s, y = run.state.pairs[-1]
    np.testing.assert_allclose(s, step)
    gradient = objective.linearize(run.theta, data).gradient()
    np.testing.assert_allclose(y, gradient - at.gradient(), rtol=1e-9)


def test_what_is_adapted_is_explained():
    records = minimize(*logistic(), EAGER, iterations=8, dtype=np.float64).records
    longer = next(it for it in records if it.length_after > it.length_before)
    assert f"the model holds: CG's limit {longer.length_before} →" in longer.explain()
    left = [it.cg.steps + 1 if it.cg.steps > 1 else 1 for it in records]
    assert [it.pairs for it in records] == [sum(left[:k]) for k in range(len(records))]
    waiting = next(it for it in records if it.length_after == it.length_before == 1)
    assert "a longer run waits for more good steps" in waiting.explain()
    assert "δ is a step of L-BFGS" in records[1].explain()
    assert not any("λ" in it.explain() for it in records)


def test_without_pairs_and_length_recipes_are_the_papers():
    recipe = Recipe(pairs=None, length=None)
    records = minimize(*logistic(), recipe, iterations=3, dtype=np.float64).records
    assert {(it.pairs, it.length_before, it.length_after, it.rho_last) for it in records} == {
        (0, None, None, None)
    }


def test_pairs_that_rounding_errors_decide_are_left():
    """Saturated units in float32: the pairs made rᵀHr negative."""
    x, z = rop.nets.mlp([7, 2, 4], "tanh")
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 4)), l2=1e-8)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        data = {"x": 1e4 * rng.standard_normal((100, 7)), "t": 100 * rng.standard_normal((100, 4))}
        theta = rng.standard_normal(objective.n)
        assert minimize(objective, theta, data, iterations=40).fun < objective.value(theta, data)


SEPARABLE = {
    # sigmoid outputs that saturate, and a softmax of few cases; each once ended with an error.
    "sigmoid": (rop.SigmoidCrossEntropy, 1e3, 1.0),
    "softmax": (rop.SoftmaxCrossEntropy, 1e3, 10.0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SEPARABLE)
def test_losses_that_fall_to_zero(name, dtype):
    """Curvature and gradient fall by powers of ten an iteration, and steps overflow."""
    loss, size, spread = SEPARABLE[name]
    x, z = rop.nets.mlp([6, 7, 4], "softplus")
    t = rop.data("t", 4)
    objective = rop.Objective(z, loss(t))
    for seed in range(40):
        rng = np.random.default_rng(seed)
        targets = np.eye(4)[rng.integers(0, 4, 5)]
        data = {"x": size * rng.standard_normal((5, 6)).astype(dtype), "t": targets.astype(dtype)}
        theta = (spread * rng.standard_normal(objective.n)).astype(dtype)
        result = minimize(objective, theta, data, iterations=60, dtype=dtype)
        assert np.isfinite(result.theta).all()
        assert result.fun <= objective.value(theta, data)
        assert result.reason != "undefined"
