"""HF, plain SGD and Nesterov's method from three initialisations (HF10; SMDH13)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rop.experiments import baselines
from rop.experiments.pictures import draw, panels
from rop.experiments.registry import Findings, Problem, study
from rop.experiments.runs import error, errors_after, mean_image_error, small_curves, train_for
from rop.experiments.training import recipe_named

_INITS = ("sparse", "normal", "glorot")
# Method -> learning rate and largest momentum (None: plain SGD).
_METHODS: dict[str, tuple[float, float | None]] = {
    "SGD, rate 0.1": (0.1, None),
    "SGD, rate 0.3": (0.3, None),
    "NAG 0.99, rate 0.03": (0.03, 0.99),
}
_WORK = 300  # gradients
_ERROR = "training squared error"
# Recipe of HF -> its name for `recipe_named`.
_HF = {"HF": "default", "HF, martens2010": "martens2010"}


@study("initialisations", seconds=450)
def initialisations(seconds: float, seed: int) -> Findings:
    """HF, SGD and Nesterov's method from sparse, dense and Glorot weights (HF10, SMDH13).

    Parameters
    ----------
    seconds : float
        Processor time for all runs together, the same for each.
    seed : int
        Seed of θ_0 and of the minibatches.

    Returns
    -------
    Findings
    """
    share = seconds / len(_INITS) / (len(_HF) + len(_METHODS))
    figure, axes = panels(len(_INITS), columns=len(_INITS))
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    stuck = 0.0
    for init, ax in zip(_INITS, axes, strict=True):
        problem = small_curves(seed, init)
        stuck = mean_image_error(problem)
        runs = {
            name: train_for(problem, share, recipe_named(recipe, problem)).rows
            for name, recipe in _HF.items()
        }
        for name in _METHODS:
            runs[name] = first_order(problem, name, share, seed)
        for name, run in runs.items():
            last = run[-1]
            rows.append(
                {
                    "init": init,
                    "method": name,
                    **errors_after(run, _WORK),
                    **{column: last[column] for column in ("error", "seconds", "gradients")},
                }
            )
            curves += [{"init": init, "method": name, **row} for row in run]
        series = {
            name: ([row["seconds"] for row in run], [row["error"] for row in run])
            for name, run in runs.items()
        }
        draw(ax, series, f"{init} weights", "seconds of the processor", _ERROR, log="y")
        ax.axhline(stuck, color="#777777", lw=0.8, ls=":")
    at = {(row["init"], row["method"]): row["error"] for row in rows}
    text = f"The mean image has the error {stuck:.3g} (dotted). " + " ".join(
        f"{init}: HF {at[init, 'HF']:.3g}, martens2010 {at[init, 'HF, martens2010']:.3g}, SGD "
        f"{np.nanmin([at[init, name] for name in _METHODS if name.startswith('SGD')]):.3g}, "
        f"NAG {at[init, 'NAG 0.99, rate 0.03']:.3g}."
        for init in _INITS
    )
    return Findings({"errors": rows, "curves": curves}, {"initialisations": figure}, text)


def first_order(
    problem: Problem, name: str, seconds: float, seed: int, cases: int = 200
) -> list[dict[str, float]]:
    """Run one of the first-order methods in float32.

    Parameters
    ----------
    problem : Problem
        The problem.
    name : str
        A key of the methods.
    seconds : float
        The time of the processor.
    seed : int
        Seed of the minibatches.
    cases : int
        Size of the minibatches.

    Returns
    -------
    list of dict
        Rows of "seconds", "steps", "error" and "gradients" on all cases of the same cost.
    """
    rate, momentum = _METHODS[name]
    theta = problem.theta.astype(np.float32)
    gradient = baselines.minibatch_gradient(
        problem.objective,
        problem.train,  # type: ignore[arg-type]
        cases,
        seed,
    )
    method = (
        baselines.sgd(theta, gradient, rate)
        if momentum is None
        else baselines.nesterov(theta, gradient, rate, momentum)
    )
    rows = baselines.run(method, seconds, lambda theta: error(problem, theta))
    share = cases / np.shape(next(iter(problem.train.values())))[0]  # type: ignore[union-attr]
    return [{**row, "gradients": share * row["steps"]} for row in rows]
