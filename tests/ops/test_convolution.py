"""Convolution and pooling against JAX, in every engine; ties, errors, and walks that overlap."""

import itertools
import math

import numpy as np
import pytest
from differentiation import derivative
from jax_reference import jax, jnp

import rop
from rop.engines.lowering import nest
from rop.graph import ancestors
from rop.objective.definition import programs_of
from rop.ops.walks import overlapping, reached

# Image, kernel size, stride, padding, dilation, groups, channels of the result, cases.
CONVOLUTIONS = [
    ((1, 5, 5), (3, 3), 1, 0, 1, 1, 2, 3),
    ((2, 7, 6), (3, 2), 2, 1, 1, 1, 3, 4),
    ((2, 7, 9), (2, 3), (1, 2), (2, 1), (3, 2), 2, 4, 1),
    ((4, 5, 3), (1, 1), 3, 0, 1, 4, 4, 2),
    ((3, 4, 4), (4, 4), 1, 0, 1, 3, 6, 3),
    ((2, 3, 3), (3, 3), 1, 2, 1, 1, 1, 7),
    ((2, 9), (4,), 2, 3, 2, 1, 3, 3),
    ((4, 11), (3,), 1, 0, 1, 2, 2, 1),
]
# Image, size, stride, padding.
POOLS = [
    ((2, 6, 6), 2, None, 0),
    ((1, 7, 5), 3, 2, 1),
    ((2, 5, 6), (2, 3), 1, (1, 0)),
    ((2, 5, 5), 2, 3, 0),
    ((1, 4, 4), (4, 4), None, 2),
    ((3, 3, 3), 1, 2, 0),
]


def close(found, right):
    scale = 1.0 + np.abs(right).max(initial=0.0)
    np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-12 * scale)


def pair(number, rank=2):
    return (number,) * rank if isinstance(number, int) else number


def convolved(x, W, stride, padding, dilation, groups):
    rank = x.ndim - 1
    margins = [(p, p) for p in pair(padding, rank)]
    return jax.lax.conv_general_dilated(
        x[None],
        W,
        pair(stride, rank),
        margins,
        rhs_dilation=pair(dilation, rank),
        feature_group_count=groups,
    )[0]


def pooled(kind, x, size, stride, padding):
    size, margins = pair(size), [(0, 0), *((p, p) for p in pair(padding))]
    strides = (1, *(size if stride is None else pair(stride)))
    if kind == "max":
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, *size), strides, margins)
    total = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, *size), strides, margins)
    return total / math.prod(size)


EXPECTED = {}


def by_jax(F, theta, X, T):
    """Outputs, gradients of the cases, J and H, where F is for one case."""

    def outputs(theta):
        return jax.vmap(lambda x: F(theta, x))(X)

    def f(theta, x, t):
        return 0.5 * jnp.sum((F(theta, x) - t) ** 2)

    def everything(theta):
        gradients = jax.vmap(jax.grad(f), (None, 0, 0))(theta, X, T)
        H = jax.jacfwd(lambda theta: jax.vmap(jax.grad(f), (None, 0, 0))(theta, X, T).mean(0))
        return outputs(theta), gradients, jax.jacfwd(outputs)(theta), H(theta)

    return [np.asarray(array) for array in jax.jit(everything)(theta)]


def agree(key, objective, F, theta, batch, engine):
    """Outputs, products, diagonal and per-case gradients are JAX's."""
    X, T = batch["x"], batch["t"]
    if key not in EXPECTED:
        EXPECTED[key] = by_jax(F, theta, X, T)
    outputs, gradients, J, H = EXPECTED[key]
    J = J.reshape(-1, len(theta))
    V = np.random.default_rng(1).standard_normal((len(theta), 3))
    at = objective.linearize(theta, batch, engine)
    close(at.outputs, outputs)
    close(at.gradient(), gradients.mean(0))
    close(at.jvp(V).reshape(-1, 3), J @ V)
    close(at.vjp(T), J.T @ T.ravel())
    close(at.ggnvp(V), J.T @ (J @ V) / len(X))
    close(at.hvp(V), H @ V)
    close(at.diagonal("exact"), (J**2).sum(0) / len(X))
    close(at.per_case_gradients(), gradients)


