"""Recurrent nets: products against JAX's scan, the checker, unequal lengths, structural damping."""

from functools import cache

import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jax_reference import jax, jnp

import rop
from rop.errors import RopTypeError, RopValueError
from rop.graph import ancestors
from rop.nets import rnn

INPUTS, HIDDEN, OUTPUTS, STEPS, CASES = 3, 5, 2, 7, 4
SIZES = [INPUTS, HIDDEN, OUTPUTS]
READ = {"all": None, "some": [4, -1], "last": -1}
LOSSES = {
    "squared": (rop.SquaredError, 0),
    "sigmoid": (rop.SigmoidCrossEntropy, 0),
    "softmax": (rop.SoftmaxCrossEntropy, 1),
}
ENGINES = ["numpy", "numba"]


def problem(loss="squared", at=None, seed=0, **options):
    """An objective with weights, θ, a batch and the shape of the weights."""
    rng = np.random.default_rng(seed)
    _, z, h = rnn(SIZES, STEPS, at=at, **options)
    kind, class_axes = LOSSES[loss]
    weights = z.shape[: len(z.shape) - class_axes]
    t, weight = rop.data("t", z.shape), rop.data("weight", weights)
    objective = rop.Objective(z, kind(t, weight), l2=0.01, hidden=h)
    theta = 0.6 * rng.standard_normal(objective.n)
    targets = rng.random((CASES, *z.shape))
    if loss == "softmax":
        targets /= targets.sum(axis=-1, keepdims=True)
    batch = {
        "x": rng.standard_normal((CASES, STEPS, INPUTS)),
        "t": targets,
        "weight": rng.integers(0, 3, (CASES, *weights)).astype(float),
    }
    return objective, theta, batch


def scanned(p, x):
    """States and outputs of one case, written with `jax.lax.scan`: nothing is unrolled."""

    def step(h, x_t):
        h = jnp.tanh(p["W_xh"] @ x_t + p["W_hh"] @ h + p.get("b_h", 0.0))
        return h, (h, p["W_hz"] @ h + p.get("b_z", 0.0))

    return jax.lax.scan(step, p["h_0"], x)[1]


class Scan:
    """The same objective in JAX, as functions of a flat θ in rop's order."""

    def __init__(self, objective, batch, loss, at):
        self.objective, self.batch, self.loss = objective, batch, loss
        self.read = slice(None) if at is None else np.array(at)

    def blocks(self, theta):
        o = self.objective
        return {name: theta[o.slices[name]].reshape(shape) for name, shape in o.shapes.items()}

    def states(self, theta):
        return jax.vmap(lambda x: scanned(self.blocks(theta), x)[0])(self.batch["x"])

    def outputs(self, theta):
        return jax.vmap(lambda x: scanned(self.blocks(theta), x)[1][self.read])(self.batch["x"])

    def mean_loss(self, z):
        t, weight = self.batch["t"], self.batch["weight"]
        if self.loss == "squared":
            each = 0.5 * (z - t) ** 2
        elif self.loss == "sigmoid":
            each = jax.nn.softplus(z) - t * z
        else:
            each = -jnp.sum(t * jax.nn.log_softmax(z), axis=-1)
        return jnp.sum(weight * each) / CASES

    def value(self, theta):
        return self.mean_loss(self.outputs(theta)) + self.objective.l2 / 2 * theta @ theta

    def products(self, theta, v, u):
        found = jax.jit(self._products)(theta, v, u)
        return {name: np.asarray(product) for name, product in found.items()}

    def _products(self, theta, v, u):
        z, Jv = jax.jvp(self.outputs, (theta,), (v,))
        _, transposed = jax.vjp(self.outputs, theta)
        gradient = jax.grad(self.mean_loss)
        LJv = jax.jvp(gradient, (z,), (Jv,))[1]
        return {
            "value": self.value(theta),
            "gradient": jax.grad(self.value)(theta),
            "jvp": Jv,
            "vjp": transposed(u)[0],
            "ggnvp": transposed(LJv)[0] + self.objective.l2 * v,
            "hvp": jax.jvp(jax.grad(self.value), (theta,), (v,))[1],
        }


def found(objective, theta, batch, v, u, engine):
    at = objective.linearize(theta, batch, engine)
    return {
        "value": at.value,
        "gradient": at.gradient(),
        "jvp": at.jvp(v),
        "vjp": at.vjp(u),
        "ggnvp": at.ggnvp(v),
        "hvp": at.hvp(v),
    }


def vectors(objective, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(objective.n), rng.standard_normal((CASES, *objective.output_shape))


def close(a, b):
    scale = np.linalg.norm(b)
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) <= 1e-12 * scale


