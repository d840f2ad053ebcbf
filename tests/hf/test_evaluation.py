"""The objective on chosen cases: computational minibatches make no difference (sec. 7.1)."""

import numpy as np
import pytest

import rop
from rop.hf.batches import Cases
from rop.hf.evaluation import Evaluator
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.nets import mlp


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x, z = mlp([4, 6, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)), l2=0.1)
    data = {"x": rng.standard_normal((50, 4)), "t": rng.standard_normal((50, 2))}
    return objective, objective.init("glorot", seed=1), data


def evaluator(problem, chunk=1000):
    objective, _, data = problem
    return Evaluator(objective, data, engine="numpy", chunk=chunk)


@pytest.mark.parametrize("chunk", [1, 7, 50])
@pytest.mark.parametrize("cases", [Cases(0, 50, 50), Cases(40, 23, 50, seed=3)])
def test_pieces_add_up_to_the_whole(problem, chunk, cases):
    objective, theta, data = problem
    there = evaluator(problem, chunk)
    batch = {name: array[np.arange(50)[cases.index]] for name, array in data.items()}
    at = objective.linearize(theta, batch, engine="numpy")
    f, gradient, diagonal = there.gradient(theta, cases, EmpiricalFisher())
    assert f == pytest.approx(at.value, rel=1e-13)
    assert there.value(theta, cases) == pytest.approx(at.value, rel=1e-13)
    np.testing.assert_allclose(gradient, at.gradient(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(diagonal, at.diagonal("empirical-fisher"), rtol=1e-10)
    assert there.work.gradients == there.work.losses == 1


def test_no_more_cases_than_the_chunk_are_worked_on_at_a_time(problem, monkeypatch):
    objective, theta, _ = problem
    sizes = []
    linearize, value = objective.linearize, objective.value
    monkeypatch.setattr(
        objective,
        "linearize",
        lambda *a, **k: (sizes.append(len(a[1]["x"])), linearize(*a, **k))[1],
    )
    monkeypatch.setattr(
        objective, "value", lambda *a, **k: (sizes.append(len(a[1]["x"])), value(*a, **k))[1]
    )
    there = evaluator(problem, chunk=20)
    there.gradient(theta, Cases(0, 50, 50), NoPreconditioner())
    there.value(theta, Cases(0, 50, 50))
    assert sizes == [20, 20, 10] * 2


def test_the_linearization_of_the_gradient_serves_the_curvature(problem):
    _, theta, _ = problem
    there = evaluator(problem)
    there.gradient(theta, Cases(0, 50, 50, seed=1), NoPreconditioner())
    at = there.linearize(theta, Cases(0, 50, 50, seed=1))
    assert at is there.linearize(theta, Cases(0, 50, 50))
    assert at is not there.linearize(theta, Cases(0, 25, 50))
    assert at is not there.linearize(theta.copy(), Cases(0, 50, 50))


def test_views_of_the_data_are_passed_on(problem):
    objective, theta, data = problem
    at = evaluator(problem).linearize(theta, Cases(10, 20, 50))
    assert np.shares_memory(at.batch["x"], data["x"])


def test_the_case_axis_must_agree(problem):
    objective, _, data = problem
    with pytest.raises(rop.RopError, match=r"same number.* x \(50, 4\), t \(49, 2\)"):
        Evaluator(objective, {"x": data["x"], "t": data["t"][1:]}, engine="numpy", chunk=10)
    with pytest.raises(rop.RopError, match="at least one"):
        Evaluator(objective, {"x": data["x"][:0]}, engine="numpy", chunk=10)
    with pytest.raises(rop.RopError, match="axis 0"):
        Evaluator(objective, {"x": np.float64(1.0)}, engine="numpy", chunk=10)


def test_no_data_is_one_case(problem):
    objective, _, _ = problem
    assert Evaluator(objective, {}, engine="numpy", chunk=10).cases == 1
