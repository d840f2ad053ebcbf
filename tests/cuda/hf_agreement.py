"""HF with CG on the GPU beside HF with the NumPy engine: run by the simulator and on a GPU.

Not collected by its name: test_simulator.py and test_gpu.py say where it runs.
"""

from dataclasses import replace
from unittest import mock

import cuda_agreement  # noqa: F401 (it mends the simulator)
import numpy as np
import pytest
import scipy.sparse

import rop
from rop.hf import (
    EmpiricalFisher,
    Every,
    HessianFree,
    KrylovDescent,
    LanczosTrustRegion,
    NoPreconditioner,
    ObjectiveRise,
    RelativeProgress,
    Reparameterized,
    ScaleSensitive,
    Structural,
    Subproblem,
    Tikhonov,
    Undamped,
    conjugate_gradient,
    minimize,
    recipes,
)
from rop.hf.batches import Batches
from rop.hf.evaluation import Evaluator
from rop.hf.products import CurvatureProduct, Damped
from rop.hf.resident import resident_pcg
from rop.hf.selection import Backtracking
from rop.objective.device_cg import cg_steps

SHORT = replace(recipes.damped().cg, max_steps=6)
PLAIN = replace(
    recipes.damped(),
    batches=Batches(curvature=3),
    damping=Tikhonov(0.1),
    preconditioner=EmpiricalFisher(),
    cg=SHORT,
    selection=Backtracking(Every(2), enough=np.inf),
)
RECIPES = {
    "warm starts, P, saved iterates": PLAIN,
    "H, no P": replace(
        PLAIN, curvature="hessian", preconditioner=NoPreconditioner(), damping=Tikhonov(1.0)
    ),
    "structural damping": replace(PLAIN, damping=Structural(0.5, Tikhonov(0.1))),
    # Few steps: where q has converged but x has not, engines of the CPU differ by 1e-9 as well.
    "a diagonal D": replace(
        PLAIN,
        damping=ScaleSensitive(0.5, method="empirical-fisher", relative_kappa=1.0),
        cg=replace(SHORT, max_steps=4),
    ),
    "relative progress": replace(
        PLAIN, cg=replace(SHORT, progress=RelativeProgress(0.5, smallest_window=2))
    ),
    "residual": replace(PLAIN, cg=replace(SHORT, residual=0.2)),
    "a rise of f": replace(PLAIN, cg=replace(SHORT, rise=ObjectiveRise(1, 2, 0.0))),
    "few iterates kept": replace(PLAIN, cg=replace(SHORT, keep=2)),
}


def problem():
    """Eight parameters, four cases, a hidden layer: a launch takes the simulator long."""
    rng = np.random.default_rng(0)
    x, t = rop.data("x", 2), rop.data("t", 1)
    h = rop.tanh(rop.param("W1", (2, 2)) @ x + rop.param("b", 2))
    objective = rop.Objective(rop.param("W2", (1, 2)) @ h, rop.SquaredError(t), l2=1e-2, hidden=[h])
    X = rng.standard_normal((4, 2))
    return objective, objective.init("glorot", seed=1), {"x": X, "t": np.sin(3 * X[:, :1])}


def refused(*given, **options):
    raise AssertionError("CG ran on the host")


