"""Small graphs that between them make every kernel of the CUDA engine."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import rop

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "ops")]

from own_ops import CumulativeSum, Swirl  # noqa: E402
from test_ops import UNARY  # noqa: E402


class Softmax(rop.ops.General):
    """a = softmax(z) over the last axis: rows whose four rules the engine runs on the GPU."""

    operands = 1

    def output_shape(self, z):
        return z

    def s(self, z):
        e = np.exp(z - np.max(z, axis=-1, keepdims=True))
        return e / np.sum(e, axis=-1, keepdims=True)

    def Rs(self, z, Rz):
        p = self.s(*z)
        return p * (Rz[0] - np.sum(p * Rz[0], axis=-1, keepdims=True))

    def sT(self, z, da):
        return (self.Rs(z, (da,)),)

    def RsT(self, z, Rz, da):
        p, Rp = self.s(*z), self.Rs(z, Rz)
        inner = np.sum(p * da, axis=-1, keepdims=True)
        return (Rp * (da - inner) - p * np.sum(Rp * da, axis=-1, keepdims=True),)


def graph(build, loss="squared", cases=3, weight=False, dense=True, seed=0):
    """An objective whose outputs are an op of the catalogue, applied to a node (3, 4)."""
    rng = np.random.default_rng(seed)
    x, B = rop.data("x", (3, 4)), rop.param("B", (3, 4))
    # Between -1 and 1, whatever the parameters, so that every op is defined on it.
    if dense:
        z = build(rop.tanh(rop.param("W", (3, 3)) @ x @ rop.param("V", (4, 4)) + B))
    else:
        z = build(rop.tanh(x * rop.param("C", 4) + B))
    data = {"x": rng.standard_normal((cases, 3, 4)), "t": _targets(rng, (cases, *z.shape), loss)}
    t = rop.data("t", z.shape)
    options = {}
    if weight:
        shape = z.shape[:-1] if loss == "softmax" else z.shape
        options["weight"] = rop.data("weight", shape)
        data["weight"] = rng.random((cases, *shape))
    if loss == "graph":
        made = rop.LossGraph(rop.sum(rop.log(rop.exp(z - t) + 1.0)))
    else:
        made = LOSSES[loss](t, **options)
    objective = rop.Objective(z, made, l2=0.5)
    return SimpleNamespace(
        objective=objective,
        theta=0.5 * rng.standard_normal(objective.n),
        batch=data,
        v=rng.standard_normal(objective.n),
        u=rng.standard_normal((cases, *z.shape)),
    )


LOSSES = {
    "squared": rop.SquaredError,
    "sigmoid": rop.SigmoidCrossEntropy,
    "softmax": rop.SoftmaxCrossEntropy,
}


def _targets(rng, shape, loss):
    if loss != "softmax":
        return rng.random(shape)
    return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]


def _everything(x):
    """Several ops after one another, over other axes each: what fuses, and what must not."""
    y = rop.concatenate([x[:, 1:], x[::-1, :2] * x[:, :2]], axis=1)
    return rop.stack([y, 2.0 * y.T.T], axis=0) * rop.exp(rop.sum(x, axis=0))[:1]


def _convolutional(x):
    """Windows and pools that overlap: their adjoints must not race."""
    image = rop.reshape(x, (2, 2, 3))
    y = rop.conv2d(image, rop.param("K", (2, 1, 2, 2)), rop.param("k", 2), padding=1, groups=2)
    return rop.avg_pool2d(rop.max_pool2d(y, 2, 1), 2, 1)


GRAPHS = {
    **{name: lambda build=build: graph(build, dense=False) for name, (build, _) in UNARY.items()},
    "everything": lambda: graph(_everything),
    "convolutional": lambda: graph(_convolutional, dense=False),
    "rows": lambda: graph(Softmax.of),
    "Python": lambda: graph(lambda x: CumulativeSum.of(x) + Swirl.of(x, x.T.T)),
    **{
        f"{loss}, weighted" if weight else loss: lambda loss=loss, weight=weight: graph(
            lambda x: x @ x.T, loss, weight=weight
        )
        for loss in LOSSES
        for weight in (False, True)
    },
    "a loss of one's own": lambda: graph(lambda x: x[0], "graph"),
}
