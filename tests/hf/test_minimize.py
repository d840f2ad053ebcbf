"""Whole runs: their stops, their result, Ctrl-C, and the line of progress."""

import numpy as np
import pytest

import rop
from rop.hf import HessianFree, Recipe, minimize, recipes
from rop.nets import autoencoder, mlp


def problem(seed=0):
    rng = np.random.default_rng(seed)
    x, z = mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    X = rng.standard_normal((60, 4))
    T = np.eye(3)[1 * (X[:, 0] * X[:, 1] > 0) + (X[:, 2] > 0)]
    return objective, objective.init("glorot", seed=seed), {"x": X, "t": T}


def short(**settings):
    return minimize(*problem(), engine="numpy", **settings)


def test_the_result_in_scipys_manner():
    result = short(iterations=7)
    assert (result.nit, len(result.records), result.success) == (7, 7, False)
    assert result.reason == "iterations"
    assert result.x is result.theta
    assert result.theta.dtype == np.float32
    assert result.fun == result.records[-1].f_after < result.records[0].f_before
    assert result.lam == result.records[-1].lam_after
    assert result.recipe == Recipe()
    assert [it.number for it in result.records] == list(range(7))
    assert 0 < sum(sum(it.seconds.values()) for it in result.records) < result.seconds
    assert "theta" not in repr(result)


def test_minimize_and_the_iterator_are_the_same():
    result = short(iterations=5)
    optimizer = HessianFree(*problem(), engine="numpy")
    for _, it in zip(range(5), optimizer, strict=False):
        assert it.f_after == result.records[it.number].f_after
    np.testing.assert_array_equal(optimizer.theta, result.theta)


def test_no_iterations_leave_theta_alone():
    objective, theta, data = problem()
    result = minimize(objective, theta, data, iterations=0, engine="numpy", dtype=np.float64)
    np.testing.assert_array_equal(result.theta, theta)
    assert result.nit == 0 and np.isnan(result.fun)


def test_the_target_ends_the_run():
    everything = short(iterations=10)
    target = everything.records[4].f_after
    result = short(target=target)
    assert (result.reason, result.success, result.nit) == ("target", True, 5)
    assert result.fun <= target < result.records[-1].f_before


def test_the_time_ends_the_run():
    result = short(seconds=0.0)
    assert (result.reason, result.success, result.nit) == ("seconds", False, 1)


def test_the_gradient_ends_the_run():
    result = short(gradient_norm=1e-4, iterations=200)
    assert (result.reason, result.success) == ("gradient", True)
    assert result.records[-1].gradient_norm > 1e-4


def test_a_loss_that_is_not_finite_is_a_failure():
    objective = rop.Objective(rop.log(rop.param("p")), rop.SquaredError(0.0))
    result = minimize(objective, [-1.0], {}, engine="numpy")
    assert (result.reason, result.success, result.nit) == ("not finite", False, 0)
    assert np.isnan(result.fun)
    assert "not finite" in result.message


def test_the_callback_sees_every_iteration_and_can_end_the_run():
    seen = []

    def callback(it, theta):
        seen.append((it.number, theta))
        if it.number == 3:
            raise StopIteration

    result = short(callback=callback)
    assert (result.reason, result.success, result.nit) == ("callback", True, 4)
    assert [number for number, _ in seen] == [0, 1, 2, 3]
    np.testing.assert_array_equal(seen[-1][1], result.theta)


def test_the_callback_cannot_change_theta():
    def callback(it, theta):
        theta *= 0

    with pytest.raises(ValueError, match="read-only"):
        short(callback=callback)


def test_ctrl_c_between_iterations_keeps_the_last():
    def callback(it, theta):
        if it.number == 2:
            raise KeyboardInterrupt

    result = short(callback=callback)
    assert (result.reason, result.success, result.nit) == ("interrupted", False, 3)
    assert result.fun == result.records[-1].f_after


@pytest.mark.parametrize("calls", [5, 6, 7, 20])
def test_ctrl_c_within_an_iteration_keeps_the_last_complete_one(monkeypatch, calls):
    objective, theta, data = problem()
    linearize, count = objective.linearize, iter(range(10_000))

    def interrupted(*arguments, **settings):
        if next(count) == calls:
            raise KeyboardInterrupt
        return linearize(*arguments, **settings)

    monkeypatch.setattr(objective, "linearize", interrupted)
    result = minimize(objective, theta, data, engine="numpy")
    monkeypatch.undo()
    assert result.reason == "interrupted"
    assert 0 < result.nit == len(result.records) < calls
    expected = minimize(objective, theta, data, iterations=result.nit, engine="numpy")
    np.testing.assert_array_equal(result.theta, expected.theta)
    assert result.fun == pytest.approx(expected.fun, rel=1e-6)


def test_progress_is_a_line(capsys):
    short(iterations=3, progress=True)
    line = capsys.readouterr().err
    assert "HF" in line and "3 of 3 iterations" in line and "rho" in line


def test_no_progress_no_output(capsys):
    short(iterations=3)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_learns_what_needs_the_hidden_layer(engine, dtype):
    objective, theta, data = problem()
    result = minimize(objective, theta, data, iterations=60, engine=engine, dtype=dtype)
    z = objective.linearize(result.theta, data, engine=engine).outputs
    assert (z.argmax(1) == data["t"].argmax(1)).mean() == 1.0
    assert result.fun < 0.15


@pytest.mark.parametrize("recipe", [recipes.martens2010(lam=1.0), recipes.basic()])
def test_the_named_recipes_learn_too(recipe):
    result = short(recipe=recipe, iterations=80)
    assert result.fun < 0.2


def test_an_autoencoder_gets_past_the_mean_image():
    # Plain gradient descent from such weights stays at the mean for long (SMDH13, HF10).
    rng = np.random.default_rng(0)
    centre = rng.uniform(2, 10, (200, 2))
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(12)), -1).reshape(1, 144, 2)
    X = np.exp(-((grid - centre[:, None]) ** 2).sum(-1) / 6)
    x, z = autoencoder([144, 40, 12, 2])
    objective = rop.Objective(z, rop.SigmoidCrossEntropy(x), l2=2e-5)
    recipe = recipes.martens2010(curvature=0.5, lam=1.0)
    result = minimize(objective, objective.init("sparse"), {"x": X}, recipe, iterations=40)
    p = X.mean(0)
    mean_image = -(X * np.log(p) + (1 - X) * np.log1p(-p)).sum(1).mean()
    entropy = -(X * np.log(X) + (1 - X) * np.log1p(-X)).sum(1).mean()
    assert result.fun - entropy < 0.5 * (mean_image - entropy)