@cache
def expected(loss, read):
    objective, theta, batch = problem(loss, READ[read])
    return Scan(objective, batch, loss, READ[read]).products(theta, *vectors(objective))


@pytest.mark.ci
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("loss", LOSSES)
def test_all_products_are_those_of_a_scan(loss, read, engine):
    objective, theta, batch = problem(loss, READ[read])
    v, u = vectors(objective)
    right = expected(loss, read)
    for name, product in found(objective, theta, batch, v, u, engine).items():
        assert close(product, right[name]), name


def test_products_without_biases_are_those_of_a_scan():
    objective, theta, batch = problem(biases=False)
    assert list(objective.shapes) == ["W_xh", "W_hh", "h_0", "W_hz"]
    v, u = vectors(objective)
    right = Scan(objective, batch, "squared", None).products(theta, v, u)
    for name, product in found(objective, theta, batch, v, u, "numba").items():
        assert close(product, right[name]), name


@pytest.mark.parametrize("activation", ["sigmoid", "softplus", rop.sin])
def test_the_checker_passes_other_activations(activation):
    objective, theta, batch = problem(activation=activation)
    report = rop.check(objective, theta, batch)
    assert report.verdict == "pass", str(report)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_checker_passes_outputs_at_some_steps(loss):
    objective, theta, batch = problem(loss, READ["some"])
    report = rop.check(objective, theta, batch)
    assert report.verdict == "pass", str(report)


def padded(x, t, rng):
    """Sequences filled up with rubbish to the length of the longest, and their weights."""
    X = rng.standard_normal((len(x), STEPS, INPUTS))
    T = rng.standard_normal((len(x), STEPS, OUTPUTS))
    weight = np.zeros((len(x), STEPS, 1))
    for i, (x_i, t_i) in enumerate(zip(x, t, strict=True)):
        X[i, : len(x_i)], T[i, : len(t_i)], weight[i, : len(t_i)] = x_i, t_i, 1
    return {"x": X, "t": T, "weight": weight}


