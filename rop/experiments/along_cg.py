"""Model and objective along a run of CG, on any cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop import hf
from rop.hf.solution import Iterate
from rop.hf.vectors import dot
from rop.objective.objective import Objective

Batch = Mapping[str, NDArray[Any]]


def damped_run(
    objective: Objective,
    theta: NDArray[Any],
    batch: Batch,
    lam: float,
    steps: int,
    start: NDArray[Any] | None = None,
) -> hf.Solution:
    """Run CG on (G + λI)δ = -∇f, both on the same cases, and keep every iterate.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ.
    batch : mapping of str to ndarray
        The cases.
    lam : float
        λ.
    steps : int
        The largest number of steps.
    start : ndarray, shape (n,), optional
        Where CG starts; 0 by default.

    Returns
    -------
    Solution
        CG ends early only where it has nothing more to gain.
    """
    at, strength = objective.linearize(theta, batch), theta.dtype.type(lam)
    return hf.pcg(
        lambda v: at.ggnvp(v) + strength * v,
        -at.gradient(),
        start,
        max_steps=steps,
        residual=1e-6,
        store=range(1, steps + 1),
    )


def changes(
    objective: Objective,
    theta: NDArray[Any],
    iterates: Sequence[Iterate],
    sets: Mapping[str, Batch],
) -> list[dict[str, float]]:
    """Compute the change of f and the undamped q at CG's iterates, on several sets of cases.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ.
    iterates : sequence of Iterate
        The iterates δ.
    sets : mapping of str to mapping of str to ndarray
        The sets of cases by name.

    Returns
    -------
    list of dict
        For each iterate "step", "q damped", and "f, NAME" and "q, NAME" for each set: f(θ + δ) -
        f(θ), and q(δ) with gradient and G of these cases.
    """
    rows: list[dict[str, float]] = [
        {"step": iterate.steps, "q damped": iterate.q} for iterate in iterates
    ]
    for name, cases in sets.items():
        at = objective.linearize(theta, cases)
        before, gradient = at.value, at.gradient()
        for row, iterate in zip(rows, iterates, strict=True):
            delta = iterate.x
            row[f"f, {name}"] = objective.value(theta + delta, cases) - before
            row[f"q, {name}"] = dot(gradient, delta) + dot(delta, at.ggnvp(delta)) / 2
    return rows


def part(batch: Batch, begin: int, end: int | None = None) -> dict[str, NDArray[Any]]:
    """Return some cases of a batch.

    Parameters
    ----------
    batch : mapping of str to ndarray
        The batch.
    begin, end : int
        The first case, and the one after the last; by default all that follow.

    Returns
    -------
    dict of str to ndarray
        Views.
    """
    return {name: array[begin:end] for name, array in batch.items()}


def shuffled(batch: Mapping[str, Any], seed: int) -> dict[str, NDArray[Any]]:
    """Return the cases of a batch in a random order.

    Parameters
    ----------
    batch : mapping of str to ndarray
        The batch.
    seed : int
        Seed of the order.

    Returns
    -------
    dict of str to ndarray
        Copies.
    """
    cases = len(next(iter(batch.values())))
    order = np.random.default_rng(seed).permutation(cases)
    return {name: np.asarray(array)[order] for name, array in batch.items()}
