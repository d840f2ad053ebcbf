"""Section 11: what preconditioners gain on recurrent nets."""

from __future__ import annotations

from typing import Any

import numpy as np

from rop import hf
from rop.experiments.along_cg import part
from rop.experiments.pictures import draw, panels
from rop.experiments.preconditioning import reached, runs_of_cg
from rop.experiments.registry import EXPERIMENTS, Findings, study
from rop.experiments.watching import watched

_PROBLEMS = ("memorization-5", "temporal-order", "addition")
_EXPONENT = 0.75
_PARTS = (1.0, 1e-2)


@study("preconditioning-rnn", seconds=45)
def preconditioning_rnn(
    seconds: float,
    seed: int,
    *,
    updates: int = 8,
    steps: int = 150,
    length: int = 30,
    sequences: int = 200,
) -> Findings:
    """Steps of CG on recurrent nets to a share of the least q, with and without P (sec. 11).

    The nets have 100 tanh units. At the λ of the training, and at a hundredth of it.

    Parameters
    ----------
    seconds : float
        Time to train on all problems together, unless the updates are done before.
    seed : int
        Seed of θ_0 and of the sequences.
    updates : int
        HF updates before the runs of CG.
    steps : int
        Steps of CG that count as all.
    length : int
        T.
    sequences : int
        Sequences of an update and of the runs of CG; memorization has 32.

    Returns
    -------
    Findings
    """
    rows = watched("CG", [])
    said = []
    figure, axes = panels(len(_PROBLEMS), columns=len(_PROBLEMS))
    for ax, name in zip(axes, _PROBLEMS, strict=True):
        drawn = {} if name == "memorization-5" else {"sequences": sequences}
        problem = EXPERIMENTS[name].build(seed, length=length, mu=0.0, **drawn)
        optimizer = hf.HessianFree(
            problem.objective, problem.theta, problem.train, problem.recipe, dtype=np.float32
        )
        used = 0.0
        while optimizer.state.iteration < updates and used < seconds / len(_PROBLEMS):
            used += sum(next(optimizer).seconds.values())
        data = problem.train(0) if isinstance(problem.train, hf.Stream) else problem.train
        batch = part({key: np.asarray(array) for key, array in data.items()}, 0, sequences)
        at = problem.objective.linearize(optimizer.theta, batch)
        for share in _PARTS:
            lam = share * optimizer.state.lam
            runs = runs_of_cg(at, lam, steps, seed, [_EXPONENT])
            least = min(q[-1] for q in runs.values())
            found: list[dict[str, Any]] = [
                {"problem": name, "λ": lam, "preconditioner": of, **reached(q, least)}
                for of, q in runs.items()
            ]
            rows += found
            needed = ", ".join(
                f"{row['preconditioner']} {row['steps to 90% of q*'] or f'over {steps}'}"
                for row in found
            )
            said.append(f"{name}, λ = {lam:.2g}: {needed}.")
            if share == 1:
                shown = {
                    of: (list(range(len(q))), [max(1 - value / least, 1e-4) for value in q])
                    for of, q in runs.items()
                }
                title = f"{name}, T = {length}, λ = {lam:.2g}"
                draw(ax, shown, title, "CG step j", "(q(x$_j$) - q*) / |q*|", log="y")
    text = "Steps to 90 % of the least q. " + " ".join(said)
    return Findings({"steps": rows}, {"preconditioning_rnn": figure}, text)
