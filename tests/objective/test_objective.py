"""The objective as an object: its parts, packing, names, and what it refuses to be made of."""

import numpy as np
import pytest

import rop

X, T = rop.data("x", 3), rop.data("t", 2)
W, B = rop.param("W", (2, 3)), rop.param("b", 2)
Z = rop.tanh(W @ X + B)


@pytest.fixture
def objective():
    return rop.Objective(Z, rop.SquaredError(T), l2=0.5)


def test_its_parts(objective):
    assert objective.n == 8 and objective.l2 == 0.5 and objective.output_shape == (2,)
    assert objective.shapes == {"W": (2, 3), "b": (2,)}
    assert objective.slices == {"W": slice(0, 6), "b": slice(6, 8)}
    assert objective.data_shapes == {"x": (3,), "t": (2,)}
    assert objective.z is Z and objective.loss.t is T
    assert "SquaredError" in repr(objective) and "8" in repr(objective)
    assert "W" in objective._position(4) and "[1, 1]" in objective._position(4)
    assert "b[1]" in objective._position(7)


def test_the_order_of_parameters_is_that_of_theta():
    """By default of their creation; else as listed."""
    late, early = rop.tanh(B), rop.exp(W)
    z = rop.concatenate([late, rop.reshape(early, -1)])
    assert list(rop.Objective(z, rop.SquaredError(np.zeros(8))).shapes) == ["W", "b"]
    listed = rop.Objective(z, rop.SquaredError(np.zeros(8)), params=[B, W])
    assert listed.slices == {"b": slice(0, 2), "W": slice(2, 8)}
    at = listed.linearize(np.arange(8.0))
    np.testing.assert_allclose(at.outputs[0], [0.0, np.tanh(1.0), *np.exp(np.arange(2.0, 8.0))])
    listed = rop.Objective(z, rop.SquaredError(np.zeros(8)), params=iter([B, W]))
    assert list(listed.shapes) == ["b", "W"]


def test_pack_and_unpack(objective):
    rng = np.random.default_rng(0)
    parts = {"b": rng.standard_normal(2), "W": rng.standard_normal((2, 3))}
    theta = objective.pack(parts)
    assert theta.shape == (8,) and theta.dtype == np.float64
    np.testing.assert_array_equal(theta, [*parts["W"].ravel(), *parts["b"]])
    found = objective.unpack(theta)
    assert list(found) == ["W", "b"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, parts[name])
        assert np.shares_memory(array, theta)
    found["b"][1] = 7.0
    assert theta[7] == 7.0
    np.testing.assert_array_equal(objective.pack(objective.unpack(theta)), theta)
    np.testing.assert_array_equal(
        objective.pack({"W": [[1, 2, 3], [4, 5, 6]], "b": (7, 8)}), np.arange(1.0, 9.0)
    )
    single = objective.unpack(theta.astype(np.float32))
    assert single["W"].dtype == np.float32


@pytest.mark.parametrize(
    "values, words",
    [
        ({"W": np.zeros((2, 3))}, ["missing 'b'"]),
        ({"W": np.zeros((2, 3)), "b": np.zeros(2), "c": 0}, ["unknown 'c'"]),
        ({"W": np.zeros((3, 2)), "b": np.zeros(2)}, ["W", "(2, 3)", "(3, 2)"]),
        ({"W": np.zeros(6), "b": np.zeros(2)}, ["W", "(2, 3)", "(6,)"]),
        ({"W": 1.0, "b": np.zeros(2)}, ["W", "(2, 3)", "()"]),
    ],
)
def test_what_does_not_pack(objective, values, words):
    with pytest.raises(rop.RopValueError) as caught:
        objective.pack(values)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_is_no_theta(objective):
    with pytest.raises(rop.RopTypeError):
        objective.pack([np.zeros((2, 3)), np.zeros(2)])
    with pytest.raises(rop.RopTypeError):
        objective.pack({"W": np.zeros((2, 3)) * 1j, "b": np.zeros(2)})
    for wrong in (np.zeros(7), np.zeros((8, 1)), 0.0):
        with pytest.raises(rop.RopValueError, match=r"\(8,\)"):
            objective.unpack(wrong)