def numbers(objective, cases, seed=0):
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(objective.n)
    shapes = objective.data_shapes
    return theta, {name: rng.standard_normal((cases, *shapes[name])) for name in ("x", "t")}


def squared(z):
    return rop.Objective(z, rop.SquaredError(rop.data("t", z.shape)))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("case", range(len(CONVOLUTIONS)))
def test_convolution(engine, case):
    """Of data by parameters, then of what depends on parameters by parameters."""
    shape, size, stride, padding, dilation, groups, outputs, cases = CONVOLUTIONS[case]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    conv = rop.conv2d if len(size) == 2 else rop.conv1d
    one = (1,) * len(size)
    x, V = rop.data("x", shape), rop.param("V", (shape[0], shape[0], *one))
    W, b = rop.param("W", (outputs, shape[0] // groups, *size)), rop.param("b", outputs)
    z = conv(rop.tanh(conv(x, V)), W, b, **options)
    objective = squared(z)
    theta, batch = numbers(objective, cases, case)

    def F(theta, x):
        V, W, b = (theta[objective.slices[k]].reshape(objective.shapes[k]) for k in "VWb")
        y = jnp.tanh(convolved(x, V, 1, 0, 1, 1))
        return convolved(y, W, **options) + b.reshape(-1, *one)

    assert z.shape == jax.eval_shape(F, theta, batch["x"][0]).shape
    agree(("convolution", case), objective, F, theta, batch, engine)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("case", range(len(POOLS)))
def test_pooling(engine, case, kind):
    shape, size, stride, padding = POOLS[case]
    x, P = rop.data("x", shape), rop.param("P", shape)
    pool = rop.max_pool2d if kind == "max" else rop.avg_pool2d
    z = pool(rop.tanh(P * x), size, stride, padding)
    objective = squared(z)
    theta, batch = numbers(objective, 3, case)

    def F(theta, x):
        return pooled(kind, jnp.tanh(theta.reshape(shape) * x), size, stride, padding)

    assert z.shape == jax.eval_shape(F, theta, batch["x"][0]).shape
    agree((kind, case), objective, F, theta, batch, engine)


def test_convolution_of_parameters_alone(engine):
    """No case axis anywhere: windows and pools of a parameter."""
    P, W = rop.param("P", (2, 5, 5)), rop.param("W", (3, 2, 2, 2))
    z = rop.max_pool2d(rop.conv2d(rop.tanh(P), W, padding=1), 3, 1)
    objective = rop.Objective(z, rop.SquaredError(np.ones(z.shape)))
    theta = np.random.default_rng(0).standard_normal(objective.n)

    def F(theta):
        y = convolved(
            jnp.tanh(theta[:50].reshape(2, 5, 5)), theta[50:].reshape(3, 2, 2, 2), 1, 1, 1, 1
        )
        return pooled("max", y, 3, 1, 0)

    at = objective.linearize(theta, engine=engine)
    close(at.outputs[0], np.asarray(F(theta)))
    J = np.asarray(jax.jit(jax.jacfwd(F))(theta))
    close(at.J.matrix(), J.reshape(-1, objective.n))
    gradient = jax.grad(lambda theta: 0.5 * jnp.sum((F(theta) - 1) ** 2))
    close(at.H.matrix(), np.asarray(jax.jit(jax.jacfwd(gradient))(theta)))


def test_against_finite_differences(engine):
    x, W = rop.data("x", (2, 8, 9)), rop.param("W", (2, 1, 3, 2))
    V = rop.param("V", (3, 2, 2, 2))
    y = rop.max_pool2d(rop.tanh(rop.conv2d(x, W, padding=1, groups=2)), 3, 2, 1)
    objective = squared(rop.avg_pool2d(rop.conv2d(y, V, dilation=2), 2, 1))
    theta, batch = numbers(objective, 3)
    # So short that no two elements of a window change places.
    v = 0.01 * np.random.default_rng(2).standard_normal(objective.n)
    at = objective.linearize(theta, batch, engine)

    def outputs(step):
        return objective.outputs(theta + step * v, batch, engine=engine)

    def gradient(step):
        return objective.gradient(theta + step * v, batch, engine=engine)

    for function, product in ((outputs, at.jvp(v)), (gradient, at.hvp(v))):
        slope, bound = derivative(function)
        rounding = 100 * np.finfo(float).eps * np.linalg.norm(product)
        assert bound < 1e-8 * np.linalg.norm(product)
        assert np.linalg.norm(slope - product) <= bound + rounding


def test_the_first_of_equal_elements_has_the_derivative(engine):
    P = rop.param("P", (1, 2, 4))
    at = squared_at(rop.max_pool2d(P, 2), [1, 3, 2, 2, 3, 3, 2, 2], engine)
    np.testing.assert_array_equal(at.outputs[0], [[[3, 2]]])
    np.testing.assert_array_equal(
        at.J.matrix(), [[0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]]
    )


def squared_at(z, theta, engine):
    return rop.Objective(z, rop.SquaredError(np.zeros(z.shape))).linearize(theta, engine=engine)


def test_a_pool_that_stands_out_takes_no_zeros(engine):
    at = squared_at(rop.max_pool2d(rop.param("P", (1, 2, 2)), 2, 2, 1), [-1, -2, -3, -4], engine)
    np.testing.assert_array_equal(at.outputs[0, 0], [[-1, -2], [-3, -4]])
    np.testing.assert_array_equal(at.J.matrix(), np.eye(4))


def test_windows_are_computed_once_and_convolution_is_a_matrix_product():
    """The windows of the data and of the activations are cached, and BLAS does the rest."""
    x, W = rop.data("x", (2, 12, 12)), rop.param("W", (8, 2, 3, 3))
    V = rop.param("V", (4, 8, 3, 3))
    objective = squared(rop.conv2d(rop.tanh(rop.conv2d(x, W)), V))
    steps = programs_of(objective).product("ggnvp").steps
    assert "x" not in {value.name for step in steps for value in step.operands}
    of_convolve = [
        step for step in steps if step.node.op.name == "convolve" and step.rule in ("R", "reverse")
    ]
    assert len(of_convolve) == 6
    assert all(nest(step, cases, 1).gemm for step in of_convolve for cases in (1, 5, 500))


def test_listings_name_the_rules():
    _, z = rop.nets.lenet()
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 10)))
    text = str(rop.explain(objective, "ggnvp"))
    for line in (
        "x2 = W1 a1 + b1",
        "Rx3 = RW2 a4 + W2 Ra4 + Rb2",
        "RdW2 = Σ Rdx3 a4ᵀ",
        "windowsᵀ(Rda4)",
        "c_1(a3) * Ry2[:, 0:23:2, 0:23:2]",
        "R rule of maxpool",
    ):
        assert line in text, line
    assert len(ancestors(z)) < 40


