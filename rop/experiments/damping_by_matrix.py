"""Section 8.3: damping with D = I, diag(G) and G itself, which only makes the update shorter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop import hf
from rop.experiments.along_cg import part, shuffled
from rop.experiments.problems import digits
from rop.experiments.registry import Findings, study
from rop.experiments.runs import train_for

_CASES = 1000
_LAMS = tuple(10.0**k for k in np.arange(-3, 4.1, 0.5))


@study("damping-matrices", seconds=15)
def damping_matrices(seconds: float, seed: int, *, updates: int = 3, steps: int = 200) -> Findings:
    """f after updates of any length with D = I, diag(G) and G; D = G only rescales δ (sec. 8.3).

    With D = G the damped matrix is (1 + λ)G, and every iterate of CG from 0 is 1/(1 + λ) of the
    undamped one: what a learning rate or a line search does. The λ of D = I is in multiples of the
    mean of diag(G).

    Parameters
    ----------
    seconds : float
        Time to train before the updates, unless the number of updates is done before.
    seed : int
        Seed of θ_0.
    updates : int
        HF updates before those that are compared.
    steps : int
        Steps of CG of each.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import lines

    problem = digits(seed, hidden="25")
    assert not isinstance(problem.train, hf.Stream)
    batch = part(shuffled(problem.train, seed), 0, _CASES)
    problem = replace(problem, train=batch)
    theta = train_for(problem, seconds, iterations=updates).state.theta.astype(np.float64)
    at = problem.objective.linearize(theta, batch, dtype=np.float64)
    b, d = -at.gradient(), at.diagonal("exact")
    mean = float(d.mean())

    def update(D: Any, lam: float) -> NDArray[Any]:
        return hf.pcg(lambda v: at.ggnvp(v) + lam * D(v), b, max_steps=steps, residual=1e-12).x

    matrices = {"D = I": lambda v: mean * v, "D = diag(G)": lambda v: d * v, "D = G": at.ggnvp}
    undamped = update(np.zeros_like, 0.0)
    rows: list[dict[str, Any]] = []
    for lam in _LAMS:
        for name, D in matrices.items():
            delta = update(D, lam)
            shorter = undamped / (1 + lam)
            rows.append(
                {
                    "D": name,
                    "λ": lam,
                    "‖δ‖": float(np.linalg.norm(delta)),
                    "change of f": problem.objective.value(theta + delta, batch) - at.value,
                    "‖δ - δ₀/(1 + λ)‖ / ‖δ‖": float(
                        np.linalg.norm(delta - shorter) / np.linalg.norm(delta)
                    ),
                }
            )
    of = {name: [row for row in rows if row["D"] == name] for name in matrices}
    figure = lines(
        {
            name: ([row["‖δ‖"] for row in own], [row["change of f"] for row in own])
            for name, own in of.items()
        },
        "f after one update of any length, by the damping matrix D",
        "‖δ‖",
        "change of f (nats)",
        log="x",
        marker="o",
    )
    least = {name: min(own, key=lambda row: row["change of f"]) for name, own in of.items()}
    figure.axes[0].set_ylim(
        1.15 * min(row["change of f"] for row in least.values()),
        -0.6 * min(row["change of f"] for row in least.values()),
    )
    text = (
        "; ".join(
            f"{name}: f changes by {row['change of f']:.3g} at best, with λ = {row['λ']:.2g} and "
            f"‖δ‖ = {row['‖δ‖']:.2g}"
            for name, row in least.items()
        )
        + ". D = G differs from 1/(1 + λ) times the undamped update by "
        + f"{max(row['‖δ - δ₀/(1 + λ)‖ / ‖δ‖'] for row in of['D = G']):.1g} at most."
    )
    return Findings({"updates": rows}, {"damping_matrices": figure}, text)
