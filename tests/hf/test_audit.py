"""Findings of an audit against the paper: each of them stays mended."""

from dataclasses import replace

import numpy as np
import pytest

import rop
from rop.hf import (
    Backtracking,
    ChapelleErhan,
    ConjugateGradient,
    EmpiricalFisher,
    Every,
    ExactDiagonal,
    GivenDiagonal,
    HessianFree,
    KrylovDescent,
    LanczosTrustRegion,
    LastIterate,
    LevenbergMarquardt,
    NoPreconditioner,
    Recipe,
    ScaleSensitive,
    Structural,
    Tikhonov,
    TrustRegion,
    Undamped,
    minimize,
    recipes,
)
from rop.hf.schedules import value_at
from rop.hf.solution import Iterate, Solution


def run(problem, recipe, **settings):
    return HessianFree(*problem, recipe, engine="numpy", dtype=np.float64, **settings)


def well(theta, convexify=None):
    """Return f = exp(-½ z²) + 0.1 (z - 3)², whose L'' is negative near z = 0 only."""
    z = rop.param("w", 1) * rop.data("x", 1)
    away = z - 3.0
    loss = rop.exp(-0.5 * rop.dot(z, z)) + 0.1 * rop.dot(away, away)
    objective = rop.Objective(z, rop.LossGraph(loss, convexify=convexify))
    return objective, np.array([theta]), {"x": np.ones((5, 1))}


def test_scale_sensitive_damping_refuses_an_indefinite_g_and_names_the_remedy():
    recipe = Recipe(damping=ScaleSensitive(0.1), preconditioner=NoPreconditioner())
    with pytest.raises(rop.RopError, match=r'ScaleSensitive: diag.*convexify="eigen"'):
        next(run(well(0.1), recipe))
    it = next(run(well(2.0), recipe))
    assert it.f_after < it.f_before


UNDEFINED = [
    (Recipe(preconditioner=ChapelleErhan(kappa=1.0), pairs=None), "ChapelleErhan: .*semidefinite"),
    (Recipe(damping=ScaleSensitive(0.1), preconditioner=NoPreconditioner()), "ScaleSensitive: "),
    (
        Recipe(damping=Undamped(), preconditioner=ExactDiagonal(), pairs=None),
        r"ExactDiagonal: d \+ κ must be",
    ),
]


@pytest.mark.parametrize("recipe, words", UNDEFINED, ids=["sqrt of L''", "D", "P"])
def test_a_policy_that_is_undefined_ends_a_run_without_an_exception(recipe, words):
    with pytest.raises(rop.RopError, match=words):  # at θ_0 there is nothing to lose
        next(run(well(0.1), recipe))
    optimizer = run(well(2.0), recipe)
    assert next(optimizer).number == 0
    optimizer.state = replace(optimizer.state, theta=np.array([0.1]))
    assert next(optimizer, None) is None
    assert optimizer.ended == "undefined"
    with pytest.raises(rop.RopError, match=words):
        raise optimizer.error
    np.testing.assert_array_equal(optimizer.theta, [0.1])


def test_minimize_keeps_the_records_of_a_run_that_ends_undefined():
    # One step of -∇f leads from z = 2 into the region where L'' is negative.
    class Backwards(Undamped):
        def matrix(self, at, mu, seed, /):
            if at.theta[0] != 2.0:
                ScaleSensitive(1.0).matrix(at_origin, mu, seed)
            return super().matrix(at, mu, seed)

    objective, theta, data = well(2.0)
    at_origin = objective.linearize([0.1], data, engine="numpy", dtype=np.float64)
    recipe = Recipe(damping=Backwards(), preconditioner=NoPreconditioner(), pairs=None)
    result = minimize(objective, theta, data, recipe, engine="numpy", dtype=np.float64)
    assert (result.reason, result.success, result.nit) == ("undefined", False, 1)
    assert "ScaleSensitive: " in result.message and len(result.records) == 1


def test_a_fisher_of_an_input_that_is_always_0_says_what_to_do():
    x, z = rop.nets.mlp([3, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)))
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((20, 3)) * [1, 0, 1], "t": rng.standard_normal((20, 2))}
    recipe = Recipe(preconditioner=EmpiricalFisher(relative_kappa=0.0))
    with pytest.raises(rop.RopError, match=r"EmpiricalFisher: d \+ κ must be .* give kappa > 0"):
        minimize(objective, objective.init("glorot"), data, recipe)


