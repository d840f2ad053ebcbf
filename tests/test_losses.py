"""The losses of table 2 in closed form, at extreme logits, with weights, and what they refuse."""

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
import pytest

import rop

LOSSES = {
    "squared": rop.SquaredError,
    "sigmoid": rop.SigmoidCrossEntropy,
    "softmax": rop.SoftmaxCrossEntropy,
}


def at_logits(kind, Z, T, engine="numpy", weight=None, dtype=np.float64):
    """A loss at given outputs: Z = θ for every case, as a network without hidden units."""
    Z, T = np.asarray(Z), np.asarray(T)
    one, t = rop.data("one"), rop.data("t", T.shape[1:])
    z = rop.param("z", Z.shape) * one
    batch = {"one": np.ones(len(T)), "t": T}
    node = None
    if weight is not None:
        node = rop.data("weight", np.shape(weight)[1:])
        batch["weight"] = weight
    objective = rop.Objective(z, LOSSES[kind](t, weight=node))
    return objective.linearize(Z.ravel(), batch, engine, dtype)


@cache
def exact(kind, z, t):
    """L, ∇L and L'' at one case in 1000 digits."""
    with localcontext(prec=1000):
        z, t = [Decimal(float(x)) for x in z], [Decimal(float(x)) for x in t]
        m = len(z)
        if kind == "squared":
            loss = sum((a - b) ** 2 for a, b in zip(z, t, strict=True)) / 2
            p, L2 = z, [[Decimal(i == j) for j in range(m)] for i in range(m)]
        elif kind == "sigmoid":
            p = [1 / (1 + (-a).exp()) for a in z]
            loss = sum((1 + a.exp()).ln() - b * a for a, b in zip(z, t, strict=True))
            L2 = [[p[i] * (1 - p[i]) * (i == j) for j in range(m)] for i in range(m)]
        else:
            total = sum(a.exp() for a in z)
            p = [a.exp() / total for a in z]
            loss = -sum(b * (a - total.ln()) for a, b in zip(z, t, strict=True))
            L2 = [[p[i] * ((i == j) - p[j]) for j in range(m)] for i in range(m)]
        gradient = [a - b for a, b in zip(p, t, strict=True)]
        return float(loss), np.array(gradient, float), np.array(L2, float)


LOGITS = [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [30.0, -30.0, 0.0], [1000.0, -1000.0, 0.0]]
LOGITS += [[1000.0, 1000.0, 999.0], [-1000.0, -1000.0, -1000.0], [710.0, 0.0, -745.0]]


