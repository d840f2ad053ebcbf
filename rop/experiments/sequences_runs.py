"""Runs on sequences from one θ_0, by HF and by first-order methods, until the problem is solved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.experiments.baselines import Gradient, adam, nesterov
from rop.experiments.measures import measure
from rop.experiments.registry import Problem
from rop.experiments.sequences_task import SUCCESS
from rop.experiments.watching import watched
from rop.hf.optimizer import HessianFree
from rop.hf.streams import Stream

Method: TypeAlias = Callable[[NDArray[Any], Gradient], Iterator[NDArray[Any]]]

FIRST_ORDER: dict[str, Method] = {
    "Nesterov, rate 0.01, momentum 0.9": lambda theta, g: nesterov(theta, g, 0.01, 0.9),
    "Nesterov, rate 0.001, momentum 0.98": lambda theta, g: nesterov(theta, g, 0.001, 0.98),
    "Adam, rate 0.001": lambda theta, g: adam(theta, g, 0.001),
    "Adam, rate 0.01": lambda theta, g: adam(theta, g, 0.01),
}
"""Methods to compare with; rates and momenta are among those of SMDH13."""

_MINIBATCH = 100  # sequences, as in SMDH13


@dataclass(frozen=True, eq=False)
class Attempt:
    """One attempt to solve a problem.

    Attributes
    ----------
    rows : list of dict
        "update", "seconds" of the processor without the measuring, and "wrong", from θ_0 on; of HF
        also "products", "lam", "steps" of CG and "f" on the gradient's sequences. Seconds of the
        processor do not depend on what else the machine is doing.
    """

    rows: list[dict[str, float]]

    @property
    def solved(self) -> bool:
        """Whether fewer than 1 % of the test sequences are wrong at the end."""
        return self.rows[-1]["wrong"] < SUCCESS

    def summary(self) -> dict[str, float | bool]:
        """Return what it took.

        Returns
        -------
        dict
            "solved", "wrong" at its best, and "updates" and "seconds" of the whole attempt.
        """
        last = self.rows[-1]
        return {
            "solved": self.solved,
            "wrong": min(row["wrong"] for row in self.rows),
            "updates": last["update"],
            "seconds": last["seconds"],
        }


def wrong(problem: Problem, theta: NDArray[Any]) -> float:
    """Return the part of the test sequences that are wrong.

    Parameters
    ----------
    problem : Problem
        The problem.
    theta : ndarray, shape (n,)
        θ.

    Returns
    -------
    float
        From 0 to 1; 1 where θ is not finite.
    """
    if not np.isfinite(theta).all():
        return 1.0
    return measure(problem.objective, theta, problem.test, problem.measures)["wrong"]


def hessian_free(problem: Problem, seconds: float, updates: int = 10**9) -> Attempt:
    """Run HF with the problem's recipe until the problem is solved or the time is up.

    Parameters
    ----------
    problem : Problem
        The problem.
    seconds : float
        No iteration begins after this time of the processor.
    updates : int
        The largest number of updates.

    Returns
    -------
    Attempt
    """
    run = HessianFree(
        problem.objective,
        problem.theta.astype(np.float32),
        problem.train,
        problem.recipe,
        dtype=np.float32,
    )
    used, products = 0.0, 0
    at_start = {"update": 0.0, "seconds": 0.0, "wrong": wrong(problem, run.state.theta)}
    rows = watched("HF", [at_start])
    while used < seconds and len(rows) <= updates and rows[-1]["wrong"] >= SUCCESS:
        began = time.process_time()
        it = next(run, None)
        used += time.process_time() - began
        if it is None:
            break
        products += it.cg.products
        rows.append(
            {
                "update": it.number + 1.0,
                "seconds": used,
                "wrong": wrong(problem, run.state.theta),
                "products": products,
                "lam": it.lam_before,
                "steps": it.cg.steps,
                "f": it.f_after,
            }
        )
    return Attempt(rows)


def first_order(
    problem: Problem, method: str, seconds: float, seed: int, points: int = 50
) -> Attempt:
    """Run a first-order method on minibatches until the problem is solved or the time is up.

    Parameters
    ----------
    problem : Problem
        The problem.
    method : str
        A key of `FIRST_ORDER`.
    seconds : float
        Processor time for the updates; measuring does not count.
    seed : int
        Seed of the minibatches from a fixed training set.
    points : int
        How often to measure, at equal times.

    Returns
    -------
    Attempt
    """
    theta = problem.theta.astype(np.float32)
    steps = FIRST_ORDER[method](theta, minibatch_gradient(problem, seed))
    used, count = 0.0, 0
    at_start = {"update": 0.0, "seconds": 0.0, "wrong": wrong(problem, theta)}
    rows = watched(method, [at_start])
    while used < seconds and np.isfinite(theta).all() and rows[-1]["wrong"] >= SUCCESS:
        until = len(rows) * seconds / points
        while used < until and np.isfinite(theta).all():
            began = time.process_time()
            with np.errstate(over="ignore", invalid="ignore"):
                theta = next(steps)
            used += time.process_time() - began
            count += 1
        rows.append({"update": float(count), "seconds": used, "wrong": wrong(problem, theta)})
    return Attempt(rows)


def minibatch_gradient(problem: Problem, seed: int) -> Gradient:
    """Return θ ↦ ∇f(θ) on 100 sequences, others at each call.

    Parameters
    ----------
    problem : Problem
        With a stream, of which every sequence is used once; or with a training set, of which all
        are taken where there are no more.
    seed : int
        Seed of the choice from a training set.

    Returns
    -------
    callable, (n,) -> (n,)
        NaN where θ, or the loss there, is not finite.
    """
    train, objective = problem.train, problem.objective
    batches = _parts(train) if isinstance(train, Stream) else _draws(train, seed)

    def gradient(theta: NDArray[Any]) -> NDArray[Any]:
        if not np.isfinite(theta).all():
            return np.full_like(theta, np.nan)
        return objective.linearize(theta, next(batches)).gradient()

    return gradient


def _parts(stream: Stream) -> Iterator[dict[str, NDArray[Any]]]:
    iteration = 0
    while True:
        batch = {name: np.asarray(array) for name, array in stream(iteration).items()}
        for first in range(0, len(batch["x"]), _MINIBATCH):
            yield {name: array[first : first + _MINIBATCH] for name, array in batch.items()}
        iteration += 1


def _draws(train: Mapping[str, Any], seed: int) -> Iterator[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(seed)
    batch = {name: np.asarray(array) for name, array in train.items()}
    total = len(batch["x"])
    while True:
        chosen = rng.permutation(total)[:_MINIBATCH]
        yield batch if total <= _MINIBATCH else {name: a[chosen] for name, a in batch.items()}
