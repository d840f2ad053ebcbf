"""rop.check on graphs: right rules raise no alarm, wrong ones are found, in every engine."""

import numpy as np
import pytest
import random_graphs
from hypothesis import given

import rop
from rop.checking import check
from rop.checking.loss_alone import LossAlone
from rop.objective.linearization import products_of


def layered(sizes, cases, activation=rop.tanh, loss=rop.SoftmaxCrossEntropy, l2=0.01, scale=1.0):
    rng = np.random.default_rng(0)
    x, t = rop.data("x", sizes[0]), rop.data("t", sizes[-1])
    y = x
    for i, (fan_in, fan_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
        y = rop.param(f"W{i}", (fan_out, fan_in)) @ y + rop.param(f"b{i}", fan_out)
        if i < len(sizes) - 1:
            y = activation(y)
    objective = rop.Objective(y, loss(t), l2=l2)
    batch = {
        "x": rng.standard_normal((cases, sizes[0])),
        "t": np.eye(sizes[-1])[rng.integers(sizes[-1], size=cases)],
    }
    return objective, scale * objective.init("glorot", seed=0), batch


def check_model(model, **settings):
    return check(model.objective, model.theta, model.batch, seed=model.seed, **settings)


@given(random_graphs.models())
@random_graphs.examples(40)
def test_random_graphs_raise_no_alarm(model):
    report = check_model(model, engine=("numba", "numpy")[model.seed % 2])
    assert report.verdict != "fail", str(report)


@pytest.mark.slow
@given(random_graphs.models())
@random_graphs.examples(1000)
def test_a_thousand_random_graphs_raise_no_alarm(model):
    report = check_model(model, engine=("numba", "numpy")[model.seed % 2])
    assert report.verdict != "fail", str(report)


def test_outputs_that_all_cases_share():
    p, t = rop.param("p", 2), rop.data("t", 2)
    objective = rop.Objective(p, rop.LossGraph(rop.sum(rop.softplus(p) - t * p)))
    report = check(objective, np.ones(2), {"t": np.eye(2)})
    assert report.ok, str(report)


@pytest.mark.parametrize("loss", [rop.SquaredError, rop.SigmoidCrossEntropy])
@pytest.mark.parametrize("activation", [rop.relu, rop.elu, rop.softplus])
@pytest.mark.parametrize("cases", [1, 256])
def test_losses_activations_and_batch_sizes(loss, activation, cases):
    report = check(*layered((4, 6, 5, 3), cases, activation, loss))
    assert report.ok, str(report)


@pytest.mark.parametrize("scale", [1e-3, 30.0, 1000.0])
def test_tiny_and_saturated_weights_raise_no_alarm_but_a_warning(scale):
    report = check(*layered((4, 6, 5, 3), 9, scale=scale))
    assert report.verdict != "fail", str(report)
    assert any("sec. 7.2" in warning for warning in report.warnings)


def test_the_blocks_are_the_parameters():
    report = check(*layered((4, 5, 3), 7))
    assert report.ok, str(report)
    assert list(report.products["ggnvp"].blocks) == ["W1", "b1", "W2", "b2"]
    assert {"float32", "numpy engine", "parts of the batch", "shift of softmax"} <= {
        identity.name for identity in report.identities
    }


def test_graphs_without_data_and_with_shared_parameters():
    W = rop.param("W", (3, 3))
    y = rop.param("y", 3)
    for _ in range(4):
        y = rop.tanh(W @ y + y)
    objective = rop.Objective(y, rop.SquaredError(rop.constant(np.ones(3))))
    report = check(objective, objective.init("normal", seed=1), full=True)
    assert report.ok, str(report)
    assert report.columns.verdict == "pass"


def nonconvex(convexify):
    x, t, W = rop.data("x", 4), rop.data("t", 3), rop.param("W", (3, 4))
    z = W @ x
    node = rop.sum(rop.square(rop.tanh(z) - t)) / 2 + rop.sin(rop.sum(z))
    objective = rop.Objective(z, rop.LossGraph(node, convexify), l2=0.1)
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((7, 4)), "t": rng.standard_normal((7, 3))}
    return objective, rng.standard_normal(objective.n), batch