@pytest.mark.ci
@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("z", LOGITS, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exact_at_any_logits(engine, kind, z, dtype):
    """Against a thousand digits, to the rounding of numbers of order one."""
    epsilon = float(np.finfo(dtype).eps)
    for t in np.eye(3):
        at = at_logits(kind, z, np.array([t, t]), engine, dtype=dtype)
        loss, gradient, L2 = exact(kind, tuple(z), tuple(t))
        assert at.value == pytest.approx(loss, rel=8 * epsilon, abs=8 * epsilon)
        # p - t, of numbers of order one; z - t, of any.
        size = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose(
            at.loss_gradient(), np.array([gradient] * 2) / 2, rtol=0, atol=8 * epsilon * size
        )
        w = np.eye(3)
        found = at.loss_hvp(np.stack([w, w]))
        expected = np.stack([L2, L2]) / 2
        np.testing.assert_allclose(found, expected, rtol=0, atol=8 * epsilon)
        assert np.isfinite(at.hvp(np.ones(3))).all() and np.isfinite(at.ggnvp(np.ones(3))).all()


@pytest.mark.parametrize("z", [-40.0, -20.0, -1.0, 20.0, 30.0])
def test_curvature_in_both_tails(z):
    """p(1 - p) keeps its relative accuracy: a preconditioner divides by it."""
    at = at_logits("sigmoid", [z], [[0.0]])
    ((curvature,),) = exact("sigmoid", (z,), (0.0,))[2]
    assert at.loss_hvp([[1.0]])[0, 0] == pytest.approx(curvature, rel=1e-10)


@pytest.mark.parametrize("kind", LOSSES)
def test_without_the_mean_a_loss_is_summed(engine, kind):
    """Over everything but the cases, whose mean is taken once."""
    rng = np.random.default_rng(0)
    Z, shape = rng.standard_normal((2, 3)), (5, 2, 3)
    T = np.eye(3)[rng.integers(0, 3, shape[:2])]
    at = at_logits(kind, Z, T, engine)
    expected = [[exact(kind, tuple(Z[i]), tuple(T[n, i])) for i in range(2)] for n in range(5)]
    assert at.value == pytest.approx(sum(e[0] for row in expected for e in row) / 5, rel=1e-13)
    gradient = np.array([[e[1] for e in row] for row in expected]) / 5
    np.testing.assert_allclose(at.loss_gradient(), gradient, rtol=1e-13)
    np.testing.assert_allclose(at.gradient(), gradient.sum(0).ravel(), rtol=1e-13)


# Shapes that broadcast to (2, 3), and for softmax to (2,).
WEIGHTS = [
    (kind, shape)
    for kind in LOSSES
    for shape in [(), (1,), *([(2,)] if kind == "softmax" else [(3,), (1, 3), (2, 1), (2, 3)])]
]


@pytest.mark.ci
@pytest.mark.parametrize("kind, shape", WEIGHTS, ids=str)
@pytest.mark.parametrize("per_case", [True, False])
def test_weights_broadcast(engine, kind, shape, per_case):
    """A weighted loss is the sum of weights times unweighted losses, and so are its derivatives."""
    rng = np.random.default_rng(0)
    own = (2,) if kind == "softmax" else (2, 3)
    x, t = rop.data("x", (2, 3)), rop.data("t", (2, 3))
    z = rop.param("p", (2, 3)) * x
    W = rng.uniform(0.0, 2.0, (4, *shape)) * (rng.random((4, *shape)) > 0.3)
    W = W if per_case else np.broadcast_to(W[:1], W.shape)
    node = rop.data("w", shape) if per_case else rop.constant(W[0])
    X, theta, v = rng.standard_normal((4, 2, 3)), *rng.standard_normal((2, 6))
    T = np.eye(3)[rng.integers(0, 3, (4, 2))]
    batch = {"x": X, "t": T} | ({"w": W} if per_case else {})
    at = rop.Objective(z, LOSSES[kind](t, weight=node)).linearize(theta, batch, engine)

    # Each weight by itself: a case and an output, or a group of outputs, of its own.
    each = np.broadcast_to(W.reshape(4, *(1,) * (len(own) - len(shape)), *shape), (4, *own))
    value, gradient, Gv = 0.0, np.zeros(6), np.zeros(6)
    for index in np.ndindex(*own):
        flat = z[index] if kind == "softmax" else z[index][None]
        alone = rop.Objective(flat, LOSSES[kind](t[index] if kind == "softmax" else t[index][None]))
        for n in range(4):
            single = alone.linearize(theta, {"x": X[n : n + 1], "t": T[n : n + 1]}, engine)
            w = each[(n, *index)] / 4
            value += w * single.value
            gradient += w * single.gradient()
            Gv += w * single.ggnvp(v)
    assert at.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(at.gradient(), gradient, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(at.ggnvp(v), Gv, rtol=1e-12, atol=1e-14)


X, T = rop.data("x", 3), rop.data("t", 3)
Z = rop.param("p", 3) * X


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: rop.SquaredError(rop.data("t", 2)), ["SquaredError", "(3,)", "(2,)"]),
        (lambda: rop.SquaredError(np.zeros((2, 3))), ["SquaredError", "(3,)", "(2, 3)"]),
        (lambda: rop.SquaredError(T, weight=np.ones(2)), ["weight", "(2,)", "(3,)"]),
        (lambda: rop.SoftmaxCrossEntropy(T, weight=T), ["weight", "(3,)", "()"]),
        (lambda: rop.SquaredError(Z), ["parameters", "p"]),
        (lambda: rop.SquaredError(T, weight=Z), ["parameters", "p"]),
        (lambda: rop.LossGraph(rop.sum(T)), ["LossGraph", "outputs z"]),
        (lambda: rop.LossGraph(rop.sum(Z * rop.param("q", 3))), ["LossGraph", "parameters", "z"]),
        (lambda: rop.LossGraph(rop.sum(Z), convexify="clip"), ["convexify", "clip"]),
    ],
)
def test_losses_that_do_not_fit(make, words):
    with pytest.raises(rop.RopValueError) as caught:
        rop.Objective(Z, make())
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_softmax_of_a_scalar():
    z = rop.param("p") * rop.data("x")
    with pytest.raises(rop.RopValueError, match="axis of classes"):
        rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t")))


def test_a_loss_is_an_argument_of_its_own_type():
    with pytest.raises(rop.RopTypeError, match=r"write rop.LossGraph\(node\)"):
        rop.Objective(Z, T)
    with pytest.raises(rop.RopTypeError, match="z"):
        rop.Objective(3.0, rop.SquaredError(T))


@pytest.mark.parametrize(
    "kind, targets, words",
    [
        ("softmax", [[0.5, 0.5, 0.5]], ["one-hot", "1.5", "t"]),
        ("softmax", [[0.0, 0.0, 0.0]], ["one-hot", "sum"]),
        ("softmax", [[1.5, -0.5, 0.0]], ["negative", "-0.5"]),
        ("softmax", [[1, 0, 0], [0, 2, 0]], ["2"]),
        ("sigmoid", [[0.0, 1.0, 1.1]], ["[0, 1]", "1.1"]),
        ("sigmoid", [[-1.0, 1.0, 1.0]], ["[0, 1]", "-1"]),
    ],
)
def test_targets_that_are_no_targets(engine, kind, targets, words):
    targets = np.array(targets, float)
    t = rop.data("t", 3)
    objective = rop.Objective(Z, LOSSES[kind](t))
    batch = {"x": np.ones((len(targets), 3)), "t": targets}
    for call in (objective.linearize, objective.value):
        with pytest.raises(rop.RopValueError) as caught:
            call(np.zeros(3), batch, engine)
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_constant_targets_that_are_no_targets():
    objective = rop.Objective(Z, rop.SigmoidCrossEntropy([0.0, 2.0, 0.0]))
    with pytest.raises(rop.RopValueError, match=r"\[0, 1\]"):
        objective.linearize(np.zeros(3), {"x": np.ones((1, 3))})


