"""The catalogue beyond the first ops: values and all derivatives against JAX, in every engine."""

import math
from functools import cache

import numpy as np
import pytest
from jax_reference import jax, jnp

import rop

CASES = 4
ANY, UNIT, POSITIVE = (-2.0, 2.0), (-0.9, 0.9), (0.3, 2.5)

# From a node of shape (3, 4) for one case, and the same of an array; where its elements lie.
OPS = {
    "abs": (rop.abs, jnp.abs, ANY),
    "arccos": (rop.arccos, jnp.arccos, UNIT),
    "arcsin": (rop.arcsin, jnp.arcsin, UNIT),
    "arctan": (rop.arctan, jnp.arctan, ANY),
    "clip": (lambda x: rop.clip(x, -0.5, 1.0), lambda x: jnp.clip(x, -0.5, 1.0), ANY),
    "clip low": (lambda x: rop.clip(x, low=0.1), lambda x: jnp.clip(x, 0.1), ANY),
    "clip by nodes": (lambda x: rop.clip(x, x[0] - 1, 1), lambda x: jnp.clip(x, x[0] - 1, 1), ANY),
    "cosh": (rop.cosh, jnp.cosh, ANY),
    "cumsum": (rop.cumsum, jnp.cumsum, ANY),
    "cumsum 0": (lambda x: rop.cumsum(x, 0), lambda x: jnp.cumsum(x, 0), ANY),
    "cumsum 1": (lambda x: rop.cumsum(x, axis=-1), lambda x: jnp.cumsum(x, -1), ANY),
    "diag of a vector": (lambda x: rop.diag(x[0]), lambda x: jnp.diag(x[0]), ANY),
    "diag of a matrix": (lambda x: rop.diag(x @ x.T), lambda x: jnp.diag(x @ x.T), ANY),
    "einsum 1": (lambda x: rop.einsum("ij->j", x), lambda x: x.sum(0), ANY),
    "einsum T": (lambda x: rop.einsum("ij -> ji", x), lambda x: x.T, ANY),
    "einsum without arrow": (lambda x: rop.einsum("ji", x), lambda x: jnp.einsum("ji", x), ANY),
    "einsum 2": (
        lambda x: rop.einsum("ij,kj->ik", x, rop.tanh(x)),
        lambda x: x @ jnp.tanh(x).T,
        ANY,
    ),
    "einsum trace": (
        lambda x: rop.einsum("ii,i->i", x[:, :3], x[:, 3]),
        lambda x: jnp.diag(x[:, :3]) * x[:, 3],
        ANY,
    ),
    "einsum 3": (
        lambda x: rop.einsum("ij,kj,k->i", x, x, x[:, 0]),
        lambda x: jnp.einsum("ij,kj,k->i", x, x, x[:, 0]),
        ANY,
    ),
    "erf": (rop.erf, jax.scipy.special.erf, ANY),
    "expand_dims": (lambda x: rop.expand_dims(x, 1), lambda x: x[:, None], ANY),
    "expand_dims 2": (
        lambda x: rop.expand_dims(x, (0, -1)),
        lambda x: jnp.expand_dims(x, (0, -1)),
        ANY,
    ),
    "expm1": (rop.expm1, jnp.expm1, ANY),
    "flatten": (rop.flatten, jnp.ravel, ANY),
    "gelu": (rop.gelu, lambda x: jax.nn.gelu(x, approximate=False), ANY),
    "greater": (lambda x: (x > 0.5) * x, lambda x: (x > 0.5) * x, ANY),
    "greater_equal": (lambda x: (x >= x[0]) * x, lambda x: (x >= x[0]) * x, ANY),
    "less": (lambda x: (x < 0.5) * x, lambda x: (x < 0.5) * x, ANY),
    "less_equal": (lambda x: (0.5 <= x) * x, lambda x: (x >= 0.5) * x, ANY),
    "leaky_relu": (
        lambda x: rop.leaky_relu(x, 0.1),
        lambda x: jax.nn.leaky_relu(x, 0.1),
        ANY,
    ),
    "log1p": (rop.log1p, jnp.log1p, POSITIVE),
    "log_softmax": (rop.log_softmax, jax.nn.log_softmax, ANY),
    "log_softmax 0": (
        lambda x: rop.log_softmax(x, 0),
        lambda x: jax.nn.log_softmax(x, axis=0),
        ANY,
    ),
    "logsumexp": (rop.logsumexp, jax.scipy.special.logsumexp, ANY),
    "logsumexp keep": (
        lambda x: rop.logsumexp(x, 0, keepdims=True),
        lambda x: jax.scipy.special.logsumexp(x, 0, keepdims=True),
        ANY,
    ),
    "max": (rop.max, jnp.max, ANY),
    "max 0": (lambda x: rop.max(x, axis=0), lambda x: jnp.max(x, axis=0), ANY),
    "max keep": (
        lambda x: rop.max(x, axis=(0, 1), keepdims=True),
        lambda x: jnp.max(x, axis=(0, 1), keepdims=True),
        ANY,
    ),
    "maximum": (lambda x: rop.maximum(x, 0.3), lambda x: jnp.maximum(x, 0.3), ANY),
    "maximum of nodes": (
        lambda x: rop.maximum(x[0], x[1:]),
        lambda x: jnp.maximum(x[0], x[1:]),
        ANY,
    ),
    "min": (rop.min, jnp.min, ANY),
    "min 1": (lambda x: rop.min(x, 1), lambda x: jnp.min(x, 1), ANY),
    "minimum": (lambda x: rop.minimum(x, x[1]), lambda x: jnp.minimum(x, x[1]), ANY),
    "norm": (rop.norm, jnp.linalg.norm, ANY),
    "norm 1": (lambda x: rop.norm(x, 1), lambda x: jnp.linalg.norm(x, axis=1), ANY),
    "outer": (lambda x: rop.outer(x[0], x[:, 1]), lambda x: jnp.outer(x[0], x[:, 1]), ANY),
    "pad": (lambda x: rop.pad(x, 1), lambda x: jnp.pad(x, 1), ANY),
    "pad unequal": (
        lambda x: rop.pad(x, ((1, 0), (0, 2)), 0.5),
        lambda x: jnp.pad(x, ((1, 0), (0, 2)), constant_values=0.5),
        ANY,
    ),
    "prod": (rop.prod, jnp.prod, ANY),
    "prod 0": (lambda x: rop.prod(x, 0), lambda x: jnp.prod(x, 0), ANY),
    "roll": (lambda x: rop.roll(x, 2), lambda x: jnp.roll(x, 2), ANY),
    "roll -1": (lambda x: rop.roll(x, -1, axis=0), lambda x: jnp.roll(x, -1, 0), ANY),
    "silu": (rop.silu, jax.nn.silu, ANY),
    "sinh": (rop.sinh, jnp.sinh, ANY),
    "softmax": (rop.softmax, jax.nn.softmax, ANY),
    "softmax 0": (lambda x: rop.softmax(x, 0), lambda x: jax.nn.softmax(x, 0), ANY),
    "softsign": (rop.softsign, jax.nn.soft_sign, ANY),
    "solve": (
        lambda x: rop.solve(x[:, :3] + 4 * np.eye(3), x[:, 3]),
        lambda x: jnp.linalg.solve(x[:, :3] + 4 * jnp.eye(3), x[:, 3]),
        ANY,
    ),
    "solve a matrix": (
        lambda x: rop.solve(x[:, :3] + 4 * np.eye(3), x),
        lambda x: jnp.linalg.solve(x[:, :3] + 4 * jnp.eye(3), x),
        ANY,
    ),
    "squeeze": (lambda x: rop.squeeze(x[:1]), lambda x: x[0], ANY),
    "squeeze 0": (lambda x: rop.squeeze(x[:1, :1], 0), lambda x: x[0, :1], ANY),
    "std": (rop.std, jnp.std, ANY),
    "std 1": (
        lambda x: rop.std(x, 1, ddof=1, keepdims=True),
        lambda x: jnp.std(x, 1, ddof=1, keepdims=True),
        ANY,
    ),
    "swapaxes": (lambda x: rop.swapaxes(x, 0, -1), lambda x: x.T, ANY),
    "take": (
        lambda x: rop.take(x, [2, 0, 2, -1]),
        lambda x: jnp.take(x, jnp.array([2, 0, 2, -1])),
        ANY,
    ),
    "take 0": (
        lambda x: rop.take(x, [[0, 2], [1, 1]], axis=0),
        lambda x: jnp.take(x, jnp.array([[0, 2], [1, 1]]), axis=0),
        ANY,
    ),
    "take 1": (lambda x: rop.take(x, 1, axis=1), lambda x: x[:, 1], ANY),
    "tan": (rop.tan, jnp.tan, UNIT),
    "trace": (lambda x: rop.trace(x[:, 1:]), lambda x: jnp.trace(x[:, 1:]), ANY),
    "tril": (rop.tril, jnp.tril, ANY),
    "triu": (lambda x: rop.triu(x, 1), lambda x: jnp.triu(x, 1), ANY),
    "var": (rop.var, jnp.var, ANY),
    "var 0": (lambda x: rop.var(x, 0, ddof=1), lambda x: jnp.var(x, 0, ddof=1), ANY),
    "where": (lambda x: rop.where(x > 0, x * x, -x), lambda x: jnp.where(x > 0, x * x, -x), ANY),
    "where by an array": (
        lambda x: rop.where(np.eye(3, 4, dtype=bool), x, 1.0),
        lambda x: jnp.where(jnp.eye(3, 4, dtype=bool), x, 1.0),
        ANY,
    ),
    **{
        f"** {p}": (lambda x, p=p: x**p, lambda x, p=p: x**p, ANY if p == int(p) else POSITIVE)
        for p in (1, 3, 4, 7, -2, -3, 2.5, 1.5, -0.5, -1.7, math.pi)
    },
    "** 0": (lambda x: x + x**0, lambda x: x + x**0, ANY),
    "** array": (lambda x: x ** np.arange(4.0), lambda x: x ** jnp.arange(4.0), POSITIVE),
    "x ** y": (lambda x: x ** x[0], lambda x: x ** x[0], POSITIVE),
    "number ** x": (lambda x: 2.0**x, lambda x: 2.0**x, ANY),
}


