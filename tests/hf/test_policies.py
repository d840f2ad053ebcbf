"""Policies at work in whole iterations: schedules, starts, regions, held-out cases, failures."""

from dataclasses import dataclass, replace
from math import inf

import numpy as np
import pytest
from damped import damped

import rop
from rop.hf import (
    Armijo,
    Backtracking,
    Batches,
    ChapelleErhan,
    ConjugateGradient,
    EmpiricalFisher,
    Every,
    ExactDiagonal,
    HessianFree,
    KrylovDescent,
    LanczosTrustRegion,
    LastIterate,
    LevenbergMarquardt,
    Moments,
    NoPreconditioner,
    Ramp,
    Recipe,
    ScaleSensitive,
    Tikhonov,
    TrustRegion,
    Undamped,
    recipes,
)
from rop.hf.line_search import Step
from rop.hf.vectors import norm
from rop.objective.linearization import products_of

EXACT = ConjugateGradient(max_steps=500, progress=None, residual=1e-13, forcing=None)


def start(problem, recipe, **settings):
    settings = {"engine": "numpy", "dtype": np.float64} | settings
    return HessianFree(*problem, recipe, **settings)


def take(optimizer, count):
    return [it for _, it in zip(range(count), optimizer, strict=False)]


@pytest.mark.ci
@pytest.mark.parametrize(
    "recipe",
    [
        recipes.validated2012(lam=1.0),
        recipes.momentum2012(batch=0.75, iterations=40),
        recipes.basic(),
        Recipe(moments=Moments(epsilon=1.0, sigma=2.0, beta2=0.9, xi=1.0, size=None)),
        Recipe(damping=ScaleSensitive(0.1), preconditioner=ExactDiagonal(relative_kappa=1e-2)),
        Recipe(damping=ScaleSensitive(0.1, method="chapelle-erhan", relative_kappa=0.1),
               preconditioner=ChapelleErhan(probes=2)),
        Recipe(cg=ConjugateGradient(region=TrustRegion(0.5)), damping=Undamped()),
        Recipe(cg=ConjugateGradient(region=TrustRegion(0.1)), damping=Undamped(),
               preconditioner=EmpiricalFisher(kappa=1e-2)),
        Recipe(cg=LanczosTrustRegion(TrustRegion(0.5)), damping=Undamped()),
        Recipe(cg=LanczosTrustRegion(TrustRegion(0.5)), damping=Undamped(), curvature="hessian",
               selection=LastIterate()),
        Recipe(cg=KrylovDescent(), damping=Undamped(), selection=LastIterate()),
        Recipe(Batches(gradient=Ramp(20, 60, 0, 10), held_out=20), start="chosen", restart=5),
    ],
    ids=["validated2012", "momentum2012", "basic", "moments", "diag", "chapelle-erhan", "steihaug",
         "elliptical", "gltr", "gltr-hessian", "ksd", "growing"],
)  # fmt: skip
def test_it_learns_repeats_bit_by_bit_and_can_be_taken_up_again(problem, recipe):
    whole = start(problem, recipe)
    records = take(whole, 30)
    objective, theta, data = problem
    # Quadratic models of very different make: all must get most of the way down.
    assert objective.value(whole.theta, data) < 0.4 * objective.value(theta, data)
    again = start(problem, recipe)
    take(again, 7)
    resumed = start(problem, recipe)
    resumed.state = again.state
    rest = take(resumed, 23)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    for one, other in zip(records[7:], rest, strict=True):
        assert replace(one, seconds={}) == replace(other, seconds={})
        assert one.f_after <= one.f_before


@pytest.mark.parametrize("recipe", [recipes.validated2012(lam=1.0), recipes.momentum2012()])
def test_records_of_the_recipes_are_complete(problem, recipe):
    from rop.hf.storage import decode, encode

    it = take(start(problem, recipe), 3)[-1]
    assert decode(encode(it)) == it
    assert encode(recipe)["class"] == "Recipe"


def test_the_radius_is_adapted_and_lam_is_not(problem):
    cg = LanczosTrustRegion(TrustRegion(0.3))
    recipe = damped(cg=cg, damping=Undamped(), preconditioner=NoPreconditioner())
    records = take(start(problem, recipe), 12)
    radius = 0.3
    for it in records:
        assert it.radius_before == radius
        assert it.step_norm <= it.step.alpha * radius * (1 + 1e-9)
        boundary = it.cg.reason == "boundary"
        radius = recipe.cg.region.adapt(radius, it.rho_judged, boundary)
        assert it.radius_after == radius
        assert (it.cg.multiplier > 0) == boundary
        assert not it.cg.warm
        assert it.lam_after == 0.0
    assert records[-1].radius_after != 0.3


