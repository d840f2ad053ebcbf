"""Traces hold what products go through; steps play it, and agree with finite differences."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from random_graphs import examples, models

import rop
from rop.errors import RopTypeError, RopValueError
from rop.ops.families import Elementwise
from rop.show.stepping import Stepping

VECTORS = {"gradient": 0, "jvp": "v", "vjp": "u", "loss_hvp": "u", "ggnvp": "v", "hvp": "v"}


def network(loss=rop.SoftmaxCrossEntropy, dtype=np.float64):
    x, W, b, V = rop.data("x", 4), rop.param("W", (6, 4)), rop.param("b", 6), rop.param("V", (3, 6))
    h = rop.tanh(W @ x + b)
    objective = rop.Objective(V @ h + h[:3], loss(rop.data("t", 3)), l2=0.1)
    rng = np.random.default_rng(0)
    batch = {"x": rng.normal(size=(5, 4)), "t": np.eye(3)[rng.integers(0, 3, 5)]}
    at = objective.linearize(objective.init("glorot", seed=1).astype(dtype), batch, engine="numpy")
    return at, h, rng.normal(size=objective.n)


@given(models())
@examples(40)
def test_a_trace_ends_in_the_product(model):
    at = model.objective.linearize(model.theta, model.batch, engine="numpy")
    v, u = model.vectors()
    for product, which in VECTORS.items():
        given_vector = {"v": v, "u": u}.get(which)
        trace = at.trace(product, given_vector)
        expected = getattr(at, product)(*([] if given_vector is None else [given_vector]))
        scale = np.abs(expected).max(initial=1.0)
        assert np.allclose(trace.result, expected, rtol=0, atol=1e-13 * scale)


@pytest.mark.ci
@given(models(smooth=True))
@examples(25)
def test_no_step_disagrees_with_the_difference_of_its_node(model):
    at = model.objective.linearize(model.theta, model.batch, engine="numpy")
    v, u = model.vectors()
    for product, vector in (("gradient", None), ("ggnvp", v), ("hvp", v)):
        for step in rop.step(at, product, vector):
            found = step.check()
            assert found.verdict != "fail", f"{step.formula}: {found}"


def test_a_trace_is_a_mapping_from_the_listings_names_and_from_nodes():
    at, h, v = network()
    listing, trace = rop.explain(at.objective, "hvp"), at.trace("hvp", v)
    for line in (*listing.once, *listing.each):
        if line.steps:
            assert line.steps[-1].target.name in trace
    x, W, b = at.batch["x"], *(at.objective.unpack(at.theta)[name] for name in "Wb")
    RW, Rb = (at.objective.unpack(v)[name] for name in "Wb")
    assert np.allclose(trace["x2"], x @ W.T + b)
    assert np.allclose(trace[h], np.tanh(x @ W.T + b))
    assert np.allclose(trace["Rx2"], x @ RW.T + Rb)
    assert np.array_equal(trace.of(h, "Ra"), trace["Ry2"])
    assert trace.of(h.parents[0], "Rda") is trace["Rdx2"]
    assert np.array_equal(trace["RW"], RW) and np.array_equal(trace["t"], at.batch["t"])
    assert np.allclose(at.objective.unpack(trace.result)["W"], trace["RdW"] + 0.1 * RW)
    matvec = h.parents[0].parents[0]
    assert trace.of(matvec.parents[1], "Ra") is None  # of x
    with pytest.raises(KeyError, match="only a term of another"):
        trace[matvec]
    with pytest.raises(ValueError, match="read-only"):
        trace["x2"][0, 0] = 1.0


def test_values_that_are_passed_on_are_found_under_their_own_names():
    at, h, v = network()
    trace = at.trace("gradient")
    dz = at.loss_gradient()
    assert np.allclose(trace.of(at.objective.z.parents[0], "da"), dz)
    assert np.allclose(at.trace("vjp", dz).of(at.objective.z, "da"), dz)
    assert np.allclose(at.trace("loss_hvp", dz).of(at.objective.z, "Ra"), dz)


def test_a_node_of_another_graph_has_no_value():
    """Nor is it taken for a parameter whose name is the prefix alone."""
    R = rop.param("R", 3)
    trace = rop.Objective(rop.sum(R * R)).linearize(np.ones(3)).trace("hvp", np.ones(3))
    assert trace.of(rop.data("x", 3), "Ra") is None
    np.testing.assert_array_equal(trace.of(R, "Ra"), np.ones(3))


def test_a_parameter_may_have_the_name_of_a_derivative():
    W, dW = rop.param("W", 3), rop.param("dW", 3)
    theta = np.arange(6.0)
    objective = rop.Objective(rop.sum(rop.sin(W) * dW))
    trace = objective.linearize(theta).trace("gradient")
    np.testing.assert_array_equal(trace[dW], theta[3:])
    np.testing.assert_array_equal(trace["dW"], theta[3:])
    np.testing.assert_allclose(trace.of(W, "da"), np.cos(theta[:3]) * theta[3:], rtol=1e-15)
    np.testing.assert_array_equal(trace["dW_"], trace.of(W, "da"))
    assert trace.target_of(dW) is None and trace.target_of(W, "da").name == "dW_"
    assert "dW_ = s'(W) * dy2" in str(rop.explain(objective, "gradient"))


def test_no_two_values_of_a_trace_share_a_name():
    """Nor do parameters called as the loss's own values, or two functions of one node."""
    x, p, w = rop.data("x", 3), rop.param("p", 3), rop.param("w", 3)
    h = p * x
    z = rop.tanh(h) + rop.sigmoid(h) * w + 0.1 / 3 * h + 0.033333333 * h
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)))
    batch = {"x": np.ones((2, 3)), "t": np.eye(3)[:2]}
    at = objective.linearize(np.linspace(-1, 1, 6), batch, engine="numpy")
    trace = at.trace("hvp", np.ones(6))
    assert {"s'(x2)", "s'(x2)_", "p", "p_"} <= set(trace)
    np.testing.assert_array_equal(trace["p"], at.theta[:3])
    for name, words in (
        ("Rdx22", "hvp has no value 'Rdx22'; did you mean 'Rdx2'?"),
        (rop.data("q"), "it is no node of the objective"),
    ):
        with pytest.raises(KeyError, match=re.escape(words)):
            trace[name]
    np.testing.assert_allclose(trace["p_"].sum(axis=1), 1.0)
    assert r"s'(x_{2})' &=" in rop.explain(objective, "hvp").latex()
    assert r"p' &= \mathrm{softmax}(z)" in rop.explain(objective, "hvp").latex()


