"""Cases of the curvature that grow when the model holds on them alone (sec. 12)."""

from itertools import pairwise

import numpy as np
import pytest

import rop
from rop.hf import Batches, Grown, Growth, HessianFree, Recipe
from rop.hf.along import Along

LONG = Recipe(
    batches=Batches(curvature=40, selection=100), growth=Growth(after=1), length=None, pairs=None
)
YES, NO = (lambda: 0.9), (lambda: 0.1)


def test_it_grows_after_runs_in_a_row_whose_model_holds_on_its_own_cases_alone():
    rule, grown, found = Growth(), Grown(), []
    for rho, own in [(0.1, YES), (0.9, YES), (0.1, YES), (0.1, NO), (0.1, YES), (0.1, YES)]:
        grown = rule.update(grown, rho, own)
        found.append((grown.times, grown.doubts))
    assert found == [(1.0, 1), (1.0, 0), (1.0, 1), (1.0, 0), (1.0, 1), (2.0, 0)]
    assert Growth(by=3.0, after=1).update(Grown(2.0), np.nan, YES) == Grown(6.0)


def test_its_own_cases_are_asked_only_where_the_model_fails():
    def never():
        raise AssertionError

    assert Growth().update(Grown(4.0, 1), 0.5, never) == Grown(4.0)


@pytest.mark.parametrize("times, curvature, selection", [(1, 20, 25), (2, 40, 50), (8, 100, 100)])
def test_curvature_and_selection_grow_up_to_the_gradients_cases(times, curvature, selection):
    batches = Batches(curvature=20, selection=25)
    for iteration in range(7):
        draw = batches.draw(iteration, 100, times)
        assert (draw.curvature.size, draw.selection.size) == (curvature, selection)
        assert set(draw.curvature.index) <= set(draw.gradient.index)


def unlike():
    """Cases of which few do not stand for all: a feature that one case in twenty has."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 30)) * (rng.random((400, 30)) < 0.05)
    t = (X.sum(1) + 0.1 * rng.standard_normal(400) > 0).astype(float)
    z = rop.dot(rop.param("w", 30), rop.data("x", 30))
    objective = rop.Objective(z, rop.SigmoidCrossEntropy(rop.data("t")), l2=1e-4)
    return objective, np.zeros(30), {"x": X, "t": t}


def test_the_record_says_why_and_shows_the_cases(monkeypatch):
    objective, _, data = unlike()
    asked, cubic = {}, {}

    def ratio(along, cases, iterate, b):
        """ρ with f - (∇f on the cases)ᵀx in place of f, and q without its linear part."""
        theta = run.state.theta
        index = {name: array[cases.index] for name, array in data.items()}
        x, value = iterate.x, objective.value
        rise = value(theta + x, index) - value(theta, index) - objective.gradient(theta, index) @ x
        found = original(along, cases, iterate, b)
        wanted = (rise - b @ x) / iterate.q
        assert found == pytest.approx(wanted if wanted > 0 else -np.inf, rel=1e-6)
        np.testing.assert_allclose(b, -objective.gradient(theta, data), rtol=1e-9, atol=1e-15)
        asked[run.state.iteration] = found
        # Taylor's remainder over q: |σ''| <= 1/(6√3), the third derivative of a case's loss.
        cubes = np.abs(index["x"] @ x) ** 3
        cubic[run.state.iteration] = cubes.mean() / (6 * 6 * np.sqrt(3)) / -iterate.q
        return found

    original = Along.ratio
    monkeypatch.setattr(Along, "ratio", ratio)
    run = HessianFree(*unlike(), LONG, dtype=np.float64)
    records = list(run)
    sizes = [it.cases.curvature.size for it in records]
    said = [any("times as many" in event for event in it.events) for it in records]
    assert sizes[0] == 40 and sizes[-1] == 400
    assert said[:-1] == [after > before for before, after in pairwise(sizes)]
    for it, more in zip(records, said, strict=True):
        assert (it.number in asked) == (not it.rho_damped >= 0.5)
        if it.cases.curvature.size < 400:
            assert more == (asked.get(it.number, 0.0) >= 0.5)
    # Near the minimum the model holds on its own cases up to the cubic term, and fails on others.
    few = [it.number for it in records if it.cases.curvature.size < 400]
    assert abs(asked[few[-1]] - 1) <= cubic[few[-1]] < 1
    # With all cases it comes to where f cannot tell θ from the minimum.
    at = objective.linearize(run.theta, data)
    gradient = at.gradient()
    left = gradient @ np.linalg.solve(at.H.matrix(), gradient) / 2
    assert run.ended == "precision" and left <= np.finfo(np.float64).eps * at.value


def test_a_run_that_grew_goes_on_from_its_state():
    run = HessianFree(*unlike(), LONG, dtype=np.float64)
    while run.state.grown.times == 1:
        next(run)
    other = HessianFree(*unlike(), LONG, dtype=np.float64)
    other.state = run.state
    for _ in range(3):
        assert next(run).cases == next(other).cases
    np.testing.assert_array_equal(run.theta, other.theta)