def test_a_trust_region_is_invariant_to_the_scale_of_f():
    def scaled(beta):
        rng = np.random.default_rng(0)
        z = rop.tanh(rop.dot(rop.param("w", 5), rop.data("x", 5)))
        loss = rop.SquaredError(rop.data("t"), weight=np.array(beta))
        data = {"x": rng.standard_normal((40, 5)), "t": rng.uniform(-1, 1, 40)}
        return rop.Objective(z, loss), np.full(5, 0.3), data

    cg = LanczosTrustRegion(TrustRegion(0.2), tolerance=1e-12)
    recipe = damped(
        cg=cg,
        damping=Undamped(),
        preconditioner=NoPreconditioner(),
        selection=LastIterate(),
    )
    paths = []
    for beta in (1.0, 1000.0):
        optimizer = start(scaled(beta), recipe)
        take(optimizer, 6)
        paths.append(optimizer.theta)
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-7)


def test_weight_decay_is_switched_off_near_the_end(problem):
    objective, _, data = problem
    recipe = Recipe(l2=Ramp(0.1, 0.0, 3, 3), pairs=None)
    optimizer = start(problem, recipe)
    bare = rop.Objective(objective.z, objective.loss, l2=0.0, params=objective.parameters)
    for k in range(6):
        theta = optimizer.theta
        it = next(optimizer)
        l2 = 0.1 if k < 3 else 0.0
        assert it.settings.l2 == l2
        at = bare.linearize(theta, data, engine="numpy")
        gradient = at.gradient() + l2 * theta
        assert it.f_before == pytest.approx(at.value + l2 / 2 * theta @ theta, rel=1e-12)
        assert it.gradient_norm == pytest.approx(norm(gradient), rel=1e-9)
        delta = (optimizer.theta - theta) / it.step.alpha
        curvature = delta @ at.ggnvp(delta) + l2 * delta @ delta
        assert it.q == pytest.approx(gradient @ delta + curvature / 2, rel=1e-7)
    assert objective.l2 == 1e-3  # the user's own is not touched
    assert Recipe().settings(0).l2 is None


def test_the_learning_rate_is_the_first_alpha(problem):
    recipe = damped(learning_rate=Ramp(1.0, 0.25, 2, 2))
    records = take(start(problem, recipe), 4)
    assert [it.step.trials[0][0] for it in records] == [1.0, 1.0, 0.25, 0.25]
    assert [it.settings.learning_rate for it in records] == [1.0, 1.0, 0.25, 0.25]
    # rho is still that of the full update (erratum M17).
    it = records[-1]
    assert it.rho == pytest.approx((it.f_curvature[1] - it.f_curvature[0]) / it.q)
    assert it.f_after != it.f_curvature[1]


def test_a_learning_rate_of_alpha_damps_by_multiples_of_b():
    # α = 1/(1 + λ) for D = B, for exact solves (erratum M52).
    rng = np.random.default_rng(0)
    X, T = rng.standard_normal((30, 4)), rng.standard_normal(30)
    f = rop.Objective(rop.dot(rop.param("w", 4), rop.data("x", 4)), rop.SquaredError(rop.data("t")))
    recipe = damped(damping=Undamped(), cg=EXACT, selection=LastIterate(), learning_rate=0.4)
    optimizer = start((f, np.zeros(4), {"x": X, "t": T}), recipe)
    next(optimizer)
    B, g = X.T @ X / 30, -X.T @ T / 30
    lam = 1 / 0.4 - 1
    np.testing.assert_allclose(optimizer.theta, -np.linalg.solve(B + lam * B, g), rtol=1e-9)


def test_decay_and_the_limit_of_cg_follow_their_ramps(problem):
    recipe = damped(
        decay=Ramp(0.5, 0.9, 1, 3),
        cg=ConjugateGradient(Ramp(8, 4, 1, 5), forcing=None),
        selection=LastIterate(),
    )
    optimizer = start(problem, recipe)
    records = take(optimizer, 6)
    assert [it.settings.decay for it in records] == pytest.approx([0.5, 0.5, 0.7, 0.9, 0.9, 0.9])
    assert [it.cg.steps for it in records] == [8, 8, 7, 6, 5, 4]
    assert [it.settings.max_steps for it in records] == [8, 8, 7, 6, 5, 4]