def test_krylov_descent_survives_a_proposal_that_is_not_a_number():
    for power in (1e-300, 1e-160, 1e160):
        p = rop.param("p", 1)
        objective = rop.Objective(p * power, rop.SquaredError(np.ones(1)))
        recipe = Recipe(cg=KrylovDescent(), damping=Undamped(), selection=LastIterate())
        recipe = recipe.replace(preconditioner=NoPreconditioner())
        result = minimize(objective, [1.0], {}, recipe, iterations=5, dtype=np.float64)
        assert np.isfinite(result.theta).all()


def test_krylov_descent_keeps_the_previous_direction_where_q_is_positive():
    # f falls along a direction that the model at θ calls uphill: what counts is f.
    z = rop.param("z", 1)
    loss = rop.LossGraph(rop.dot(np.ones(1), rop.exp(-z)) + 0.01 * rop.dot(z, z))
    problem = rop.Objective(z, loss), [0.0], {}
    recipe = Recipe(cg=KrylovDescent(max_steps=1), damping=Undamped(), selection=LastIterate())
    recipe = recipe.replace(preconditioner=NoPreconditioner(), decay=1.0)
    optimizer = run(problem, recipe)
    it = next(optimizer)
    assert it.cg.q[-1] >= 0 > it.f_after - it.f_before
    assert optimizer.state.start is not None
    assert not any("CG" in event for event in it.events)


@pytest.mark.parametrize("cases", ["gradient", "curvature"])
def test_krylov_descent_has_no_preconditioner_computed(problem, cases):
    def never(at):
        raise AssertionError("P was computed for a solver that does not use it")

    mine = GivenDiagonal(estimate=never, cases=cases)
    recipe = Recipe(
        cg=KrylovDescent(), damping=Undamped(), selection=LastIterate(), preconditioner=mine
    )
    it = next(run(problem, recipe))
    assert it.f_after < it.f_before and it.P_range is None
    with pytest.raises(AssertionError, match="P was computed"):
        next(run(problem, recipe.replace(cg=ConjugateGradient())))


@pytest.mark.parametrize("estimate, free", [(NoPreconditioner(), True), (ExactDiagonal(), False)])
def test_a_radius_depends_on_the_scale_of_f_where_p_does(problem, estimate, free):
    objective, theta, data = problem
    region = ConjugateGradient(region=TrustRegion(0.1))
    recipe = Recipe(cg=region, damping=Undamped(), preconditioner=estimate, pairs=None)
    scaled = rop.Objective(
        objective.z, type(objective.loss)(objective.loss.t, rop.data("weight", ()))
    )
    ends = []
    for weight in (1.0, 64.0):
        weighted = {**data, "weight": np.full(len(data["x"]), weight)}
        optimizer = run((scaled, theta, weighted), recipe)
        for _ in range(4):
            next(optimizer)
        ends.append(optimizer.theta)
    assert np.allclose(*ends, rtol=1e-12) == free


def test_gltr_leaves_a_saddle_of_a_loss_that_is_not_convex():
    # ∇f has no part along z₁, where f = ½z₀² - ½z₁² + ¼z₁⁴ has negative curvature.
    z = rop.param("z", 2)
    square = z[1] * z[1]
    loss = 0.5 * z[0] * z[0] - 0.5 * square + 0.25 * square * square
    recipe = Recipe(cg=LanczosTrustRegion(), damping=Undamped(), preconditioner=NoPreconditioner())
    result = minimize(
        rop.Objective(z, rop.LossGraph(loss)), [1.0, 0.0], {}, recipe, dtype=np.float64
    )
    np.testing.assert_allclose(np.abs(result.theta), [0, 1], atol=1e-5)
    assert result.fun == pytest.approx(-0.25)


def test_lam_and_radius_are_not_adapted_at_once():
    for cg in (ConjugateGradient(region=TrustRegion()), LanczosTrustRegion()):
        with pytest.raises(rop.RopError, match=r"both adapted by ρ; write .*damping=Undamped\(\)"):
            Recipe(cg=cg)
        Recipe(cg=cg, damping=Undamped())


