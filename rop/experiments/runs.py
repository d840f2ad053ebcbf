"""Runs of HF for a given time, measured after every iteration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rop import hf
from rop.experiments.measures import measure
from rop.experiments.metering import Metered
from rop.experiments.problems import curves
from rop.experiments.registry import Problem
from rop.experiments.watching import watched
from rop.hf.recipes import Recipe


@dataclass(frozen=True, eq=False)
class Run:
    """A run of HF.

    Attributes
    ----------
    rows : list of dict
        "iteration", "seconds" of the processor without the measuring, "gradients" that cost as much
        as the work so far, "steps" of CG and "error", from the start on.
    records : list of Iteration
        Every decision.
    state : State
        θ, λ and CG's last iterate at the end.
    """

    rows: list[dict[str, float]]
    records: list[hf.Iteration]
    state: hf.State

    def column(self, name: str) -> list[float]:
        """Return a column of the rows.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        list of float
        """
        return [row[name] for row in self.rows]


def error(problem: Problem, theta: NDArray[Any]) -> float:
    """Return the problem's first measure on the training set, or f if it has none.

    Parameters
    ----------
    problem : Problem
        The problem.
    theta : ndarray, shape (n,)
        θ.

    Returns
    -------
    float
    """
    assert not isinstance(problem.train, hf.Stream)
    name = next(iter(problem.measures), "f")
    return measure(problem.objective, theta, problem.train, problem.measures)[name]


def train_for(
    problem: Problem,
    seconds: float,
    recipe: Recipe | None = None,
    iterations: int = 10**9,
    dtype: DTypeLike = np.float32,
) -> Run:
    """Run HF for a given time; measuring does not count.

    Parameters
    ----------
    problem : Problem
        The problem.
    seconds : float
        No iteration begins after this time of the processor.
    recipe : Recipe, optional
        The settings; by default the problem's.
    iterations : int
        The largest number of iterations.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    Run
    """
    assert not isinstance(problem.train, hf.Stream)
    metered = Metered(problem.objective, np.shape(next(iter(problem.train.values())))[0])
    optimizer = hf.HessianFree(
        metered,
        problem.theta,
        problem.train,
        problem.recipe if recipe is None else recipe,
        dtype=dtype,
    )
    used, steps = 0.0, 0
    rows = watched("HF", [_row(0, used, 0.0, steps, error(problem, optimizer.theta))])
    records: list[hf.Iteration] = []
    while used < seconds and len(records) < iterations:
        began = process_time()
        it = next(optimizer, None)
        used += process_time() - began
        if it is None:
            break
        records.append(it)
        steps += it.cg.steps
        now = error(problem, optimizer.theta)
        rows.append(_row(it.number + 1, used, metered.gradients, steps, now))
    return Run(rows, records, optimizer.state)


def errors_after(rows: Sequence[Mapping[str, float]], *works: float) -> dict[str, float | None]:
    """Return the errors of a run after given amounts of work.

    Parameters
    ----------
    rows : sequence of mapping
        Rows with "gradients" and "error", such as those of a `Run`.
    *works : float
        Numbers of gradients on all cases.

    Returns
    -------
    dict of str to float or None
        "error after 300 gradients" and so on; None where the run ended before.
    """
    return {
        f"error after {work:g} gradients": None
        if rows[-1]["gradients"] < work
        else max((row for row in rows if row["gradients"] <= work), key=_work)["error"]
        for work in works
    }


def _work(row: Mapping[str, float]) -> float:
    return row["gradients"]


def small_curves(seed: int, init: str = "sparse", images: int = 3000) -> Problem:
    """Build the problem of many studies: curves of 14 x 14 pixels, 196-100-50-25-6 and back.

    Parameters
    ----------
    seed : int
        Seed of θ_0.
    init : str
        Scheme of θ_0.
    images : int
        Training images.

    Returns
    -------
    Problem
        52,552 parameters; the curvature sees a sixth of the images.
    """
    return curves(seed, size=14, images=images, init=init, lam=1.0, curvature=1 / 6)


def mean_image_error(problem: Problem) -> float:
    """Return the squared error of the mean image, the plateau where learning gets stuck.

    Parameters
    ----------
    problem : Problem
        An autoencoder's.

    Returns
    -------
    float
        The variance about the mean, summed over the pixels.
    """
    assert not isinstance(problem.train, hf.Stream)
    x = np.asarray(problem.train["x"])
    return float(x.var(axis=0, dtype=np.float64).sum())


def _row(
    iteration: int, seconds: float, gradients: float, steps: int, error: float
) -> dict[str, float]:
    return {
        "iteration": iteration,
        "seconds": seconds,
        "gradients": gradients,
        "steps": steps,
        "error": error,
    }