@pytest.mark.parametrize("which", ["last", "chosen", "best"])
def test_the_next_run_starts_from_the_wanted_iterate(problem, which):
    recipe = damped(
        batches=Batches(curvature=0.5, seed=None),
        damping=Tikhonov(1e-3),
        selection=Backtracking(Every(3)),
        start=which,
    )
    optimizer = start(problem, recipe)
    told_apart = 0
    for _ in range(10):
        theta = optimizer.theta
        it = next(optimizer)
        if optimizer.state.start is None:
            continue
        f = dict(it.f_watched)
        curvature = {name: array[it.cases.curvature.index] for name, array in problem[2].items()}
        at_start = problem[0].value(theta + optimizer.state.start, curvature, engine="numpy")
        if which == "best":
            assert set(it.cg.stored) <= set(f)
            assert at_start == pytest.approx(min(f[s] for s in it.cg.stored), rel=1e-12)
            told_apart += min(f, key=f.get) not in (it.cg.steps, it.chosen)
        elif which == "chosen":
            moved = (optimizer.theta - theta) / it.step.alpha
            np.testing.assert_allclose(optimizer.state.start, moved, rtol=1e-6, atol=1e-9)
            told_apart += it.chosen != it.cg.steps
        else:
            told_apart += it.chosen != it.cg.steps
    assert told_apart


def test_restarts_begin_from_0(problem):
    records = take(start(problem, damped(restart=3, cg=ConjugateGradient(8, forcing=None))), 10)
    assert [it.cg.warm for it in records] == [k % 3 != 0 for k in range(10)]


def test_a_run_that_reached_the_minimum_is_not_gone_on_with(problem):
    records = take(start(problem, damped(cg=EXACT)), 4)
    assert {it.cg.reason for it in records} == {"residual"}
    assert not any(it.cg.warm for it in records)


def test_the_reduction_can_be_that_of_the_gradients_cases(problem):
    batches = Batches(curvature=10, selection=20)
    for reduction in ("curvature", "gradient"):
        recipe = damped(batches=batches, reduction=reduction, cg=ConjugateGradient(8))
        for it in take(start(problem, recipe), 6):
            before, after = {
                "curvature": it.f_curvature,
                "gradient": (it.f_before, it.step.trials[0][1]),
            }[reduction]
            rho = (after - before) / it.q if after <= before else -np.inf
            assert it.rho == pytest.approx(rho)
            assert it.step.trials[0][1] != it.f_curvature[1]


def test_overfitting_of_a_minibatch_is_monitored(problem):
    objective, _, data = problem
    recipe = damped(batches=Batches(gradient=6, held_out=40), damping=Tikhonov(1e-3), cg=EXACT)
    optimizer = start(problem, recipe)
    overfit = 0
    for _ in range(12):
        theta = optimizer.theta
        it = next(optimizer)
        held = {name: array[it.cases.held_out.index] for name, array in data.items()}
        values = [objective.value(x, held, engine="numpy") for x in (theta, optimizer.theta)]
        assert it.f_held_out == pytest.approx(tuple(values), rel=1e-12)
        rose = values[1] > values[0]
        assert any("overfits its minibatch" in event for event in it.events) == rose
        overfit += rose
    assert overfit  # six cases are few
    assert take(start(problem, Recipe()), 1)[0].f_held_out is None


@dataclass(frozen=True)
class Refuse(Armijo):
    """A line search that takes nothing."""

    def search(self, f, f_before, slope, f_full=None, first=1.0):
        return Step(0.0, f_before, slope, ((1.0, f_full),), "rejected")


def test_a_failed_update_raises_lam_and_shrinks_the_region_however_good_rho_was(problem):
    it = next(start(problem, damped(damping=Tikhonov(100.0), line_search=Refuse())))
    assert it.rho > 0.75
    assert (it.rho_judged, it.lam_after) == (-inf, 150.0)
    assert any("theta stays, lam rises" in event for event in it.events)
    region = damped(
        cg=ConjugateGradient(region=TrustRegion(0.01)),
        damping=Undamped(),
        preconditioner=EmpiricalFisher(kappa=1e-2),
        line_search=Refuse(),
    )
    it = next(start(problem, region))
    assert it.radius_after == pytest.approx(0.01 / 1.5)


def test_the_damped_model_gives_the_smaller_ratio_and_the_rule_says_which_counts(problem):
    for rule in (recipes.martens2010().damping.rule, recipes.validated2012().damping.rule):
        records = take(start(problem, Recipe(damping=Tikhonov(1.0, rule))), 8)
        for it in records:
            assert it.rho_judged == (it.rho if rule.model == "undamped" else it.rho_damped)
            if it.rho > 0:
                # The damped q promises less, so what came true is the larger share of it.
                assert it.rho < it.rho_damped
    assert recipes.martens2010().damping.rule.lowest < 1.9e-18
    with pytest.raises(rop.RopError, match="model must be 'undamped' or 'damped'"):
        LevenbergMarquardt(model="neither")


