"""Problems on images: autoencoders of curves, digits and clothes, and a classifier of digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from rop import datasets, nets
from rop.errors import RopValueError
from rop.experiments.measures import squared_error, wrong
from rop.experiments.registry import Problem, experiment
from rop.graph import data
from rop.hf.recipes import martens2010
from rop.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from rop.objective.objective import Objective

_HIDDEN = {28: "400-200-100-50-25-6", 14: "100-50-25-6"}


@experiment("curves", iterations=300)
def curves(
    seed: int,
    *,
    size: int = 28,
    images: int = 20_000,
    hidden: str = "",
    init: str = "sparse",
    lam: float = 45.0,
    curvature: float = 0.25,
) -> Problem:
    """CURVES-like autoencoder of Martens (2010): 784-400-200-100-50-25-6 and back, 20,000 images.

    Parameters
    ----------
    seed : int
        Seed of θ_0; the images are the same for all seeds.
    size : {28, 14}
        Height and width of the images.
    images : int
        Training images; half as many more are for the test.
    hidden : str
        Sizes of the encoder's layers; by default those of the paper, or 100-50-25-6 for size 14.
    init : str
        "sparse", "glorot" or "normal".
    lam : float
        The first λ; 45 in the authors' run, 1 suits the smaller ones.
    curvature : float
        The part of the training set that the curvature sees.

    Returns
    -------
    Problem
        With the measure "squared error".
    """
    drawn = datasets.curves(images + images // 2, size)
    layers = [size * size, *_layers(hidden or _HIDDEN[size])]
    return autoencoder(drawn[:images], drawn[images:], layers, seed, init, lam, curvature)


@experiment("digits", iterations=50)
def digits(seed: int, *, hidden: str = "100-50", lam: float = 1.0) -> Problem:
    """Classifier of real handwritten digits: 64-100-50-10, 3,823 training images.

    Parameters
    ----------
    seed : int
        Seed of θ_0.
    hidden : str
        Sizes of the hidden layers.
    lam : float
        The first λ.

    Returns
    -------
    Problem
        With the measure "error rate".
    """
    images = datasets.digits()
    _, z = nets.mlp([64, *_layers(hidden), 10])
    objective = Objective(z, SoftmaxCrossEntropy(data("t", 10)), l2=1e-4)
    return Problem(
        objective,
        objective.init("sparse", seed),
        images.train,
        images.test,
        martens2010(curvature=1.0, lam=lam),
        {"curvature": 1.0, "lam": lam},
        {"error rate": wrong},
    )


@experiment("digits-autoencoder", iterations=100)
def digits_autoencoder(seed: int, *, hidden: str = "100-50-25-6", lam: float = 1.0) -> Problem:
    """Autoencoder of real handwritten digits: 64-100-50-25-6 and back, 3,823 training images.

    Parameters
    ----------
    seed : int
        Seed of θ_0.
    hidden : str
        Sizes of the encoder's layers.
    lam : float
        The first λ.

    Returns
    -------
    Problem
        With the measure "squared error".
    """
    images = datasets.digits()
    layers = [64, *_layers(hidden)]
    return autoencoder(images.x_train, images.x_test, layers, seed, "sparse", lam, 0.25)


@experiment("fashion-mnist-autoencoder", iterations=200)
def fashion_mnist_autoencoder(
    seed: int, *, hidden: str = "1000-500-250-30", images: int = 60_000, lam: float = 45.0
) -> Problem:
    """Autoencoder of clothes with the net for MNIST of Martens (2010): 784-1000-500-250-30.

    On two cores an iteration of the whole takes minutes; ``--images 10000 --hidden 400-200-100-30``
    takes seconds.

    Parameters
    ----------
    seed : int
        Seed of θ_0.
    hidden : str
        Sizes of the encoder's layers.
    images : int
        Training images, the first ones of the 60,000.
    lam : float
        The first λ.

    Returns
    -------
    Problem
        With the measure "squared error".
    """
    clothes = datasets.fashion_mnist(download=True)
    layers = [784, *_layers(hidden)]
    train = clothes.x_train[:images]
    return autoencoder(train, clothes.x_test, layers, seed, "sparse", lam, 1 / 8, l2=1e-5)


def autoencoder(
    train: NDArray[Any],
    test: NDArray[Any],
    layers: Sequence[int],
    seed: int,
    init: str,
    lam: float,
    curvature: int | float,
    *,
    l2: float = 2e-5,
) -> Problem:
    """Build the problem of a deep autoencoder with logistic units and cross-entropy.

    Parameters
    ----------
    train, test : ndarray, shape (N, pixels)
        Images with intensities in [0, 1].
    layers : sequence of int
        Sizes of the encoder from the input to the code.
    seed : int
        Seed of θ_0.
    init : str
        Scheme of θ_0.
    lam : float
        The first λ.
    curvature : int or float
        Cases of the curvature, or their part of all cases.
    l2 : float
        Strength of the weight decay.

    Returns
    -------
    Problem
        With the recipe of Martens (2010) and the measure "squared error".
    """
    x, z = nets.autoencoder(layers)
    objective = Objective(z, SigmoidCrossEntropy(x), l2=l2)
    settings = {"lam": lam, "curvature": curvature}
    return Problem(
        objective,
        objective.init(init, seed),
        {"x": train},
        {"x": test},
        martens2010(lam=lam, curvature=curvature),
        settings,
        {"squared error": squared_error},
    )


def _layers(sizes: str) -> list[int]:
    try:
        return [int(size) for size in sizes.split("-")]
    except ValueError:
        raise RopValueError(
            f"hidden: expected sizes of layers such as 100-50-25-6, got {sizes!r}"
        ) from None
