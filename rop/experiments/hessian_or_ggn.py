"""Section 6: the spectra of H and G, and HF with either, damped and undamped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rop import hf
from rop.experiments.pictures import draw, panels
from rop.experiments.problems import digits
from rop.experiments.registry import Findings, study
from rop.experiments.runs import train_for

_CASES = 1000


@study("curvature", seconds=30)
def hessian_or_ggn(seconds: float, seed: int, *, updates: int = 20) -> Findings:
    """H against G on digits: eigenvalues, and 20 updates damped and undamped (secs. 6 and 8).

    Parameters
    ----------
    seconds : float
        Time for the four runs together; the spectra come on top.
    seed : int
        Seed of θ_0.
    updates : int
        Updates of each run.

    Returns
    -------
    Findings
    """
    problem = digits(seed, hidden="25")
    assert not isinstance(problem.train, hf.Stream)
    small = {name: np.asarray(array)[:_CASES] for name, array in problem.train.items()}
    problem = replace(problem, train=small)
    undamped = hf.Tikhonov(0.0, hf.LevenbergMarquardt(lowest=0.0))
    runs = {}
    for matrix, curvature in (("G", "ggn"), ("H", "hessian")):
        for damped in (True, False):
            recipe = hf.recipes.damped().replace(curvature=curvature, selection=hf.LastIterate())
            if not damped:
                recipe = replace(recipe, damping=undamped)
            name = f"{matrix}, {'damped' if damped else 'undamped'}"
            runs[name] = train_for(problem, seconds / 4, recipe, iterations=updates)

    figure, (of_spectrum, of_f) = panels(2)
    spectra = []
    shown: dict[str, tuple[list[int], list[float]]] = {}
    for place, theta in (("θ_0", problem.theta), ("after G", runs["G, damped"].state.theta)):
        at = problem.objective.linearize(theta, small, dtype=np.float64)
        for matrix, operator in (("G", at.G), ("H", at.H)):
            eigenvalues = np.linalg.eigvalsh(operator.matrix())
            threshold = len(eigenvalues) * np.finfo(np.float64).eps * np.abs(eigenvalues).max()
            spectra.append(
                {
                    "matrix": matrix,
                    "at": place,
                    "negative": int((eigenvalues < -threshold).sum()),
                    "positive": int((eigenvalues > threshold).sum()),
                    "least": float(eigenvalues[0]),
                    "largest": float(eigenvalues[-1]),
                }
            )
            if place == "θ_0":
                for sign, chosen in (
                    ("> 0", eigenvalues[eigenvalues > threshold]),
                    ("< 0", -eigenvalues[eigenvalues < -threshold]),
                ):
                    if chosen.size:
                        rank = list(range(1, chosen.size + 1))
                        shown[f"{matrix}, {sign}"] = rank, np.sort(chosen)[::-1].tolist()
    draw(of_spectrum, shown, "|eigenvalues| at θ_0", "rank", "|eigenvalue|", log="y")
    series = {
        name: (
            [it.number for it in run.records],
            [it.f_before for it in run.records],
        )
        for name, run in runs.items()
    }
    draw(of_f, series, "f at the first updates", "update", "f (nats)", log="y", marker=".")
    rows: list[dict[str, Any]] = [
        {
            "run": name,
            "f": run.records[-1].f_after,
            "full update raised f": sum(it.rho == -np.inf for it in run.records),
            "rejected": sum(it.step.alpha == 0 for it in run.records),
            "negative curvature met": sum(
                it.cg.reason == "negative curvature" for it in run.records
            ),
            "updates": len(run.records),
            "λ": run.state.lam,
        }
        for name, run in runs.items()
    ]
    text = "; ".join(
        f"{row['run']}: f = {row['f']:.3g}, {row['full update raised f']} of {row['updates']} full "
        f"updates raised f" + (f", last λ {row['λ']:.2g}" if row["λ"] else "")
        for row in rows
    )
    return Findings({"runs": rows, "spectra": spectra}, {"curvature": figure}, text)
