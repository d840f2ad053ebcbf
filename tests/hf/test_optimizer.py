"""HF's iterations against algorithm 3 written out with dense matrices, and their decisions."""

from dataclasses import dataclass, field, replace
from math import inf

import numpy as np
import pytest
from damped import damped
from dense_bfgs import started

import rop
from rop.hf import HessianFree, Recipe, recipes
from rop.hf.batches import Batches
from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.damping import Tikhonov
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.line_search import Armijo, Step
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.selection import Backtracking, Every, LastIterate
from rop.hf.solution import Iterate
from rop.hf.vectors import norm
from rop.nets import mlp

EXACT = ConjugateGradient(max_steps=500, progress=None, residual=1e-13, forcing=None)


def classifier(cases=60, l2=1e-3, seed=0):
    rng = np.random.default_rng(seed)
    x, z = mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=l2)
    X = rng.standard_normal((cases, 4))
    T = np.eye(3)[1 * (X[:, 0] * X[:, 1] > 0) + (X[:, 2] > 0)]
    return objective, objective.init("glorot", seed=seed), {"x": X, "t": T}


def regression(cases=40, seed=0):
    """Return linear least squares: f is a quadratic and G its Hessian."""
    rng = np.random.default_rng(seed)
    x, t, w = rop.data("x", 5), rop.data("t", 1), rop.param("w", (1, 5))
    objective = rop.Objective(w @ x, rop.SquaredError(t))
    X, T = rng.standard_normal((cases, 5)), rng.standard_normal((cases, 1))
    return objective, np.zeros(5), {"x": X, "t": T}


def rosenbrock():
    p = rop.param("p", 2)
    x, y = p[:1], p[1:]
    residuals = rop.concatenate([10 * (y - x**2), 1 - x])
    return rop.Objective(residuals, rop.SquaredError(np.zeros(2)))


def run(problem, recipe=None, **settings):
    objective, theta, data = problem
    settings = {"engine": "numpy", "dtype": np.float64} | settings
    return HessianFree(objective, theta, data, recipe, **settings)


def take(iterator, count):
    return [it for _, it in zip(range(count), iterator, strict=False)]


def part(data, cases):
    """Return the data's cases, found from the record alone."""
    return {name: array[cases.index] for name, array in data.items()}


@dataclass(frozen=True)
class Spy:
    """A solver that keeps what it was given and what it found."""

    inner: ConjugateGradient = field(default_factory=ConjugateGradient)
    calls: list = field(default_factory=list)

    region, warm, preconditioned = None, True, True

    @property
    def max_steps(self):
        return self.inner.max_steps

    def solve(self, problem):
        solution = self.inner.solve(problem)
        x0 = None if problem.x0 is None else problem.x0.copy()
        self.calls.append((problem.A, problem.b.copy(), x0, problem.preconditioner, solution))
        return solution


def algorithm3(objective, theta, data, lam, iterations):
    """Algorithm 3 with exact solves, the 2012 rule and the Armijo search, on dense matrices."""
    path, lams = [], []

    def f(theta):
        return objective.linearize(theta, data, engine="numpy").value

    for _ in range(iterations):
        at = objective.linearize(theta, data, engine="numpy")
        g = at.gradient()
        G = np.column_stack([at.ggnvp(e) for e in np.eye(objective.n)])
        delta = np.linalg.solve(G + lam * np.eye(objective.n), -g)
        rho = (f(theta + delta) - at.value) / (g @ delta + delta @ G @ delta / 2)
        if f(theta + delta) > at.value or rho < 0.25:
            lam *= 3 / 2
        elif rho > 0.75:
            lam *= 2 / 3
        alpha = 1.0
        while f(theta + alpha * delta) > at.value + 0.01 * alpha * g @ delta:
            alpha *= 0.8
        theta = theta + alpha * delta
        path.append(theta)
        lams.append(lam)
    return path, lams