@cache
def problem(name):
    """F = op(u) with u = low + (high - low) sigmoid(θ x + x), and what JAX makes of it."""
    _, expected, (low, high) = OPS[name]
    rng = np.random.default_rng(len(name))
    X, theta, V = rng.normal(size=(CASES, 3, 4)), rng.normal(size=12), rng.normal(size=(12, 2))

    def F(theta):
        u = low + (high - low) * jax.nn.sigmoid(theta.reshape(3, 4) * X + X)
        return jax.vmap(expected)(u)

    def f(theta):
        return 0.5 * jnp.sum(F(theta) ** 2) / CASES

    def along(function):
        return lambda v: jax.jvp(function, (theta,), (v,))[1]

    def products():
        Jv, Hv = (jax.vmap(along(g), 1, -1)(V) for g in (F, jax.grad(f)))
        return F(theta), jax.grad(f)(theta), Jv, Hv

    return X, theta, V, [np.asarray(array) for array in jax.jit(products)()]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", OPS)
def test_value_and_derivatives(engine, name):
    build, _, (low, high) = OPS[name]
    X, theta, V, (outputs, gradient, Jv, Hv) = problem(name)
    x, P = rop.data("x", (3, 4)), rop.param("P", (3, 4))
    z = build(low + (high - low) * rop.sigmoid(P * x + x))
    assert z.shape == outputs.shape[1:]
    objective = rop.Objective(z, rop.SquaredError(np.zeros(z.shape)))
    at = objective.linearize(theta, {"x": X}, engine)
    close(at.outputs, outputs)
    close(at.gradient(), gradient)
    close(at.jvp(V), Jv)
    close(at.hvp(V), Hv)


