"""Validation data: recorded, the best θ kept, early stopping, and all of it resumed bit by bit."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import rop
from rop.hf import Batches, HessianFree, Recipe, Stream, minimize, read_log, replay
from rop.nets import mlp


@pytest.fixture
def overfits():
    """Objective, θ_0, few noisy cases to train on, and others to validate with."""
    rng = np.random.default_rng(0)
    _, z = mlp([3, 12, 1])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)), l2=1e-3)
    X = rng.standard_normal((60, 3))
    t = X[:, :1] + 0.7 * rng.standard_normal((60, 1))
    train, held_out = {"x": X[:15], "t": t[:15]}, {"x": X[15:], "t": t[15:]}
    return objective, objective.init("glorot", seed=0), train, held_out


def loss(objective, theta, batch):
    """Return f without its penalty."""
    value = objective.value(theta, batch, engine="numpy")
    return value - objective.l2 / 2 * float(theta @ theta)


SETTINGS = {"engine": "numpy", "dtype": np.float64}


@pytest.mark.parametrize("every", [1, 3])
def test_the_result_has_the_theta_with_the_lowest_validation_loss(overfits, every):
    objective, theta, train, held_out = overfits
    path = [theta]
    result = minimize(
        objective, theta, train, iterations=20, validation=held_out, validate_every=every,
        callback=lambda it, theta: path.append(theta.copy()), **SETTINGS,
    )  # fmt: skip
    losses = [loss(objective, theta, held_out) for theta in path]
    measured = [0, *range(every, 21, every)]
    best = min(measured, key=losses.__getitem__)
    assert 0 < best < 20  # or the test could not tell the best from the last
    assert result.best_iteration == best
    np.testing.assert_array_equal(result.theta, path[best])
    np.testing.assert_array_equal(result.last_theta, path[-1])
    assert result.f_validation == pytest.approx(losses[best], rel=1e-12)
    assert result.fun == pytest.approx(objective.value(path[best], train, engine="numpy"))
    for it in result.records:
        if (it.number + 1) % every:
            assert it.f_validation is None
        else:
            assert it.f_validation == pytest.approx(losses[it.number + 1], rel=1e-10)
            assert f"validation {it.f_validation:.6g}" in str(it)


@pytest.mark.parametrize("every, patience", [(1, 1), (1, 3), (2, 2)])
def test_patience_ends_the_run(overfits, every, patience):
    objective, theta, train, held_out = overfits
    settings = {"validation": held_out, "validate_every": every, **SETTINGS}
    result = minimize(objective, theta, train, patience=patience, **settings)
    assert (result.reason, result.success) == ("validation", True)
    values = [it.f_validation for it in result.records if it.f_validation is not None]
    lowest = [loss(objective, theta, held_out), *values]
    assert all(value >= min(lowest[:-patience]) for value in values[-patience:])
    assert result.nit == result.best_iteration + patience * every
    longer = minimize(objective, theta, train, iterations=result.nit + 5, **settings)
    assert longer.nit == result.nit + 5  # without patience it goes on
    assert longer.records[: result.nit] == [
        replace(a, seconds=b.seconds) for a, b in zip(result.records, longer.records, strict=False)
    ]


def test_validation_changes_nothing_else(overfits):
    objective, theta, train, held_out = overfits
    plain = minimize(objective, theta, train, iterations=8, **SETTINGS)
    watched = minimize(objective, theta, train, iterations=8, validation=held_out, **SETTINGS)
    np.testing.assert_array_equal(watched.last_theta, plain.theta)
    np.testing.assert_array_equal(plain.last_theta, plain.theta)
    assert (plain.f_validation, plain.best_iteration) == (None, None)
    for a, b in zip(plain.records, watched.records, strict=True):
        assert replace(b, f_validation=None, seconds=a.seconds) == a


@pytest.mark.parametrize("first", [1, 4, 9])
def test_resumed_runs_are_the_same_bit_by_bit(overfits, tmp_path, first):
    objective, theta, train, held_out = overfits
    settings = {"validation": held_out, "validate_every": 2, "patience": 4}
    whole = minimize(objective, theta, train, **settings)
    options = {"folder": tmp_path / "run", **settings}
    minimize(objective, theta, train, iterations=first, **options)
    resumed = minimize(objective, theta, train, resume=True, **options)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.last_theta, whole.last_theta)
    for name in ("reason", "nit", "fun", "f_validation", "best_iteration"):
        assert getattr(resumed, name) == getattr(whole, name)
    again = minimize(objective, theta, train, resume=True, **options)
    np.testing.assert_array_equal(again.theta, whole.theta)
    log = read_log(tmp_path / "run")
    assert [it.f_validation for it in log.records] == [it.f_validation for it in whole.records]
    done = list(replay(tmp_path / "run", objective, theta, train, held_out))
    assert len(done) == whole.nit


def test_a_folder_knows_its_validation_data(overfits, tmp_path):
    objective, theta, train, held_out = overfits
    folder = {"folder": tmp_path / "run"}
    minimize(objective, theta, train, validation=held_out, iterations=2, **folder)
    other = {name: array[::-1] for name, array in held_out.items()}
    for settings in ({}, {"validation": other}, {"validation": held_out, "validate_every": 2}):
        with pytest.raises(rop.RopError, match="validat"):
            minimize(objective, theta, train, resume=True, iterations=3, **settings, **folder)


def test_the_state_goes_on_elsewhere_with_its_best_theta(overfits):
    objective, theta, train, held_out = overfits
    whole = HessianFree(objective, theta, train, validation=held_out, **SETTINGS)
    records = [next(whole) for _ in range(10)]
    first = HessianFree(objective, theta, train, validation=held_out, **SETTINGS)
    for _ in range(4):
        next(first)
    second = HessianFree(objective, theta, train, validation=held_out, **SETTINGS)
    second.state = first.state
    for it in records[4:]:
        assert next(second).f_validation == it.f_validation
    np.testing.assert_array_equal(second.state.best, whole.state.best)
    assert second.state.f_best == whole.state.f_best == min(it.f_validation for it in records)


def test_a_start_that_is_not_a_number_is_never_the_best():
    p, x = rop.param("p", 1), rop.data("x", 1)
    objective = rop.Objective(rop.log(p * x), rop.SquaredError(np.zeros(1)))
    held_out = {"x": -np.ones((2, 1))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = minimize(
            objective, [2.0], {"x": np.ones((3, 1))}, iterations=3, validation=held_out, **SETTINGS
        )
    assert np.isnan(result.f_validation) and result.best_iteration == 0
    assert np.isfinite(result.theta).all()


def test_streams_can_be_validated(overfits):
    objective, theta, train, held_out = overfits
    stream = Stream(lambda k: train)
    recipe = Recipe(batches=Batches(seed=None), pairs=None)  # those of a stream are others
    a = minimize(objective, theta, stream, recipe, iterations=5, validation=held_out, **SETTINGS)
    b = minimize(objective, theta, train, recipe, iterations=5, validation=held_out, **SETTINGS)
    assert a.f_validation == b.f_validation


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"patience": 3}, "patience needs validation="),
        ({"validation": 5}, "validation must be"),
        ({"validation": {}, "patience": 0}, "patience must be an int >= 1"),
        ({"validation": {}, "validate_every": 0.5}, "validate_every must be an int >= 1"),
        ({"validation": {"x": np.ones((2, 3))}}, "'t'"),
    ],
)
def test_wrong_arguments_are_refused(overfits, settings, words):
    objective, theta, train, _ = overfits
    with pytest.raises(rop.RopError, match=words):
        minimize(objective, theta, train, iterations=1, **settings)