# Walks


def positions(extents, strides):
    return [
        sum(i * s for i, s in zip(index, strides, strict=True))
        for index in itertools.product(*map(range, extents))
    ]


def test_reached_and_overlapping_against_enumeration():
    rng, found = np.random.default_rng(0), set()
    for number in range(3000):
        rank = int(rng.integers(0, 5))
        extents = tuple(int(e) for e in rng.integers(1, 5, rank))
        scale = [1, 5, 12] if number % 2 else [1]
        strides = tuple(int(s * rng.choice(scale)) for s in rng.integers(-9, 10, rank))
        assert reached(extents, strides) == len(set(positions(extents, strides)))
        serial = overlapping(extents, strides)
        rest = [i for i in range(rank) if strides[i] and i not in serial]
        apart = positions([extents[i] for i in rest], [strides[i] for i in rest])
        assert len(set(apart)) == len(apart)
        moving = [i for i in range(rank) if strides[i]]
        every = positions([extents[i] for i in moving], [strides[i] for i in moving])
        assert bool(serial) == (len(set(every)) < len(every))
        found.add(len(serial))
    assert found >= {0, 1, 2}


def test_a_walk_that_reaches_as_many_by_coincidence_is_not_whole():
    """Windows of 2 x 2 that overlap: as many steps as the image has elements, but not all of it."""
    Q = rop.param("Q", (1, 4, 5))
    z = rop.conv2d(Q, np.arange(8.0).reshape(2, 1, 2, 2), stride=(2, 3))
    (windows,) = [node.op for node in ancestors(z) if node.op and node.op.name == "windows"]
    assert not windows.adjoints[0].whole
    shifted = rop.conv1d(rop.param("P", (1, 6)), np.ones((1, 1, 2)), stride=2, dilation=3)
    (windows,) = [node.op for node in ancestors(shifted) if node.op and node.op.name == "windows"]
    kernel = windows.adjoints[0]
    assert math.prod(kernel.extents) == 4 and not kernel.whole


