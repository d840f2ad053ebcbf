"""Section 13: the recipes, and the gradient on more data than the curvature or on the same."""

from __future__ import annotations

from dataclasses import replace

from rop.experiments.pictures import lines
from rop.experiments.registry import Findings, study
from rop.experiments.runs import small_curves, train_for
from rop.experiments.training import recipe_named
from rop.experiments.warm_starts import summary
from rop.hf.recipes import MAKERS

_WORKS = (300, 600)  # gradients


@study("recipes", seconds=300)
def recipes_compared(seconds: float, seed: int) -> Findings:
    """The recipes of section 13, the plainest and the default, for the same time each.

    Parameters
    ----------
    seconds : float
        Processor time for all runs together.
    seed : int
        Seed of θ_0.

    Returns
    -------
    Findings
    """
    problem = small_curves(seed)
    names = [name for name in MAKERS if name != "adaptive_hf"]  # another paper's
    recipes = {name: recipe_named(name, problem) for name in names}
    first = recipes["martens2010"]
    recipes["martens2010, gradient on the curvature's cases"] = replace(
        first, batches=replace(first.batches, gradient=1 / 6, curvature=1.0)
    )
    runs = {name: train_for(problem, seconds / len(recipes), it) for name, it in recipes.items()}
    rows = [summary(name, run, *_WORKS) for name, run in runs.items()]
    figure = lines(
        {name: (run.column("seconds"), run.column("error")) for name, run in runs.items()},
        "Autoencoder of curves, 14 x 14: the recipes of section 13",
        "seconds of the processor",
        "training squared error",
        log="y",
    )
    text = "Training error: " + ", ".join(f"{row['run']} {row['error']:.3g}" for row in rows) + "."
    curves = [{"run": name, **row} for name, run in runs.items() for row in run.rows]
    return Findings({"runs": rows, "curves": curves}, {"recipes": figure}, text)