@pytest.mark.parametrize("lam", [1.0, 1e-4])
def test_follows_algorithm_3_with_exact_solves(lam):
    problem = classifier(l2=0.01)
    rule = LevenbergMarquardt(lower_by=2 / 3)
    recipe = damped(damping=Tikhonov(lam, rule), cg=EXACT, selection=LastIterate())
    path, lams = algorithm3(*problem, lam, 12)
    optimizer = run(problem, recipe)
    for theta, lam_after in zip(path, lams, strict=True):
        it = next(optimizer)
        assert it.lam_after == pytest.approx(lam_after, rel=1e-12)
        assert norm(optimizer.theta - theta) <= 1e-7 * norm(theta)
    # The cautious start never shrinks a step; the bold one has to, so that both are tested.
    assert (lam < 1) == (lams[0] > lam)


def test_a_quadratic_is_solved_in_one_undamped_step():
    objective, theta, data = regression()
    rule = LevenbergMarquardt(lowest=1e-12)
    optimizer = run((objective, theta, data), damped(damping=Tikhonov(1e-12, rule), cg=EXACT))
    it = next(optimizer)
    expected = np.linalg.lstsq(data["x"], data["t"][:, 0], rcond=None)[0]
    np.testing.assert_allclose(optimizer.theta, expected, rtol=1e-9)
    assert it.rho == pytest.approx(1.0, abs=1e-9)
    assert it.step.alpha == 1.0
    residual = data["t"][:, 0] - data["x"] @ expected
    assert it.f_after == pytest.approx(residual @ residual / 80, rel=1e-12)


