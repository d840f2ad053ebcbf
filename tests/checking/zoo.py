"""One small graph for every op of the catalogue, and for every loss, to put wrong rules into."""

import numpy as np
import own_ops

import rop
from rop.graph import ancestors
from rop.ops.families import Bilinear, Elementwise, Linear
from rop.ops.general import General
from rop.ops.op import Op


def catalogue() -> set[type[Op]]:
    """The classes of all ops that graphs are made of."""
    found, waiting = set(), [Op]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("rop.ops.") and kind is not Op:
            found.add(kind)
    families = {Linear, Bilinear, Elementwise, General}
    # A comparison has no derivative that could be wrong.
    derivatives = {kind for kind in found if getattr(kind, "ds", "") is not None}
    return {kind for kind in derivatives - families if not _abstract(kind)}


def _abstract(kind):
    return any(sub.__module__.startswith("rop.ops.") for sub in kind.__subclasses__()) and (
        kind.__name__ in ("Sum2", "View", "Product")
    )


def _hidden(shape):
    x, t = rop.data("x", 4), rop.data("t", 3)
    size = int(np.prod(shape))
    y = rop.tanh(rop.param("W", (size, 4)) @ x + rop.param("b", size))
    return rop.reshape(y, shape), t


# Graph from a hidden node h with the shape given first; p makes parameters.
EXAMPLES = {
    "Add": ((3,), lambda h, p: h + p("p", ())),
    "Subtract": ((2, 3), lambda h, p: h - p("p", (3,))),
    "Scale": ((3,), lambda h, p: -1.5 * h),
    "MatVec": ((3,), lambda h, p: p("p", (3, 3)) @ h),
    "VecMat": ((3,), lambda h, p: h @ p("p", (3, 2))),
    "MatMat": ((2, 2), lambda h, p: h @ p("p", (2, 2))),
    "Dot": ((3,), lambda h, p: rop.dot(h, p("p", (3,)))),
    "Multiply": ((2, 3), lambda h, p: h * p("p", (3,))),
    "GetItem": ((2, 3), lambda h, p: h[0, ::-1]),
    "Reshape": ((2, 3), lambda h, p: rop.reshape(h, (3, 2))),
    "Transpose": ((2, 3), lambda h, p: h.T),
    "Broadcast": ((3,), lambda h, p: rop.broadcast_to(h, (2, 3))),
    "Sum": ((2, 3), lambda h, p: rop.mean(h, axis=1)),
    "Concatenate": ((3,), lambda h, p: rop.concatenate([h, p("p", (2,))])),
    "Stack": ((3,), lambda h, p: rop.stack([p("p", (3,)), h])),
    "PerCase": ((3,), None),
    "Tanh": ((3,), lambda h, p: rop.tanh(h)),
    "Sigmoid": ((3,), lambda h, p: rop.sigmoid(h)),
    "Relu": ((6,), lambda h, p: rop.relu(h)),
    "Softplus": ((3,), lambda h, p: rop.softplus(h)),
    "Elu": ((6,), lambda h, p: rop.elu(h)),
    "Exp": ((3,), lambda h, p: rop.exp(h)),
    "Log": ((3,), lambda h, p: rop.log(h + 2.0)),
    "Sin": ((3,), lambda h, p: rop.sin(h)),
    "Cos": ((3,), lambda h, p: rop.cos(h)),
    "Square": ((3,), lambda h, p: rop.square(h)),
    "Sqrt": ((3,), lambda h, p: rop.sqrt(h + 2.0)),
    "Reciprocal": ((3,), lambda h, p: rop.reciprocal(h + 2.0)),
    "CumulativeSum": ((3,), lambda h, p: own_ops.CumulativeSum.of(h)),
    "Convolution": ((3,), lambda h, p: own_ops.Convolution.of(h, p("p", (3,)))),
    "Arctan": ((3,), lambda h, p: own_ops.Arctan.of(h)),
    "Erf": ((3,), lambda h, p: rop.erf(h)),
    "Gelu": ((3,), lambda h, p: rop.gelu(h)),
    "Softsign": ((3,), lambda h, p: rop.softsign(h)),
    "Pad": ((2, 3), lambda h, p: rop.pad(h, 1)),
    "Abs": ((6,), lambda h, p: rop.abs(h)),
    "Where": ((6,), lambda h, p: rop.maximum(h, p("p", (6,)))),
    "Einsum1": ((2, 3), lambda h, p: rop.einsum("ij->j", h)),
    "Einsum2": ((2, 3), lambda h, p: rop.einsum("ij,jk->ki", h, p("p", (3, 2)))),
    "Expm1": ((3,), lambda h, p: rop.expm1(h)),
    "Log1p": ((3,), lambda h, p: rop.log1p(h + 1.0)),
    "Take": ((2, 3), lambda h, p: rop.take(h, [2, 0, 0], axis=1)),
    "Lookup": ((3,), lambda h, p: h * rop.take(p("p", (4,)), rop.data("i", 3, dtype=int))),
    "LogOfBase": ((3,), lambda h, p: (h + 2.0) ** p("p", ())),
    "Power": ((3,), lambda h, p: (h + 2.0) ** 1.7),
    "Solve": ((3,), lambda h, p: rop.solve(p("p", (3, 3)) + 4 * np.eye(3), h)),
    "Arccos": ((3,), lambda h, p: rop.arccos(0.9 * h)),
    "Arcsin": ((3,), lambda h, p: rop.arcsin(0.9 * h)),
    "Cosh": ((3,), lambda h, p: rop.cosh(h)),
    "Sinh": ((3,), lambda h, p: rop.sinh(h)),
    "Tan": ((3,), lambda h, p: rop.tan(h)),
    "Windows": ((1, 3, 3), lambda h, p: rop.conv2d(h, np.full((2, 1, 2, 2), 0.5))),
    "Convolve": ((1, 3, 3), lambda h, p: rop.conv2d(h, p("p", (2, 1, 2, 2)))),
    "AddBiases": ((2, 2), lambda h, p: rop.conv1d(h, p("p", (2, 2, 1)), p("q", (2,)))),
    "AveragePool": ((1, 3, 3), lambda h, p: rop.avg_pool2d(h, 2, stride=1)),
    "MaxPool": ((1, 3, 3), lambda h, p: rop.max_pool2d(h, 2, stride=1)),
    "Swirl": ((3,), lambda h, p: own_ops.Swirl.of(h, p("p", (3,)))),
}


