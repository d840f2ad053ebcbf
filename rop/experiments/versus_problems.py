"""The problems on which HF meets SciPy's optimizers: the ten of the comparison, and small ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop import ops
from rop.datasets import curves, digits, fashion_mnist
from rop.experiments.problems import autoencoder
from rop.experiments.reparameterized import scaled_digits
from rop.graph import data, param
from rop.hf.streams import Data, Stream
from rop.losses import SoftmaxCrossEntropy, SquaredError
from rop.nets import mlp
from rop.objective.objective import Objective
from rop.programs.loss import Loss

Array: TypeAlias = NDArray[np.float64]
Cases: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Race:
    """A problem in float64, and what ends a run on it.

    Attributes
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0.
    batch : mapping of str to ndarray, shape (N, ...)
        The cases; empty for an f that has none.
    most : float
        The gradient-equivalents after which a method is stopped.
    target : float, optional
        An f of interest by itself, for a problem whose minimum no method comes near.
    """

    objective: Objective
    theta: Array
    batch: Mapping[str, Array]
    most: float = 2000.0
    target: float | None = None

    @property
    def cases(self) -> int:
        """The number of cases, 1 for an f that has none."""
        return len(next(iter(self.batch.values()))) if self.batch else 1


def rosenbrock(seed: int) -> Race:
    """Rosenbrock's function from (-1.2, 1), whatever the seed; its minimum is 0."""
    a = param("a", 2)
    z = ops.stack([a[0] - 1.0, (a[1] - a[0] * a[0]) * 10.0])
    return Race(Objective(z, SquaredError([0.0, 0.0])), np.array([-1.2, 1.0]), {}, target=1e-10)


def sensors(seed: int) -> Race:
    """Positions of 60 sensors by least squares, from distances below 0.3 with 2 % of noise.

    Three positions are measured too, which fixes the plane. θ_0 is 0.05 from the true positions.
    """
    rng = np.random.default_rng(11)
    true = rng.uniform(size=(60, 2))
    i, j = np.triu_indices(len(true), 1)
    distances = np.linalg.norm(true[i] - true[j], axis=1)
    near = distances < 0.3
    i, j = i[near], j[near]
    measured = distances[near] * (1 + 0.02 * rng.normal(size=len(i)))
    p = param("p", true.shape)
    between = ops.take(p, i, axis=0) - ops.take(p, j, axis=0)
    z = ops.concatenate([ops.sqrt(ops.sum(between * between, axis=1)), ops.flatten(p[:3])])
    objective = Objective(z, SquaredError(np.concatenate([measured, true[:3].ravel()])))
    noise = np.random.default_rng(seed).normal(size=true.size)
    return Race(objective, true.ravel() + 0.05 * noise, {})


def logistic_regression(seed: int) -> Race:
    """Logistic regression on 3,823 digits: convex, with one minimum for all seeds."""
    return _net([64, 10], _classes(), 1e-4, seed, digits().train)


def digits_classifier(seed: int) -> Race:
    """Classifier 64-60-30-10 of 1,800 digits, with so little l2 that it fits all of them."""
    return _net([64, 60, 30, 10], _classes(), 2e-5, seed, _first(digits().train, 1800))


def clothes_classifier(seed: int) -> Race:
    """Classifier 49-30-10 of 2,000 Fashion-MNIST images at 7 x 7, not all of which it can fit."""
    images = _first(fashion_mnist(download=True).train, 2000)
    small = images["x"].reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
    return _net([49, 30, 10], _classes(), 1e-3, seed, {**images, "x": small})


def lower_halves(seed: int) -> Race:
    """Regression 32-40-32: the lower half of 1,800 digits from the upper half."""
    x = digits().x_train[:1800]
    halves = {"x": x[:, :32], "t": x[:, 32:]}
    return _net([32, 40, 32], SquaredError(data("t", 32)), 1e-4, seed, halves)


def noisy_labels(seed: int) -> Race:
    """Classifier 20-30-2 of 1,000 points, a fifth of whose labels are those of the other class."""
    rng = np.random.default_rng(21)
    x = rng.normal(size=(1000, 20))
    label = (np.tanh(x @ rng.normal(size=(20, 5))).sum(axis=1) > 0) ^ (rng.random(1000) < 0.2)
    t = np.eye(2)[label.astype(int)]
    return _net([20, 30, 2], _classes(2), 1e-3, seed, {"x": x, "t": t})