def test_finds_the_end_of_rosenbrocks_valley():
    objective = rosenbrock()
    for recipe in (None, Recipe(curvature="hessian")):
        optimizer = run((objective, [-1.2, 1.0], {}), recipe, gradient_norm=1e-10)
        records = take(optimizer, 200)
        assert optimizer.ended == "gradient"
        np.testing.assert_allclose(optimizer.theta, 1.0, rtol=1e-9)
        assert records[0].f_before == pytest.approx(24.2 / 2, rel=1e-14)
        losses = [it.f_after for it in records]
        assert all(after <= before for before, after in zip(losses, losses[1:], strict=False))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        recipes.basic(lam=1.0),
        recipes.martens2010(lam=1.0),
        recipes.validated2012(lam=1.0),
        recipes.momentum2012(batch=20, iterations=15),
        damped(batches=Batches(30, 10, 15, seed=4), damping=Tikhonov(0.1)),
        Recipe(curvature="hessian", selection=Backtracking(Every(3))),
    ],
    ids=["default", "basic", "martens2010", "validated2012", "momentum2012", "minibatches", "hv"],
)  # fmt: skip
def test_every_number_of_a_record_can_be_computed_again(recipe):
    objective, theta, data = classifier()
    spy = Spy(recipe.cg)
    optimizer = run((objective, theta, data), replace(recipe, cg=spy))
    lam = recipe.damping.lam
    for number in range(15):
        old, state = optimizer.theta, optimizer.state
        it = next(optimizer)
        on = {
            name: objective.linearize(old, part(data, cases), engine="numpy")
            for name, cases in vars(it.cases).items()
            if cases is not None
        }
        assert it.number == number
        assert it.f_before == pytest.approx(on["gradient"].value, rel=1e-12)
        gradient = on["gradient"].gradient()
        assert it.gradient_norm == pytest.approx(norm(gradient), rel=1e-10)
        assert it.lam_before == lam
        product = on["curvature"].ggnvp if recipe.curvature == "ggn" else on["curvature"].hvp
        if it.cg.reason == "pairs":
            P = recipe.preconditioner.inverse(state.diagonal, 0.0, objective)
            inverse = np.column_stack([P(e).copy() for e in np.eye(objective.n)])
            delta = -started(inverse, state.pairs) @ gradient
            iterates = [Iterate(1, delta, it.q)]
            q = gradient @ delta / 2
            np.testing.assert_allclose(optimizer.theta, old + it.step.alpha * delta, rtol=1e-9)
        else:
            iterates = spy.calls[-1][-1].iterates
            delta = next(iterate.x for iterate in iterates if iterate.steps == it.chosen)
            q = gradient @ delta + delta @ product(delta) / 2
            np.testing.assert_array_equal(optimizer.theta, old + it.step.alpha * delta)
        assert it.q == pytest.approx(q, rel=1e-7)
        assert it.q + lam / 2 * delta @ delta == pytest.approx(it.cg.q[it.chosen], rel=1e-7)
        assert it.step.slope == pytest.approx(gradient @ delta, rel=1e-8)

        def f(delta, name, at=on, old=old):
            return objective.value(old + delta, at[name].batch, engine="numpy")

        before, after = it.f_curvature
        assert before == pytest.approx(on["curvature"].value, rel=1e-12)
        assert after == pytest.approx(f(delta, "curvature"), rel=1e-10)
        if recipe.reduction == "gradient":
            before, after = it.f_before, f(delta, "gradient")
        rho = (after - before) / it.q if after <= before else -inf
        assert it.rho == pytest.approx(rho, rel=1e-9)
        rho_damped = (after - before) / it.cg.q[it.chosen] if after <= before else -inf
        assert it.rho_damped == pytest.approx(rho_damped, rel=1e-9)
        rule = recipe.damping.rule
        judged = {"undamped": it.rho, "damped": it.rho_damped}[rule.model]
        assert it.rho_judged == (judged if it.step.alpha else -inf)
        assert it.lam_after == rule.update(lam, it.rho_judged)
        assert it.thresholds["damping.rule.poor"] == rule.poor
        assert it.f_after == pytest.approx(f(it.step.alpha * delta, "gradient"), rel=1e-10)
        if it.step.slope < 0:
            assert it.f_after <= it.f_before + 0.01 * it.step.alpha * it.step.slope
        else:
            assert it.step.outcome == "not a descent direction"
        assert it.step_norm == pytest.approx(it.step.alpha * norm(delta), rel=1e-10)
        tried = dict(it.f_stored or it.model_stored)
        if tried:
            assert tried[it.chosen] == min(tried.values())
            assert list(tried) == [s for s in reversed(it.cg.stored)][: len(tried)]
        if it.f_stored:
            assert tried[it.chosen] == pytest.approx(f(delta, "selection"), rel=1e-10)
            assert it.f_selection == pytest.approx(on["selection"].value, rel=1e-12)
        elif it.model_stored:
            g, G = on["selection"].gradient(), on["selection"].G
            for iterate in iterates:
                x = iterate.x
                assert tried[iterate.steps] == pytest.approx(g @ x + x @ (G @ x) / 2, rel=1e-8)
        else:
            assert it.chosen == it.cg.steps
        for steps, value in it.f_watched:
            kept = [iterate.x for iterate in iterates if iterate.steps == steps]
            assert all(value == pytest.approx(f(x, "curvature"), rel=1e-10) for x in kept)
        products = it.cg.products + len(it.model_stored)
        assert it.work.products == products
        assert it.work.gradients == 1 + bool(it.model_stored)
        assert set(it.seconds) == {"gradient", "cg", "selection", "damping", "line search"}
        assert str(it).startswith(f"{number:4d}  f ")
        lam = it.lam_after