def test_a_parameter_that_is_a_number():
    p, q = rop.param("p"), rop.param("q")
    objective = rop.Objective(rop.stack([p * q, p]), rop.SquaredError([0.0, 0.0]))
    theta = objective.pack({"p": 2.0, "q": 3.0})
    np.testing.assert_array_equal(theta, [2.0, 3.0])
    assert objective.unpack(theta)["q"] == 3.0 and objective.unpack(theta)["q"].shape == ()
    assert "p" in objective._position(0)
    np.testing.assert_array_equal(objective.linearize(theta).outputs, [[6.0, 2.0]])


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: rop.Objective(Z, rop.SquaredError(T), l2=-1.0), ["l2", "-1.0"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), l2=np.nan), ["l2", "nan"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), l2=np.inf), ["l2", "inf"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), params=[W]), ["b", "list every"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), params=[]), ["W", "b"]),
        (lambda: rop.Objective(X, rop.SquaredError(np.zeros(3))), ["no parameter", "rop.param"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), params=[W, B, W]), ["'W'"]),
        (lambda: rop.Objective(Z * rop.param("W", 2), rop.SquaredError(T)), ["'W'", "name"]),
        (lambda: rop.Objective(Z * rop.data("x", 2), rop.SquaredError(T)), ["'x'", "name"]),
        (lambda: rop.Objective(Z * rop.data("b", 2), rop.SquaredError(T)), ["'b'", "name"]),
        (lambda: rop.Objective(Z, rop.SquaredError(rop.data("x", 2))), ["'x'", "name"]),
        (lambda: rop.Objective(Z, rop.SquaredError(rop.data("W", 2))), ["'W'", "name"]),
    ],
)
def test_what_is_no_objective(make, words):
    with pytest.raises(rop.RopValueError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: rop.Objective(Z, rop.SquaredError(T), l2="strong"), ["l2", "str"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), l2=None), ["l2", "None"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), params=[W, B, X]), ["params", "x"]),
        (lambda: rop.Objective(Z, rop.SquaredError(T), params=["W", "b"]), ["params", "'W'"]),
        (lambda: rop.Objective(Z, rop.SquaredError), ["loss", "SquaredError"]),
        (lambda: rop.SquaredError("t"), ["SquaredError: t must be a node", 'rop.data("t", ...)']),
        (lambda: rop.SquaredError(T, weight="w"), ["SquaredError: weight must be a node"]),
        (lambda: rop.SquaredError(), ["SquaredError: t is missing; it takes t, weight"]),
        (lambda: rop.SquaredError(target=T), ["SquaredError: no argument is called 'target'"]),
        (lambda: rop.Objective(), ["Objective: z is missing; it takes z, loss, l2"]),
        (lambda: rop.LossGraph(), ["LossGraph: node is missing"]),
    ],
)
def test_arguments_of_the_wrong_type(make, words):
    with pytest.raises(rop.RopTypeError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_initial_parameters(objective):
    for method in ("sparse", "glorot", "normal"):
        theta = objective.init(method, seed=3)
        assert theta.shape == (8,) and np.isfinite(theta).all() and theta[:6].any()
        np.testing.assert_array_equal(theta, objective.init(method, seed=3))
        assert not np.array_equal(theta, objective.init(method, seed=4))
    with pytest.raises(rop.RopValueError, match="uniform"):
        objective.init("uniform")


def test_the_penalty(engine, objective):
    """l2/2 |θ|² in f, l2 θ in ∇f, l2 I in G and H, and nowhere else."""
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((5, 3)), "t": rng.standard_normal((5, 2))}
    theta, v, w = *rng.standard_normal((2, 8)), rng.standard_normal((5, 2))
    plain = rop.Objective(Z, rop.SquaredError(T)).linearize(theta, batch, engine)
    at = objective.linearize(theta, batch, engine)
    assert at.value - plain.value == pytest.approx(0.25 * theta @ theta, rel=1e-13)
    np.testing.assert_allclose(at.gradient() - plain.gradient(), 0.5 * theta, rtol=1e-12)
    for V in (v, np.stack([v, 2 * v, -v], axis=1)):
        np.testing.assert_allclose(at.ggnvp(V) - plain.ggnvp(V), 0.5 * V, rtol=1e-12)
        np.testing.assert_allclose(at.hvp(V) - plain.hvp(V), 0.5 * V, rtol=1e-12)
    np.testing.assert_allclose(at.diagonal() - plain.diagonal(), 0.5, rtol=1e-12)
    np.testing.assert_allclose(at.G.matrix() - plain.G.matrix(), 0.5 * np.eye(8), atol=1e-13)
    np.testing.assert_array_equal(at.jvp(v), plain.jvp(v))
    np.testing.assert_array_equal(at.vjp(w), plain.vjp(w))
    np.testing.assert_array_equal(at.loss_hvp(w), plain.loss_hvp(w))
    np.testing.assert_array_equal(at.per_case_gradients(), plain.per_case_gradients())