def test_lam_at_either_bound_is_said_and_kept(problem):
    low = LevenbergMarquardt(lowest=0.9, highest=2.0)
    records = take(start(problem, Recipe(damping=Tikhonov(1.0, low))), 3)
    assert records[-1].lam_after == 0.9
    assert "lam is at its bound 0.9" in records[-1].events
    refused = Recipe(damping=Tikhonov(1.0, low), line_search=Refuse())
    records = take(start(problem, refused), 3)
    assert records[-1].lam_after == 2.0
    assert "lam is at its bound 2" in records[-1].events


def test_basic_goes_downhill_where_the_hessian_has_no_minimum():
    # f = ½ (p² - 1)² has a maximum at 0, beside which CG finds no positive curvature.
    p = rop.param("p")
    objective = rop.Objective(p**2, rop.SquaredError(1.0))
    optimizer = start((objective, [0.1], {}), recipes.basic())
    it = next(optimizer)
    assert (it.cg.reason, it.cg.steps) == ("negative curvature", 1)
    assert it.q < 0 and it.f_after < it.f_before
    take(optimizer, 30)
    np.testing.assert_allclose(optimizer.theta, 1.0, rtol=1e-6)


def test_basic_takes_newtons_steps_near_a_minimum(problem):
    recipe = recipes.martens2010(curvature=1.0, lam=1.0)
    near = start(problem, recipe, gradient_norm=1e-3)
    take(near, 200)
    optimizer = start((problem[0], near.theta, problem[2]), recipes.basic())
    at = problem[0].linearize(near.theta, problem[2], engine="numpy")
    assert np.linalg.eigvalsh(at.H.matrix())[0] > 0
    newton = near.theta - np.linalg.solve(at.H.matrix(), at.gradient())
    next(optimizer)
    assert norm(optimizer.theta - newton) <= 1e-3 * norm(newton - near.theta)
    norms = [it.gradient_norm for it in take(optimizer, 4)]
    assert norms[-1] < 1e-9


def bounded(problem, gradient, curvature):
    """Return the least q without damping, and ½∇LᵀL''⁺∇L on the curvature's cases."""
    objective, theta, data = problem
    on = {name: array[curvature] for name, array in data.items()}
    at = objective.linearize(theta, on, engine="numpy")
    g = objective.linearize(
        theta, {name: array[gradient] for name, array in data.items()}, engine="numpy"
    ).gradient()
    values, V = np.linalg.eigh(at.G.matrix())
    inside = values > 1e-10 * values[-1]
    c = V.T @ g
    least = -0.5 * np.sum(c[inside] ** 2 / values[inside])
    if norm(c[~inside]) > 1e-9 * norm(g):
        least = -inf
    L1, L2 = at.loss_gradient(), products_of(at).loss_hessians()
    bound = 0.5 * np.einsum("ni,nij,nj->", L1, np.linalg.pinv(L2, hermitian=True), L1)
    return least, bound


@pytest.mark.parametrize("loss", ["softmax", "squared"])
def test_equal_batches_bound_the_predicted_decrease_and_unequal_ones_do_not(problem, loss):
    # Sec. 12.1, erratum M63: q(δ) >= -½ ∇Lᵀ L''⁺ ∇L, which for squared errors is f itself.
    objective, theta, data = problem
    made = rop.SquaredError(rop.data("t", 3)) if loss == "squared" else objective.loss
    bare = rop.Objective(objective.z, made, l2=0.0)
    few, more = slice(0, 7), slice(0, 60)
    least, bound = bounded((bare, theta, data), few, few)
    assert -bound * (1 + 1e-9) <= least < 0
    assert least < -0.5 * bound  # 51 parameters and 7 cases of 3 outputs: nearly all is promised
    if loss == "squared":
        batch = {name: array[few] for name, array in data.items()}
        assert bound == pytest.approx(bare.value(theta, batch), rel=1e-12)
    assert bounded((bare, theta, data), more, few)[0] == -inf
    # CG sees it as a direction without curvature, or as a q far below the bound.
    recipe = damped(batches=Batches(curvature=7, seed=None), damping=Undamped(), cg=EXACT,
                    selection=LastIterate(), line_search=Armijo())  # fmt: skip
    it = next(start((bare, theta, data), recipe))
    assert it.cg.reason == "negative curvature" or it.q < -bound
    equal = replace(recipe, batches=Batches(gradient=7, seed=None))
    it = next(start((bare, theta, data), equal))
    assert -bound * (1 + 1e-6) <= it.q < 0
