"""Long-range problems: HF with and without structural damping, and first-order methods."""

from __future__ import annotations

from typing import Any

from rop.errors import RopValueError
from rop.experiments.registry import EXPERIMENTS, Findings, study
from rop.experiments.sequences import TASKS
from rop.experiments.sequences_runs import FIRST_ORDER, Attempt, first_order, hessian_free
from rop.support.words import either

_DAMPING = {"HF, structural damping": 1 / 30, "HF, Tikhonov only": 0.0}


@study("long-range", seconds=600)
def long_range(
    seconds: float,
    seed: int,
    *,
    problem: str = "memorization-5",
    length: int = 50,
    seeds: int = 3,
    first_order_too: bool = True,
) -> Findings:
    """Long-range problem by HF with and without structural damping, Nesterov and Adam (sec. 8.4).

    Parameters
    ----------
    seconds : float
        Time for all attempts, in seconds of the processor without the measuring; each attempt has
        an equal share of it and ends sooner if the problem is solved.
    seed : int
        The first seed of θ_0 and of the sequences; all methods start from the same θ_0.
    problem : str
        One of the pathological problems, such as "addition".
    length : int
        T.
    seeds : int
        Attempts of each method.
    first_order_too : bool
        Whether Nesterov and Adam are among the methods.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    if problem not in TASKS:
        raise RopValueError(f"problem must be {either(TASKS)}; got {problem!r}")
    others = list(FIRST_ORDER) if first_order_too else []
    share = seconds / seeds / (len(_DAMPING) + len(others))
    build = EXPERIMENTS[problem].build
    attempts: dict[str, list[Attempt]] = {name: [] for name in (*_DAMPING, *others)}
    for own in range(seed, seed + seeds):
        for name, mu in _DAMPING.items():
            attempts[name].append(hessian_free(build(own, length=length, mu=mu), share))
        for name in others:
            made = build(own, length=length)
            attempts[name].append(first_order(made, name, share, own))
    rows: list[dict[str, Any]] = [
        {"method": name, "seed": seed + i, **attempt.summary()}
        for name, several in attempts.items()
        for i, attempt in enumerate(several)
    ]
    curves: list[dict[str, Any]] = [
        {"method": name, "seed": seed + i, **row}
        for name, several in attempts.items()
        for i, attempt in enumerate(several)
        for row in attempt.rows
    ]
    figure, (errors, strengths, lengths) = panels(3, columns=3)
    first = {name: several[0].rows for name, several in attempts.items()}
    draw(
        errors,
        {name: _line(rows, "seconds", "wrong") for name, rows in first.items()},
        f"{problem}, T = {length}, seed {seed}",
        "seconds of the processor",
        "part of the test sequences that are wrong",
    )
    for axes, key, title, log in (
        (strengths, "lam", "λ", "y"),
        (lengths, "steps", "steps of CG", ""),
    ):
        draw(
            axes,
            {name: _line(first[name][1:], "update", key) for name in _DAMPING},
            f"{title} at each update of HF",
            "update",
            title,
            log=log,
        )
    text = f"{problem} at T = {length}, {share:.0f} s for each attempt. " + " ".join(
        f"{name}: {sum(a.solved for a in several)} of {seeds} solved"
        + "".join(
            f", {a.rows[-1]['update']:.0f} updates in {a.rows[-1]['seconds']:.0f} s"
            for a in several
            if a.solved
        )
        + f" (least wrong {min(a.summary()['wrong'] for a in several):.2g})."
        for name, several in attempts.items()
    )
    return Findings({"attempts": rows, "curves": curves}, {"long_range": figure}, text)


def _line(rows: list[dict[str, float]], x: str, y: str) -> tuple[list[float], list[float]]:
    return [row[x] for row in rows], [row[y] for row in rows]
