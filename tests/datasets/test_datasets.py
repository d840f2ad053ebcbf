"""The data sets: targets, the contents of the digits, and the calibration of the curves."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.special import entr

from rop.datasets import curves, digits, fashion_mnist, one_hot
from rop.errors import RopError, RopTypeError, RopValueError

# ---------------------------------------------------------------- batches and targets


def test_one_hot_is_one_at_the_label_and_zero_elsewhere():
    labels = np.array([[3, 0], [1, 1]])
    t = one_hot(labels, 4)
    assert t.dtype == np.float32
    assert t.shape == (2, 2, 4)
    assert np.array_equal(t.argmax(-1), labels)
    assert np.array_equal(np.sort(t, axis=-1), np.broadcast_to([0, 0, 0, 1], (2, 2, 4)))


def test_one_hot_refuses_what_is_no_class():
    with pytest.raises(RopValueError, match=r"0 … 2 for classes=3, got 3"):
        one_hot([0, 3], 3)
    with pytest.raises(RopValueError, match="got -1"):
        one_hot([-1], 3)
    with pytest.raises(RopTypeError, match="labels must be integers, got an array of float64"):
        one_hot([0.0], 3)


def test_importing_the_data_sets_is_light():
    heavy = "'pooch', 'requests', 'numba', 'matplotlib'"
    code = f"import sys, rop.datasets; print({{{heavy}}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# ---------------------------------------------------------------- digits


def test_digits_have_the_documented_classes():
    data = digits()
    # The class distribution that the UCI repository documents.
    training, test = np.bincount(data.labels_train), np.bincount(data.labels_test)
    assert training.tolist() == [376, 389, 380, 389, 387, 376, 377, 387, 380, 382]
    assert test.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert data.classes == tuple("0123456789")
    assert data.image_shape == (8, 8)


def test_digits_are_batches_of_float32():
    data = digits()
    for batch, cases in [(data.train, 3823), (data.test, 1797)]:
        x, t = batch["x"], batch["t"]
        assert x.shape == (cases, 64)
        assert t.shape == (cases, 10)
        assert x.dtype == t.dtype == np.float32
        assert x.min() == 0
        assert x.max() == 1
        assert np.array_equal(x * 16, np.rint(x * 16))
    assert np.array_equal(data.train["t"].argmax(1), data.labels_train)
    assert np.array_equal(data.test["t"].argmax(1), data.labels_test)


def test_nearest_neighbour_reads_the_digits_as_well_as_documented():
    data = digits()
    train, test = data.x_train.astype(float) * 16, data.x_test.astype(float) * 16
    distance = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    right = data.labels_train[distance.argmin(1)] == data.labels_test
    # "k = 1 : 98.00" in the data set's own description (optdigits.names).
    assert f"{100 * right.mean():.2f}" == "98.00"


# ---------------------------------------------------------------- curves


def four_numbers(train, test):
    """Means and standard errors: variance, cross-entropy of the mean, entropy, error of PCA-18."""
    train, test = train.astype(float), test.astype(float)
    mean = train.mean(0)
    centred = train - mean
    tiny = np.finfo(float).tiny
    _, directions = np.linalg.eigh(centred.T @ centred)
    components = directions[:, -18:]
    rest = (test - mean) - (test - mean) @ components @ components.T
    per_case = [
        (centred**2).sum(1),
        -(train @ np.log(mean + tiny) + (1 - train) @ np.log1p(-mean)),
        (entr(train) + entr(1 - train)).sum(1),
        (rest**2).sum(1),
    ]
    return [(values.mean(), values.std() / len(values) ** 0.5) for values in per_case]


def test_curves_live_on_the_published_scale():
    images = curves(30_000)
    measured = four_numbers(images[:20_000], images[20_000:])
    documented = (16.57, 125.83, 53.41, 5.83)  # means over ten times as many images
    published = (16.88, 124.5, 54.4, 5.90)
    for (value, error), ours, theirs in zip(measured, documented, published, strict=True):
        assert abs(value - ours) < 3 * error
        assert abs(value - theirs) < 0.02 * theirs + 3 * error


def test_small_curves_have_the_documented_variance():
    (variance, error), *_ = four_numbers(curves(20_000, size=14), curves(1, size=14))
    assert abs(variance - 4.54) < 3 * error


@pytest.mark.parametrize(
    ("size", "low", "high", "pen"),
    [
        (28, 4, 23, lambda d: 0.83 * np.clip(1 - d / 2.2, 0, None)),
        (14, 3, 10, lambda d: np.exp(-(d**2) / (2 * 0.45**2))),
    ],
)
def test_an_image_is_the_parabola_through_its_three_points(size, low, high, pen):
    n = 70  # more than one block
    points = np.random.default_rng(5).uniform(low, high, (n, 3, 2))
    t = np.linspace(0, 1, 100)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    for image, through in zip(curves(n, size, seed=5), points, strict=True):
        curve = np.stack([np.polyval(np.polyfit([0, 0.5, 1], c, 2), t) for c in through.T], -1)
        distance = np.linalg.norm(grid[:, :, None] - curve, axis=-1).min(-1)
        np.testing.assert_allclose(image.reshape(size, size), pen(distance), rtol=0, atol=1e-5)


def test_curves_are_repeatable_and_do_not_depend_on_how_many_are_drawn():
    images = curves(100, seed=3)
    assert images.dtype == np.float32
    assert np.array_equal(curves(30, seed=3), images[:30])
    assert np.array_equal(curves(30, seed=np.random.default_rng(3)), images[:30])
    assert not np.array_equal(curves(30, seed=4), images[:30])
    assert curves(0).shape == (0, 784)


def test_curves_refuse_other_sizes_and_negative_numbers():
    with pytest.raises(RopValueError, match="size must be 28 or 14, got 20"):
        curves(1, size=20)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: curves(-1), "n must be an int >= 0 and <= 1000000, got -1"),
        (lambda: curves(10**12), "n must be an int >= 0 and <= 1000000"),
        (lambda: curves(2.5), "n must be an int"),
        (lambda: curves("a"), "n must be an int"),
        (lambda: curves(True), "n must be an int .*; for the number write 1"),
        (lambda: curves(1, size=[28]), "size must be 28 or 14"),
        (lambda: curves(1, size=28.0), "size must be 28 or 14"),
        (lambda: curves(1, seed="a"), "seed must be an int >= 0 or a Generator"),
        (lambda: curves(1, seed=-1), "seed must be an int >= 0 or a Generator"),
        (lambda: one_hot([0], "a"), "classes must be an int >= 1"),
        (lambda: one_hot([0], 2.5), "classes must be an int >= 1"),
        (lambda: one_hot([0], 0), "classes must be an int >= 1"),
        (lambda: one_hot(["a"], 2), "labels must be integers"),
        (lambda: one_hot([[0], [0, 1]], 2), "labels must be integers"),
        (lambda: one_hot(None, 2), "labels must be integers"),
        (lambda: fashion_mnist("yes"), "download must be True or False"),
    ],
)
def test_arguments_are_checked(call, words):
    with pytest.raises(RopError, match=words):
        call()