def test_cg_is_given_the_gradient_of_all_and_the_damped_curvature_of_some():
    objective, theta, data = classifier()
    spy = Spy()
    recipe = damped(
        batches=Batches(curvature=20, seed=None),
        damping=Tikhonov(0.3),
        preconditioner=EmpiricalFisher(relative_kappa=0.0, cases="gradient"),
        cg=spy,
    )
    optimizer = run((objective, theta, data), recipe)
    v = np.linspace(-1, 1, objective.n)
    for chunk in (0, 1, 2, 0):
        old, lam = optimizer.theta, optimizer.state.lam
        next(optimizer)
        operator, b, _, inverse, _ = spy.calls[-1]
        everything = objective.linearize(old, data, engine="numpy")
        some = {name: array[20 * chunk : 20 * chunk + 20] for name, array in data.items()}
        curvature = objective.linearize(old, some, engine="numpy")
        np.testing.assert_allclose(b, -everything.gradient(), rtol=1e-10, atol=1e-15)
        np.testing.assert_allclose(operator(v), curvature.ggnvp(v) + lam * v, rtol=1e-10)
        squares = (everything.per_case_gradients() ** 2).mean(0)
        expected = v / (squares + 1e-3 + lam) ** 0.75
        np.testing.assert_allclose(inverse(v), expected, rtol=1e-9)


def test_cg_starts_from_the_decayed_last_iterate_not_from_the_chosen_one():
    spy = Spy(recipes.damped().cg)
    optimizer = run(classifier(), damped(damping=Tikhonov(1e-3), cg=spy, decay=0.9))
    records = take(optimizer, 12)
    assert not records[0].cg.warm
    assert spy.calls[0][2] is None
    earlier = [it.chosen < it.cg.steps for it in records]
    assert any(earlier[:-1])  # or the test could not tell the two apart
    for (*_, solution), (_, _, x0, *_), it in zip(
        spy.calls, spy.calls[1:], records[1:], strict=False
    ):
        np.testing.assert_allclose(x0, 0.9 * solution.x, rtol=1e-14)  # erratum M16
        assert it.cg.warm


def test_a_start_that_cg_cannot_bring_below_zero_is_dropped():
    recipe = damped(cg=ConjugateGradient(max_steps=1), selection=LastIterate(), decay=1.0)
    optimizer = run(classifier(), recipe)
    next(optimizer)
    theta = optimizer.theta
    bad = np.random.default_rng(0).standard_normal(theta.size)
    optimizer.state = replace(optimizer.state, start=30 * bad)
    it = next(optimizer)
    assert it.cg.warm and it.cg.q[-1] >= 0
    assert optimizer.state.start is None
    assert any("starts from 0" in event for event in it.events)
    after = next(optimizer)
    assert not after.cg.warm and after.cg.q[0] == 0 > after.cg.q[-1]


def test_an_update_that_is_no_descent_direction_is_rejected_and_said():
    optimizer = run(classifier(), damped(cg=ConjugateGradient(1, forcing=None), decay=1.0))
    theta = optimizer.theta.copy()
    at = optimizer.evaluator.linearize(theta, optimizer.recipe.batches.draw(0, 60).gradient)
    optimizer.state = replace(optimizer.state, start=100 * at.gradient())
    # One step of CG along a random residual leaves most of the uphill start in place.
    optimizer.recipe = replace(optimizer.recipe, preconditioner=Backwards())
    it = next(optimizer)
    assert it.step.slope > 0
    assert it.step.outcome == "not a descent direction"
    assert (it.step.alpha, it.rho) == (0.0, -inf)
    assert it.q > 0 and optimizer.ended is None
    assert any("not a descent direction" in event for event in it.events)
    assert any("rejected" in event for event in it.events)
    np.testing.assert_array_equal(optimizer.theta, theta)
    assert it.lam_after == 1.5 * it.lam_before


class Backwards:
    """A preconditioner so steep in one entry that CG's single step changes nothing else."""

    cases = "gradient"

    def diagonal(self, at, seed=0, mu=0.0, /):
        return None

    def inverse(self, diagonal, damping, objective=None, /):
        return lambda r: np.where(np.arange(r.size) == 0, r, 1e-12 * r)


@dataclass(frozen=True)
class Refuse(Armijo):
    """A line search that takes nothing."""

    def search(self, f, f_before, slope, f_full=None, first=1.0):
        return Step(0.0, f_before, slope, ((1.0, f_full),), "rejected")


