"""The losses of table 2: squared error, and cross-entropy of sigmoid and softmax.

`TableLoss` is what they share: targets, weights, and ∇L = p - t.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Operand, Shape, ancestors, as_node
from rop.ops.kernels import Array, Call, Loops, Map, einsum, letters, product, scaled, view
from rop.ops.rules import Emit, State, Target, Value
from rop.programs.loss import Loss
from rop.support.arguments import named


class TableLoss(Loss):
    """A loss of table 2, summed over all but the case axis; a subclass gives its formulas.

    Parameters
    ----------
    t : Node or array_like
        Targets of the outputs' shape: a data node, or constants.
    weight : Node or array_like, optional
        Factor of each output's loss, of a shape that broadcasts to the outputs' (softmax: without
        the class axis). Zero where a case, or a step of a sequence, does not count.

    Raises
    ------
    RopTypeError
        If t or the weight is not a node or an array of numbers.
    """

    @named
    def __init__(self, t: Operand, weight: Operand | None = None) -> None:
        for name, operand in (("t", t), ("weight", weight)):
            if isinstance(operand, str | type | Loss):
                raise RopTypeError(
                    f"{self.name}: {name} must be a node or numbers, got {operand!r}; for data "
                    f'write rop.data("{name}", ...)'
                )
        self.t = as_node(t)
        self.weight = None if weight is None else as_node(weight)
        self.given = (self.t,) if self.weight is None else (self.t, self.weight)

    link = "p"
    by_element = True

    @abstractmethod
    def prediction(self, z: Array) -> Array:
        """p(z), of z's shape (..., *shape)."""

    @abstractmethod
    def elements(self, z: Array, t: Array) -> Array:
        """The loss of each output, or group of outputs, that has a weight of its own."""

    @abstractmethod
    def root(self, p: Array, v: Array) -> Array:
        """S v, where S Sᵀ is L'' for weight 1 and N = 1 (alg. 7, erratum M61)."""

    def refuse(self, t: Array) -> str | None:
        """What is wrong with targets that count, of shape (..., *shape); None if nothing is."""
        return None

    def weight_shape(self, z: Shape) -> Shape:
        """Shape that weights broadcast to."""
        return z

    def aligned(self, weight: Array, rank: int) -> Array:
        """Weights (N or 1, *shape) with axes of length 1, to broadcast with (N, *output shape)."""
        outputs = rank - 1
        own = len(self.weight_shape((1,) * outputs))
        before, after = (1,) * (own - (weight.ndim - 1)), (1,) * (outputs - own)
        return weight.reshape(len(weight), *before, *weight.shape[1:], *after)

    def fit(self, z: Node) -> None:
        """Raise RopValueError if targets or weights do not fit z, or depend on parameters."""
        if self.t.shape != z.shape:
            raise RopValueError(
                f"{self.name}: the outputs have shape {z.shape} for one case, the targets "
                f"{self.t.shape}; they must be equal"
            )
        largest = self.weight_shape(z.shape)
        if self.weight is not None and not _broadcasts(self.weight.shape, largest):
            raise RopValueError(
                f"{self.name}: the weight has shape {self.weight.shape} for one case; expected one "
                f"that broadcasts to {largest}"
            )
        for node in ancestors(*self.given):
            if node.kind == "param":
                raise RopValueError(
                    f"{self.name}: targets and weights must not depend on parameters, but depend "
                    f"on {node.name!r}; make that part of the outputs, or use LossGraph"
                )

    def refuse_batch(self, batch: Mapping[str, Array]) -> None:
        """Raise RopValueError if targets that count are not such as the loss is made for."""
        t = _known(self.t, batch)
        weight = None if self.weight is None else _known(self.weight, batch)
        if weight is not None and weight.size and float(weight.min()) < 0.0:
            raise RopValueError(
                f"{self.name}: weights must not be negative, got {float(weight.min()):g}"
            )
        if t is None or (self.weight is not None and weight is None):
            return
        if weight is not None and not weight.all():
            counts: Array = self.aligned(weight, t.ndim)
            counts = counts.reshape(counts.shape[: 1 + len(self.weight_shape(self.t.shape))])
            cases = max(len(t), len(weight))
            shape = (cases, *self.weight_shape(self.t.shape))
            t = np.broadcast_to(t, (cases, *self.t.shape))[np.broadcast_to(counts != 0, shape)]
        wrong = self.refuse(t) if t.size else None
        if wrong is not None:
            raise RopValueError(
                f"{self.name}: {wrong} (targets {self.t.name or 'given as numbers'})"
            )

    def value(self, emit: Emit, target: Target, a: State, z: Node) -> None:
        emit.begin(z, "loss")
        text = f"{self.name}({{0}}, {{1}})"
        kernel = Map(self.elements, text) if self.by_element else Call(self.elements, text)
        groups = self.weight_shape(z.shape)
        each = emit.temporary("losses", groups, kernel, a[z], a[self.t])
        axes = letters(groups)
        if self.weight is None:
            emit(target, einsum(f"{axes}->", (groups,), "sum({0})"), each)
        else:
            own, shape = axes[len(groups) - len(self.weight.shape) :], self.weight.shape
            summed = einsum(f"{own},{axes}->", (shape, groups), "{0} · {1}")
            emit(target, summed, a[self.weight], each)

    def gradient(self, emit: Emit, a: State, z: Node, N: Value) -> State:
        """∇L = c (p - t), with c = weight / N (table 2; erratum M29: not -(p - t))."""
        emit.begin(z, "loss")
        c, p, d = self.c(emit, a, N), self.p(emit, a, z), State()
        weighted = self.weighted(z, c)
        emit(Target(d, z, "d"), weighted, c, p)
        emit(Target(d, z, "d"), scaled(weighted, -1.0), c, a[self.t])
        return d

    def p(self, emit: Emit, a: State, z: Node) -> Value:
        """The predictions, computed once per θ."""
        kernel = Map if self.by_element else Call
        return emit.once("p", kernel(self.prediction, f"{self.link}({{0}})"), a[z])

    def c(self, emit: Emit, a: State, N: Value) -> Value:
        """The weight of each output's loss in the mean over cases: weight / N."""
        if self.weight is None:
            return N
        shape = self.weight.shape
        axes = letters(shape)
        times = einsum(f"{axes},->{axes}", (shape, ()), "{0}/N")
        return emit.once("c", times, a[self.weight], N, shape=shape)

    def weighted(self, z: Node, c: Value) -> Loops:
        """The product of c with something of z's shape."""
        axes = letters(z.shape)
        own = axes[: len(self.weight_shape(z.shape))]
        own = own[len(own) - len(c.shape) :]
        text = "{1}/N" if self.weight is None else "{0} * {1}"
        return einsum(f"{own},{axes}->{axes}", (c.shape, z.shape), text)


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


def _known(node: Node, batch: Mapping[str, Array]) -> Array | None:
    """The values (N or 1, *shape) of a data node or a constant."""
    if node.constant is not None:
        return node.constant[None]
    return batch.get(node.name or "") if node.kind == "data" else None


def _broadcasts(shape: Shape, to: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
