"""Section 10: steps of CG that a warm start takes to fall below q(0) = 0."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rop import hf
from rop.experiments.problems import digits_autoencoder
from rop.experiments.registry import Findings, Problem, study
from rop.hf.recipe import Recipe
from rop.hf.state import State

_LENGTHS = (4, 8, 16, 32, 64, 128)
_PLACES = 3
_MOST = 100
_TRAINING = "along the training"


@study("catching-up", seconds=30)
def catching_up(seconds: float, seed: int, *, updates: int = 30) -> Findings:
    """Steps of CG until q < 0 from a warm start, against the length of the last run (sec. 10).

    At three places of a run an iteration of HF starts CG from 0 and lets it do a given number of
    steps; the next one starts from 0.95 times its last iterate.

    Parameters
    ----------
    seconds : float
        No update of the training begins after this time.
    seed : int
        Seed of θ_0.
    updates : int
        HF updates of the training.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels
    from rop.show.pictures.figures import whole

    problem = digits_autoencoder(seed)
    records, states = _trained(problem, seconds, updates)
    rows: list[dict[str, Any]] = [
        _row(_TRAINING, last.cg.steps, it)
        for last, it in zip(records, records[1:], strict=False)
        if it.cg.warm
    ]
    for place in range(1, _PLACES + 1):
        begun = replace(states[place * (len(states) - 1) // _PLACES], start=None)
        for length in _LENGTHS:
            first, state = _iteration(problem, begun, length)
            second, _ = _iteration(problem, state, _MOST)
            if second.cg.warm:
                rows.append(_row(f"from 0 at update {begun.iteration}", first.cg.steps, second))

    series = {
        name: (
            [row["last run"] for row in rows if row["run"] == name],
            [row["steps until q < 0"] for row in rows if row["run"] == name],
        )
        for name in dict.fromkeys(row["run"] for row in rows)
    }
    figure, (ax,) = panels(1, columns=1)
    longest = max(_LENGTHS)
    ax.plot((0, longest), (0, longest / 10), ":", color="#777777", lw=1, label="a tenth of it")
    if _TRAINING in series:
        ax.plot(*series[_TRAINING], "o", color="#777777", ms=4, label=_TRAINING)
    draw(
        ax,
        {name: line for name, line in series.items() if name != _TRAINING},
        "a warm start, 0.95 times the last iterate",
        "steps of the last run of CG",
        "steps until q < 0",
        marker="o",
    )
    ax.set_ylim(top=1.5 * ax.get_ylim()[1])  # room for the legend
    whole(ax.yaxis)
    text = "; ".join(
        f"{name}: " + ", ".join(f"{steps} after {last}" for last, steps in zip(*line, strict=True))
        for name, line in series.items()
    )
    return Findings({"steps": rows}, {"catching_up": figure}, f"Steps until q < 0. {text}.")


def _trained(
    problem: Problem, seconds: float, updates: int
) -> tuple[list[hf.Iteration], list[State]]:
    """The records of a run of HF, and the states from θ_0 on."""
    optimizer = _optimizer(problem, problem.recipe)
    records: list[hf.Iteration] = []
    states, used = [optimizer.state], 0.0
    while len(records) < updates and used < seconds:
        records.append(next(optimizer))
        states.append(optimizer.state)
        used += sum(records[-1].seconds.values())
    return records, states


def _optimizer(problem: Problem, recipe: Recipe) -> hf.HessianFree:
    return hf.HessianFree(problem.objective, problem.theta, problem.train, recipe, dtype=np.float32)


def _iteration(problem: Problem, state: State, steps: int) -> tuple[hf.Iteration, State]:
    """One iteration of HF with so many steps of CG, and the state after it."""
    optimizer = _optimizer(problem, problem.recipe.replace(max_steps=steps, progress=None))
    optimizer.state = state
    return next(optimizer), optimizer.state


def _row(name: str, last: int, it: hf.Iteration) -> dict[str, Any]:
    below = (step for step, q in enumerate(it.cg.q) if q < 0)
    return {
        "run": name,
        "iteration": it.number,
        "last run": last,
        "q at the start": it.cg.q[0],
        "steps until q < 0": next(below, None),
    }
