"""Section 8.1: Krylov subspace descent against HF with equal time, and per product."""

from __future__ import annotations

from dataclasses import replace

from rop import hf
from rop.experiments.pictures import draw, panels
from rop.experiments.registry import Findings, study
from rop.experiments.runs import Run, small_curves, train_for
from rop.experiments.warm_starts import summary
from rop.hf.batches import Batches
from rop.hf.damping import Undamped
from rop.hf.krylov import KrylovDescent
from rop.hf.recipes import Recipe

_WORKS = (300, 600)  # gradients


@study("krylov", seconds=120)
def krylov_descent(seconds: float, seed: int, *, dimension: int = 20) -> Findings:
    """Krylov subspace descent (Vinyals & Povey 2012), 30 evaluations, against HF.

    Parameters
    ----------
    seconds : float
        Processor time for the two runs together.
    seed : int
        Seed of θ_0.
    dimension : int
        Dimension of the Krylov subspace.

    Returns
    -------
    Findings
    """
    problem = small_curves(seed)
    assert isinstance(problem.recipe, Recipe)
    krylov = replace(
        problem.recipe,
        cg=KrylovDescent(dimension, evaluations=30),
        damping=Undamped(),
        selection=hf.LastIterate(),
        preconditioner=hf.NoPreconditioner(),
        batches=Batches(curvature=1 / 6, selection=1 / 6, seed=None, fewest=1),
    )
    recipes = {"HF (martens2010)": problem.recipe, f"KSD, K = {dimension}": krylov}
    runs = {name: train_for(problem, seconds / 2, recipe) for name, recipe in recipes.items()}
    figure, (by_time, by_product) = panels(2)
    title = "Autoencoder of curves, 14 x 14"
    error = "training squared error"
    of_time = {name: (run.column("seconds"), run.column("error")) for name, run in runs.items()}
    of_work = {name: (_products(run), run.column("error")) for name, run in runs.items()}
    draw(by_time, of_time, title, "seconds of the processor", error, log="y")
    draw(by_product, of_work, title, "products Gv", error, log="y")
    rows = [
        {**summary(name, run, *_WORKS), "products": _products(run)[-1]}
        for name, run in runs.items()
    ]
    curves = [
        {"run": name, "products": products, **row}
        for name, run in runs.items()
        for products, row in zip(_products(run), run.rows, strict=True)
    ]
    text = "; ".join(
        f"{row['run']}: error {row['error']:.3g} after {row['products']} products, "
        f"{row['seconds']:.0f} s"
        for row in rows
    )
    return Findings({"runs": rows, "curves": curves}, {"krylov": figure}, text)


def _products(run: Run) -> list[int]:
    """The products with the curvature up to each row of a run."""
    done = [0]
    for it in run.records:
        done.append(done[-1] + it.work.products)
    return done