def test_steps_that_overlap_are_no_more_than_the_offsets_of_a_window():
    extents, strides = (3, 8, 9, 5, 4), (144, 12, 1, 12, 1)
    assert overlapping(extents, strides) == (3, 4)
    assert reached((10**6, 10**3), (1, 1)) == 10**6 + 10**3 - 1


# Errors


x, W = rop.data("x", (4, 6, 5)), rop.param("W", (8, 4, 3, 3))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: rop.conv2d(x, rop.param("V", (8, 4, 3, 7)), padding=(0, 0)),
            r"conv2d: .*\(4, 6, 5\), size \(3, 7\).*\(n \+ 2 padding .*\(5 - 7\) // stride \+ 1",
        ),
        (lambda: rop.conv2d(x, W, dilation=3), r"here \(6 - 7\) // stride"),
        (
            lambda: rop.conv2d(x, rop.param("V", (8, 3, 3, 3))),
            r"W: \(8, 4, \.\.\.\).*\(8, 3, 3, 3\)",
        ),
        (lambda: rop.conv2d(x, W, groups=2), r"W: \(8, 2, \.\.\.\) for 4 channels in 2 groups"),
        (lambda: rop.conv2d(x, W, groups=3), "groups that divide 4 channels and 8 outputs, not 3"),
        (lambda: rop.conv2d(x, W, groups=0), "groups that divide"),
        (lambda: rop.conv2d(x, W, stride=0), "conv2d: expected stride >= 1.*got 0"),
        (lambda: rop.conv2d(x, W, stride=(1, 1, 1)), r"one integer or 2 for the axes of \(6, 5\)"),
        (lambda: rop.conv2d(x, W, stride=()), "one integer or 2"),
        (lambda: rop.conv2d(x, W, padding=-1), "padding >= 0"),
        (lambda: rop.conv2d(x, W, padding=0.5), "expected integers, got 0.5"),
        (lambda: rop.conv2d(x, W, rop.param("b", 4)), r"b: \(8,\), one bias for each output"),
        (lambda: rop.conv2d(x[0], W), r"x: \(channels, height, width\).*\(6, 5\)"),
        (lambda: rop.conv1d(x, W), r"x: \(channels, length\)"),
        (lambda: rop.max_pool2d(x, 7), r"max_pool2d: expected windows.*here \(6 - 7\)"),
        (lambda: rop.max_pool2d(x, 2, 0), "max_pool2d: expected stride >= 1"),
        (lambda: rop.max_pool2d(x, 0), "max_pool2d: expected size >= 1"),
        (lambda: rop.avg_pool2d(x, 3, padding=2), "at most half of the windows' size"),
        (lambda: rop.avg_pool2d(x[0], 2), r"avg_pool2d: expected x: \(channels"),
    ],
)
def test_errors(build, message):
    with pytest.raises((rop.RopValueError, rop.RopTypeError), match=message):
        build()