@given(models())
@examples(50)
def test_the_values_of_a_trace_have_a_name_each(model):
    at = model.objective.linearize(model.theta, model.batch, engine="numpy")
    v, _ = model.vectors()
    for product in ("jvp", "ggnvp", "hvp"):
        trace = at.trace(product, v)
        values = {moment.step.target for moment in trace.moments}
        assert len({value.name for value in values}) == len(values)


def test_a_wrong_rule_is_seen_at_its_step():
    class Wrong(Elementwise):
        s = staticmethod(lambda z: np.sin(z))
        ds = staticmethod(lambda z: np.cos(z))
        d2s = staticmethod(lambda z: np.sin(z))  # the sign is missing

    x, w = rop.data("x", 3), rop.param("w", 3)
    objective = rop.Objective(rop.tanh(Wrong.of(w * x)), rop.SquaredError(rop.data("t", 3)))
    rng = np.random.default_rng(1)
    batch = {"x": rng.normal(size=(4, 3)), "t": rng.normal(size=(4, 3))}
    at = objective.linearize(rng.normal(size=3), batch, engine="numpy")
    steps = list(rop.step(at, "hvp", rng.normal(size=3)))
    failed = [step.formula for step in steps if step.check().verdict == "fail"]
    assert failed == [
        "s''(x2) = wrong''(x2)",
        "s''·da(x2) = s''(x2) * dy2",
        "Rdx2 += s''·da(x2) * Rx2",
    ]


def test_steps_go_on_stop_and_go_back():
    at, h, v = network()
    steps = rop.step(at, "hvp", v, until="Rx2")
    assert steps.position == 0 and steps.current is None and "0 of" in str(steps)
    seen = [step.formula for step in steps]
    assert seen[-2:] == ["Rx2 = RW x", "Rx2 += Rb"]
    assert steps.current.name == "Rx2" and steps.back().formula == "Rx2 = RW x"
    assert [step.formula for step in steps] == ["Rx2 += Rb"]
    steps.until = h
    assert next(iter(steps)).formula == "Ry2 = s'(x2) * Rx2"
    steps.until = None
    rest = list(steps)
    assert steps.position == len(steps) == len(seen) + 1 + len(rest)
    assert steps.back(10**6) is None
    steps.position = 3
    assert steps.current.number == 2