@pytest.mark.parametrize("convexify", [None, "shift", "eigen"])
def test_losses_that_are_not_convex(convexify):
    objective, theta, batch = nonconvex(convexify)
    hessians = products_of(objective.linearize(theta, batch)).loss_hessians(
        "raw_loss_hvp" if convexify else "loss_hvp"
    )
    assert np.linalg.eigvalsh(hessians).min() < -1e-3
    report = check(objective, theta, batch, full=True)
    assert report.ok, str(report)


def test_a_wrong_convexification_is_found(monkeypatch):
    objective, theta, batch = nonconvex("eigen")
    monkeypatch.setattr(objective.loss, "convexify", "shift")
    right = LossAlone.__init__

    def says_eigen(self, *arguments):
        right(self, *arguments)
        self.convexify = "eigen"

    monkeypatch.setattr(LossAlone, "__init__", says_eigen)
    report = check(objective, theta, batch)
    assert report.products["ggnvp"].verdict == "fail"
    assert report.products["hvp"].verdict == "pass"


class HalfBend(rop.ops.Elementwise):
    """tanh with half of its s''."""

    @staticmethod
    def s(z):
        return np.tanh(z)

    @staticmethod
    def ds(a):
        return 1.0 - a * a

    @staticmethod
    def d2s(a, ds):
        return -1.0 * a * ds


class WrongSlope(HalfBend):
    """tanh with a slope that is off by 0.05 %."""

    @staticmethod
    def ds(a):
        return 1.0005 * (1.0 - a * a)

    @staticmethod
    def d2s(a, ds):
        return -2.0 * a * ds


class WrongAdjoint(rop.ops.Linear):
    """A shift by one whose adjoint shifts the same way."""

    def A(self, z):
        return np.roll(z, 1, axis=-1) + z

    def AT(self, da):
        return np.roll(da, 1, axis=-1) + da


class WrongSecondAdjoint(rop.ops.Bilinear):
    """A product whose second adjoint has the sign wrong."""

    def B(self, x, y):
        return x * y

    def B1(self, da, y):
        return da * y

    def B2(self, x, da):
        return -x * da


class Float32Slope(HalfBend):
    """tanh whose slope passes through float32."""

    @staticmethod
    def ds(a):
        return (1.0 - a * a).astype(np.float32).astype(np.float64)

    @staticmethod
    def d2s(a, ds):
        return -2.0 * a * (1.0 - a * a)


def with_op(op):
    rng = np.random.default_rng(0)
    x, t = rop.data("x", 4), rop.data("t", 3)
    W1, b1, W2 = rop.param("W1", (5, 4)), rop.param("b1", 5), rop.param("W2", (3, 5))
    hidden = W1 @ x + b1
    y = op.of(hidden, rop.tanh(hidden)) if issubclass(op, rop.ops.Bilinear) else op.of(hidden)
    objective = rop.Objective(W2 @ y, rop.SquaredError(t))
    batch = {"x": rng.standard_normal((6, 4)), "t": rng.standard_normal((6, 3))}
    return objective, rng.standard_normal(objective.n), batch


@pytest.mark.ci
@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize(
    "op, wrong, right",
    [
        (HalfBend, {"hvp"}, {"jvp", "vjp", "gradient", "ggnvp"}),
        (WrongSlope, {"jvp", "gradient", "ggnvp"}, {"loss_gradient", "loss_hvp"}),
        (WrongAdjoint, {"vjp", "gradient", "ggnvp"}, {"jvp", "loss_hvp"}),
        (WrongSecondAdjoint, {"vjp", "gradient", "ggnvp"}, {"jvp", "loss_hvp"}),
        (Float32Slope, {"jvp"}, {"loss_hvp"}),
    ],
)
def test_a_wrong_rule_of_a_users_op_is_found(op, wrong, right, engine):
    report = check(*with_op(op), engine=engine)
    failed = {name for name in report.products if report.products[name].verdict == "fail"}
    assert wrong <= failed, str(report)
    assert not right & failed, str(report)


