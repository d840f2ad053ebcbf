"""Section 8.5: ρ falls along CG, so λ depends on when CG stops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from rop import hf
from rop.experiments.along_cg import changes, damped_run, part, shuffled
from rop.experiments.problems import digits
from rop.experiments.registry import Findings, study
from rop.experiments.runs import train_for

_CASES, _DECAY = 1000, 0.95
_RISE = "until f rises"


@study("feedback", seconds=60)
def feedback(seconds: float, seed: int, *, updates: int = 40, steps: int = 100) -> Findings:
    """ρ along one run of CG, and how λ and CG's length depend on each other (sec. 8.5).

    Three runs of HF differ in where CG stops: at a fixed number of steps, a small or a large one,
    or as soon as f rises. The run of CG is at the θ where the first of them ends.

    Parameters
    ----------
    seconds : float
        Time for the three runs of HF together, unless the updates are done before.
    seed : int
        Seed of θ_0.
    updates : int
        HF updates of each run.
    steps : int
        The largest number of steps of CG; the smaller one is three tenths of it.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    problem = digits(seed)
    assert not isinstance(problem.train, hf.Stream)
    batch = part(shuffled(problem.train, seed), 0, _CASES)
    problem = replace(problem, train=batch)
    fewer = max(3 * steps // 10, 1)
    runs = {}
    for name, most, rise in (
        (f"{fewer} steps", fewer, None),
        (f"{steps} steps", steps, None),
        (_RISE, steps, hf.ObjectiveRise(every=1, window=1)),
    ):
        recipe = problem.recipe.replace(
            max_steps=most, progress=None, rise=rise, selection=hf.LastIterate(), decay=_DECAY
        )
        runs[name] = train_for(problem, seconds / 3, recipe, iterations=updates)

    state = runs[f"{fewer} steps"].state
    starts: dict[str, NDArray[Any] | None] = {"from 0": None}
    if state.start is not None:
        starts[f"from {_DECAY:g} times the last"] = state.theta.dtype.type(_DECAY) * state.start
    along: list[dict[str, Any]] = []
    for start, x in starts.items():
        solution = damped_run(problem.objective, state.theta, batch, state.lam, steps, x)
        rows = changes(problem.objective, state.theta, solution.iterates, {"": batch})
        along += [
            {"start": start, "step": row["step"], "q": row["q, "], "f": row["f, "], "ρ": _rho(row)}
            for row in rows
        ]
    figure, (of_rho, of_lam, of_length) = panels(3, columns=3)
    shown = {
        start: (
            [row["step"] for row in along if row["start"] == start and row["ρ"] is not None],
            [row["ρ"] for row in along if row["start"] == start and row["ρ"] is not None],
        )
        for start in starts
    }
    draw(of_rho, shown, f"one run of CG, λ = {state.lam:.2g}", "CG step j", "ρ of the iterate")
    for bound, meaning, lift in ((0.25, "λ rises below 1/4", -9), (0.75, "λ falls above 3/4", 2)):
        of_rho.axhline(bound, color="#777777", lw=0.8, ls=":")
        of_rho.annotate(
            meaning, (1, bound), (0, lift), ("axes fraction", "data"), "offset points",
            ha="right", fontsize=7.5, color="#777777",
        )  # fmt: skip
    of_rho.set_ylim(0, 1.05)
    numbers = {name: [it.number for it in run.records] for name, run in runs.items()}
    draw(
        of_lam,
        {n: (numbers[n], [it.lam_before for it in run.records]) for n, run in runs.items()},
        "damping, by CG's stop",
        "update",
        "λ (f / θ²)",
        log="y",
    )
    draw(
        of_length,
        {n: (numbers[n], [it.cg.steps for it in run.records]) for n, run in runs.items()},
        "length of CG, by its stop",
        "update",
        "CG steps",
    )
    legend = of_length.get_legend()
    assert legend is not None
    legend.remove()  # that of the panel before serves both
    table = [
        {
            "CG stops": name,
            "least λ": min(it.lam_before for it in run.records),
            "last λ": run.records[-1].lam_before,
            "last length": run.records[-1].cg.steps,
            "f": run.records[-1].f_after,
        }
        for name, run in runs.items()
    ]
    path = [
        {
            "CG stops": name,
            "iteration": it.number,
            "λ": it.lam_before,
            "ρ": it.rho,
            "CG steps": it.cg.steps,
        }
        for name, run in runs.items()
        for it in run.records
    ]
    text = "; ".join(
        f"{row['CG stops']}: least λ {row['least λ']:.2g}, last λ {row['last λ']:.2g}, last run "
        f"of {row['last length']} steps, f = {row['f']:.3g}"
        for row in table
    )
    for start, (js, rhos) in shown.items():
        text += f"; ρ {start}: " + ", ".join(
            f"{rho:.2g} at step {j:g}"
            for j, rho in zip(js, rhos, strict=True)
            if j in (1, 3, 10, fewer, steps)
        )
    tables = {"runs": table, "path": path, "along": along}
    return Findings(tables, {"feedback": figure}, text)


def _rho(row: dict[str, float]) -> float | None:
    """Δf / q where q predicts a fall; elsewhere the ratio says nothing."""
    return row["f, "] / row["q, "] if row["q, "] < 0 else None
