"""The catalogue of ops, one by one: values against NumPy, shapes, and errors when building."""

import inspect
import pickle

import numpy as np
import pytest

import rop

X = np.linspace(-2.0, 2.0, 24).reshape(2, 3, 4)

# What is built from a node of shape (3, 4) for one case, and the same of an array.
UNARY = {
    "tanh": (rop.tanh, np.tanh),
    "sigmoid": (rop.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "relu": (rop.relu, lambda x: np.maximum(x, 0)),
    "softplus": (rop.softplus, lambda x: np.log1p(np.exp(x))),
    "elu": (rop.elu, lambda x: np.where(x > 0, x, np.expm1(x))),
    "exp": (rop.exp, np.exp),
    "log": (lambda x: rop.log(x + 3.0), lambda x: np.log(x + 3)),
    "sin": (rop.sin, np.sin),
    "cos": (rop.cos, np.cos),
    "square": (rop.square, np.square),
    "sqrt": (lambda x: rop.sqrt(x + 3.0), lambda x: np.sqrt(x + 3)),
    "reciprocal": (lambda x: rop.reciprocal(x + 3.0), lambda x: 1 / (x + 3)),
    "negative": (rop.negative, np.negative),
    "-x": (lambda x: -x, lambda x: -x),
    "2 x": (lambda x: 2 * x, lambda x: 2 * x),
    "x 2": (lambda x: x * 2, lambda x: 2 * x),
    "x / 4": (lambda x: x / 4, lambda x: x / 4),
    "1 / x": (lambda x: 1 / (x + 3.0), lambda x: 1 / (x + 3)),
    "1 - x": (lambda x: 1 - x, lambda x: 1 - x),
    "x - 1": (lambda x: x - 1, lambda x: x - 1),
    "array + x": (lambda x: np.arange(4) + x, lambda x: np.arange(4) + x),
    "array - x": (lambda x: np.arange(4) - x, lambda x: np.arange(4) - x),
    "array * x": (lambda x: np.arange(4) * x, lambda x: np.arange(4) * x),
    "array / x": (lambda x: np.arange(4) / (x + 3.0), lambda x: np.arange(4) / (x + 3)),
    "array @ x": (lambda x: np.ones((2, 3)) @ x, lambda x: np.ones((2, 3)) @ x),
    "x @ array": (lambda x: x @ np.arange(4.0), lambda x: x @ np.arange(4.0)),
    **{
        f"** {p}": (lambda x, p=p: (x + 3.0) ** p, lambda x, p=p: (x + 3) ** p)
        for p in (1, 2, 3, 4, 0.5, -0.5, -1, -2)
    },
    "x[1]": (lambda x: x[1], lambda x: x[:, 1]),
    "x[-1, 2]": (lambda x: x[-1, 2], lambda x: x[:, -1, 2]),
    "x[:, 1:3]": (lambda x: x[:, 1:3], lambda x: x[:, :, 1:3]),
    "x[::-1]": (lambda x: x[::-1], lambda x: x[:, ::-1]),
    "x[::-1, ::-1]": (lambda x: x[::-1, ::-1], lambda x: x[:, ::-1, ::-1]),
    "x[::2, 3:0:-2]": (lambda x: x[::2, 3:0:-2], lambda x: x[:, ::2, 3:0:-2]),
    "x[..., 0]": (lambda x: x[..., 0], lambda x: x[..., 0]),
    "x[None]": (lambda x: x[None], lambda x: x[:, None]),
    "x[1, None, ...]": (lambda x: x[1, None, ...], lambda x: x[:, 1, None]),
    "x[np.int64(2)]": (lambda x: x[np.int64(2)], lambda x: x[:, 2]),
    "reshape": (lambda x: rop.reshape(x, (2, 6)), lambda x: x.reshape(2, 2, 6)),
    "reshape -1": (lambda x: rop.reshape(x, -1), lambda x: x.reshape(2, 12)),
    "reshape (-1, 2)": (lambda x: rop.reshape(x, (-1, 2)), lambda x: x.reshape(2, 6, 2)),
    "T": (lambda x: x.T, lambda x: x.transpose(0, 2, 1)),
    "transpose": (lambda x: rop.transpose(x, (1, 0)), lambda x: x.transpose(0, 2, 1)),
    "transpose -1": (lambda x: rop.transpose(x, (-1, 0)), lambda x: x.transpose(0, 2, 1)),
    "broadcast": (
        lambda x: rop.broadcast_to(x, (2, 3, 4)),
        lambda x: np.broadcast_to(x[:, None], (2, 2, 3, 4)),
    ),
    "broadcast ones": (
        lambda x: rop.broadcast_to(x[:, :1], (3, 5)),
        lambda x: np.broadcast_to(x[:, :, :1], (2, 3, 5)),
    ),
    "sum": (rop.sum, lambda x: x.sum(axis=(1, 2))),
    "sum 0": (lambda x: rop.sum(x, axis=0), lambda x: x.sum(axis=1)),
    "sum -1": (lambda x: rop.sum(x, axis=-1), lambda x: x.sum(axis=2)),
    "sum (0, 1)": (lambda x: rop.sum(x, axis=(0, 1)), lambda x: x.sum(axis=(1, 2))),
    "sum ()": (lambda x: rop.sum(x, axis=()), lambda x: x),
    "sum keep": (
        lambda x: rop.sum(x, axis=0, keepdims=True),
        lambda x: x.sum(axis=1, keepdims=True),
    ),
    "mean": (rop.mean, lambda x: x.mean(axis=(1, 2))),
    "mean 1": (lambda x: rop.mean(x, axis=1), lambda x: x.mean(axis=2)),
    "mean keep": (
        lambda x: rop.mean(x, axis=1, keepdims=True),
        lambda x: x.mean(axis=2, keepdims=True),
    ),
    "concatenate 0": (
        lambda x: rop.concatenate([x, x[:2], x]),
        lambda x: np.concatenate([x, x[:, :2], x], axis=1),
    ),
    "concatenate -1": (
        lambda x: rop.concatenate([x[:, :1], x], axis=-1),
        lambda x: np.concatenate([x[:, :, :1], x], axis=2),
    ),
    "concatenate one": (lambda x: rop.concatenate([x]), lambda x: x),
    "stack 0": (lambda x: rop.stack([x, x * 2]), lambda x: np.stack([x, x * 2], axis=1)),
    "stack 1": (lambda x: rop.stack([x, x * 2], 1), lambda x: np.stack([x, x * 2], axis=2)),
    "stack -1": (lambda x: rop.stack([x, x * 2], -1), lambda x: np.stack([x, x * 2], axis=3)),
    "stack scalars": (
        lambda x: rop.stack([x[0, 0], x[1, 1], x[2, 3]]),
        lambda x: np.stack([x[:, 0, 0], x[:, 1, 1], x[:, 2, 3]], axis=1),
    ),
    "iteration": (lambda x: rop.stack(list(x)[::-1]), lambda x: x[:, ::-1]),
    "x + row": (lambda x: x + x[0], lambda x: x + x[:, :1]),
    "column - x": (lambda x: x[:, :1] - x, lambda x: x[:, :, :1] - x),
    "outer": (lambda x: x[:, :1] * x[0], lambda x: x[:, :, :1] * x[:, :1]),
    "scalar * x": (lambda x: x[1, 1] * x, lambda x: x[:, 1:2, 1:2] * x),
    "x + scalar": (lambda x: x + x[2, 2], lambda x: x + x[:, 2:3, 2:3]),
    "x / x": (lambda x: x / (x + 3.0), lambda x: x / (x + 3)),
    "x * x": (lambda x: x * x, lambda x: x * x),
    "x + x": (lambda x: x + x, lambda x: x + x),
    "x - x": (lambda x: x - x, lambda x: x - x),
    "matrix @ matrix": (lambda x: x @ x.T, lambda x: x @ x.transpose(0, 2, 1)),
    "matrix @ vector": (lambda x: x @ x[0], lambda x: np.einsum("nij,nj->ni", x, x[:, 0])),
    "vector @ matrix": (lambda x: x[:, 0] @ x, lambda x: np.einsum("ni,nij->nj", x[:, :, 0], x)),
    "vector @ vector": (lambda x: x[0] @ x[1], lambda x: (x[:, 0] * x[:, 1]).sum(1)),
    "dot": (lambda x: rop.dot(x[0], x[0]), lambda x: (x[:, 0] ** 2).sum(1)),
}


@pytest.mark.parametrize("name", UNARY)
def test_values(engine, name):
    build, expected = UNARY[name]
    x, p = rop.data("x", (3, 4)), rop.param("p", ())
    node = build(x)
    z = node + p
    at = rop.Objective(z, rop.SquaredError(np.zeros(z.shape))).linearize([0.0], {"x": X}, engine)
    right = expected(X)
    assert node.shape == right.shape[1:] and node.per_case
    np.testing.assert_allclose(at.outputs, right, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", UNARY)
def test_values_of_parameters(engine, name):
    """The same op on a node without cases; and J is the Jacobian of that."""
    build, expected = UNARY[name]
    p = rop.param("p", (3, 4))
    z = build(p)
    at = rop.Objective(z, rop.SquaredError(np.zeros(z.shape))).linearize(X[0].ravel(), None, engine)
    np.testing.assert_allclose(at.outputs[0], expected(X)[0], rtol=1e-14, atol=1e-14)
    if name in ("relu", "elu"):
        return
    rng = np.random.default_rng(0)
    v, u = rng.standard_normal(12), rng.standard_normal(at.outputs.shape)
    complex_step = expected(X + 1e-100j * v.reshape(3, 4))[:1].imag / 1e-100
    if name not in ("softplus", "sqrt") and "0.5" not in name:
        np.testing.assert_allclose(at.jvp(v), complex_step, rtol=1e-12, atol=1e-13)
    # Dual by definition, whatever the op.
    assert np.vdot(u, at.jvp(v)) == pytest.approx(at.vjp(u) @ v, rel=1e-12, abs=1e-12)


def test_more_loops_than_the_tape_machine_has(engine):
    """Eight axes that cannot be merged into fewer."""
    rng = np.random.default_rng(0)
    x, W = rop.data("x", (2,) * 7), rop.param("W", (2,) * 7)
    turned = rop.transpose(x, (6, 4, 2, 0, 1, 3, 5)) * rop.transpose(W, (5, 3, 1, 6, 4, 2, 0))
    z = rop.reshape(rop.sum(turned, axis=(0, 3)), 32)
    objective = rop.Objective(z, rop.SquaredError(np.zeros(32)))
    X, theta, v = rng.standard_normal((3, *(2,) * 7)), *rng.standard_normal((2, 128))
    at = objective.linearize(theta, {"x": X}, engine)

    def network(theta):
        W = theta.reshape((2,) * 7).transpose(5, 3, 1, 6, 4, 2, 0)
        return (X.transpose(0, 7, 5, 3, 1, 2, 4, 6) * W).sum(axis=(1, 4)).reshape(3, 32)

    np.testing.assert_allclose(at.outputs, network(theta), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(at.jvp(v), network(v), rtol=1e-13, atol=1e-13)
    u = rng.standard_normal((3, 32))
    assert np.vdot(u, network(v)) == pytest.approx(at.vjp(u) @ v, rel=1e-12)


S, V, M = rop.data("s"), rop.data("v", 3), rop.data("M", (2, 3))


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: V + rop.data("w", 4), ["add", "(3,)", "(4,)"]),
        (lambda: V * rop.data("w", 2), ["multiply", "(3,)", "(2,)"]),
        (lambda: V - np.ones((2, 2)), ["subtract", "(3,)", "(2, 2)"]),
        (lambda: M @ rop.data("w", 2), ["matrix @ vector", "(2, 3)", "(2,)"]),
        (lambda: V @ M, ["vector @ matrix", "(3,)", "(2, 3)"]),
        (lambda: M @ M, ["matrix @ matrix", "(2, 3)"]),
        (lambda: M @ S, ["@", "(2, 3)", "()", "case axis"]),
        (lambda: 2.0 @ M, ["@", "()"]),
        (lambda: rop.data("C", (2, 3, 4)) @ V, ["@", "(2, 3, 4)"]),
        (lambda: rop.dot(M, M), ["dot", "(2, 3)"]),
        (lambda: rop.dot(V, rop.data("w", 2)), ["dot", "(3,)", "(2,)"]),
        (lambda: rop.reshape(V, (2, 2)), ["reshape", "3 elements", "(2, 2)"]),
        (lambda: rop.reshape(V, (-1, -1)), ["reshape"]),
        (lambda: rop.broadcast_to(V, (3, 2)), ["broadcast_to", "(3,)", "(3, 2)"]),
        (lambda: rop.broadcast_to(rop.data("w", 1), (0,)), ["broadcast_to"]),
        (lambda: rop.transpose(M, (0, 0)), ["transpose", "(0, 0)", "(2, 3)"]),
        (lambda: rop.transpose(M, (0,)), ["transpose", "(2, 3)"]),
        (lambda: rop.transpose(M, (2, 3)), ["transpose", "(2, 3)"]),
        (lambda: rop.sum(M, axis=2), ["sum", "(2, 3)"]),
        (lambda: rop.mean(M, axis=(0, 0)), ["mean", "(0, 0)"]),
        (lambda: rop.concatenate([V, M]), ["concatenate", "(3,)", "(2, 3)"]),
        (lambda: rop.concatenate([M, M[:, :2]]), ["concatenate", "axis 0"]),
        (lambda: rop.concatenate([S, S]), ["concatenate", "rop.stack"]),
        (lambda: rop.concatenate([V], axis=1), ["concatenate", "axis 1"]),
        (lambda: rop.concatenate([]), ["concatenate", "at least one"]),
        (lambda: rop.stack([V, M]), ["stack", "(3,)", "(2, 3)"]),
        (lambda: rop.stack([V], axis=3), ["stack", "3"]),
        (lambda: rop.stack([]), ["stack", "at least one"]),
        (lambda: V[3], ["index", "3"]),
        (lambda: V[0, 0], ["index"]),
        (lambda: V[2:1], ["index", "nothing"]),
        (lambda: V + np.nan, ["NaN"]),
        (lambda: V * np.nan, ["NaN"]),
        (lambda: V * np.inf, ["inf"]),
        (lambda: V / 0.0, ["/"]),
        (lambda: V / np.nan, ["NaN"]),
        (lambda: rop.data("x", 0), ["x", "positive"]),
        (lambda: rop.data("x", (2, -1)), ["x", "positive"]),
        (lambda: rop.param("W 1", 2), ["W 1", "identifier"]),
        (lambda: rop.param("", 2), ["identifier"]),
        (lambda: rop.constant([1.0, np.inf]), ["finite"]),
        (lambda: V.named("a b"), ["a b", "identifier"]),
    ],
)
def test_what_does_not_fit(build, words):
    with pytest.raises(rop.RopValueError) as caught:
        build()
    message = str(caught.value)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: V["a"], ["index", "str"]),
        (lambda: V[[0, 1]], ["index", "list", "rop.stack"]),
        (lambda: V[np.array([True, False, True])], ["index", "ndarray"]),
        (lambda: V[True], ["index", "bool"]),
        (lambda: V[1.0], ["index", "float"]),
        (lambda: rop.tanh("x"), ["str"]),
        (lambda: rop.tanh(None), ["NoneType"]),
        (lambda: V + {}, ["dict"]),
        (lambda: rop.data(3, 2), ["string", "int"]),
        (lambda: rop.data("x", 2.0), ["x"]),
        (lambda: rop.data("x", (2, 2.5)), ["x", "integers"]),
        (lambda: rop.data("x", True), ["x"]),
        (lambda: rop.param("W", np.ones((3, 2))), ["W", "a graph holds no values", "(3, 2)"]),
        (lambda: rop.param("b", np.ones(3)), ["b", "write its shape, (3,)"]),
        (lambda: rop.constant(1j), []),
        (lambda: len(S), ["scalar"]),
        (lambda: rop.ops.Linear.of(V, V), ["linear", "1"]),
    ],
)
def test_what_is_of_the_wrong_type(build, words):
    with pytest.raises(rop.RopTypeError) as caught:
        build()
    message = str(caught.value)
    assert all(word in message for word in words), message


