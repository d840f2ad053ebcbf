"""√T checkpointing: the same products, bit for bit, with less memory (sec. 7.1, fig. 2)."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import models

import rop
import rop.engines.room
from rop.objective.definition import programs_of

PRODUCTS = ("jvp", "vjp", "ggnvp", "loss_hvp")


def recurrent(steps, hidden=6, distance="squared"):
    """An RNN whose user builds all states first and all outputs afterwards."""
    x, t = rop.data("x", (steps, 3)), rop.data("t", (steps, 2))
    W_xh, W_hh = rop.param("W_xh", (hidden, 3)), rop.param("W_hh", (hidden, hidden))
    W_hz, b = rop.param("W_hz", (2, hidden)), rop.param("b", hidden)
    h = rop.tanh(W_xh @ x[0] + b)
    states = [h]
    for step in range(1, steps):
        h = rop.tanh(W_xh @ x[step] + W_hh @ h + b)
        states.append(h)
    z = rop.stack([W_hz @ h for h in states])
    return rop.Objective(z, rop.SquaredError(t), hidden=states, distance=distance)


def place(objective, cases, steps, dtype=np.float64):
    rng = np.random.default_rng(0)
    batch = {
        "x": rng.standard_normal((cases, steps, 3)).astype(dtype),
        "t": rng.standard_normal((cases, steps, 2)).astype(dtype),
    }
    return (0.4 * rng.standard_normal(objective.n)).astype(dtype), batch, rng


@pytest.mark.ci
@settings(max_examples=60, deadline=None)
@given(model=models(), checkpoints=st.sampled_from([1, 2, 3, 7, "sqrt"]))
def test_random_graphs(model, checkpoints):
    plain = model.objective.linearize(model.theta, model.batch)
    thrifty = model.objective.linearize(model.theta, model.batch, checkpoints=checkpoints)
    v, u = model.vectors()
    assert plain.value == thrifty.value
    assert np.array_equal(plain.gradient(), thrifty.gradient())
    assert np.array_equal(plain.per_case_gradients(), thrifty.per_case_gradients())
    for name in PRODUCTS:
        given = u if name in ("vjp", "loss_hvp") else v
        assert np.array_equal(getattr(plain, name)(given), getattr(thrifty, name)(given)), name


@pytest.mark.parametrize("distance", ["squared", "matching"])
@pytest.mark.parametrize("K", [None, 3])
def test_all_products_of_a_recurrent_net(engine, K, distance):
    objective = recurrent(30, distance=distance)
    theta, batch, rng = place(objective, 9, 30)
    plain = objective.linearize(theta, batch, engine)
    thrifty = objective.linearize(theta, batch, engine, checkpoints="sqrt")
    v = rng.standard_normal(objective.n if K is None else (objective.n, K))
    assert np.array_equal(plain.ggnvp(v), thrifty.ggnvp(v))
    assert np.array_equal(plain.ggnvp(v, 0.1), thrifty.ggnvp(v, 0.1))
    assert np.array_equal(plain.diagonal("empirical-fisher"), thrifty.diagonal("empirical-fisher"))
    for mu in (0.0, 0.2):
        assert np.array_equal(
            plain.diagonal("chapelle-erhan", 0, mu), thrifty.diagonal("chapelle-erhan", 0, mu)
        )
    with pytest.raises(rop.RopValueError, match="hvp: it needs the adjoints of all nodes"):
        thrifty.hvp(v)


@pytest.mark.parametrize("checkpoints", [2, 5, "sqrt"])
def test_states_are_recomputed_at_most_once_for_the_gradient_and_twice_for_gv(checkpoints):
    objective = recurrent(60)
    programs = programs_of(objective, checkpoints)
    for product, times in {"gradient": 1, "ggnvp": 2, "structural": 2}.items():
        steps = programs.product(product).steps
        again = Counter((s.node, id(s.kernel)) for s in steps if s.rule == "recomputed")
        assert again and max(again.values()) <= times


@pytest.mark.ci
def test_memory_of_a_long_sequence(engine):
    """Of the order of √T; predicted as it is measured."""
    found = {}
    for steps in (64, 256):
        objective = recurrent(steps)
        theta, batch, _ = place(objective, 20, steps)
        plain = objective.linearize(theta, batch, engine)
        thrifty = objective.linearize(theta, batch, engine, checkpoints="sqrt")
        for at in (plain, thrifty):
            at.gradient()
            at.ggnvp(theta)
            predicted = at.predicted_memory
            measured = at.memory
            # The loss's own values, and the summed parts of the shards, come on top.
            assert (
                predicted["cached"] <= measured["cached"] <= predicted["cached"] + 20 * steps * 160
            )
            assert abs(predicted["work"] - measured["work"]) <= 8 * 2 * objective.n * 2
        states = 8 * 20 * 6
        found[steps] = (thrifty.predicted_memory["cached"] - 8 * 20 * 2 * steps) / states
    assert found[256] <= 2.6 * found[64] and found[256] < 256 / 3


@pytest.mark.ci
def test_chosen_when_memory_is_short(monkeypatch, engine):
    objective = recurrent(200)
    theta, batch, _ = place(objective, 50, 200)
    needed = objective.linearize(theta, batch, engine).predicted_memory
    monkeypatch.setattr(rop.engines.room, "_ALWAYS_FITS", 0)
    monkeypatch.setattr(rop.engines.room, "available", lambda: sum(needed.values()) // 2)
    objective = recurrent(200)
    at = objective.linearize(theta, batch, engine)
    assert at.checkpoints == "sqrt"
    with pytest.raises(rop.RopMemoryError, match="checkpoints='sqrt'"):
        objective.linearize(theta, batch, engine, checkpoints=0)


@pytest.mark.parametrize("checkpoints", [-1, 2.0, "some", True])
def test_bad_number(checkpoints):
    objective = recurrent(5)
    theta, batch, _ = place(objective, 3, 5)
    with pytest.raises(rop.RopValueError, match="checkpoints: expected a number of segments"):
        objective.linearize(theta, batch, checkpoints=checkpoints)


def test_numpys_integers_are_numbers():
    objective = recurrent(6)
    theta, batch, _ = place(objective, 3, 6)
    at = objective.linearize(theta, batch, checkpoints=np.int64(3))
    same = objective.linearize(theta, batch, checkpoints=3)
    assert type(at.checkpoints) is int and at.checkpoints == same.checkpoints
    assert np.array_equal(at.ggnvp(theta), same.ggnvp(theta))
