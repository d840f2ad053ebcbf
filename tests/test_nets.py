"""The nets: their parameters, and the same outputs as the papers' formulas set in NumPy."""

import numpy as np
import pytest
from scipy.special import expit

import rop
import rop.datasets
from rop.errors import RopTypeError, RopValueError
from rop.graph import ancestors
from rop.nets import ACTIVATIONS, autoencoder, lenet, mlp

FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": expit,
    "relu": lambda z: np.maximum(z, 0),
    "softplus": lambda z: np.logaddexp(0, z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
}


def parameters(z):
    return {node.name: node.shape for node in ancestors(z) if node.kind == "param"}


def outputs(z, seed=0):
    """What a net gives for three random cases, with the cases and the parameters."""
    rng = np.random.default_rng(seed)
    t = rop.data("t", z.shape)
    objective = rop.Objective(z, rop.SquaredError(t))
    theta = rng.standard_normal(objective.n)
    (x,) = (node for node in ancestors(z) if node.kind == "data")
    batch = {"x": rng.standard_normal((3, *x.shape)), "t": np.zeros((3, *z.shape))}
    at = objective.linearize(theta, batch, engine="numpy")
    return at.outputs, batch["x"], objective.unpack(theta)


def layer(y, p, number):
    return y @ p[f"W{number}"].T + p[f"b{number}"]


def test_an_mlp_has_the_parameters_of_its_sizes():
    x, z = mlp([784, 300, 10])
    assert x.name == "x"
    assert (x.shape, z.shape) == ((784,), (10,))
    assert parameters(z) == {"W1": (300, 784), "b1": (300,), "W2": (10, 300), "b2": (10,)}


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_an_mlp_computes_algorithm_1_with_linear_outputs(activation):
    _, z = mlp([5, 4, 3, 2], activation)
    computed, y, p = outputs(z)
    s = FUNCTIONS[activation]
    expected = layer(s(layer(s(layer(y, p, 1)), p, 2)), p, 3)
    np.testing.assert_allclose(computed, expected, rtol=1e-13, atol=1e-13)


def test_an_mlp_without_hidden_layers_is_linear():
    _, z = mlp([5, 2])
    computed, x, p = outputs(z)
    np.testing.assert_allclose(computed, layer(x, p, 1), rtol=1e-13, atol=1e-13)


def test_every_named_activation_is_tested():
    assert set(ACTIVATIONS) == set(FUNCTIONS)


@pytest.mark.parametrize("build", [mlp, autoencoder])
def test_an_activation_can_be_any_function_of_a_node(build):
    _, z = build([5, 4, 2], lambda y: rop.sin(y) * 2)
    _, same = build([5, 4, 2], rop.tanh)
    assert parameters(z) == parameters(same)
    assert {node.op.name for node in ancestors(z) if node.op} >= {"sin", "scale"}


@pytest.mark.parametrize(
    ("encoder", "n"),
    [
        ([784, 400, 200, 100, 50, 25, 6], 842_340),  # CURVES
        ([784, 1000, 500, 250, 30], 2_837_314),  # MNIST
        ([625, 2000, 1000, 500, 30], 7_537_655),  # FACES
    ],
)
def test_the_deep_autoencoders_have_the_published_number_of_parameters(encoder, n):
    x, z = autoencoder(encoder)
    assert x.shape == z.shape == (encoder[0],)
    assert sum(np.prod(shape) for shape in parameters(z).values()) == n


def test_an_autoencoder_has_a_linear_code_and_linear_outputs():
    _, z = autoencoder([5, 4, 2])
    computed, x, p = outputs(z)
    code = layer(expit(layer(x, p, 1)), p, 2)
    expected = layer(expit(layer(code, p, 3)), p, 4)
    np.testing.assert_allclose(computed, expected, rtol=1e-13, atol=1e-13)
    assert [node.shape for node in ancestors(z) if node.name == "code"] == [(2,)]


def test_an_autoencoder_of_one_layer_is_linear():
    _, z = autoencoder([5, 2])
    computed, x, p = outputs(z)
    np.testing.assert_allclose(computed, layer(layer(x, p, 1), p, 2), rtol=1e-13, atol=1e-13)


def test_an_autoencoder_takes_its_input_as_target():
    x, z = autoencoder([196, 20, 6])
    objective = rop.Objective(z, rop.SigmoidCrossEntropy(x))
    zero = np.zeros(objective.n)  # gives every pixel the intensity 1/2
    value = objective.value(zero, {"x": rop.datasets.curves(50, size=14)}, engine="numpy")
    assert value == pytest.approx(196 * np.log(2), rel=1e-12)


def test_an_mlp_takes_the_digits_as_batch():
    x, z = mlp([64, 20, 10])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 10)))
    zero = np.zeros(objective.n)  # gives every class the probability 1/10
    value = objective.value(zero, rop.datasets.digits().test, engine="numpy")
    assert value == pytest.approx(np.log(10), rel=1e-12)


@pytest.mark.parametrize("build", [mlp, autoencoder])
@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ([784], RopValueError),
        ([], RopValueError),
        ([784, 0, 10], RopValueError),
        ([784, 2.5], RopTypeError),
        (784, RopTypeError),
    ],
)
def test_sizes_that_do_not_fit_are_named(build, sizes, error):
    with pytest.raises(error, match=r"sizes must be .*integers"):
        build(sizes)


@pytest.mark.parametrize("build", [mlp, autoencoder])
def test_unknown_activations_are_named_with_the_known_ones(build):
    with pytest.raises(RopValueError, match="must be 'tanh', 'sigmoid', .* got 'swish'"):
        build([3, 2], "swish")
    with pytest.raises(RopTypeError, match="activation must be a name or a function"):
        build([3, 2], 5)


@pytest.mark.parametrize(("activation", "pool"), [("relu", "max"), ("tanh", "average")])
def test_lenet(activation, pool):
    x, z = lenet(activation, pool)
    assert (x.shape, z.shape) == ((1, 28, 28), (10,))
    shapes = parameters(z)
    assert shapes["W2"] == (16, 6, 5, 5) and shapes["W3"] == (120, 256)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 44_426
    found, images, p = outputs(z)
    reduce = np.max if pool == "max" else np.mean
    y = images
    for number in (1, 2):
        windows = np.lib.stride_tricks.sliding_window_view(y, (5, 5), (2, 3))
        y = np.einsum("ncijpq,ocpq->noij", windows, p[f"W{number}"])
        y = FUNCTIONS[activation](y + p[f"b{number}"][:, None, None])
        n, c, height, width = y.shape
        y = reduce(y.reshape(n, c, height // 2, 2, width // 2, 2), axis=(3, 5))
    y = y.reshape(len(y), -1)
    for number in (3, 4, 5):
        y = layer(y, p, number)
        y = FUNCTIONS[activation](y) if number < 5 else y
    np.testing.assert_allclose(found, y, rtol=1e-12, atol=1e-12 * np.abs(y).max())


@pytest.mark.parametrize("pool", ["min", None])
def test_lenet_refuses(pool):
    with pytest.raises(RopValueError, match="pool must be 'max' or 'average'"):
        lenet(pool=pool)
