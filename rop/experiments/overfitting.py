"""Section 12.2: an update overfits the minibatch that CG saw, and what helps."""

from __future__ import annotations

from typing import Any

from rop import hf
from rop.experiments.along_cg import changes, damped_run, part, shuffled
from rop.experiments.problems import digits
from rop.experiments.registry import Findings, study
from rop.experiments.runs import train_for

_LARGER = 8
_LAM, _DAMPING = 1 / 30, 10.0
_STOP = 10


@study("overfitting", seconds=15)
def overfitting(
    seconds: float, seed: int, *, updates: int = 4, cases: int = 200, steps: int = 60
) -> Findings:
    """An update overfits the minibatch that CG saw, and what each remedy leaves (sec. 12.2).

    Gradient and curvature are of the same few cases. What counts is f on cases that CG did not see.
    λ is a thirtieth of that of the training, so that little but the remedy holds the update back.

    Parameters
    ----------
    seconds : float
        Time to train before the run of CG, unless the updates are done before.
    seed : int
        Seed of θ_0 and of the minibatch.
    updates : int
        HF updates before the runs of CG.
    cases : int
        Cases of the minibatch; the larger one has eight times as many.
    steps : int
        Steps of CG.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    problem = digits(seed)
    assert not isinstance(problem.train, hf.Stream)
    state = train_for(problem, seconds, iterations=updates).state
    theta, lam, objective = state.theta, _LAM * state.lam, problem.objective
    data = shuffled(problem.train, seed)
    larger = _LARGER * cases
    small, validating = part(data, 0, cases), part(data, larger, larger + cases)
    sets = {"batch": small, "other data": part(data, larger + cases)}

    def along(batch: Any, strength: float, on: Any) -> list[dict[str, float]]:
        solution = damped_run(objective, theta, batch, strength, steps)
        return changes(objective, theta, solution.iterates, on)

    alone = along(small, lam, {**sets, "second batch": validating})
    wide = along(part(data, 0, larger), lam, {**sets, "batch": part(data, 0, larger)})
    damped = along(small, _DAMPING * lam, sets)
    backtracked = min(alone, key=lambda row: row["f, second batch"])
    stopped = alone[min(_STOP, len(alone)) - 1]
    remedies = {
        "none": alone[-1],
        f"{_LARGER} times the cases": wide[-1],
        f"{_DAMPING:g} times the λ": damped[-1],
        f"stop after {_STOP} steps": stopped,
        "backtracking on a second batch": backtracked,
    }
    rows = [
        {
            "remedy": name,
            "step": row["step"],
            "q, batch": row["q, batch"],
            "f, batch": row["f, batch"],
            "f, other data": row["f, other data"],
        }
        for name, row in remedies.items()
    ]

    figure, (of_both, of_remedies) = panels(2)
    both = {
        f"{kind}, {name}": _line(alone, f"{kind}, {name}") for name in sets for kind in ("q", "f")
    }
    title = f"{cases} cases, no remedy"
    draw(of_both, both, title, "CG step j", "change from θ (nats)")
    lowest = min(min(ys) for _, ys in both.values())
    of_both.set_ylim(1.1 * lowest, -lowest)  # room for the legend
    kept = {
        "no remedy": alone,
        f"{_LARGER} times the cases": wide,
        f"{_DAMPING:g} times the λ": damped,
    }
    for name, row, marker in (
        (f"stop after {_STOP} steps", stopped, "s"),
        ("backtracking on a second batch", backtracked, "v"),
    ):
        of_remedies.plot(
            row["step"], row["f, other data"], marker, color="#222222", ms=7, mfc="none", label=name
        )
    draw(
        of_remedies,
        {name: _line(own, "f, other data") for name, own in kept.items()},
        "f on other data, by remedy",
        "CG step j",
        "change from θ (nats)",
    )
    bottom, top = of_remedies.get_ylim()
    of_remedies.set_ylim(bottom, top + 0.75 * (top - bottom))
    text = (
        f"λ = {lam:.2g}, change of f on CG's {cases} cases and on other data: "
        + "; ".join(
            f"{row['remedy']} {row['f, batch']:.3g} and {row['f, other data']:.3g}" for row in rows
        )
        + "."
    )
    return Findings({"remedies": rows, "along": alone}, {"overfitting": figure}, text)


def _line(rows: list[dict[str, float]], name: str) -> tuple[list[float], list[float]]:
    return [row["step"] for row in rows], [row[name] for row in rows]
