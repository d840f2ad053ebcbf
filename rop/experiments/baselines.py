"""First-order methods to compare with, a few lines each (SMDH13; Kingma & Ba 2015)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import process_time
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.engines import DEFAULT_ENGINE
from rop.experiments.watching import watched
from rop.objective.objective import Objective

Gradient: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]


def sgd(theta: NDArray[Any], gradient: Gradient, rate: float) -> Iterator[NDArray[Any]]:
    """Yield θ after each step of stochastic gradient descent.

    Parameters
    ----------
    theta : ndarray, shape (n,)
        θ_0.
    gradient : callable, (n,) -> (n,)
        ∇f(θ) on another minibatch at each call.
    rate : float
        The learning rate.

    Yields
    ------
    ndarray, shape (n,)
        θ; it changes in place.
    """
    theta = theta.copy()
    while True:
        theta -= rate * gradient(theta)
        yield theta


def nesterov(
    theta: NDArray[Any], gradient: Gradient, rate: float, momentum: float
) -> Iterator[NDArray[Any]]:
    """Yield θ after each step of Nesterov's accelerated gradient, as in SMDH13 (eq. 3 and 4).

    The momentum rises as there: 1 - 2^(-1 - log2(⌊t/250⌋ + 1)), up to its largest value.

    Parameters
    ----------
    theta : ndarray, shape (n,)
        θ_0.
    gradient : callable, (n,) -> (n,)
        ∇f(θ) on another minibatch at each call.
    rate : float
        The learning rate.
    momentum : float
        The largest momentum.

    Yields
    ------
    ndarray, shape (n,)
        θ; it changes in place.
    """
    theta = theta.copy()
    velocity = np.zeros_like(theta)
    t = 0
    while True:
        mu = min(1 - 0.5 / (t // 250 + 1), momentum)
        velocity *= mu
        velocity -= rate * gradient(theta + velocity)
        theta += velocity
        t += 1
        yield theta


def adam(
    theta: NDArray[Any],
    gradient: Gradient,
    rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> Iterator[NDArray[Any]]:
    """Yield θ after each step of Adam.

    Parameters
    ----------
    theta : ndarray, shape (n,)
        θ_0.
    gradient : callable, (n,) -> (n,)
        ∇f(θ) on another minibatch at each call.
    rate, beta1, beta2, epsilon : float
        As in Kingma & Ba (2015), algorithm 1.

    Yields
    ------
    ndarray, shape (n,)
        θ; it changes in place.
    """
    theta = theta.copy()
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    t = 0
    while True:
        g = gradient(theta)
        t += 1
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g * g - v)
        theta -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
        yield theta


def minibatch_gradient(
    objective: Objective,
    data: Mapping[str, NDArray[Any]],
    cases: int,
    seed: int,
    engine: str = DEFAULT_ENGINE,
) -> Gradient:
    """Return θ ↦ ∇f(θ) on a random minibatch, another one at each call.

    Parameters
    ----------
    objective : Objective
        f.
    data : mapping of str to ndarray, shape (N, ...)
        The training set.
    cases : int
        Size of the minibatches.
    seed : int
        Seed of the choice, with replacement.
    engine : str
        Engine of the sweeps.

    Returns
    -------
    callable, (n,) -> (n,)
    """
    rng = np.random.default_rng(seed)
    total = len(next(iter(data.values())))

    def gradient(theta: NDArray[Any]) -> NDArray[Any]:
        chosen = rng.integers(0, total, cases)
        batch = {name: array[chosen] for name, array in data.items()}
        return objective.gradient(theta, batch, engine)

    return gradient


def run(
    method: Iterator[NDArray[Any]],
    seconds: float,
    watch: Callable[[NDArray[Any]], float],
    points: int = 20,
) -> list[dict[str, float]]:
    """Run a method for some time of the processor, and measure at intervals, which takes no time.

    Parameters
    ----------
    method : iterator of ndarray
        Yields θ after each step.
    seconds : float
        The time of the processor.
    watch : callable, (n,) -> float
        The measure.
    points : int
        How often to measure, at equal times.

    Returns
    -------
    list of dict
        Rows of "seconds", "steps" and "error"; fewer if the error stops being finite.
    """
    rows = watched(getattr(method, "__name__", "first-order method"), [])
    steps, used, due = 0, 0.0, seconds / points
    while used < seconds:
        began = process_time()
        with np.errstate(over="ignore", invalid="ignore"):
            theta = next(method)
        used += process_time() - began
        steps += 1
        if used >= due or used >= seconds:
            due += seconds / points
            error = watch(theta) if np.isfinite(theta).all() else float("nan")
            rows.append({"seconds": used, "steps": steps, "error": error})
            if not np.isfinite(error):
                break
    return rows
