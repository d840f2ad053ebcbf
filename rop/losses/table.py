"""The losses of table 2: squared error, and cross-entropy of sigmoid and softmax."""

from __future__ import annotations

import numpy as np

from rop.errors import RopValueError
from rop.graph import Node, Shape
from rop.losses.targets import TableLoss
from rop.ops.kernels import Array, Map, einsum, letters, product, scaled, view
from rop.ops.rules import Emit, State, Target, Value


class SquaredError(TableLoss):
    """L(z) = ½ ‖z - t‖²,  ∇L = z - t,  L'' = I.

    >>> z, t = rop.param("z", 2), rop.data("t", 2)
    >>> at = rop.Objective(z, rop.SquaredError(t)).linearize([1.0, 3.0], {"t": [[0.0, 1.0]]})
    >>> at.value, at.loss_gradient()
    (2.5, array([[1., 2.]]))
    >>> at.H.matrix()
    array([[1., 0.],
           [0., 1.]])
    """

    def p(self, emit: Emit, a: State, z: Node) -> Value:
        """The predictions are the outputs."""
        return a[z]

    def prediction(self, z: Array) -> Array:
        return z

    def elements(self, z: Array, t: Array) -> Array:
        return 0.5 * (z - t) ** 2

    def root(self, p: Array, v: Array) -> Array:
        """S = I."""
        return v

    def hvp(
        self, emit: Emit, a: State, d: State, z: Node, N: Value, Rz: Value, Rdz: Target
    ) -> None:
        emit.begin(z, "loss")
        c = self.c(emit, a, N)
        emit(Rdz, self.weighted(z, c), c, Rz)


class SigmoidCrossEntropy(TableLoss):
    """L(z) = -Σ t log p + (1 - t) log(1 - p),  ∇L = p - t,  L'' = diag(p(1 - p)).

    p = 1/(1 + exp(-z)); targets lie in [0, 1].

    >>> z, t = rop.param("z", 2), rop.data("t", 2)
    >>> at = rop.Objective(z, rop.SigmoidCrossEntropy(t)).linearize([0.0, 2.0], {"t": [[0.0, 1.0]]})
    >>> at.value, at.loss_gradient()
    (0.8200..., array([[ 0.5       , -0.1192...]]))
    >>> at.H.matrix()
    array([[0.25      , 0.        ],
           [0.        , 0.1049...]])
    """

    link = "sigmoid"

    def prediction(self, z: Array) -> Array:
        # exp of what is not positive: no overflow, and full accuracy in both tails.
        p: Array = np.exp(np.minimum(z, 0.0)) / (1.0 + np.exp(-np.abs(z)))
        return p

    def elements(self, z: Array, t: Array) -> Array:
        # log(1 + exp z) without overflow.
        each: Array = np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))) - t * z
        return each

    def root(self, p: Array, v: Array) -> Array:
        """S = diag(√(p(1 - p)))."""
        scaled: Array = np.sqrt(p * (1.0 - p)) * v
        return scaled

    def refuse(self, t: Array) -> str | None:
        """Targets outside [0, 1]."""
        low, high = float(t.min()), float(t.max())
        if low < 0.0 or high > 1.0:
            return f"targets must lie in [0, 1], got values from {low:g} to {high:g}"
        return None

    def hvp(
        self, emit: Emit, a: State, d: State, z: Node, N: Value, Rz: Value, Rdz: Target
    ) -> None:
        emit.begin(z, "loss")
        c = self.c(emit, a, N)
        variance = emit.once("p'", Map(_variance, "{0} * (1 - {0})"), self.p(emit, a, z))
        curvature = emit.once("L''", self.weighted(z, c), c, variance)
        emit(Rdz, product(z.shape), curvature, Rz)


