"""Failed checks name the first guilty node and rule; innocent graphs have none."""

import numpy as np
import own_ops
import pytest
import random_graphs
import zoo
from hypothesis import given
from mutation_study import Sample, feed_forward, is_named, study_mutants, unusual

import rop
from rop.checking import check
from rop.checking.eager import Eager, array_of, leaves
from rop.checking.localisation import localise
from rop.checking.mutations import mutations
from rop.checking.sweeping import sweep_products
from rop.checking.trials import Trials
from rop.objective.definition import programs_of
from rop.programs.sweeps import forward


@given(random_graphs.models())
@random_graphs.examples(40)
def test_sweeps_by_hand_make_the_products_of_the_engines(model):
    objective = model.objective
    at = objective.linearize(model.theta, model.batch, "numpy")
    a = leaves(
        [*programs_of(objective).nodes, *objective.parameters],
        objective.unpack(model.theta),
        model.batch,
    )
    forward(programs_of(objective).nodes, Eager(at.cases, programs_of(objective).names), a, {})
    np.testing.assert_allclose(array_of(a[objective.z]), at.outputs, rtol=1e-12, atol=1e-12)
    v, u = model.vectors()
    for name, product in sweep_products(objective, a, at.cases, v, u).items():
        if name == "value":
            expected = at.value
        elif name in ("gradient", "loss_gradient"):
            expected = getattr(at, name)()
        else:
            expected = getattr(at, name)(u if name in ("vjp", "loss_hvp") else v)
        scale = max(1e-300, float(np.linalg.norm(expected)))
        assert np.linalg.norm(product - expected) <= 1e-10 * scale + 1e-13, name


@given(random_graphs.models())
@random_graphs.examples(40)
def test_no_node_of_a_right_graph_is_guilty(model):
    found = localise(model.objective, model.theta, model.batch, "numba")
    assert found.guilty == (), found.lines()


@pytest.mark.slow
@given(random_graphs.models())
@random_graphs.examples(1000)
def test_no_node_of_a_thousand_right_graphs_is_guilty(model):
    found = localise(model.objective, model.theta, model.batch, "numba")
    assert found.guilty == (), found.lines()


@pytest.mark.one_in(6)
@pytest.mark.parametrize("name", zoo.EXAMPLES)
def test_the_rules_of_every_op_are_named(name):
    objective, theta, batch, node = zoo.example(name)
    sample = Sample(objective, theta, batch, name)
    trials = Trials(objective, theta, batch, "numba", 0)
    for mutation in mutations(objective, sample.cases):
        if mutation.node is not node or mutation.kind != "x1.0005" or mutation.rule == "value":
            continue
        if not trials.harmless(mutation):
            wrong = mutation.inject(objective, sample.cases)
            first = localise(wrong, theta, batch, "numba").first
            assert is_named(sample, mutation, first), f"{mutation}: {first}"


@pytest.mark.parametrize("name", zoo.LOSSES[:3])
def test_the_rules_of_every_loss_are_named(name):
    objective, theta, batch = zoo.with_loss(name, weighted=True)
    sample = Sample(objective, theta, batch, name)
    trials = Trials(objective, theta, batch, "numba", 0)
    for mutation in mutations(objective, sample.cases):
        chosen = mutation.what == name and mutation.kind == "x1.0005"
        if chosen and not trials.harmless(mutation):
            wrong = mutation.inject(objective, sample.cases)
            first = localise(wrong, theta, batch, "numba").first
            assert is_named(sample, mutation, first), f"{mutation}: {first}"


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


class WrongSwirl(own_ops.Swirl):
    """An op of no family whose curvature rule lost a factor."""

    def RsT(self, z, Rz, da):
        first, second = super().RsT(z, Rz, da)
        return first, 0.5 * second


class Broken(HalfBend):
    """tanh without a second derivative."""

    @staticmethod
    def d2s(a, ds):
        raise ArithmeticError("no second derivative")


def with_op(op):
    rng = np.random.default_rng(0)
    x, t = rop.data("x", 4), rop.data("t", 3)
    W1, b1, W2 = rop.param("W1", (5, 4)), rop.param("b1", 5), rop.param("W2", (3, 5))
    hidden = W1 @ x + b1
    squashed = rop.tanh(hidden).named("squashed")
    two = issubclass(op, rop.ops.Bilinear | rop.ops.General)
    y = op.of(hidden, squashed) if two else op.of(hidden)
    objective = rop.Objective(W2 @ y, rop.SquaredError(t))
    batch = {"x": rng.standard_normal((6, 4)), "t": rng.standard_normal((6, 3))}
    return objective, rng.standard_normal(objective.n), batch


@pytest.mark.ci
@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize(
    "op, rule, operands",
    [
        (HalfBend, "curvature", ()),
        (WrongSlope, "s'", ()),
        (WrongAdjoint, "reverse", ()),
        (WrongSecondAdjoint, "reverse", ("squashed",)),
        (WrongSwirl, "curvature", ()),
        (Broken, "raises", ()),
    ],
)
def test_a_users_wrong_op_is_named_with_rule_operand_and_line(op, rule, operands, engine):
    report = check(*with_op(op), engine=engine)
    assert report.verdict == "fail"
    first = report.localization.first
    assert first.what.startswith(op.__name__.lower())
    assert (first.rule, first.operands) == (rule, operands)
    assert len(report.localization.guilty) == 1
    assert first.line.startswith("test_localisation.py, line")
    text = str(report)
    assert f"first guilty node: #{first.node} {first.what} (test_localisation.py, line" in text
    report.to_json()


def test_the_report_says_which_tests_a_guilty_node_passed():
    text = str(check(*with_op(HalfBend)))
    assert "curvature rule" in text
    assert "reverse against R, by the dot test: OK" in text
    assert "curvature against differences of reverse: off by" in text


def test_a_right_objective_is_not_searched():
    report = check(*with_op(own_ops.Arctan))
    assert report.ok
    assert report.localization is None


def test_an_op_shared_by_the_steps_of_a_net_is_named_at_its_first_use():
    W, y = rop.param("W", (3, 3)), rop.param("y", 3)
    for _ in range(4):
        y = HalfBend.of(W @ y)
    objective = rop.Objective(y, rop.SquaredError(rop.constant(np.ones(3))))
    report = check(objective, objective.init("normal", seed=1, std=0.5))
    numbers = [guilt.node for guilt in report.localization.guilty]
    assert len(numbers) == 4
    assert numbers == sorted(numbers)
    assert "also guilty" in str(report)


def test_a_wrong_product_of_right_rules_is_told_apart():
    objective, theta, batch = zoo.with_loss("SigmoidCrossEntropy")
    mutation = next(
        m
        for m in mutations(objective, 5)
        if m.rule == "product" and (m.what, m.kind) == ("ggnvp", "x2")
    )
    report = check(mutation.inject(objective, 5), theta, batch)
    assert report.verdict == "fail"
    assert [(g.node, g.what, g.rule) for g in report.localization.guilty] == [
        (None, "ggnvp", "product")
    ]
    assert "is not what the rules make" in str(report)


@pytest.mark.ci
@pytest.mark.parametrize("make", [feed_forward, unusual])
def test_random_bugs_in_random_graphs_are_found_and_named(make):
    samples = (make(np.random.default_rng([7, i])) for i in range(4))
    study = study_mutants(samples, per_sample=15, seconds=30)
    assert study.mutants >= 30
    assert study.gross_found == study.gross
    assert study.found >= study.mutants - 1, study.missed
    assert study.named >= study.found - 3, study.misnamed
