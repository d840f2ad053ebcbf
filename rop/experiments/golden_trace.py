"""CURVES at full size beside the log that the author released with his code in 2011."""

from __future__ import annotations

from typing import Any

from rop.experiments.pictures import draw, panels
from rop.experiments.problems import curves
from rop.experiments.registry import Findings, study
from rop.experiments.runs import mean_image_error, train_for

ERRORS = {
    **{1: 107.0, 3: 24.2, 8: 16.9, 15: 16.9, 26: 16.6, 30: 16.4, 45: 13.7, 60: 8.5, 70: 4.35},
    **{80: 1.09, 100: 0.38, 125: 0.22, 150: 0.17, 200: 0.138, 250: 0.129, 300: 0.125},
}
"""Update -> training squared error after it, of Martens' run of 300 updates (float64 MATLAB)."""

# Update -> λ there: it begins at 45.
_LAMS = {1: 45.0, 2: 30.0, 3: 20.0, 4: 13.3, 15: 0.23, 28: 20.0, 50: 0.046, 80: 1.2e-3, 200: 1e-6}
# Update -> steps of CG there.
_STEPS = {50: 54, 60: 89, 78: 250, 300: 250}


@study("golden-trace", seconds=1800)
def golden_trace(seconds: float, seed: int, *, images: int = 20_000) -> Findings:
    """CURVES-like autoencoder at full size beside Martens' released log of 2011 (HF10).

    Parameters
    ----------
    seconds : float
        The time.
    seed : int
        Seed of θ_0.
    images : int
        Training images.

    Returns
    -------
    Findings
    """
    problem = curves(seed, images=images)
    run = train_for(problem, seconds, iterations=300)
    numbers = [it.number + 1 for it in run.records]
    figure, (of_error, of_lam, of_steps) = panels(3, columns=3)
    theirs = "Martens' log"
    draw(
        of_error,
        {
            "rop": (numbers, run.column("error")[1:]),
            theirs: (list(ERRORS), list(ERRORS.values())),
        },
        "training squared error",
        "update",
        "squared error",
        log="y",
        marker=".",
    )
    of_error.axhline(mean_image_error(problem), color="#777777", lw=0.8, ls=":")
    ours = [it.lam_before for it in run.records]
    draw(
        of_lam,
        {"rop": (numbers, ours), theirs: (list(_LAMS), list(_LAMS.values()))},
        "damping",
        "update",
        "λ",
        log="y",
        marker=".",
    )
    steps = [it.cg.steps for it in run.records]
    draw(
        of_steps,
        {"rop": (numbers, steps), theirs: (list(_STEPS), list(_STEPS.values()))},
        "length of CG",
        "update",
        "CG steps",
        marker=".",
    )
    rows: list[dict[str, Any]] = [
        {
            "update": it.number + 1,
            "error": row["error"],
            "Martens' error": ERRORS.get(it.number + 1),
            "λ": it.lam_before,
            "ρ": it.rho,
            "CG steps": it.cg.steps,
            "chosen": it.chosen,
            "products": it.work.products,
            "seconds": sum(it.seconds.values()),
        }
        for it, row in zip(run.records, run.rows[1:], strict=True)
    ]
    text = (
        f"{len(rows)} updates in {run.rows[-1]['seconds']:.0f} s, "
        f"{sum(row['products'] for row in rows)} products; error {run.rows[-1]['error']:.4g}, that "
        f"of the mean image {mean_image_error(problem):.4g}."
    )
    return Findings({"updates": rows}, {"golden_trace": figure}, text)
