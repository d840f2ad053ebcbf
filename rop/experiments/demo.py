"""`rop demo`: a network on real images, explained, verified, and trained by HF.

Beside it stand simple baselines with equal time: logistic regression by SciPy's L-BFGS, and a few
lines of SGD with momentum on the same network.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize as scipy_minimize

import rop
from rop import datasets, hf, nets
from rop.datasets import Dataset
from rop.objective.objective import Objective
from rop.show import plot

# Settings of each data set: layers, seconds of training, cases of the curvature, learning rates.
_SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": [100, 50], "seconds": 8.0, "curvature": 1.0, "rates": (0.1, 0.03, 0.01)},
    "fashion-mnist": {
        "hidden": [100],
        "seconds": 60.0,
        "curvature": 5000,
        "rates": (0.1, 0.03, 0.01),
    },
}
_L2 = 1e-4
_MOMENTUM = 0.9


@dataclass(frozen=True)
class Trained:
    """What a method reached.

    Attributes
    ----------
    method : str
        Its name.
    loss : float
        f on the training cases, penalty included.
    accuracy : float
        Part of the test cases that are classified right.
    seconds : float
        Wall time of the training.
    work : str
        What was done in that time.
    """

    method: str
    loss: float
    accuracy: float
    seconds: float
    work: str


def demo(dataset: str, seconds: float | None, out: Path, seed: int) -> bool:
    """Run the demo.

    Parameters
    ----------
    dataset : {"digits", "fashion-mnist"}
        The images.
    seconds : float or None
        Training time of each method; None takes the data set's own.
    out : Path
        Folder for the pictures.
    seed : int
        Seed of θ and of the minibatches.

    Returns
    -------
    bool
        Whether every product passed its check.
    """
    settings = _SETTINGS[dataset]
    budget = settings["seconds"] if seconds is None else seconds
    images = _images(dataset)
    out.mkdir(parents=True, exist_ok=True)
    x, z = nets.mlp([images.x_train.shape[1], *settings["hidden"], len(images.classes)])
    objective = Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", len(images.classes))), l2=_L2)
    theta = objective.init("sparse", seed=seed)

    _heading(f"1. The network: {objective.n:,} parameters, {len(images.x_train):,} real images")
    print(f"   {images.source}")
    rop.draw(objective, path=out / "graph.png")

    _heading("2. The Gauss-Newton product of this network (algorithm 5)")
    print(rop.explain(objective, "ggnvp"))

    _heading("3. Is it right? Every product against finite differences, in float64")
    few = {name: array[:16] for name, array in images.train.items()}
    report = rop.check(objective, theta, few, seed=seed)
    print(report)
    report.plot(out / "verification.png")

    _heading(f"4. Training by Hessian-free optimization, {budget:g} s")
    recipe = hf.recipes.martens2010(curvature=settings["curvature"], lam=1.0)
    run = hf.minimize(
        objective,
        theta,
        images.train,
        recipe,
        iterations=1000,
        seconds=budget,
        progress=True,
    )
    plot.run(run.records, path=out / "hf_trace.png")
    plot.iteration(_telling(run.records), path=out / "quadratic_model.png")
    products = sum(it.cg.products for it in run.records)
    trained = [
        _score(
            objective,
            run.theta,
            images,
            "Hessian-free",
            run.seconds,
            f"{run.nit} updates, {products:,} products Gv",
        )
    ]

    _heading("5. Baselines with equal time")
    trained += [_sgd(objective, theta, images, budget, rate, seed) for rate in settings["rates"]]
    trained.append(_logistic(images, budget))
    print(f"   {'method':34s} {'training loss':>13s} {'test accuracy':>14s} {'seconds':>8s}   work")
    for result in trained:
        print(
            f"   {result.method:34s} {result.loss:13.5f} {result.accuracy:13.2%} "
            f"{result.seconds:8.1f}   {result.work}"
        )
    print(f"\nPictures: {', '.join(str(path) for path in sorted(out.glob('*.png')))}")
    return bool(report.ok)


def _images(dataset: str) -> Dataset:
    return datasets.digits() if dataset == "digits" else datasets.fashion_mnist(download=True)


def _heading(text: str) -> None:
    print(f"\n{text}\n", flush=True)


def _telling(records: list[hf.Iteration]) -> hf.Iteration:
    """The iteration whose CG run shows most of fig. 4: the longest one with several iterates."""
    return max(records, key=lambda it: (len(it.f_stored), it.cg.steps))


def _score(
    objective: Objective,
    theta: NDArray[Any],
    images: Dataset,
    method: str,
    seconds: float,
    work: str,
) -> Trained:
    z = objective.linearize(theta, images.test).outputs
    accuracy = float(np.mean(z.argmax(axis=1) == images.labels_test))
    loss = objective.value(theta, images.train)
    return Trained(method, loss, accuracy, seconds, work)


def _sgd(
    objective: Objective,
    theta: NDArray[Any],
    images: Dataset,
    seconds: float,
    rate: float,
    seed: int,
    cases: int = 100,
) -> Trained:
    """SGD with momentum on minibatches, from the same θ."""
    rng = np.random.default_rng(seed)
    theta, updates = theta.astype(np.float32), 0
    velocity = np.zeros_like(theta)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        chosen = rng.integers(0, len(images.x_train), cases)
        batch = {name: array[chosen] for name, array in images.train.items()}
        velocity *= _MOMENTUM
        velocity -= np.float32(rate) * objective.linearize(theta, batch).gradient()
        theta += velocity
        updates += 1
    taken = time.perf_counter() - began
    method = f"SGD, momentum {_MOMENTUM:g}, rate {rate:g}"
    return _score(objective, theta, images, method, taken, f"{updates:,} updates of {cases} cases")


def _logistic(images: Dataset, seconds: float) -> Trained:
    """Logistic regression by SciPy's L-BFGS: rop's objective and gradient, SciPy's optimizer."""
    _, z = nets.mlp([images.x_train.shape[1], len(images.classes)])
    t = rop.data("t", len(images.classes))
    objective = Objective(z, rop.SoftmaxCrossEntropy(t), l2=_L2)
    began = time.perf_counter()

    def value_and_gradient(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = objective.linearize(theta, images.train)
        return at.value, at.gradient()

    found = scipy_minimize(  # type: ignore[call-overload]
        value_and_gradient,
        np.zeros(objective.n),
        jac=True,
        method="L-BFGS-B",
        callback=_until(began + seconds),
        options={"maxiter": 10_000},
    )
    taken = time.perf_counter() - began
    work = f"{found.nit} iterations, {found.nfev} gradients"
    return _score(objective, found.x, images, "logistic regression, L-BFGS", taken, work)


def _until(end: float) -> Callable[[NDArray[Any]], None]:
    def callback(theta: NDArray[Any]) -> None:
        if time.perf_counter() > end:
            raise StopIteration

    return callback
