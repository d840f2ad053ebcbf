"""Section 10: CG that starts from its decayed last iterate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rop.experiments.pictures import lines
from rop.experiments.registry import Findings, study
from rop.experiments.runs import Run, errors_after, small_curves, train_for

_DECAYS = (0.0, 0.5, 0.95, 1.0)
_WORKS = (300, 900)  # gradients


@study("warm-start", seconds=160)
def warm_start(seconds: float, seed: int) -> Findings:
    """Training with ζ = 0, 0.5, 0.95 and 1 for the same time each (sec. 10).

    Parameters
    ----------
    seconds : float
        Processor time for the four runs together.
    seed : int
        Seed of θ_0.

    Returns
    -------
    Findings
    """
    problem = small_curves(seed)
    runs = {
        f"ζ = {decay:g}": train_for(
            problem, seconds / len(_DECAYS), replace(problem.recipe, decay=decay)
        )
        for decay in _DECAYS
    }
    rows = [summary(name, run, *_WORKS) for name, run in runs.items()]
    figure = lines(
        {name: (run.column("seconds"), run.column("error")) for name, run in runs.items()},
        "Autoencoder of curves, 14 x 14: CG starts from ζ times its last iterate",
        "seconds of the processor",
        "training squared error",
        log="y",
    )
    best = min(rows, key=lambda row: row["error"])
    text = f"Least training error: {best['error']:.3g} with {best['run']}; without warm starts " + (
        f"{rows[0]['error']:.3g}."
    )
    curves = [{"run": name, **row} for name, run in runs.items() for row in run.rows]
    return Findings({"runs": rows, "curves": curves}, {"warm_start": figure}, text)


def summary(name: str, run: Run, *works: float) -> dict[str, Any]:
    """Summarise a run of HF in a row.

    Parameters
    ----------
    name : str
        The name of the run.
    run : Run
        The run.
    *works : float
        Numbers of gradients on all cases.

    Returns
    -------
    dict
        Error after each work and at the end, seconds, gradients of the same cost, updates,
        rejected updates, steps of CG, λ.
    """
    return {
        "run": name,
        **errors_after(run.rows, *works),
        "error": run.rows[-1]["error"],
        "seconds": run.rows[-1]["seconds"],
        "gradients": run.rows[-1]["gradients"],
        "updates": len(run.records),
        "rejected": sum(it.step.alpha == 0 for it in run.records),
        "CG steps": run.rows[-1]["steps"],
        "λ": run.state.lam,
    }