def test_a_step_says_what_it_reads_and_makes():
    at, h, v = network()
    step = next(s for s in rop.step(at, "ggnvp", v) if s.name == "Ry2")
    assert step.node is h and step.rule == "R rule of tanh" and step.law == "chain rule (eq. 6)"
    assert step.shapes == {"s'(x2)": "N × 6", "Rx2": "N × 6", "Ry2": "N × 6"}
    slope, Rx = step.operands.values()
    assert np.allclose(step.result, slope * Rx) and not step.once
    text = str(step)
    assert "Ry2 = s'(x2) * Rx2" in text and "test_stepping.py, line" in text
    assert f"{step.result[0, 0]:.3g}" in text


def test_what_no_step_has_written_yet_is_not_a_number():
    x, W = rop.data("x", 2), rop.param("W", (3, 2))
    y = W @ x
    z = rop.concatenate([rop.tanh(y), rop.square(y)])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 6)))
    at = objective.linearize(np.ones(6), {"x": np.ones((1, 2)), "t": np.zeros((1, 6))})
    steps = [step for step in rop.step(at, "jvp", np.ones(6)) if step.name == "Rz"]
    assert len(steps) == 2
    assert np.isnan(steps[0].result).sum() == 3
    assert np.isfinite(steps[1].result).all()


def test_the_table_fills_in():
    at, h, v = network()
    steps = rop.step(at, "hvp", v)
    assert steps.values()[h] == {}
    filled = {}
    for step in steps:
        values = steps.values()[h]
        for kind in values.keys() - filled:
            assert np.array_equal(values[kind], step.result)
            filled[kind] = step.formula
    assert filled == {
        "a": "y2 = tanh(x2)",
        "da": "dy2 = 0",
        "Ra": "Ry2 = s'(x2) * Rx2",
        "Rda": "Rdy2 = 0",
    }
    row = next(row for row in steps.rows() if row[0] == "y2")
    assert row[1] == "tanh" and all(row[2:])
    assert "Rda" in str(steps) and "numbers of the first case" in str(steps)


def test_a_copy_has_the_same_table():
    at, _, v = network()
    steps = rop.step(at, "hvp", v)
    copied = Stepping(pickle.loads(pickle.dumps(steps.trace)))
    for position in (0, len(steps) // 2, len(steps)):
        steps.position = copied.position = position
        assert copied.rows() == steps.rows()


def test_float32_is_checked_in_float64():
    at, h, v = network(dtype=np.float32)
    steps = rop.step(at, "hvp", v)
    assert {step.result.dtype for step in steps} == {np.dtype(np.float32)}
    assert "fail" not in {steps[i].check().verdict for i in range(len(steps))}


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_any_engine_steps_through_the_same_program(engine):
    at, h, v = network()
    other = at.objective.linearize(at.theta, at.batch, engine=engine)
    assert np.array_equal(other.trace("ggnvp", v).result, at.trace("ggnvp", v).result)


def test_bad_arguments():
    at, h, v = network()
    with pytest.raises(RopTypeError, match="step: expected a Linearization"):
        rop.step(at.objective, "ggnvp", v)
    with pytest.raises(RopValueError, match="trace: expected 'gradient'"):
        rop.step(at, "Gv", v)
    with pytest.raises(RopTypeError, match="needs a vector v"):
        rop.step(at, "ggnvp")
    with pytest.raises(RopTypeError, match="'gradient' takes no vector"):
        at.trace("gradient", v)
    with pytest.raises(RopValueError, match="expected one vector"):
        at.trace("ggnvp", np.stack([v, v], axis=1))
    with pytest.raises(RopValueError, match="no step of 'y9'"):
        rop.step(at, "ggnvp", v, until="y9")
    with pytest.raises(RopTypeError, match="until: expected a node or a name"):
        rop.step(at, "ggnvp", v, until=3)
    steps = rop.step(at, "ggnvp", v)
    with pytest.raises(RopValueError, match="position: expected 0 to"):
        steps.position = 1000
    with pytest.raises(RopValueError, match="expected a number below"):
        steps[1000]
    with pytest.raises(RopValueError, match="kind: expected 'a'"):
        steps.trace.of(h, "R")