@pytest.mark.parametrize("model", ["damped", "undamped"])
def test_the_rule_of_a_region_says_which_model_counts(problem, model):
    region = TrustRegion(0.5, LevenbergMarquardt(model=model))
    recipe = Recipe(
        cg=LanczosTrustRegion(region), damping=_Fixed(), preconditioner=NoPreconditioner()
    )
    for it in [next(run(problem, recipe)) for _ in range(3)]:
        assert it.rho != it.rho_damped
        assert it.rho_judged == (it.rho if model == "undamped" else it.rho_damped)


class _Fixed(Undamped):
    """λ = 0.3 for ever."""

    lam = 0.3


@pytest.mark.parametrize("reduction", ["gradient", "curvature"])
def test_the_record_has_both_sides_of_rho(problem, reduction):
    recipe = Recipe(reduction=reduction, learning_rate=0.5).replace(curvature=20)
    for _, it in zip(range(6), run(problem, recipe), strict=False):
        before, after = it.f_reduction
        assert it.rho == ((after - before) / it.q if after <= before else -np.inf)


def test_the_record_has_the_range_of_the_preconditioner(problem):
    optimizer = run(problem, Recipe(preconditioner=ExactDiagonal()))
    objective, theta, data = problem
    it = next(optimizer)
    index = it.cases.curvature.index
    batch = {name: array[index] for name, array in data.items()}
    d = objective.linearize(theta, batch, engine="numpy", dtype=np.float64).diagonal("exact")
    P = (d + it.lam_before) ** 0.75
    assert it.P_range == pytest.approx((P.min(), P.max()), rel=1e-9)
    assert next(run(problem, Recipe(preconditioner=NoPreconditioner()))).P_range is None


def test_the_exact_diagonal_and_structural_damping_exclude_each_other(problem):
    _, theta, data = problem
    x, t, hidden = rop.data("x", 4), rop.data("t", 3), None
    hidden = rop.tanh(rop.param("W1", (6, 4)) @ x)
    objective = rop.Objective(
        rop.param("W2", (3, 6)) @ hidden, rop.SoftmaxCrossEntropy(t), hidden=[hidden]
    )
    recipe = Recipe(damping=Structural(0.5), preconditioner=ExactDiagonal())
    with pytest.raises(rop.RopError, match="exact"):
        next(run((objective, objective.init("glorot"), data), recipe))


def test_structural_damping_is_not_nested():
    with pytest.raises(rop.RopError, match="not another Structural"):
        Structural(damping=Structural())


@pytest.mark.parametrize("iterations", [5, 7, 100])
def test_the_ramps_of_momentum2012_are_at_their_end_in_the_last_iteration(iterations):
    recipe = recipes.momentum2012(batch=10, max_steps=40, iterations=iterations)
    last = recipe.settings(iterations - 1)
    assert (last.learning_rate, last.max_steps) == (0.1, 20)
    assert value_at(recipe.batches.gradient, iterations - 1) == 40
    assert recipe.settings(iterations - iterations // 5 - 1).learning_rate == 1.0


def test_dropped_iterates_are_said(problem):
    recipe = Recipe(
        damping=Tikhonov(1e-6),
        cg=ConjugateGradient(max_steps=20, keep=3, residual=0.0, forcing=None),
        length=None,
        selection=Backtracking(Every(2)),
    )
    it = next(run(problem, recipe))
    assert it.cg.steps == 20
    assert "CG kept the last 3 of 10 wanted iterates: raise keep to choose among all" in it.events
    it = next(run(problem, recipe.replace(keep=10)))
    assert not any("wanted iterates" in event for event in it.events)


def test_a_subclass_of_a_policy_refuses_arguments_by_name():
    with pytest.raises(rop.RopTypeError, match="_Fixed: no argument is called 'lamda'"):
        _Fixed(lamda=1.0)


def test_no_change_of_f_is_not_called_a_rise(problem):
    class Nothing(ConjugateGradient):
        def solve(self, problem, /):
            zero = Iterate(0, np.zeros_like(problem.b), 0.0)
            return Solution([zero], "residual", [0.0], 0.0, 0)

    it = next(run(problem, Recipe(cg=Nothing())))
    assert (it.q, it.rho) == (0.0, -np.inf)
    assert any("predicts no change" in event for event in it.events)
    assert not any("higher" in event for event in it.events)