def surface(seed: int) -> Race:
    """Regression 2-30-30-1 of 1,500 points of the surface sin 3x cos 2y, with noise of 0.05."""
    rng = np.random.default_rng(22)
    x = rng.uniform(-1, 1, (1500, 2))
    t = np.sin(3 * x[:, :1]) * np.cos(2 * x[:, 1:]) + 0.05 * rng.normal(size=(1500, 1))
    return _net([2, 30, 30, 1], SquaredError(data("t", 1)), 1e-5, seed, {"x": x, "t": t})


def three_outputs(seed: int) -> Race:
    """Regression 8-40-3 of 800 points of another tanh net with 10 units, with noise of 0.1."""
    rng = np.random.default_rng(23)
    x = rng.normal(size=(800, 8))
    t = np.tanh(x @ rng.normal(size=(8, 10)) / 2) @ rng.normal(size=(10, 3))
    t += 0.1 * rng.normal(size=t.shape)
    return _net([8, 40, 3], SquaredError(data("t", 3)), 1e-4, seed, {"x": x, "t": t})


def scaled_weights(seed: int) -> Race:
    """Classifier 64-25-10 of 3,823 digits with W2 = 10⁴ θ2 (sec. 8.2)."""
    problem = scaled_digits(seed)
    return _race(problem.objective, problem.theta, problem.train, target=0.01)


def digits_autoencoder(seed: int) -> Race:
    """Autoencoder 64-100-50-25-6 and back of 3,823 digits."""
    return _autoencoder([64, 100, 50, 25, 6], digits().x_train, seed, target=17.5)


def curves_autoencoder(seed: int) -> Race:
    """Autoencoder 196-100-50-25-6 and back of 3,000 curves."""
    return _autoencoder([196, 100, 50, 25, 6], curves(3000, 14), seed, target=14.0)


def fashion_classifier(seed: int) -> Race:
    """Classifier 784-100-10 of 10,000 Fashion-MNIST images, from sparse weights."""
    images = _first(fashion_mnist(download=True).train, 10_000)
    limits = {"most": 120.0, "target": 0.25}
    return _net([784, 100, 10], _classes(), 1e-4, seed, images, "sparse", **limits)


RACES: dict[str, Callable[[int], Race]] = {
    "Rosenbrock": rosenbrock,
    "sensor positions": sensors,
    "logistic regression": logistic_regression,
    "digits classifier": digits_classifier,
    "clothes classifier, 7 x 7": clothes_classifier,
    "lower halves of digits": lower_halves,
    "digits, W2 = 10⁴ θ2": scaled_weights,
    "digits autoencoder": digits_autoencoder,
    "curves autoencoder, 14 x 14": curves_autoencoder,
    "Fashion-MNIST classifier": fashion_classifier,
}
"""The problems by name, seed -> Race; those that run quickly first."""

SMALL: dict[str, Callable[[int], Race]] = {
    "digits classifier": digits_classifier,
    "noisy labels": noisy_labels,
    "regression, 2-30-30-1": surface,
    "regression, 8-40-3": three_outputs,
    "logistic regression": logistic_regression,
}
"""Small problems on which L-BFGS is hard to beat; the last one alone has one minimum."""


def _net(
    layers: Sequence[int],
    loss: Loss,
    l2: float,
    seed: int,
    cases: Cases,
    init: str = "glorot",
    **limits: float,
) -> Race:
    objective = Objective(mlp(layers)[1], loss, l2=l2)
    return _race(objective, objective.init(init, seed), cases, **limits)


def _autoencoder(layers: Sequence[int], x: NDArray[Any], seed: int, target: float) -> Race:
    problem = autoencoder(x, x, layers, seed, "sparse", 1.0, 1.0)
    return _race(problem.objective, problem.theta, problem.train, most=200.0, target=target)


def _race(objective: Objective, theta: Array, cases: Data, **limits: float) -> Race:
    assert not isinstance(cases, Stream)
    batch = {name: np.asarray(array, np.float64) for name, array in cases.items()}
    return Race(objective, theta, batch, **limits)


def _classes(count: int = 10) -> SoftmaxCrossEntropy:
    return SoftmaxCrossEntropy(data("t", count))


def _first(cases: Cases, count: int) -> Cases:
    return {name: array[:count] for name, array in cases.items()}
