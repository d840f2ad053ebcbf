"""The initialisations: structure, distribution, repeatability and errors."""

import numpy as np
import pytest
from scipy import stats

from rop.errors import RopTypeError, RopValueError
from rop.objective.init import SCHEMES, glorot, initialize, normal, recurrent, sparse, spectral

SHAPES = {
    "W1": (400, 60),
    "b1": (400,),
    "W2": (7, 400),
    "K": (6, 4, 5, 5),
    "c": (),
    "W_hh": (30, 30),
}
RNN = {"W_xh": (100, 4), "W_hh": (100, 100), "h_0": (100,), "W_hz": (3, 100), "b_h": (100,)}


def plausible(sample, distribution):
    """Whether a Kolmogorov-Smirnov test lets the sample pass; the seeds are fixed."""
    return stats.kstest(sample, distribution.cdf).pvalue > 0.01


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_parameter_gets_float64_values_and_biases_start_at_zero(scheme):
    parameters = initialize(scheme, SHAPES, seed=0)
    assert list(parameters) == list(SHAPES)
    for name, values in parameters.items():
        assert values.shape == SHAPES[name]
        assert values.dtype == np.float64
        assert values.any() == (values.ndim >= 2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_seed_alone_decides(scheme):
    def weights(seed):
        return initialize(scheme, SHAPES, seed)["W2"]

    assert np.array_equal(weights(1), weights(1))
    assert np.array_equal(weights(1), weights(np.random.default_rng(1)))
    assert not np.array_equal(weights(1), weights(2))


@pytest.mark.parametrize("connections", [15, 4])
def test_sparse_connects_each_unit_to_as_many_inputs(connections):
    parameters = sparse(SHAPES, np.random.default_rng(0), connections=connections)
    for name in ["W1", "W2", "K"]:
        incoming = np.count_nonzero(parameters[name].reshape(len(parameters[name]), -1), axis=1)
        assert np.all(incoming == connections)


def test_sparse_connects_a_unit_with_few_inputs_to_all_of_them():
    W = sparse({"W": (50, 6)}, np.random.default_rng(0))["W"]
    assert np.count_nonzero(W) == W.size


def test_sparse_draws_inputs_evenly_and_weights_from_a_normal_distribution():
    W = sparse({"W": (4000, 60)}, np.random.default_rng(0), std=0.25)["W"]
    chosen = np.count_nonzero(W, axis=0)
    expected = 4000 * 15 / 60
    # Without replacement the counts vary a little less than a multinomial's, whence 59/60 · 45/59.
    chi_square = ((chosen - expected) ** 2).sum() / expected / (45 / 59)
    assert 0.01 < stats.chi2(59).cdf(chi_square) < 0.99
    assert plausible(W[W != 0], stats.norm(0, 0.25))


def test_glorot_is_uniform_within_its_bound():
    parameters = glorot(SHAPES, np.random.default_rng(0))
    for name, fans in [("W1", 60 + 400), ("W2", 400 + 7), ("K", 4 * 25 + 6 * 25)]:
        bound = np.sqrt(6 / fans)
        assert plausible(parameters[name].ravel(), stats.uniform(-bound, 2 * bound))


def test_normal_has_the_standard_deviation():
    parameters = normal(SHAPES, np.random.default_rng(0), std=0.03)
    for name in ["W1", "W2", "K"]:
        assert plausible(parameters[name].ravel(), stats.norm(0, 0.03))


def test_unknown_schemes_and_options_are_named_with_the_known_ones():
    with pytest.raises(RopValueError, match="'sparse', 'glorot', 'normal', .*; got 'xavier'"):
        initialize("xavier", SHAPES)
    with pytest.raises(RopTypeError, match="no option 'scale'; it has connections, std"):
        initialize("sparse", SHAPES, scale=2)
    with pytest.raises(RopTypeError, match="no option 'std'; it has none"):
        initialize("glorot", SHAPES, std=2)


@pytest.mark.parametrize(
    ("scheme", "option", "value"),
    [
        ("sparse", "connections", 0),
        ("sparse", "std", -1.0),
        ("normal", "std", float("nan")),
        ("recurrent", "scale", 0.0),
        ("spectral", "radius", -1.1),
    ],
)
def test_options_must_be_positive(scheme, option, value):
    with pytest.raises(RopValueError, match=f"init: {option} must be .*, got {value!r}"):
        initialize(scheme, SHAPES, **{option: value})


def test_recurrent_scales_15_connections_and_the_inputs_further():
    parameters = recurrent(RNN, np.random.default_rng(0), scale=1.2, inputs=0.25)
    for name, std in [("W_hh", 1.2), ("W_hz", 1.2), ("W_xh", 0.25 * 1.2)]:
        W = parameters[name]
        assert np.all(np.count_nonzero(W, axis=1) == min(15, W.shape[1]))
        assert plausible(W[W != 0], stats.norm(0, std / np.sqrt(15)))
    assert np.count_nonzero(parameters["h_0"]) == 15
    assert not parameters["b_h"].any()


def test_recurrent_has_a_spectral_radius_of_about_its_scale():
    radii = [
        np.abs(np.linalg.eigvals(recurrent(RNN, np.random.default_rng(seed))["W_hh"])).max()
        for seed in range(20)
    ]
    assert np.mean(radii) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("radius", [0.9, 1.1])
def test_spectral_has_exactly_its_radius(radius):
    parameters = spectral(RNN, np.random.default_rng(0), radius=radius, inputs=0.001, outputs=0.2)
    W = parameters["W_hh"]
    assert np.abs(np.linalg.eigvals(W)).max() == pytest.approx(radius, rel=1e-10)
    assert np.all(np.count_nonzero(W, axis=1) == 15)
    assert plausible(parameters["W_xh"].ravel(), stats.norm(0, 0.001))
    assert plausible(parameters["W_hz"].ravel(), stats.norm(0, 0.2))
    assert not parameters["h_0"].any()
    assert not parameters["b_h"].any()


@pytest.mark.parametrize("scheme", ["recurrent", "spectral"])
@pytest.mark.parametrize("shapes", [{"W1": (3, 2)}, {"W_hh": (3, 2)}, {"W_hh": (3,)}])
def test_recurrent_schemes_want_a_square_matrix_of_recurrent_weights(scheme, shapes):
    with pytest.raises(RopValueError, match="with a square matrix W_hh"):
        initialize(scheme, shapes)