def test_without_lam_there_is_no_other_update_to_try():
    optimizer = run(classifier(), Recipe(line_search=Refuse()))
    records = take(optimizer, 100)
    assert (len(records), optimizer.ended) == (1, "rejected")


def test_sixty_rejections_in_a_row_end_the_run():
    optimizer = run(classifier(), damped(line_search=Refuse()))
    theta = optimizer.theta
    records = take(optimizer, 100)
    assert (len(records), optimizer.ended) == (60, "rejected")
    assert optimizer.theta is theta
    assert records[-1].f_after == records[-1].f_before
    with pytest.raises(StopIteration):
        next(optimizer)


def test_a_loss_that_is_not_finite_at_the_update_is_backed_away_from():
    # f = ½ (ln p - 3)² at p = 3: the Gauss-Newton step is fine, one twice as long is NaN.
    p = rop.param("p")
    objective = rop.Objective(rop.log(p), rop.SquaredError(-3.0))
    recipe = Recipe(damping=Tikhonov(1e-10), cg=EXACT)
    optimizer = run((objective, [3.0], {}), recipe)
    it = next(optimizer)
    assert np.isnan(it.f_curvature[1])
    assert it.rho == -inf
    assert it.lam_after == 1.5 * it.lam_before
    assert 0 < it.step.alpha < 1
    assert it.f_after < it.f_before
    assert any("not a number" in event for event in it.events)
    take(optimizer, 100)
    np.testing.assert_allclose(optimizer.theta, np.exp(-3), rtol=1e-6)


def test_a_loss_that_is_not_finite_at_the_start_ends_the_run():
    objective = rop.Objective(rop.log(rop.param("p")), rop.SquaredError(0.0))
    optimizer = run((objective, [-1.0], {}))
    assert list(optimizer) == []
    assert optimizer.ended == "not finite"


def test_a_zero_gradient_ends_the_run():
    optimizer = run((rosenbrock(), [1.0, 1.0], {}))
    assert list(optimizer) == []
    assert optimizer.ended == "gradient"
    assert optimizer.state.f == 0.0


def test_gradient_norm_ends_the_run_before_the_next_iteration():
    optimizer = run(regression(), gradient_norm=1e-3)
    take(optimizer, 100)
    at = optimizer.evaluator.linearize(optimizer.theta, Batches().draw(0, 40).gradient)
    assert optimizer.ended == "gradient"
    assert norm(at.gradient()) <= 1e-3


def test_the_end_of_float32s_precision_is_recognised():
    objective, theta, data = regression()
    optimizer = run((objective, theta, data), dtype=np.float32)
    last = take(optimizer, 200)[-1]
    assert optimizer.ended == "precision"
    assert optimizer.theta.dtype == np.float32
    assert 0 < -last.q <= np.finfo(np.float32).eps * last.f_before
    expected = np.linalg.lstsq(data["x"], data["t"][:, 0], rcond=None)[0]
    # What is left to gain in f, ½ δᵀBδ, is below the rounding error of f.
    error = data["x"] @ (optimizer.theta - expected)
    assert np.mean(error**2) / 2 <= np.finfo(np.float32).eps * last.f_before


@dataclass(frozen=True)
class EndingWith(ConjugateGradient):
    """CG that gives a reason of one's own for its end."""

    reason: str = ""

    def solve(self, problem):
        return replace(super().solve(problem), reason=self.reason)


@pytest.mark.parametrize(
    "reason, ended", [("steps", None), ("f rose", None), ("progress", "precision")]
)
def test_a_small_gain_where_cg_was_cut_off_is_no_end(reason, ended):
    # One step of CG sees only the steep direction, along which less is left than f's rounding
    # error; in the other one there is 0.5, to which its warm starts lead.
    p = rop.param("p", 2)
    z = rop.stack([100.0 * p[0], p[1], 0.0 * p[1]])
    objective = rop.Objective(z, rop.SquaredError([0.0, 0.0, 200.0]))
    recipe = damped(cg=EndingWith(max_steps=1, reason=reason), preconditioner=NoPreconditioner())
    optimizer = run((objective, [1e-4, 1.0], {}), recipe, dtype=np.float32)
    history = take(optimizer, 60)
    rounding = np.finfo(np.float32).eps * history[0].f_before
    assert history[0].f_before - history[0].f_after < -history[0].q / 4 < rounding / 4
    assert optimizer.ended == ended
    gained = history[0].f_before - history[-1].f_after > 10 * rounding
    assert gained == (ended is None)