@pytest.mark.parametrize("engine", ENGINES)
def test_unequal_lengths_give_the_products_of_each_sequence_alone(engine):
    rng = np.random.default_rng(0)
    lengths = [2, STEPS, 1, 4]
    x = [rng.standard_normal((length, INPUTS)) for length in lengths]
    t = [rng.standard_normal((length, OUTPUTS)) for length in lengths]
    _, z, _ = rnn(SIZES, STEPS)
    weight = rop.data("weight", (STEPS, 1))
    together = rop.Objective(z, rop.SquaredError(rop.data("t", z.shape), weight))
    theta, v = 0.6 * rng.standard_normal(together.n), rng.standard_normal(together.n)
    at = together.linearize(theta, padded(x, t, rng), engine)
    sums = {"value": 0.0, "gradient": 0.0, "ggnvp": 0.0, "hvp": 0.0}
    for i, length in enumerate(lengths):
        _, z, _ = rnn(SIZES, length)
        alone = rop.Objective(z, rop.SquaredError(rop.data("t", z.shape)))
        assert alone.shapes == together.shapes
        one = alone.linearize(theta, {"x": x[i][None], "t": t[i][None]}, engine)
        np.testing.assert_allclose(at.outputs[i, :length], one.outputs[0], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(at.jvp(v)[i, :length], one.jvp(v)[0], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(at.per_case_gradients()[i], one.gradient(), atol=1e-13)
        sums["value"] += one.value / len(lengths)
        sums["gradient"] += one.gradient() / len(lengths)
        sums["ggnvp"] += one.ggnvp(v) / len(lengths)
        sums["hvp"] += one.hvp(v) / len(lengths)
    assert close(at.value, sums["value"])
    assert close(at.gradient(), sums["gradient"])
    assert close(at.ggnvp(v), sums["ggnvp"])
    assert close(at.hvp(v), sums["hvp"])


def test_what_comes_after_the_end_changes_nothing():
    rng = np.random.default_rng(0)
    x, t = [rng.standard_normal((3, INPUTS))] * 2, [rng.standard_normal((3, OUTPUTS))] * 2
    objective, theta, _ = problem()
    v = rng.standard_normal(objective.n)
    gradients, products = [], []
    for _ in range(2):
        batch = padded(x, t, rng)
        batch["weight"] = np.repeat(batch["weight"], OUTPUTS, axis=2)
        at = objective.linearize(theta, batch)
        gradients.append(at.gradient())
        products.append(at.ggnvp(v))
    assert np.array_equal(*gradients)
    assert np.array_equal(*products)


@pytest.mark.ci
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("read", READ)
def test_structural_damping_adds_the_gauss_newton_matrix_of_the_states(read, engine):
    objective, theta, batch = problem("squared", READ[read])
    v, _ = vectors(objective)
    scan = Scan(objective, batch, "squared", READ[read])
    steps = len(objective.hidden)

    # D of the mean over cases of ½ Σ ‖h - h_old‖² is the mean of J_hᵀ J_h.
    @jax.jit
    def states_ggnvp(theta, v):
        h, transposed = jax.vjp(lambda theta: scan.states(theta)[:, :steps], theta)
        _, Rh = jax.jvp(lambda theta: scan.states(theta)[:, :steps], (theta,), (v,))
        return transposed(Rh / len(h))[0]

    Dv = states_ggnvp(theta, v)
    at = objective.linearize(theta, batch, engine)
    for mu in (0.3, 20.0):
        assert close(at.ggnvp(v, mu=mu), at.ggnvp(v) + mu * np.asarray(Dv))


def test_per_case_gradients_sum_over_the_steps_before_they_are_squared():
    objective, theta, batch = problem("softmax")
    at = objective.linearize(theta, batch)
    fisher = at.diagonal("empirical-fisher")

    scan = Scan(objective, batch, "softmax", None)

    def case_loss(theta, x, t, weight):
        z = scanned(scan.blocks(theta), x)[1]
        return -jnp.sum(weight[:, None] * t * jax.nn.log_softmax(z))

    each = jax.jit(jax.vmap(jax.grad(case_loss), in_axes=(None, 0, 0, 0)))
    rows = np.asarray(each(theta, batch["x"], batch["t"], batch["weight"]))
    np.testing.assert_allclose(fisher, np.mean(rows**2, axis=0) + objective.l2, rtol=1e-10)


@pytest.mark.ci
def test_a_thousand_steps_are_no_problem():
    _, z, h = rnn([1, 4, 1], 1000, at=-1)
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    assert len(h) == 1000
    rng = np.random.default_rng(0)
    theta = objective.init("spectral", radius=0.9)
    batch = {"x": rng.standard_normal((2, 1000, 1)), "t": np.ones((2, 1))}
    at = objective.linearize(theta, batch)
    blocks, back = ravel_pytree(objective.unpack(theta))
    outputs = jax.jit(jax.vmap(lambda x: scanned(back(blocks), x)[1][-1]))(batch["x"])
    np.testing.assert_allclose(at.outputs, outputs, rtol=1e-10)
    v = rng.standard_normal(objective.n)
    assert v @ at.ggnvp(v) > 0


def test_the_state_of_the_start_is_learned():
    objective, theta, batch = problem()
    gradient = objective.unpack(objective.linearize(theta, batch).gradient())["h_0"]
    assert np.all(gradient != 0)


def test_names_shapes_and_number_of_parameters():
    x, z, h = rnn([2, 100, 1], steps=55, at=range(49, 55))
    assert (x.name, x.shape, z.shape, len(h)) == ("x", (55, 2), (6, 1), 55)
    shapes = {node.name: node.shape for node in ancestors(z) if node.kind == "param"}
    assert sum(np.prod(shape) for shape in shapes.values()) == 10_501  # of the addition problem
    assert shapes["W_hz"] == (1, 100)
    assert [node.name for node in h[:2]] == ["h_1", "h_2"]


def test_states_after_the_last_output_are_not_built():
    _, z, h = rnn([2, 3, 1], steps=9, at=[1, 4])
    assert (z.shape, len(h)) == ((2, 1), 5)
    assert rnn([2, 3, 1], steps=9, at=np.array([1, 4]))[1].shape == (2, 1)
    assert rnn([2, 3, 1], steps=9, at=np.int64(4))[1].shape == (1,)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([2, 3], 5), RopValueError, "sizes must be 3 positive integers"),
        (([2, 3, 0], 5), RopValueError, "positive integers"),
        (([2, 3, 1], 0), RopValueError, "steps must be at least 1, got 0"),
        (([2, 3, 1], 2.5), RopTypeError, "steps must be an integer, got 2.5"),
        (([2, 3, 1], 5, "swish"), RopValueError, "activation must be 'tanh', .* got 'swish'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        rnn(*arguments)


@pytest.mark.parametrize("at", [[], [5], -6, [0, 9]])
def test_indices_must_be_of_steps(at):
    with pytest.raises(RopValueError, match="at must hold indices of the 5 steps"):
        rnn([2, 3, 1], 5, at=at)


def test_indices_must_be_integers():
    with pytest.raises(RopTypeError, match="at must be the index of a step"):
        rnn([2, 3, 1], 5, at="last")