def test_one_mean(engine, objective):
    """The same cases twice change nothing but J and ∇L, which have rows for each."""
    rng = np.random.default_rng(0)
    once = {"x": rng.standard_normal((5, 3)), "t": rng.standard_normal((5, 2))}
    twice = {name: np.concatenate([array, array]) for name, array in once.items()}
    theta, v = rng.standard_normal((2, 8))
    a, b = (objective.linearize(theta, batch, engine) for batch in (once, twice))
    assert b.value == pytest.approx(a.value, rel=1e-14)
    for name in ("ggnvp", "hvp"):
        np.testing.assert_allclose(getattr(b, name)(v), getattr(a, name)(v), rtol=1e-13)
    np.testing.assert_allclose(b.gradient(), a.gradient(), rtol=1e-13)
    np.testing.assert_allclose(b.jvp(v), np.concatenate([a.jvp(v)] * 2), rtol=1e-13)
    np.testing.assert_allclose(2 * b.loss_gradient()[:5], a.loss_gradient(), rtol=1e-13)
    np.testing.assert_allclose(2 * b.loss_hvp(np.ones((10, 2)))[5:], a.loss_hvp(np.ones((5, 2))))


def test_what_the_products_are_of_each_other(network, engine):
    """Gv = Jᵀ L'' J v + l2 v; G is symmetric and positive definite, H is symmetric."""
    for loss in ("squared", "sigmoid", "softmax"):
        model = network(loss=loss)
        at = model.objective.linearize(model.theta, model.batch, engine)
        v = model.v
        composed = at.vjp(at.loss_hvp(at.jvp(v))) + 0.25 * v
        np.testing.assert_allclose(at.ggnvp(v), composed, rtol=1e-12, atol=1e-14)
        gradient = at.vjp(at.loss_gradient()) + 0.25 * model.theta
        np.testing.assert_allclose(at.gradient(), gradient, rtol=1e-12, atol=1e-14)
        G, H = at.G.matrix(), at.H.matrix()
        np.testing.assert_allclose(G, G.T, atol=1e-14)
        np.testing.assert_allclose(H, H.T, atol=1e-14)
        assert np.linalg.eigvalsh(G).min() >= 0.25 - 1e-12
        # Both are linear.
        w = model.rng.standard_normal(64)
        for product in (at.jvp, at.ggnvp, at.hvp):
            np.testing.assert_allclose(
                product(2 * v - 3 * w), 2 * product(v) - 3 * product(w), atol=1e-12
            )
        assert at.n == 64 and at.cases == 7 and at.engine == engine
        assert at.objective is model.objective and set(at.batch) == {"x", "t"}
        assert "7 cases" in repr(at)
