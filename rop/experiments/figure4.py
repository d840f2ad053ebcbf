"""Figure 4: the objective turns up along CG long before the quadratic model stops falling."""

from __future__ import annotations

import numpy as np

from rop import hf
from rop.experiments.along_cg import changes
from rop.experiments.registry import Findings, study
from rop.experiments.runs import small_curves, train_for


@study("4", seconds=60)
def figure4(
    seconds: float, seed: int, *, updates: int = 40, steps: int = 250, every: int = 2
) -> Findings:
    """Figure 4: model and objective along one run of CG, on three sets of cases (sec. 8.7).

    Parameters
    ----------
    seconds : float
        Time to train before the run of CG, unless the updates are done before.
    seed : int
        Seed of θ_0.
    updates : int
        HF updates before the run of CG.
    steps : int
        Steps of CG.
    every : int
        Compute f and q each time after this many steps.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    problem = small_curves(seed)
    run = train_for(problem, seconds, iterations=updates)
    theta, lam, objective = run.state.theta, run.state.lam, problem.objective
    x = np.asarray(problem.train["x"])  # type: ignore[index]
    sixth = len(x) // 6
    sets = {"curvature batch": x[:sixth], "other batch": x[sixth : 2 * sixth], "all cases": x}

    whole = objective.linearize(theta, {"x": x})
    gradient, d = whole.gradient(), whole.diagonal("empirical-fisher") + np.float32(lam)
    inverse = (d**-0.75).astype(theta.dtype)
    curvature = objective.linearize(theta, {"x": sets["curvature batch"]})
    start = None if run.state.start is None else (np.float32(0.95) * run.state.start)
    wanted = range(every, steps + 1, every)
    solution = hf.pcg(
        lambda v: curvature.ggnvp(v) + np.float32(lam) * v,
        -gradient,
        start,
        lambda r: inverse * r,
        max_steps=steps,
        store=wanted,
    )
    rows = changes(
        objective, theta, solution.iterates, {name: {"x": own} for name, own in sets.items()}
    )
    js = [row["step"] for row in rows]
    best = {name: min(rows, key=lambda row: row[f"f, {name}"])["step"] for name in sets}
    last = max(4 * max(best.values()), *(_all_but_done(rows, f"q, {name}") for name in sets))
    figure, axes = panels(3, columns=3)
    for ax, name in zip(axes, sets, strict=True):
        both = {kind: (js, [row[f"{kind}, {name}"] for row in rows]) for kind in ("q", "f")}
        draw(ax, both, f"change along CG, {name}", "CG step j", "change from θ (nats)")
        lowest = min(min(ys) for _, ys in both.values())
        ax.set_ylim(1.1 * lowest, -1.1 * lowest)
        ax.set_xlim(0, min(last, js[-1]))
    text = (
        f"After {len(run.records)} updates, λ = {lam:.3g}: f is least after "
        + ", ".join(f"{step:g} steps ({name})" for name, step in best.items())
        + f"; the damped model falls until step {solution.steps}."
    )
    least = [{"cases": name, "steps to the least f": step, "λ": lam} for name, step in best.items()]
    return Findings({"along": rows, "least": least}, {"figure4": figure}, text)


def _all_but_done(rows: list[dict[str, float]], model: str) -> float:
    """The step at which a model has done 99 % of its fall; the rest is flat."""
    lowest = min(row[model] for row in rows)
    return next(row["step"] for row in rows if row[model] <= 0.99 * lowest)