def iterations(recipe, engine, many, dtype):
    run = HessianFree(*problem(), recipe, engine=engine, dtype=dtype)
    found = [next(run) for _ in range(many)]
    return run, found


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_iterations(name):
    """Every decision is that of the host's CG, and every number to rounding."""
    theirs, right = iterations(RECIPES[name], "numpy", 2, np.float64)
    with mock.patch.object(conjugate_gradient, "pcg", refused):
        ours, found = iterations(RECIPES[name], "cuda", 2, np.float64)
    for it, expected in zip(found, right, strict=True):
        for what in ("steps", "reason", "stored", "products", "warm"):
            assert getattr(it.cg, what) == getattr(expected.cg, what), what
        np.testing.assert_allclose(it.cg.q, expected.cg.q, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(it.f_stored, expected.f_stored, rtol=1e-10)
        np.testing.assert_allclose(it.cg.residual, expected.cg.residual, rtol=1e-5, atol=1e-13)
        assert it.chosen == expected.chosen and it.work == expected.work
        assert it.rho == pytest.approx(expected.rho, rel=1e-8)
        assert it.lam_after == expected.lam_after and it.events == expected.events
    np.testing.assert_allclose(ours.theta, theirs.theta, rtol=1e-9)
    if right[-1].cg.reason == "residual":
        assert ours.state.start is theirs.state.start is None
    else:
        np.testing.assert_allclose(ours.state.start, theirs.state.start, rtol=1e-8)


def test_the_same_iterations_in_float32():
    recipe = RECIPES["warm starts, P, saved iterates"]
    right, _ = iterations(recipe, "numpy", 2, np.float64)
    theirs, _ = iterations(recipe, "numpy", 2, np.float32)
    with mock.patch.object(conjugate_gradient, "pcg", refused):
        ours, _ = iterations(recipe, "cuda", 2, np.float32)
    assert ours.theta.dtype == np.float32
    # As exact as the host, which rounds in another order.
    allowed = 10 * np.linalg.norm(theirs.theta - right.theta)
    assert 0 < np.linalg.norm(ours.theta - right.theta) <= allowed


@pytest.mark.parametrize(
    "recipe",
    [
        replace(PLAIN, cg=KrylovDescent(max_steps=3), decay=0.0),
        replace(PLAIN, cg=LanczosTrustRegion(max_steps=3), damping=Undamped()),
        replace(recipes.basic(lam=1.0, max_steps=3), cg=replace(SHORT, max_steps=3, downhill=True)),
        replace(
            PLAIN,
            damping=Reparameterized(0.1, jacobian=lambda theta: scipy.sparse.eye_array(8)),
            cg=replace(SHORT, max_steps=3),
        ),
    ],
    ids=["Krylov subspace descent", "trust region", "steepest descent", "a D that is no diagonal"],
)
def test_what_the_gpu_has_no_cg_for_runs_on_the_host(recipe):
    theirs, _ = iterations(recipe, "numpy", 1, np.float64)
    with mock.patch("rop.engines.cuda.cg.ConjugateGradient.steps", refused):
        ours, _ = iterations(recipe, "cuda", 1, np.float64)
    np.testing.assert_allclose(ours.theta, theirs.theta, rtol=1e-8)


def test_a_card_without_room_for_the_vectors(monkeypatch):
    recipe = replace(PLAIN, cg=replace(SHORT, max_steps=2))
    theirs, _ = iterations(recipe, "numpy", 1, np.float64)
    monkeypatch.setattr("rop.engines.cuda.cg.ConjugateGradient.room", lambda n, dtype: 10**18)
    ours, _ = iterations(recipe, "cuda", 1, np.float64)
    np.testing.assert_allclose(ours.theta, theirs.theta, rtol=1e-9)


def solved(problem, max_steps=4, residual=0.0, stops=()):
    return resident_pcg(problem, max_steps=max_steps, residual=residual, stops=stops, keep=9)


@pytest.mark.filterwarnings("ignore:overflow")
def test_ends_without_curvature_and_without_numbers():
    objective, theta, data = problem()
    at = objective.linearize(theta, data, "cuda")
    evaluator = Evaluator(objective, data, engine="cuda", chunk=9)
    G = CurvatureProduct(at, "ggn", 0.0, evaluator)
    b = -at.gradient()
    down = solved(Subproblem(Damped(G, -100.0), b))
    assert down.reason == "negative curvature" and (down.steps, down.products) == (0, 1)
    np.testing.assert_array_equal(down.x, 0)
    x0 = 0.1 * theta
    warm = solved(Subproblem(Damped(G, -100.0), b, x0))
    assert warm.products == 2 and warm.q[-1] != 0
    np.testing.assert_array_equal(warm.x, x0)
    broken = solved(Subproblem(Damped(G, 1e200), 1e100 * b))
    assert (broken.reason, broken.steps, broken.products) == ("not finite", 0, 1)
    nothing = solved(Subproblem(G, 0 * b))
    assert (nothing.reason, nothing.steps, nothing.products) == ("residual", 0, 0)
    assert evaluator.products == 4
    host = objective.linearize(theta, data, "numpy")
    assert solved(Subproblem(CurvatureProduct(host, "ggn", 0.0, evaluator), b)) is None
    assert solved(Subproblem(at.ggnvp, b)) is None


def test_another_strength_meanwhile():
    """What runs between two looks may set another μ."""
    objective, theta, data = problem()
    at = objective.linearize(theta, data, "cuda")
    b = -at.gradient()

    def some(meanwhile):
        steps = cg_steps(at, b, mu=0.7)
        found = []
        for _ in range(13):
            found.append(next(steps).q)
            if meanwhile:
                at.ggnvp(b, mu=0.1)
        return found

    assert some(True) == some(False)


def test_resumed_runs_are_the_same_bit_by_bit(tmp_path):
    whole = minimize(*problem(), PLAIN, iterations=3, engine="cuda")
    options = {"folder": tmp_path, "engine": "cuda"}
    minimize(*problem(), PLAIN, iterations=1, **options)
    resumed = minimize(*problem(), PLAIN, iterations=3, resume=True, **options)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    assert [it.cg for it in resumed.records] == [it.cg for it in whole.records]
