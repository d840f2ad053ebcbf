"""Section 8.5: λ, ρ and rejected updates from three initial values of λ."""

from __future__ import annotations

from dataclasses import replace

from rop.experiments.pictures import draw, panels
from rop.experiments.registry import Findings, study
from rop.experiments.runs import small_curves, train_for
from rop.experiments.training import recipe_named
from rop.experiments.warm_starts import summary
from rop.hf import columns
from rop.show import plot

_FIRST = (0.01, 1.0, 45.0)
_WORKS = (300, 600)  # gradients


@study("damping", seconds=90)
def damping_path(seconds: float, seed: int) -> Findings:
    """The path of λ and ρ by the Levenberg-Marquardt rule, from λ = 0.01, 1 and 45 (sec. 8.5).

    Parameters
    ----------
    seconds : float
        Processor time for the three runs together.
    seed : int
        Seed of θ_0.

    Returns
    -------
    Findings
    """
    problem = small_curves(seed)
    runs = {}
    for lam in _FIRST:
        begun = replace(problem, settings={**problem.settings, "lam": lam})
        recipe = recipe_named("martens2010", begun)
        runs[f"λ₀ = {lam:g}"] = train_for(problem, seconds / len(_FIRST), recipe)
    figure, (of_lam, of_rho, of_steps, of_error) = panels(4)
    numbers = {name: [it.number for it in run.records] for name, run in runs.items()}
    for ax, column, title, unit, log in (
        (of_lam, "lam_before", "damping", "λ (f / θ²)", "y"),
        (of_rho, "rho", "reduction ratio, cut at -0.5", "ρ", ""),
        (of_steps, "cg.steps", "length of CG", "CG steps", ""),
    ):
        series = {
            name: (numbers[name], [max(value, -0.5) for value in columns(run.records)[column]])
            for name, run in runs.items()
        }
        draw(ax, series, title, "iteration", unit, log=log)
    errors = {name: (run.column("iteration"), run.column("error")) for name, run in runs.items()}
    draw(of_error, errors, "training squared error", "iteration", "squared error", log="y")
    rows = [summary(name, run, *_WORKS) for name, run in runs.items()]
    path = [
        {
            "run": name,
            "iteration": it.number,
            "λ": it.lam_before,
            "ρ": it.rho,
            "CG steps": it.cg.steps,
            "α": it.step.alpha,
        }
        for name, run in runs.items()
        for it in run.records
    ]
    text = "; ".join(
        f"{row['run']}: {row['updates']} updates, {row['rejected']} rejected, last λ "
        f"{row['λ']:.2g}, error {row['error']:.3g}"
        for row in rows
    )
    for ax in (of_rho, of_steps, of_error):
        legend = ax.get_legend()
        assert legend is not None
        legend.remove()  # that of the first panel serves all
    pictures = {"damping": figure, "run": plot.run(runs["λ₀ = 1"].records)}
    return Findings({"runs": rows, "path": path}, pictures, text)
