"""Curves of 28 x 28 pixels with a middle-sized net: HF, SGD and Nesterov's method."""

from __future__ import annotations

from rop.experiments.initialisations import first_order
from rop.experiments.pictures import lines
from rop.experiments.problems import curves
from rop.experiments.registry import Findings, study
from rop.experiments.runs import mean_image_error, train_for
from rop.experiments.training import recipe_named

_HF = {"HF": "default", "HF, martens2010": "martens2010"}
_METHODS = ("SGD, rate 0.1", "NAG 0.99, rate 0.03")


@study("curves28", seconds=800)
def curves28(seconds: float, seed: int, *, images: int = 4000, lam: float = 1.0) -> Findings:
    """HF, SGD and NAG on 784-200-100-50-25-6 and back, 4,000 curves of 28 x 28 pixels.

    Parameters
    ----------
    seconds : float
        Processor time for all runs together, the same for each.
    seed : int
        Seed of θ_0 and of the minibatches.
    images : int
        Training images.
    lam : float
        The first λ of martens2010.

    Returns
    -------
    Findings
    """
    problem = curves(
        seed, size=28, images=images, hidden="200-100-50-25-6", lam=lam, curvature=1 / 6
    )
    share = seconds / (len(_HF) + len(_METHODS))
    runs = {
        name: train_for(problem, share, recipe_named(recipe, problem)).rows
        for name, recipe in _HF.items()
    }
    for name in _METHODS:
        runs[name] = first_order(problem, name, share, seed)
    figure = lines(
        {
            name: ([row["seconds"] for row in run], [row["error"] for row in run])
            for name, run in runs.items()
        },
        f"Autoencoder of {images:,} curves, 28 x 28, {problem.objective.n:,} parameters",
        "seconds of the processor",
        "training squared error",
        log="y",
    )
    at = []
    for name, run in runs.items():
        for part in (0.2, 0.4, 0.6, 0.8, 1.0):
            reached = [row for row in run if row["seconds"] <= part * share] or run[:1]
            last = {column: reached[-1][column] for column in ("error", "gradients")}
            at.append({"method": name, "seconds": part * share, **last})
    rows = [{"method": name, **row} for name, run in runs.items() for row in run]
    text = f"Mean image {mean_image_error(problem):.3g}. " + " ".join(
        f"{name}: {run[-1]['error']:.3g} after {run[-1]['seconds']:.0f} s."
        for name, run in runs.items()
    )
    return Findings({"at": at, "curves": rows}, {"curves28": figure}, text)