def example(name, cases=5, seed=0):
    """Objective, θ, batch and the node whose op has that class name."""
    shape, build = EXAMPLES[name]
    if build is None:
        y, z, t = None, rop.tanh(rop.param("p", (3,))), rop.data("t", 3)
    else:
        h, t = _hidden(shape)
        y = build(h, rop.param)
        z = rop.param("Z", (3, y.size)) @ rop.reshape(rop.tanh(y), -1)
    objective = rop.Objective(z, rop.SquaredError(t))
    rng = np.random.default_rng(seed)
    leaves = [node for node in ancestors(objective.z, t) if node.kind == "data"]
    batch = {
        node.name: rng.integers(0, 4, (cases, *node.shape))
        if node.integer
        else rng.standard_normal((cases, *node.shape))
        for node in leaves
    }
    theta = rng.standard_normal(objective.n)
    node = next(n for n in ancestors(objective.z)[::-1] if type(n.op).__name__ == name)
    return objective, theta, batch, y if y is not None and type(y.op).__name__ == name else node


LOSSES = ("SquaredError", "SigmoidCrossEntropy", "SoftmaxCrossEntropy", "LossGraph")


def with_loss(name, cases=5, weighted=False, seed=0):
    """Objective, θ and batch with one of the losses."""
    rng = np.random.default_rng(seed)
    x, t = rop.data("x", 4), rop.data("t", (2, 3))
    z = rop.reshape(rop.tanh(rop.param("W", (6, 4)) @ x) * rop.param("s", 6), (2, 3))
    batch = {"x": rng.standard_normal((cases, 4)), "t": rng.uniform(size=(cases, 2, 3))}
    weight = None
    if weighted:
        weight = rop.data("weight", (2,) if name == "SoftmaxCrossEntropy" else (2, 3))
        batch["weight"] = rng.uniform(0.5, 2.0, (cases, *weight.shape))
    if name == "SoftmaxCrossEntropy":
        batch["t"] /= batch["t"].sum(axis=-1, keepdims=True)
    if name == "LossGraph":
        loss = rop.LossGraph(rop.sum(rop.softplus(z) - t * z) + 0.2 * rop.square(rop.sum(z)))
    else:
        loss = getattr(rop, name)(t, weight)
    objective = rop.Objective(z, loss, l2=0.1)
    return objective, rng.standard_normal(objective.n), batch