def test_targets_that_are_targets():
    """Distributions, in either dtype; and anything where the weight is 0."""
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 5)
    w = rop.data("w")
    objective = rop.Objective(Z, rop.SoftmaxCrossEntropy(T, weight=w))
    batch = {"x": np.ones((5, 3)), "t": soft.astype(np.float32), "w": np.ones(5)}
    for dtype in (np.float64, np.float32):
        assert np.isfinite(objective.linearize(np.zeros(3), batch, dtype=dtype).value)
    soft[2], batch["w"][2] = -7.0, 0.0
    batch["t"] = soft
    at = objective.linearize(np.zeros(3), batch)
    keep = [0, 1, 3, 4]
    part = {name: array[keep] for name, array in batch.items()}
    expected = objective.linearize(np.zeros(3), part).gradient() * 4 / 5
    np.testing.assert_allclose(at.gradient(), expected, rtol=1e-13)
    batch["w"][2] = 1.0
    with pytest.raises(rop.RopValueError, match="negative"):
        objective.linearize(np.zeros(3), batch)


def test_an_autoencoder_shares_its_targets(engine):
    """x is the input and the target."""
    W = rop.param("W", (3, 3))
    objective = rop.Objective(W @ X, rop.SquaredError(X))
    batch = {"x": np.random.default_rng(0).standard_normal((4, 3))}
    assert list(objective.data_shapes) == ["x"]
    at = objective.linearize(np.eye(3).ravel(), batch, engine)
    assert at.value == 0.0 and not at.gradient().any()


@pytest.mark.parametrize("convexify", [None, "shift", "eigen"])
def test_convexified_curvature(engine, convexify):
    """L'' = [[0, 1], [1, 0]]: an eigenvalue of -1 for 1; Hv stays exact."""
    z = rop.param("z", 2) * rop.data("one")
    objective = rop.Objective(z, rop.LossGraph(z[0] * z[1], convexify=convexify))
    at = objective.linearize([0.3, 0.7], {"one": np.ones(4)}, engine)
    right = {
        None: [[0.0, 1.0], [1.0, 0.0]],
        "shift": [[1.0, 1.0], [1.0, 1.0]],
        "eigen": [[0.5, 0.5], [0.5, 0.5]],
    }
    np.testing.assert_allclose(at.G.matrix(), right[convexify], atol=1e-14)
    np.testing.assert_allclose(at.H.matrix(), right[None], atol=1e-14)
    np.testing.assert_allclose(4 * at.loss_hvp(np.ones((4, 2)))[0], np.sum(right[convexify], 1))


def test_convexified_where_it_is_convex_already(network, engine):
    """The matching loss of a softmax as a graph: nothing is to be made convex."""
    x, t = rop.data("x", 5), rop.data("t", 4)
    W = rop.param("W", (4, 5))
    z = W @ x
    graph = rop.log(rop.sum(rop.exp(z))) - rop.dot(t, z)
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((6, 5)), "t": np.eye(4)[rng.integers(0, 4, 6)]}
    theta, v = rng.standard_normal((2, 20))
    right = rop.Objective(z, rop.SoftmaxCrossEntropy(t)).linearize(theta, batch)
    for convexify in (None, "shift", "eigen"):
        at = rop.Objective(z, rop.LossGraph(graph, convexify)).linearize(theta, batch, engine)
        assert at.value == pytest.approx(right.value, rel=1e-13)
        for name in ("ggnvp", "hvp"):
            np.testing.assert_allclose(getattr(at, name)(v), getattr(right, name)(v), rtol=1e-11)


@pytest.mark.parametrize("odds", [1e-8, 1e-12, 1e-15, 3e-16, 1e-17, 1e-30, 0.0])
def test_saturated_softmax(engine, odds):
    """L'' is positive semidefinite to rounding of itself, however little of it is left."""
    rng = np.random.default_rng(0)
    w = rop.param("w", 6)
    objective = rop.Objective(w * rop.data("x"), rop.SoftmaxCrossEntropy(rop.data("t", 6)))
    theta = rng.standard_normal(6)
    theta[0] = 1000.0 if odds == 0.0 else -np.log(odds)
    at = objective.linearize(theta, {"x": np.ones(9), "t": np.eye(6)[np.arange(9) % 6]}, engine)
    p = np.exp(theta - theta.max())
    p /= p.sum()
    size = p[1:].sum()
    for _ in range(100):
        v = 1.0 + rng.choice([1.0, 1e-3]) * rng.standard_normal(6)
        Gv, d = at.ggnvp(v), v - v[0]
        # Shifted by v[0], nothing cancels: a reference of full accuracy.
        right = p * (d - p @ d)
        np.testing.assert_allclose(Gv[1:], right[1:], rtol=1e-12, atol=1e-14 * size)
        assert v @ Gv >= -1e-14 * size * (v @ v)
