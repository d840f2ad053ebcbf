"""Graphs of 20,000 nodes: no recursion, and no cost that grows with the square of their number."""

import gc
import time

import numpy as np
import pytest

import rop
from rop.objective.definition import programs_of


def chain(nodes):
    """y ← tanh(w y), over and over."""
    w, y = rop.param("w"), rop.data("x")
    for _ in range(nodes // 2):
        y = rop.tanh(w * y)
    return rop.Objective(y, rop.SquaredError(rop.data("t")))


def recurrence(nodes):
    """h ← tanh(W h + U x_t), with shared weights; every third step gives an output."""
    W, U = rop.param("W", (2, 2)), rop.param("U", 2)
    x, h, outputs = rop.data("x"), rop.constant([0.0, 0.0]), []
    for step in range(nodes // 4):
        h = rop.tanh(W @ h + U * x)
        if step % 3 == 0:
            outputs.append(h)
    z = rop.mean(rop.stack(outputs), axis=0)
    return rop.Objective(z[0], rop.SquaredError(rop.data("t")))


def tree(nodes):
    """The sum of all leaves, which each have a parameter of their own, by pairs."""
    level = [
        rop.param(f"p{i}") * rop.data("x") if i == 0 else rop.param(f"p{i}")
        for i in range(nodes // 2)
    ]
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [a + b for a, b in zip(level[::2], level[1::2], strict=False)] + odd
    return rop.Objective(level[0], rop.SquaredError(rop.data("t")))


def fan(nodes):
    """One node used by thousands."""
    w, x = rop.param("w"), rop.data("x")
    y = w * x
    parts = [rop.sin(y) for _ in range(nodes - 3)]
    return rop.Objective(rop.mean(rop.stack(parts)), rop.SquaredError(rop.data("t")))


def seconds(make, nodes, engine):
    """Processor time to build, to sweep, and to run everything once: the best of three runs.

    Without the garbage collector, whose time depends on what other tests have left behind.
    """
    gc.collect()
    gc.disable()
    try:
        runs = [_seconds(make, nodes, engine) for _ in range(3)]
    finally:
        gc.enable()
    return {part: min(run[part] for run in runs) for part in runs[0]}


def _seconds(make, nodes, engine):
    start = time.process_time()
    objective = make(nodes)
    built = time.process_time()
    assert programs_of(objective).size == objective.n
    swept = time.process_time()
    batch = {"x": np.array([0.5, -1.0]), "t": np.array([0.1, 0.2])}
    at = objective.linearize(np.full(objective.n, 0.9 / max(1, objective.n // 8)), batch, engine)
    v = np.ones(at.n)
    results = at.value, at.gradient(), at.ggnvp(v), at.hvp(v), at.diagonal()
    assert all(np.isfinite(result).all() for result in results)
    return {"build": built - start, "sweep": swept - built, "run": time.process_time() - swept}


def check_growth(make, engine):
    """Five times the nodes in less than ten times the time; 25 times would be the square."""
    seconds(make, 500, engine)
    small, large = seconds(make, 4_000, engine), seconds(make, 20_000, engine)
    for part, taken in large.items():
        # What takes a tenth of a second is too short to be measured, and to matter.
        assert taken < 10 * max(small[part], 0.05), f"{part}: {small[part]:.2f} s, {taken:.2f} s"


@pytest.mark.ci
@pytest.mark.parametrize("make", [recurrence, tree, fan])
def test_cost_grows_with_the_number_of_nodes(make):
    check_growth(make, "numba")


@pytest.mark.slow
@pytest.mark.parametrize("make", [chain, recurrence, tree, fan])
def test_cost_in_the_numpy_engine(make):
    check_growth(make, "numpy")


@pytest.mark.ci
def test_a_long_chain_is_right():
    """Against the same recurrence and its two derivatives, step by step."""
    objective = chain(20_000)
    w, x, t = 1.1, 0.5, 0.1
    y, dy, d2y = x, 0.0, 0.0
    for _ in range(10_000):
        u, du, d2u = w * y, y + w * dy, 2 * dy + w * d2y
        y = np.tanh(u)
        s = 1 - y * y
        dy, d2y = s * du, s * d2u - 2 * y * s * du * du
    at = objective.linearize([w], {"x": np.array([x]), "t": np.array([t])})
    assert at.outputs[0] == pytest.approx(y, rel=1e-12)
    assert at.jvp([1.0])[0] == pytest.approx(dy, rel=1e-11)
    assert at.gradient()[0] == pytest.approx((y - t) * dy, rel=1e-11)
    assert at.ggnvp([1.0])[0] == pytest.approx(dy**2, rel=1e-11)
    assert at.hvp([1.0])[0] == pytest.approx(dy**2 + (y - t) * d2y, rel=1e-10)
