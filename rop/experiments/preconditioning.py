"""Section 11: how many steps CG needs with which preconditioner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop import hf
from rop.experiments.registry import EXPERIMENTS, Findings, study
from rop.experiments.runs import small_curves, train_for

_EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_PARTS = (0.9, 0.99, 0.999)


@study("preconditioning", seconds=60)
def preconditioning(
    seconds: float, seed: int, *, updates: int = 40, steps: int = 500, on: str = "curves"
) -> Findings:
    """Steps of CG to a share of the least q, by exponent ξ and diagonal (sec. 11).

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
        "curves" for the deep autoencoder, or an experiment of `rop train`.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import lines

    problem = small_curves(seed) if on == "curves" else EXPERIMENTS[on].build(seed)
    data = problem.train(0) if isinstance(problem.train, hf.Stream) else problem.train
    cases = min(500, len(np.asarray(next(iter(data.values())))))
    batch = {name: np.asarray(array)[:cases] for name, array in data.items()}
    if on == "curves":
        state = train_for(problem, seconds, iterations=updates).state
        theta, lam = state.theta, np.float32(state.lam)
    else:
        theta, lam = problem.theta.astype(np.float32), np.float32(problem.recipe.damping.lam)
    at = problem.objective.linearize(theta, batch)
    b = -at.gradient()

    def run(inverse: NDArray[Any] | None) -> list[float]:
        P = None if inverse is None else (lambda r: inverse * r)
        return hf.pcg(lambda v: at.ggnvp(v) + lam * v, b, None, P, max_steps=steps).q

    diagonals: Mapping[str, NDArray[Any]] = {
        "empirical Fisher": at.diagonal("empirical-fisher"),
        "Chapelle-Erhan": at.diagonal("chapelle-erhan", seed=seed),
    }
    runs = {"none": run(None)}
    for name, d in diagonals.items():
        for exponent in _EXPONENTS[1:]:
            runs[f"{name}, ξ = {exponent:g}"] = run((d + lam) ** -exponent)
    least = min(q[-1] for q in runs.values())
    rows: list[dict[str, Any]] = []
    for name, q in runs.items():
        reached = {
            f"steps to {part:.1%} of q*": next(
                (j for j, value in enumerate(q) if value <= part * least), None
            )
            for part in _PARTS
        }
        rows.append({"preconditioner": name, **reached, f"q after {len(q) - 1}": q[-1]})
    shown = {
        name: (list(range(len(q))), [max(1 - value / least, 1e-6) for value in q])
        for name, q in runs.items()
        if name == "none" or name.endswith(("0.5", "0.75", "= 1"))
    }
    figure = lines(
        shown,
        f"{on}, {problem.objective.n:,} parameters, {cases} cases, λ = {lam:.3g}",
        "CG step j",
        "(q(x$_j$) - q*) / |q*|",
        log="y",
    )
    key = f"steps to {_PARTS[1]:.1%} of q*"
    reached_by = {row["preconditioner"]: row[key] for row in rows}
    best = min((v, k) for k, v in reached_by.items() if v is not None)
    text = (
        f"99 % of the least q: without a preconditioner after {reached_by['none']} steps, at best "
        f"after {best[0]} ({best[1]}), with the empirical Fisher and ξ = 0.75 after "
        f"{reached_by['empirical Fisher, ξ = 0.75']}."
    )
    return Findings({"steps": rows}, {"preconditioning": figure}, text)
