"""Section 11: how many steps CG needs with which preconditioner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rop import hf
from rop.experiments.pictures import draw, panels
from rop.experiments.registry import EXPERIMENTS, Findings, study
from rop.experiments.runs import small_curves, train_for
from rop.experiments.watching import watched
from rop.objective.linearization import Linearization

_EXPONENTS = (0.25, 0.5, 0.75, 1.0)
_PARTS = (0.5, 0.9, 0.99)
_LOWER = 1e-2  # as training goes on, λ falls by orders of magnitude


@study("preconditioning", seconds=60)
def preconditioning(
    seconds: float, seed: int, *, updates: int = 40, steps: int = 500, on: str = "curves"
) -> Findings:
    """Steps of CG to a share of the least q, by exponent ξ and diagonal, at two λ (sec. 11).

    The two λ are that of the training and a hundredth of it: the larger the damping λI, the less a
    preconditioner can improve.

    Parameters
    ----------
    seconds : float
        Time to train before the runs of CG, unless the updates are done before.
    seed : int
        Seed of θ_0.
    updates : int
        HF updates before the runs of CG.
    steps : int
        Steps of CG that count as all.
    on : str
        "curves" for the deep autoencoder, or an experiment of `rop train`, at its θ_0 and first λ.

    Returns
    -------
    Findings
    """
    problem = small_curves(seed) if on == "curves" else EXPERIMENTS[on].build(seed)
    data = problem.train(0) if isinstance(problem.train, hf.Stream) else problem.train
    cases = min(500, len(np.asarray(next(iter(data.values())))))
    batch = {name: np.asarray(array)[:cases] for name, array in data.items()}
    if on == "curves":
        state = train_for(problem, seconds, iterations=updates).state
        theta, lam = state.theta, state.lam
    else:
        theta, lam = problem.theta.astype(np.float32), problem.recipe.damping.lam
    at = problem.objective.linearize(theta, batch)
    figure, axes = panels(2)
    rows = watched("CG", [])
    said = []
    for ax, strength in zip(axes, (lam, _LOWER * lam), strict=True):
        runs = runs_of_cg(at, strength, steps, seed)
        least = min(q[-1] for q in runs.values())
        found = [
            {"λ": strength, "preconditioner": name, **reached(q, least)} for name, q in runs.items()
        ]
        rows += found
        shown = {
            name: (list(range(len(q))), [max(1 - value / least, 1e-6) for value in q])
            for name, q in runs.items()
            if name == "none" or name.endswith(("0.5", "0.75", "= 1"))
        }
        title = f"{on}, {problem.objective.n:,} parameters, {cases} cases, λ = {strength:.2g}"
        draw(ax, shown, title, "CG step j", "(q(x$_j$) - q*) / |q*|", log="y")
        needed = {row["preconditioner"]: row[_heading(0.9)] for row in found}
        said.append(
            f"λ = {strength:.2g}: {needed['none']} without, "
            f"{needed['empirical Fisher, ξ = 0.75']} with the empirical Fisher and ξ = 0.75, "
            f"{needed['Chapelle-Erhan, ξ = 0.75']} with Chapelle and Erhan's diagonal."
        )
    text = "Steps to 90 % of the least q. " + " ".join(said)
    return Findings({"steps": rows}, {"preconditioning": figure}, text)


def runs_of_cg(
    at: Linearization,
    strength: float,
    steps: int,
    seed: int,
    exponents: Sequence[float] = _EXPONENTS,
) -> dict[str, list[float]]:
    """Return q after every step of CG from 0 on (G + λI)x = -∇f, by preconditioner.

    Parameters
    ----------
    at : Linearization
        The objective at θ.
    strength : float
        λ.
    steps : int
        Steps of each run.
    seed : int
        Seed of Chapelle and Erhan's diagonal.
    exponents : sequence of float
        The exponents ξ of P = (d + λ)^ξ.

    Returns
    -------
    dict of str to list of float
        q by "none" and names such as "empirical Fisher, ξ = 0.75".
    """
    b, lam = -at.gradient(), np.float32(strength)

    def run(exponent: float, diagonal: Any) -> list[float]:
        inverse = (diagonal + lam) ** -np.float32(exponent)
        return hf.pcg(
            lambda v: at.ggnvp(v) + lam * v, b, None, lambda r: inverse * r, max_steps=steps
        ).q

    diagonals = {
        "empirical Fisher": at.diagonal("empirical-fisher"),
        "Chapelle-Erhan": at.diagonal("chapelle-erhan", seed=seed),
    }
    return {
        "none": run(0.0, diagonals["empirical Fisher"]),
        **{
            f"{name}, ξ = {exponent:g}": run(exponent, d)
            for name, d in diagonals.items()
            for exponent in exponents
        },
    }


def reached(q: list[float], least: float) -> dict[str, float | None]:
    """Return the first steps at which q reaches parts of the least q.

    Parameters
    ----------
    q : list of float
        q after every step.
    least : float
        The least q of all runs.

    Returns
    -------
    dict of str to float or None
        "steps to 50% of q*" and so on, None where q does not come so far, and "last q".
    """
    steps = {
        _heading(part): next((j for j, value in enumerate(q) if value <= part * least), None)
        for part in _PARTS
    }
    return {**steps, "last q": q[-1]}


def _heading(part: float) -> str:
    return f"steps to {part:.0%} of q*"
