"""The three-way verdict on single comparisons, where the truth is known in closed form."""

import math

import numpy as np
import pytest

from rop.checking.lines import Line, Noise, OutsideDomain, entry_scales
from rop.checking.noise import measure_noise
from rop.checking.policy import DECADES, Tolerance, judge

EPSILON = np.finfo(float).eps
A = np.random.default_rng(0).standard_normal((20, 10)) / 3
THETA, V = np.random.default_rng(1).standard_normal((2, 10))


def smooth(theta):
    return np.tanh(A @ theta)


def smooth_product(v):
    return (1 - np.tanh(A @ THETA) ** 2) * (A @ v)


def judged(product, function, theta=THETA, v=V, precision="float64", scale=None, **tolerance):
    epsilon = np.finfo(precision).eps
    scale = entry_scales(theta) if scale is None else scale
    noise = measure_noise(function, theta, scale, epsilon, np.random.default_rng(2))
    ladder = Line(function, theta, v, noise, scale).ladder(DECADES)
    return judge(product, ladder, Tolerance.of(precision, **tolerance))


def test_the_true_product_passes_with_an_error_far_below_the_tolerance():
    judgement = judged(smooth_product(V), smooth)
    assert judgement.verdict == "pass"
    assert judgement.error < 1e-10
    assert judgement.slope == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("error", [-2, -1, 1, 1e-2, 5e-4, 1e-5, 1e-6, 1e-7, 1e-8])
def test_a_wrong_factor_fails_and_the_error_is_measured(error):
    judgement = judged((1 + error) * smooth_product(V), smooth)
    assert judgement.verdict == "fail"
    expected = abs(error) / max(1, abs(1 + error))
    assert judgement.error == pytest.approx(expected, rel=1e-3)
    assert judgement.estimate == pytest.approx(smooth_product(V), rel=1e-9)


def test_one_wrong_entry_fails():
    product = smooth_product(V)
    product[3] *= 1 + 1e-4
    assert judged(product, smooth).verdict == "fail"


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12])
def test_the_scale_of_the_function_does_not_matter(scale):
    assert judged(scale * smooth_product(V), lambda t: scale * smooth(t)).verdict == "pass"
    wrong = 1.0005 * scale * smooth_product(V)
    assert judged(wrong, lambda t: scale * smooth(t)).verdict == "fail"


@pytest.mark.parametrize("size", [1e-6, 1e3, 1e8])
def test_neither_does_the_scale_of_the_origin(size):
    def function(theta):
        return np.sin(A @ theta / size)

    theta = size * THETA
    product = np.cos(A @ THETA) * (A @ V) / size
    assert judged(product, function, theta).verdict == "pass"
    assert judged(1.0005 * product, function, theta).verdict == "fail"


def test_a_kink_at_the_origin_is_inconclusive_though_differences_agree():
    theta = np.zeros(10)
    product = np.maximum(A @ V, 0) * 0.0
    judgement = judged(product, lambda t: np.maximum(A @ t, 0), theta)
    assert np.ptp(judgement.errors[:6]) < 1e-6
    assert (judgement.verdict, judgement.cause) == ("inconclusive", "kink")


def test_a_kink_beside_the_origin_is_stepped_inside():
    theta, v = np.array([3e-6, 1.0, -1.0, -2e-5]), np.array([-1.0, 0.3, 0.7, 2.0])
    product = (theta > 0) * v

    def relu(theta):
        return np.maximum(theta, 0)

    for scale in (np.ones(4), None):
        right = judged(product, relu, theta, v, scale=scale)
        assert right.errors[0] > 0.1 or scale is None
        assert right.verdict == "pass"
        assert judged(1.001 * product, relu, theta, v, scale=scale).verdict == "fail"


def test_noise_is_measured_and_named():
    rng = np.random.default_rng(3)

    def noisy(theta):
        return smooth(theta) + 1e-3 * rng.standard_normal(20)

    for factor in (1.0, 1.05):
        judgement = judged(factor * smooth_product(V), noisy)
        assert (judgement.verdict, judgement.cause) == ("inconclusive", "noise")


def test_float32_inside_a_float64_function_convicts_nobody():
    def single(theta):
        return np.tanh(A.astype(np.float32) @ theta.astype(np.float32)).astype(np.float64)

    assert judged(smooth_product(V), single).verdict != "fail"
    assert judged(-smooth_product(V), single).verdict == "fail"


@pytest.mark.parametrize("z", [17.0, 18.5, 20.0, 40.0])
def test_saturation_convicts_nobody(z):
    """Where 1 - tanh² is a few units of rounding, a correct product disagrees with differences."""

    def slope(theta):
        return 1 - np.tanh(theta) ** 2

    theta = np.full(3, z) + np.array([0, 0.1, 0.2])
    product = -2 * np.tanh(theta) * (1 - np.tanh(theta) ** 2)
    judgement = judged(product, slope, theta, np.ones(3), reference=1.0)
    assert judgement.verdict != "fail"


def test_a_product_that_vanishes_beside_the_whole_passes():
    judgement = judged(1e-14 * np.ones(20), lambda t: 0 * smooth(t), whole=1.0)
    assert judgement.verdict == "pass"
    assert judged(1e-8 * np.ones(20), lambda t: 0 * smooth(t), whole=1.0).verdict == "fail"


def test_steps_outside_the_domain_are_left_out():
    def logarithm(theta):
        if (theta <= 0).any():
            raise OutsideDomain
        return np.log(theta)

    theta = np.array([5e-3, 1.0, 1.0, 1.0])
    line = Line(logarithm, theta, np.ones(4), Noise(np.zeros(4), EPSILON))
    ladder = line.ladder(DECADES)
    assert ladder.steps.max() == pytest.approx(1e-3)
    assert judge(1 / theta, ladder, Tolerance.of("float64")).verdict == "pass"
    assert judge(1.01 / theta, ladder, Tolerance.of("float64")).verdict == "fail"


def test_nothing_to_compare_with_is_inconclusive():
    line = Line(lambda t: t, np.ones(2), np.ones(2), Noise(np.zeros(2), EPSILON))
    judgement = judge(np.ones(2), line.ladder([1e-3]), Tolerance.of("float64"))
    assert (judgement.verdict, judgement.cause) == ("inconclusive", "domain")
    assert math.isnan(judgement.error)


def test_measured_noise_is_that_of_the_function():
    rng = np.random.default_rng(4)
    sigma = 1e-9
    scale = entry_scales(THETA)
    noise = measure_noise(
        lambda t: smooth(t) + sigma * rng.standard_normal(20), THETA, scale, EPSILON, rng
    )
    assert np.sqrt(np.mean(noise.deviation**2)) == pytest.approx(sigma, rel=0.3)
    clean = measure_noise(smooth, THETA, scale, EPSILON, rng)
    assert np.linalg.norm(clean.deviation) < 5 * EPSILON * np.linalg.norm(smooth(THETA))


@pytest.mark.parametrize("seed", range(5))
def test_a_saturated_unit_is_told_from_coarse_digits(seed):
    """Both stand still here and leap elsewhere; but the unit leaves its plateau by rounding."""
    theta = np.array([45.0, 60.0, 45.0])

    def function(p):
        return np.append(1 / (1 + np.exp(-p[:2])), np.round(p[2] / 10, 3))

    noise = measure_noise(function, theta, theta, EPSILON, np.random.default_rng(seed))
    assert noise.deviation[:2].max() < 1e-14
    np.testing.assert_allclose(noise.deviation[2], 5e-4, rtol=1e-9)