class SoftmaxCrossEntropy(TableLoss):
    """L(z) = -Σ t log p, p = softmax(z) over the last axis,  ∇L = p - t,  L'' = diag(p) - p pᵀ.

    Targets are distributions: not negative, with sum 1 over the last axis, such as one-hot vectors
    (erratum M30). Where a weight is 0, anything goes. If t is data, a batch may hold labels for it:
    integers from 0 to the number of classes - 1, of the shape without the last axis.

    >>> z, t = rop.param("z", 2), rop.data("t", 2)
    >>> at = rop.Objective(z, rop.SoftmaxCrossEntropy(t)).linearize([0.0, 2.0], {"t": [[0.0, 1.0]]})
    >>> at.value, at.loss_gradient()
    (0.1269..., array([[ 0.1192..., -0.1192...]]))
    >>> at.H.matrix()
    array([[ 0.1049..., -0.1049...],
           [-0.1049...,  0.1049...]])
    """

    link = "softmax"
    by_element = False

    @property
    def classes(self) -> str | None:
        """The name of the targets, if they are data."""
        return self.t.name if self.t.kind == "data" else None

    def weight_shape(self, z: Shape) -> Shape:
        return z[:-1]

    def fit(self, z: Node) -> None:
        """Raise RopValueError also if the outputs have no class axis."""
        if not z.shape:
            raise RopValueError(
                f"{self.name}: outputs must have a last axis of classes, got a scalar for one case"
            )
        super().fit(z)

    def prediction(self, z: Array) -> Array:
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        p: Array = e / e.sum(axis=-1, keepdims=True)
        return p

    def elements(self, z: Array, t: Array) -> Array:
        log_p = z - z.max(axis=-1, keepdims=True)
        log_p = log_p - np.log(np.exp(log_p).sum(axis=-1, keepdims=True))
        each: Array = -(t * log_p).sum(axis=-1)
        return each

    def root(self, p: Array, v: Array) -> Array:
        """S = diag(√p) - p √pᵀ."""
        q = np.sqrt(p)
        scaled: Array = q * v - p * np.sum(q * v, axis=-1, keepdims=True)
        return scaled

    def refuse(self, t: Array) -> str | None:
        """Targets that are no distributions."""
        if float(t.min()) < 0.0:
            return f"targets must not be negative, got {float(t.min()):g}"
        sums = t.sum(axis=-1, dtype=np.float64)
        worst = float(sums.flat[np.argmax(np.abs(sums - 1.0))])
        if abs(worst - 1.0) > 1e-5:
            return (
                f"targets must be one-hot or distributions over the last axis, with sum 1; got a "
                f"sum of {worst:g}"
            )
        return None

    def hvp(
        self, emit: Emit, a: State, d: State, z: Node, N: Value, Rz: Value, Rdz: Target
    ) -> None:
        emit.begin(z, "loss")
        c, p = self.c(emit, a, N), self.p(emit, a, z)
        cp = emit.once("cp", self.weighted(z, c), c, p)
        axes, rows = letters(z.shape), letters(z.shape[:-1])
        inner = einsum(f"{axes},{axes}->{rows}", (z.shape, z.shape), "{0}ᵀ {1}")
        spread, _ = view(z.shape[:-1], lambda a: np.broadcast_to(a[..., None], z.shape), "({0})")
        outer = einsum(f"{axes},{rows}->{axes}", (z.shape, z.shape[:-1]), "{0} ({1})")
        # L'' of what is the same for all classes is zero, so the mean may go first. Where p is
        # saturated almost nothing is left: then no digits cancel, and L'' stays PSD.
        name, centred = f"R{emit.names[z]}", Target(State(), z, "ΔR")
        mean = emit.temporary(f"pᵀ{name}", z.shape[:-1], inner, p, Rz)
        emit(centred, view(z.shape, lambda a: a, "{0}")[0], Rz)
        emit(centred, scaled(spread, -1.0), mean)
        delta = centred.state[z]
        rest = emit.temporary(f"pᵀ{delta.name}", z.shape[:-1], inner, p, delta)
        emit(Rdz, product(z.shape), cp, delta)
        emit(Rdz, scaled(outer, -1.0), cp, rest)


def _variance(p: Array) -> Array:
    return p * (1.0 - p)
