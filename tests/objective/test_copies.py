"""Objectives that were used can be pickled and copied, whatever their graph holds."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import rop
from rop.objective.definition import programs_of

WAYS = {"pickle": lambda thing: pickle.loads(pickle.dumps(thing)), "deepcopy": copy.deepcopy}


class Twice(rop.ops.Linear):
    def A(self, z):
        return 2.0 * z

    def AT(self, da):
        return 2.0 * da


def dense(rng):
    x, z = rop.nets.mlp([5, 6, 4])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 4)), l2=0.1)
    return objective, {"x": rng.standard_normal((7, 5)), "t": np.eye(4)[rng.integers(0, 4, 7)]}


def deep(rng):
    """Deeper than Python's stack."""
    y = rop.param("w", 2) * rop.data("x", 2)
    for _ in range(400):
        y = rop.sin(y)
    return rop.Objective(y, rop.SquaredError([0.1, 0.2])), {"x": rng.standard_normal((3, 2))}


def own(rng):
    """Ops of one's own, ops with arguments and functions made for them, a loss that is a graph."""
    x, w, b = rop.data("x", 3), rop.param("w", 3), rop.param("b", 3)
    y = rop.exp(0.1 * Twice.of(w * x)) ** 2.5 + (b * x)[::-1]
    return rop.Objective(y, rop.LossGraph(rop.sum(rop.tanh(y)))), {"x": rng.random((4, 3))}


@pytest.mark.ci
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("build", [dense, deep, own])
def test_a_copy_computes_the_same(engine, way, build):
    rng = np.random.default_rng(0)
    objective, batch = build(rng)
    theta, v = rng.standard_normal((2, objective.n))
    at = objective.linearize(theta, batch, engine)
    right = at.hvp(v), at.gradient(), at.ggnvp(v)
    made = WAYS[way](objective)
    assert made.z is not objective.z and made.shapes == objective.shapes
    for place in (made.linearize(theta, batch, engine), WAYS[way](at)):
        found = place.hvp(v), place.gradient(), place.ggnvp(v)
        for a, b in zip(found, right, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_graph_can_be_built_upon(way):
    """Its nodes keep their order, and come before all that is built from them."""
    objective, batch = dense(np.random.default_rng(0))
    made = WAYS[way](objective)
    nodes = [made.z, *made.z.parents]
    assert all(node.order < made.z.order for node in made.z.parents)
    z = rop.tanh(made.z)
    assert z.order > max(node.order for node in nodes)
    wider = rop.Objective(z, made.loss)
    theta = wider.init("glorot")
    same = rop.Objective(rop.tanh(objective.z), objective.loss)
    np.testing.assert_array_equal(
        wider.linearize(theta, batch).hvp(theta), same.linearize(theta, batch).hvp(theta)
    )


def test_in_another_process():
    """The nodes of another process come before those that this one builds from them."""
    objective, _ = dense(np.random.default_rng(0))
    code = (
        "import pickle, sys, numpy as np, rop\n"
        "made = pickle.load(sys.stdin.buffer)\n"
        "z = rop.tanh(made.z)\n"
        "wider = rop.Objective(z, made.loss)\n"
        "batch = {'x': np.ones((2, 5)), 't': np.eye(4)[[0, 1]]}\n"
        "print(wider.value(np.full(wider.n, 0.1), batch, 'numpy'))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(objective), capture_output=True, check=True
    )
    wider = rop.Objective(rop.tanh(objective.z), objective.loss)
    batch = {"x": np.ones((2, 5)), "t": np.eye(4)[[0, 1]]}
    assert float(ran.stdout) == wider.value(np.full(wider.n, 0.1), batch, "numpy")


def test_a_shallow_copy_shares_programs_but_not_numbers():
    """The way to another penalty without new programs."""
    objective, batch = dense(np.random.default_rng(0))
    theta = objective.init("glorot")
    value = objective.value(theta, batch)
    other = copy.copy(objective)
    other.l2 = 0.0
    assert programs_of(other) is programs_of(objective)
    assert other.value(theta, batch) == pytest.approx(value - 0.05 * theta @ theta, rel=1e-12)
    assert objective.value(theta, batch) == value
