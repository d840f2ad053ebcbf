"""Values and gradients without a linearization, and batches that change between two calls."""

import gc
import weakref

import numpy as np
import pytest

import rop


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x, z = rop.nets.mlp([3, 5, 4])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 4)), l2=0.01)
    theta = rng.standard_normal(objective.n)
    return (
        objective,
        theta,
        {"x": rng.standard_normal((6, 3)), "t": np.eye(4)[rng.integers(4, size=6)]},
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("l2", [0.0, 0.1, {"W1": 0.2}])
def test_as_linearize(problem, engine, dtype, l2):
    objective, theta, batch = problem
    objective.l2 = l2
    at = objective.linearize(theta, batch, engine, dtype)
    value, gradient = objective.value_and_gradient(theta, batch, engine, dtype)
    assert value == pytest.approx(at.value, rel=1e-6 if dtype is np.float32 else 1e-13)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype is np.float32 else {"rtol": 1e-12}
    np.testing.assert_allclose(gradient, at.gradient(), **tolerance)
    np.testing.assert_array_equal(gradient, objective.gradient(theta, batch, engine, dtype))
    assert gradient.dtype == dtype


@pytest.mark.parametrize("what", ["value", "gradient", "value_and_gradient", "linearize"])
def test_a_batch_that_changes_in_place(problem, engine, what):
    """The same arrays again are read again, and checked again, if a bit of them has changed."""
    objective, theta, batch = problem

    def gradient():
        if what == "linearize":
            return objective.linearize(theta, batch, engine).gradient()
        found = getattr(objective, what)(theta, batch, engine)
        return found[1] if what == "value_and_gradient" else found

    first = gradient()
    np.testing.assert_array_equal(gradient(), first)
    batch["x"][2, 1] += 1.0
    changed = gradient()
    assert np.any(changed != first)
    before = batch["x"][2, 1]
    for bad in (np.nan, np.inf):
        batch["x"][2, 1] = bad
        for _ in range(2):
            with pytest.raises(rop.RopValueError, match=r"batch\['x'\].*\[2, 1\]"):
                gradient()
    batch["x"][2, 1] = before
    batch["t"][0] = 0.5
    for _ in range(2):
        with pytest.raises(rop.RopValueError, match="sum"):
            gradient()
    batch["t"][0] = [0.0, 0.0, 1.0, 0.0]
    batch["t"][1] = [0.5, 0.5, 0.0, 0.0]
    fresh = {name: array.copy() for name, array in batch.items()}
    last = gradient()
    objective = rop.Objective(objective.z, objective.loss, objective.l2)
    batch = fresh
    np.testing.assert_array_equal(last, gradient())


def test_what_another_objective_has_checked_is_checked_again(problem, engine):
    """Targets that are right for one loss may be wrong for another."""
    objective, theta, batch = problem
    batch["t"][:] = 2.0
    squared = rop.Objective(objective.z, rop.SquaredError(rop.data("t", 4)))
    assert np.isfinite(squared.gradient(theta, batch, engine)).all()
    objective.outputs(theta, batch, engine)  # needs no targets, so checks none
    with pytest.raises(rop.RopValueError, match="sum"):
        objective.value(theta, batch, engine)


def test_an_objective_that_nobody_holds_goes_at_once(engine):
    """No cycle keeps it, and its memory, until the garbage collector runs."""
    x, z = rop.nets.mlp([3, 5, 4])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 4)))
    batch = {"x": np.ones((6, 3)), "t": np.ones((6, 4))}
    objective.value_and_gradient(np.zeros(objective.n), batch, engine)
    reference = weakref.ref(objective)
    gc.collect()
    gc.disable()
    try:
        del objective
        assert reference() is None
    finally:
        gc.enable()


def test_where_it_does_not_fit(problem, engine, monkeypatch):
    """Then activations are recomputed, as in `linearize`."""
    objective, theta, batch = problem
    expected = objective.value_and_gradient(theta, batch, engine)
    made = []

    def refuse(execution):
        made.append(execution.key)
        if len(made) == 1:
            raise rop.RopMemoryError("too large")

    rop.free_memory()
    monkeypatch.setattr(rop.engines.execution.Execution, "refuse_what_does_not_fit", refuse)
    value, gradient = objective.value_and_gradient(theta, batch, engine)
    assert [key[-1] for key in made] == ["gradient", "products"]
    assert value == pytest.approx(expected[0], rel=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-12)


def test_overflow_shows_in_the_value(engine):
    w = rop.param("w")
    objective = rop.Objective(rop.exp(w) - 1.0)
    value, gradient = objective.value_and_gradient([800.0], engine=engine)
    assert value == np.inf
    assert gradient[0] == np.inf