class Clipped(rop.ops.Elementwise):
    """max(z, -1): a kink at -1 that no other function of the catalogue has."""

    @staticmethod
    def s(z):
        return np.maximum(z, -1.0)

    @staticmethod
    def ds(z):
        return np.where(z > -1.0, 1.0, 0.0)

    d2s = None


def test_units_at_a_kink_are_named_and_convict_nobody():
    W, t = rop.param("W", (4,)), rop.data("t", 4)
    objective = rop.Objective(Clipped.of(W), rop.SquaredError(t))
    theta = np.array([-1.0, 0.5, -1.0, -2.0])
    report = check(objective, theta, {"t": np.zeros((3, 4))})
    assert report.verdict == "inconclusive", str(report)
    assert any("2 of 4 units of clipped" in warning.lower() for warning in report.warnings)


@pytest.mark.parametrize(
    "z, op",
    [
        (lambda W: rop.maximum(W, -1.0), "notnegative"),
        (lambda W: rop.where(W > -1.0, W, -1.0), "positive"),
        (lambda W: rop.max(rop.stack([W, -1.0 + 0.0 * W]), axis=0), "notnegative"),
    ],
)
def test_choices_at_a_kink_are_named(z, op):
    W, t = rop.param("W", (4,)), rop.data("t", 4)
    objective = rop.Objective(z(W), rop.SquaredError(t))
    report = check(objective, np.array([-1.0, 0.5, -1.0, -2.0]), {"t": np.ones((3, 4))})
    assert report.verdict == "inconclusive", str(report)
    assert any(f"2 of 4 units of {op}" in warning.lower() for warning in report.warnings)


def test_ties_of_a_pool_are_named_but_not_those_that_stay():
    """Two windows with a tie; in a third, two elements are equal whatever θ is."""
    P, t = rop.param("P", (1, 2, 4)), rop.data("t", (1, 1, 3))
    z = rop.max_pool2d(rop.concatenate([P, rop.relu(P[:, :, :2]) - 5.0], axis=2), 2)
    objective = rop.Objective(z, rop.SquaredError(t))
    theta = np.array([-1.0, -1.0, 2.0, 1.0, -2.0, -3.0, 1.0, 2.0])
    report = check(objective, theta, {"t": np.ones((3, 1, 1, 3))})
    assert report.verdict == "inconclusive", str(report)
    assert any("2 of 3 windows of maxpool" in w and "2 of them equal" in w for w in report.warnings)


def test_products_that_raise_are_named():
    class Broken(HalfBend):
        @staticmethod
        def d2s(a, ds):
            raise ArithmeticError("no second derivative")

    report = check(*with_op(Broken))
    assert report.products["hvp"].verdict == "fail"
    assert "no second derivative" in str(report)
    assert report.products["ggnvp"].verdict == "pass"


def test_arguments_are_checked():
    objective, theta, batch = layered((4, 3), 5)
    with pytest.raises(rop.RopTypeError, match="rop.check_products"):
        check(lambda theta: theta, theta)
    with pytest.raises(rop.RopValueError, match="expected shape"):
        check(objective, theta[1:], batch)
    with pytest.raises(rop.RopValueError, match="batch"):
        check(objective, theta, {"x": batch["x"]})


@pytest.mark.ci
def test_the_number_of_calls_does_not_grow_with_the_number_of_parameters():
    calls = {}
    for sizes in ((10, 20, 9, 10), (100, 200, 90, 10)):
        report = check(*layered(sizes, 10))
        assert report.ok
        calls[sizes] = sum(report.calls.values())
    small, large = calls.values()
    assert large <= 1.5 * small