def close(found, right):
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12 * (1 + np.abs(right).max()))


@pytest.mark.parametrize("name", OPS)
def test_of_parameters_alone(name):
    """Without cases, in float64: G, H and the diagonals of the same nodes agree with each other."""
    build, _, (low, high) = OPS[name]
    _, theta, _, _ = problem(name)
    P = rop.param("P", (3, 4))
    z = build(low + (high - low) * rop.sigmoid(P))
    at = rop.Objective(z, rop.SquaredError(np.zeros(z.shape))).linearize(theta)
    J = at.J.matrix()
    close(at.G.matrix(), J.T @ J)
    close(at.diagonal("exact"), (J**2).sum(0))
    close(at.gradient(), J.T @ at.outputs.ravel())


@pytest.mark.parametrize("function", ["logsumexp", "softmax", "log_softmax", "gelu", "silu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out(function, dtype):
    """±1000 neither overflows nor loses what is left."""
    theta = np.array([1000.0, 999.0, -1000.0, 0.0], dtype)
    P = rop.param("P", 4)
    z = getattr(rop, function)(P)
    at = rop.Objective(z, rop.SquaredError(np.zeros(z.shape))).linearize(theta)
    reference = getattr(jax.scipy.special if function == "logsumexp" else jax.nn, function)
    exact = {"approximate": False} if function == "gelu" else {}
    right = np.asarray(reference(theta.astype(np.float64), **exact))
    np.testing.assert_allclose(at.outputs[0], right, rtol=4 * np.finfo(dtype).eps, atol=1e-30)
    H = at.H.matrix()
    assert np.isfinite(H).all()


def embedding(axis=0, case_table=False):
    """A table that is read at integer data, of 3 positions a case."""
    i, E = rop.data("i", 3, dtype=int), rop.param("E", (5, 2) if axis == 0 else (2, 5))
    table = E * rop.data("x") if case_table else rop.tanh(E)
    z = rop.take(table, i, axis=axis)
    batch = {"i": np.array([[0, 4, 4], [2, 2, 2], [1, 0, 3]])}
    if case_table:
        batch["x"] = np.array([1.0, -2.0, 0.5])
    return rop.Objective(z, rop.SquaredError(np.ones(z.shape))), batch


@pytest.mark.ci
@pytest.mark.parametrize("case_table", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_lookup(engine, axis, case_table):
    objective, batch = embedding(axis, case_table)
    theta = np.random.default_rng(0).normal(size=10)
    at = objective.linearize(theta, batch, engine)

    def F(theta):
        E = theta.reshape(objective.shapes["E"])
        tables = E * batch["x"][:, None, None] if case_table else jnp.tanh(E)[None].repeat(3, 0)
        return jax.vmap(lambda table, i: jnp.take(table, i, axis=axis))(tables, batch["i"])

    def f(theta):
        return 0.5 * jnp.sum((F(theta) - 1) ** 2) / 3

    J = np.asarray(jax.jacobian(F)(theta))
    close(at.outputs, np.asarray(F(theta)))
    close(at.J.matrix(), J.reshape(-1, 10))
    close(at.gradient(), np.asarray(jax.grad(f)(theta)))
    close(at.H.matrix(), np.asarray(jax.hessian(f)(theta)))
    close(at.diagonal("exact"), (J.reshape(-1, 10) ** 2).sum(0) / 3)
    assert at.per_case_gradients().shape == (3, 10)


@pytest.mark.parametrize(
    ("i", "message"),
    [
        ([[0, 5, 1]], r"lookup \(test_catalogue.*from 0 to 4"),
        ([[0, -1, 1]], "from 0 to 4"),
        ([[0.0, 1.5, 1.0]], "integers"),
        ([[0.0, np.nan, 1.0]], "integers"),
    ],
)
def test_lookup_refuses(engine, i, message):
    objective, _ = embedding()
    with pytest.raises((rop.RopValueError, rop.RopTypeError), match=message):
        objective.linearize(np.zeros(10), {"i": np.array(i)}, engine)


def test_base_of_a_power_must_be_positive(engine):
    P = rop.param("P", 3)
    for z in (P**2.5, P ** (P + 1)):
        objective = rop.Objective(z, rop.SquaredError(np.zeros(3)))
        theta = np.array([1.0, -2.0, 3.0])
        with pytest.raises(rop.RopValueError, match=r"test_catalogue.*positive, got -2"):
            objective.linearize(theta, engine=engine)
        assert np.isnan(objective.value(theta, engine=engine))


def test_a_branch_that_is_not_chosen_may_be_infinite(engine):
    P = rop.param("P", 3)
    z = rop.where(P > 0, P, rop.exp(-1000 * P))
    at = rop.Objective(z, rop.SquaredError(np.zeros(3))).linearize([1.0, 2.0, 3.0], engine=engine)
    np.testing.assert_array_equal(at.outputs[0], [1, 2, 3])


x = rop.data("x", (3, 4))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: rop.squeeze(x, 0), r"squeeze: expected axes of length 1, not \(0,\)"),
        (lambda: rop.expand_dims(x, 5), "expand_dims: expected distinct axes"),
        (lambda: rop.swapaxes(x, 0, 2), "swapaxes: expected"),
        (lambda: rop.pad(x, -1), "pad: expected widths >= 0"),
        (lambda: rop.pad(x, 1.5), "pad: expected integers"),
        (lambda: rop.pad(x, ((1, 2), (1, 2), (1, 2))), "pad: expected"),
        (lambda: rop.roll(x, 1, 4), "roll: expected"),
        (lambda: rop.trace(x), "trace: expected a square matrix"),
        (lambda: rop.diag(rop.data("s")), "diag: expected a square matrix"),
        (lambda: rop.triu(x[0]), "triu: expected a matrix"),
        (lambda: rop.outer(x, x), "outer: expected two vectors"),
        (lambda: rop.take(x, 12), "take: expected indices between -12 and 11"),
        (lambda: rop.take(x, 0.5), "take: expected integers"),
        (lambda: rop.take(x, x), "take: expected integer data"),
        (lambda: rop.take(x, 0, axis=2), "take: expected distinct axes"),
        (lambda: rop.einsum("ij,jk", x), "2 terms for 1 operands"),
        (lambda: rop.einsum("ij,jk", x, x), "one length for 'j'"),
        (lambda: rop.einsum("i->i", x), "1 axes for 'i'"),
        (lambda: rop.einsum("ij->ik", x), "letters of the operands"),
        (lambda: rop.einsum("i...", x), "expected letters"),
        (lambda: rop.einsum(x, x), "expected subscripts"),
        (lambda: rop.solve(x, x), "solve: expected a square matrix"),
        (lambda: rop.var(x, 0, ddof=3), "var: expected 0 <= ddof < 3"),
        (lambda: rop.max(x, 2), "max: expected distinct axes"),
        (lambda: rop.cumsum(x, 2), "cumsum: expected distinct axes"),
        (lambda: rop.where(x > 0, x, np.ones(5)), "where: expected operands"),
        (lambda: rop.clip(x, 2.0, 1.0), "clip: expected low <= high"),
        (lambda: rop.leaky_relu(x, "a"), "leaky_relu: negative_slope must be"),
        (lambda: rop.data("i", 3, dtype=str), "dtype must be float or int"),
    ],
)
def test_errors(build, message):
    with pytest.raises((rop.RopValueError, rop.RopTypeError), match=message):
        build()
