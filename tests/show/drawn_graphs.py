"""Graphs of all kinds, for what draws them."""

import numpy as np
import pytest

import rop
from rop.nets import autoencoder, mlp


def classifier():
    _, z = mlp([784, 300, 10])
    return rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 10)), l2=2e-5)


def deep_autoencoder():
    x, z = autoencoder([784, 400, 200, 100, 50, 25, 6])
    return rop.Objective(z, rop.SigmoidCrossEntropy(x))


def recurrent(steps):
    x, t = rop.data("x", (steps, 3)), rop.data("t", (steps, 2))
    Wx, Wh, b, h = rop.param("Wx", (8, 3)), rop.param("Wh", (8, 8)), rop.param("b", 8), 0.1
    Wz, h = rop.param("Wz", (2, 8)), rop.param("h0", 8)
    outputs = []
    for k in range(steps):
        h = rop.tanh(Wx @ x[k] + Wh @ h + b)
        outputs.append(Wz @ h)
    return rop.Objective(rop.stack(outputs), rop.SquaredError(t))


def residual():
    y, t = rop.data("x", 16), rop.data("t", 16)
    for k in range(8):
        y = y + rop.param(f"V{k}", (16, 16)) @ rop.relu(rop.param(f"W{k}", (16, 16)) @ y)
    return rop.Objective(y, rop.SquaredError(t, weight=rop.data("mask", 16)))


def rosenbrock():
    p = rop.param("p", 2)
    z = rop.stack([10 * (p[1] - p[0] * p[0]), 1 - p[0]])
    return rop.Objective(z, rop.SquaredError(np.zeros(2)))


def loss_as_graph():
    x, t = rop.data("x", 5), rop.data("t", 3)
    z = rop.param("W", (3, 5)) @ x
    energy = rop.sum(rop.log(1 + rop.exp((z - t) ** 2))).named("energy")
    return rop.Objective(z, rop.LossGraph(energy))


def identity():
    return rop.Objective(rop.param("p", 3), rop.SquaredError(np.ones(3)))


def chain(length):
    y = rop.data("x", 2)
    for _ in range(length):
        y = rop.tanh(y)
    return y


GRAPHS = {
    "classifier": classifier(),
    "autoencoder": deep_autoencoder(),
    "recurrent, 5 steps": recurrent(5),
    "recurrent, 20 steps": recurrent(20),
    "residual": residual(),
    "rosenbrock": rosenbrock(),
    "loss as a graph": loss_as_graph(),
    "identity": identity(),
    "a node": rop.exp(rop.param("P", (2, 2))) @ rop.data("x", 2),
    "a leaf": rop.data("x"),
    "wide": rop.stack([rop.tanh(rop.param(f"p{i}", 2)) for i in range(60)]),
}
LARGE = {
    "chain": chain(20_000),
    "many leaves": rop.stack([rop.param(f"p{i}", 2) for i in range(2000)]),
    "recurrent": recurrent(300),
}
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
