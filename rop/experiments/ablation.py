"""What each part of the default recipe does: small problems to high accuracy, and three others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any

from rop import hf
from rop.errors import RopValueError
from rop.experiments.registry import Findings, study
from rop.experiments.versus_problems import RACES, SMALL
from rop.experiments.versus_scipy import GAPS, Path, run, work

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECIPES: dict[str, hf.Recipe] = {
    "default": hf.Recipe(),
    "no pairs": hf.Recipe(pairs=None),
    "λ from 1, adapted by ρ, instead of CG's length": hf.Recipe(
        damping=hf.Tikhonov(1.0, hf.LevenbergMarquardt()), length=None
    ),
    "no forcing terms": hf.Recipe().replace(forcing=None),
    "pairs alone, P = I": hf.Recipe(preconditioner=hf.NoPreconditioner()),
    "κ = 1e-4 of the mean instead of 0.1": hf.Recipe().replace(relative_kappa=1e-4),
    "longer runs tried again at once (`patience=1`)": hf.Recipe().replace(patience=1),
    "the curvature's cases grow (`growth=Growth()`)": hf.Recipe(growth=hf.Growth()),
    "10 pairs": hf.Recipe(pairs=hf.QuasiNewton(most=10)),
    "20 pairs": hf.Recipe(pairs=hf.QuasiNewton(most=20)),
    "160 pairs": hf.Recipe(pairs=hf.QuasiNewton(most=160)),
}
"""The default recipe with one part changed, by what is changed."""

_WORKS = (20, 100, 400)  # gradients
_AT = tuple(f"at {most}" for most in _WORKS)
_TARGETS = ("digits autoencoder", "curves autoencoder, 14 x 14", "digits, W2 = 10⁴ θ2")


@study("ablation", seconds=1500)
def ablation(seconds: float, seed: int, *, only: str = "") -> Findings:
    """The default recipe with one part changed at a time, by work, beside L-BFGS.

    On five small problems: the work until f is at what L-BFGS (SciPy's, 10 pairs) has after 20, 100
    and 400 gradients, over its own work; below 1 HF is ahead. The logistic regression has one
    minimum, so there it is the work to 1e-1, 1e-3 and 1e-6 of the gap, over that of L-BFGS. On
    three problems of the comparison: the gradient-equivalents to their target f. All in float64.

    Parameters
    ----------
    seconds : float
        The longest time for all runs together.
    seed : int
        Seed of θ_0.
    only : str
        Run this recipe alone.

    Returns
    -------
    Findings
    """
    recipes = {name: recipe for name, recipe in RECIPES.items() if only in ("", name)}
    if not recipes:
        raise RopValueError(f"ablation: only must be one of {list(RECIPES)}, got {only!r}")
    share = seconds / ((len(recipes) + 1) * len(SMALL) + len(recipes) * len(_TARGETS))
    ratios: list[dict[str, Any]] = []
    for problem, make in SMALL.items():
        race = make(seed)
        lbfgs = run(race, "L-BFGS-B", race.most, share)
        targets = _targets(problem, lbfgs)
        for name, recipe in recipes.items():
            path = run(race, "HF", race.most, share, recipe, until=min(targets.values()))
            row = {"recipe": name, "problem": problem, "parameters": race.objective.n}
            found = {at: _over(work(path, f), work(lbfgs, f)) for at, f in targets.items()}
            ratios.append({**row, "cases": race.cases, **found})
    rows: list[dict[str, Any]] = []
    for name in recipes:
        own = [row for row in ratios if row["recipe"] == name]
        rows.append(
            {"recipe": name, **{f"small, {at}": _median([row[at] for row in own]) for at in _AT}}
        )
    for problem in _TARGETS:
        race = RACES[problem](seed)
        assert race.target is not None
        for row in rows:
            recipe = recipes[str(row["recipe"])]
            path = run(race, "HF", race.most, share, recipe, until=race.target)
            row[problem] = work(path, race.target)
    told = [f"{row['recipe']}: " + ", ".join(map(_told, list(row.values())[1:])) for row in rows]
    head = f"median work over that of L-BFGS ({', '.join(_AT)}); gradients ({', '.join(_TARGETS)})"
    return Findings(
        {"ratios": ratios, "recipes": rows}, {"ablation": _drawn(rows)}, "\n".join([head, *told])
    )


def _targets(problem: str, lbfgs: Path) -> dict[str, float]:
    """What HF has to reach: f of L-BFGS after some work, or parts of the gap."""
    if problem == "logistic regression":
        best = lbfgs[-1]["f"]
        return {at: best + gap * (lbfgs[0]["f"] - best) for at, gap in zip(_AT, GAPS, strict=True)}
    return {
        at: min(row["f"] for row in lbfgs if row["gradients"] <= most)
        for at, most in zip(_AT, _WORKS, strict=True)
    }


def _over(needed: float | None, lbfgs: float | None) -> float | None:
    return None if needed is None or not lbfgs else needed / lbfgs


def _median(ratios: Sequence[float | None]) -> float | None:
    """The median, in which a run that did not come there is above all others."""
    middle = median(inf if ratio is None else ratio for ratio in ratios)
    return middle if middle < inf else None


def _told(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"


def _drawn(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the work of each recipe over that of the first."""
    from rop.show.pictures.figures import BLUE, GREEN, ORANGE, VERMILLION, Picture

    figure = Picture(8.0, 0.8 + 0.4 * len(rows))
    axis = figure.subplots()
    heights = range(len(rows), 0, -1)
    looks = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "D"), (ORANGE, "^"))
    columns = [f"small, {_AT[-1]}", *_TARGETS]
    for column, (colour, marker) in zip(columns, looks, strict=False):
        base = rows[0][column]
        known = [
            (row[column] / base, height)
            for row, height in zip(rows, heights, strict=True)
            if base and row[column]
        ]
        axis.plot(
            *zip(*known, strict=True) if known else ((), ()), marker, color=colour, label=column
        )
    axis.axvline(1, color="#777777", lw=0.8, ls=":")
    axis.set_xscale("log")
    axis.set_yticks(heights, [str(row["recipe"]).replace("`", "") for row in rows])
    axis.set_xlabel(f"work over that of the recipe {rows[0]['recipe']!r}")
    axis.legend(fontsize=7.5, frameon=False)
    return figure