def test_lam_at_its_bound_is_said():
    rule = LevenbergMarquardt(lowest=0.9, highest=1.0)
    optimizer = run(classifier(), Recipe(damping=Tikhonov(1.0, rule)))
    events = [event for it in take(optimizer, 3) for event in it.events]
    assert "lam is at its bound 0.9" in events


def test_negative_curvature_is_said_and_survived():
    # At 0 the Hessian of f = ½ (p² - 1)² is negative beside it; damping alone does not mend it.
    p = rop.param("p")
    objective = rop.Objective(p * p, rop.SquaredError(1.0))
    recipe = damped(curvature="hessian", damping=Tikhonov(0.1))
    optimizer = run((objective, [0.3], {}), recipe, gradient_norm=1e-8)
    records = take(optimizer, 100)
    assert records[0].cg.reason == "negative curvature"
    assert "CG met a direction without positive curvature after 0 steps" in records[0].events
    assert (records[0].step.alpha, records[0].rho) == (0.0, -inf)
    assert optimizer.ended == "gradient"
    np.testing.assert_allclose(optimizer.theta, 1.0, rtol=1e-7)


def test_a_curvature_of_one_case_is_warned_of_and_works():
    with pytest.warns(UserWarning, match="the curvature uses one case of 60"):
        optimizer = run(classifier(), Recipe(batches=Batches(curvature=1)))
    records = take(optimizer, 5)
    assert {it.cases.curvature.size for it in records} == {1}
    assert optimizer.state.f < records[0].f_before


def test_runs_repeat_bit_by_bit_and_can_be_taken_up_again():
    recipe = Recipe(batches=Batches(gradient=30, curvature=10), preconditioner=EmpiricalFisher())
    whole = run(classifier(), recipe, dtype=np.float32)
    take(whole, 8)
    again = run(classifier(), recipe, dtype=np.float32)
    take(again, 5)
    resumed = run(classifier(), recipe, dtype=np.float32)
    resumed.state = again.state
    take(resumed, 3)
    assert resumed.state.iteration == whole.state.iteration
    assert resumed.state.lam == whole.state.lam
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.state.start, whole.state.start)


def test_theta_is_copied_and_never_changed_in_place():
    objective, theta, data = classifier()
    kept = theta.copy()
    optimizer = run((objective, theta, data))
    first = optimizer.theta
    next(optimizer)
    np.testing.assert_array_equal(theta, kept)
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(optimizer.theta, kept)


def test_arguments_that_do_not_fit_are_refused():
    objective, theta, data = classifier()
    with pytest.raises(rop.RopError, match=rf"shape \({objective.n},\), got \(3,\)"):
        run((objective, theta[:3], data))
    with pytest.raises(rop.RopError, match="float32 or float64, got .*float16"):
        run((objective, theta, data), dtype=np.float16)
    with pytest.raises(rop.RopError, match="same number"):
        run((objective, theta, data | {"t": data["t"][1:]}))
    with pytest.raises(rop.RopError, match="NaN"):
        next(run((objective, np.full(objective.n, np.nan), data)))


def test_the_line_search_starts_from_the_chosen_iterates_known_loss():
    optimizer = run(classifier(), damped(cg=ConjugateGradient(rise=None), line_search=Armijo()))
    it = next(optimizer)
    assert it.step.outcome == "accepted"
    assert it.work.losses == len(it.f_stored)
