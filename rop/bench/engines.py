"""rop itself as a contestant: the workloads as graphs, and their products on an engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rop
from rop.bench.contestants import Contestant
from rop.bench.workloads import (
    CG_LAMBDA,
    CG_STEPS,
    Convolutional,
    FeedForward,
    Model,
    Problem,
    Workload,
)
from rop.hf.cg import pcg
from rop.programs.loss import Loss

_ACTIVATIONS: dict[str, Callable[[rop.Node], rop.Node]] = {
    "sigmoid": rop.sigmoid,
    "tanh": rop.tanh,
    "linear": lambda x: x,
}
_LOSSES: dict[str, Callable[[rop.Node], Loss]] = {
    "sigmoid cross-entropy": rop.SigmoidCrossEntropy,
    "softmax cross-entropy": rop.SoftmaxCrossEntropy,
    "squared error": rop.SquaredError,
}


def objective(model: Model) -> rop.Objective:
    """Build the graph of a model, for one case.

    Parameters
    ----------
    model : FeedForward, Recurrent or Convolutional
        A recurrent network is unrolled.

    Returns
    -------
    rop.Objective
        With data "x" and "t", and parameters named and ordered as in `model.shapes`.
    """
    x, t = rop.data("x", model.input_shape), rop.data("t", model.output_shape)
    theta = {name: rop.param(name, shape) for name, shape in model.shapes.items()}
    if isinstance(model, FeedForward):
        z = x
        for i, activation in enumerate(model.activations, start=1):
            z = _ACTIVATIONS[activation](theta[f"W{i}"] @ z + theta[f"b{i}"])
    elif isinstance(model, Convolutional):
        z, convolutions = x, len(model.channels)
        for i in range(1, convolutions + 1):
            z = rop.max_pool2d(rop.relu(rop.conv2d(z, theta[f"W{i}"], theta[f"b{i}"])), 2)
        z = rop.flatten(z)
        for i in range(convolutions + 1, len(model.layers) + 1):
            z = theta[f"W{i}"] @ z + theta[f"b{i}"]
            z = rop.relu(z) if i < len(model.layers) else z
    else:
        h = rop.tanh(theta["W_xh"] @ x[0] + theta["b_h"])
        states = [h]
        for step in range(1, model.steps):
            h = rop.tanh(theta["W_xh"] @ x[step] + theta["W_hh"] @ h + theta["b_h"])
            states.append(h)
        z = rop.stack([theta["W_hz"] @ h + theta["b_z"] for h in states])
    return rop.Objective(z, _LOSSES[model.loss](t))


def contestant(workload: Workload, problem: Problem, engine: str) -> Contestant:
    """Products of rop on one engine, linearized once.

    Parameters
    ----------
    workload, problem : Workload, Problem
        What to compute, and at which numbers.
    engine : str
        "numba", "numpy" or "cuda".

    Returns
    -------
    Contestant
        Named "rop" and the engine.
    """
    f = objective(workload.model)
    dtype = np.dtype(workload.dtype)
    theta = f.pack(problem.theta).astype(dtype)
    v = f.pack(problem.v).astype(dtype)
    batch = {"x": problem.x, "t": problem.t}
    at = f.linearize(theta, batch, engine=engine, dtype=dtype)

    def gradient() -> NDArray[Any]:
        return f.gradient(theta, batch, engine, dtype)

    b = -at.gradient()

    def conjugate_gradient() -> NDArray[Any]:
        return pcg(partial(at.ggnvp, lam=CG_LAMBDA), b, max_steps=CG_STEPS).x

    calls: dict[str, Callable[[], Any]] = {
        "Gv": lambda: at.ggnvp(v),
        "Hv": lambda: at.hvp(v),
        "Jv": lambda: at.jvp(v),
        "Jᵀu": lambda: at.vjp(problem.u),
        "gradient": gradient,
        "G": lambda: at.G.matrix(),
        "CG": conjugate_gradient,
    }

    def to_numpy(product: str, result: NDArray[Any]) -> Any:
        return result if product in ("Jv", "G") else f.unpack(result)

    calls = {product: calls[product] for product in workload.products}
    return Contestant(f"rop {engine}", "rop", calls, to_numpy)