def test_errors_point_at_the_users_line():
    with pytest.raises(rop.RopError, match=r"test_ops\.py, line \d+"):
        rop.tanh(V) + rop.data("w", 4)
    with pytest.raises(rop.RopError, match=r"test_ops\.py, line \d+"):
        V[7]


def test_errors_in_a_notebook_name_no_file_that_nobody_knows():
    cell = compile("\nV[7]", "/tmp/ipykernel_123/456.py", "exec")
    with pytest.raises(rop.RopError, match=r"\(notebook cell, line 2\)"):
        exec(cell, {"V": V})


def test_integers_of_numpy_serve_as_shapes_and_axes():
    three, zero = np.int64(3), np.int32(0)
    assert rop.data("x", three).shape == (3,)
    assert rop.data("x", np.array([2, 3])).shape == (2, 3)
    assert rop.sum(M, axis=zero).shape == (3,)
    assert rop.reshape(V, three).shape == (3,)
    assert rop.broadcast_to(S, three).shape == (3,)
    assert rop.stack([V, V], axis=zero).shape == (2, 3)
    assert all(type(extent) is int for extent in rop.data("x", np.array([2, 3])).shape)


def test_a_constant_is_a_copy():
    values = np.ones(3)
    node = rop.constant(values)
    values[0] = 7.0
    assert node.constant[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        node.constant[0] = 2.0


def test_what_nodes_say_of_themselves():
    W = rop.param("W", (2, 3))
    y = rop.tanh(W @ V)
    assert (W.kind, V.kind, y.kind, rop.constant(1.0).kind) == ("param", "data", "op", "constant")
    assert y.per_case and not W.per_case and not rop.exp(W).per_case
    assert y.parents[0].parents == (W, V)
    assert y.size == 2 and W.size == 6 and S.size == 1
    assert len(V) == 3 and [node.shape for node in W] == [(3,), (3,)]
    assert "tanh" in repr(y) and "W" in repr(W) and "(2, 3)" in repr(W)
    assert y.named("y").name == "y"
    assert V.order < W.order < y.order


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "leaky_relu"])
def test_a_function_bears_its_own_name(name):
    """In messages, in `help`, and in a pickle: be it made of formulas, or checked by a wrapper."""
    function = getattr(rop, name)
    with pytest.raises(rop.RopTypeError, match=f"^{name}: expected a node, a number or an array"):
        function("one")
    assert (function.__name__, function.__qualname__) == (name, name)
    assert next(iter(inspect.signature(function).parameters)) == "x"
    assert pickle.loads(pickle.dumps(function)) is function


def test_formulas_are_those_of_their_function():
    """A trace keeps the kernels of its steps, and so the formulas: they are pickled by name."""
    for formula in ("s", "ds", "d2s"):
        function = getattr(rop.tanh.op, formula)
        assert function.__qualname__ == f"tanh.op.{formula}"
        assert pickle.loads(pickle.dumps(function)) is function
