"""Softmax and its loss, functions of rows, in the compiled engine: against SciPy, at every size."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import rop
from rop.engines.memory import Layouts
from rop.engines.numba import binding
from rop.engines.numba.tape import BLOCK
from rop.engines.shard import Shard
from rop.objective.definition import programs_of
from rop.ops.expressions import Reduction, traced, traced_rows


def objective_of(*shape):
    x = rop.data("x", shape)
    return rop.Objective(rop.param("a") * x, rop.SoftmaxCrossEntropy(rop.data("t", shape)))


def batch_of(seed, cases, *shape):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(cases, *shape), scale=3.0)
    return {"x": x, "t": softmax(rng.normal(size=x.shape), axis=-1)}


@pytest.mark.parametrize(
    ("cases", "shape"),
    [
        (1, (1,)),
        (1, (2,)),
        (5, (7,)),
        (BLOCK // 3 + 2, (3,)),  # the last block is not full
        (4, (BLOCK,)),
        (3, (BLOCK + 5,)),  # a row is longer than a block
        (300, (6, 5)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_is_that_of_scipy(cases, shape, dtype):
    objective, batch = objective_of(*shape), batch_of(0, cases, *shape)
    theta = np.array([0.7], dtype)
    z = 0.7 * batch["x"]
    value = -(batch["t"] * log_softmax(z, axis=-1)).sum() / cases
    slope = ((softmax(z, axis=-1) - batch["t"]) * batch["x"]).sum() / cases
    eps = 100 * float(np.finfo(dtype).eps)
    assert objective.value(theta, batch) == pytest.approx(value, rel=eps)
    assert objective.gradient(theta, batch) == pytest.approx([slope], rel=100 * eps)


def test_saturated_rows():
    objective = objective_of(3)
    batch = {"x": [[1000.0, -1000.0, 0.0], [-1000.0, 1000.0, 0.0]], "t": np.eye(3)[:2]}
    theta = np.ones(1)
    assert objective.value(theta, batch) == 0.0
    assert objective.value(-theta, batch) == 2000.0
    assert np.array_equal(objective.gradient(-theta, batch), [-2000.0])


def test_what_is_not_finite_stays_so():
    objective = objective_of(3)
    batch = {"x": [[1.0, -1.0, 0.0]], "t": [[1.0, 0.0, 0.0]]}
    assert np.isnan(objective.value(np.array([np.inf]), batch))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_is_left_to_python(dtype):
    programs = programs_of(objective_of(4))
    for program in (programs.value_program, programs.product("algorithm 1 with f")):
        shard, plans = Shard(5, slice(0, 5), np.dtype(dtype)), Layouts()
        layout = plans(program, 5)
        shard.prepare(program, layout)
        parts = list(binding._compiled(program, layout, shard, 1))
        assert [type(part) for part in parts] == [binding.Table]


def test_which_functions_are_recorded():
    found = traced_rows(lambda z: z - z.max(axis=-1, keepdims=True), 1)
    assert found.entries[0] == Reduction(np.maximum, 0)
    assert found.axes == ("one", "full")
    assert traced_rows(lambda z, t: (z * t).sum(axis=-1), 2).axes == ("full", "none")
    others = [
        lambda z: z.sum(axis=0),
        lambda z: z - z.max(axis=-1),
        lambda z: z.sum(axis=-1, dtype=np.float64),
        lambda z: np.cumsum(z, axis=-1),
        lambda z: z if z.max(axis=-1) > 0 else -z,
        lambda z: z.mean(axis=-1),
        lambda z: z + 1.0,
    ]
    assert [traced_rows(function, 1) for function in others] == [None] * len(others)
    assert traced(lambda z: z - z.max(axis=-1, keepdims=True), 1) is None
