"""HF against SciPy's optimizers, by gradient-equivalents and by time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any, TypeAlias

import numpy as np
import scipy.optimize

from rop import hf
from rop.errors import RopValueError
from rop.experiments.metering import Metered
from rop.experiments.registry import Findings, study
from rop.experiments.versus_problems import RACES, Race
from rop.experiments.watching import watched
from rop.objective.scipy import ScipyFunctions

Path: TypeAlias = list[dict[str, float]]

METHODS = ("HF", "L-BFGS-B", "Newton-CG", "trust-ncg", "trust-krylov")
GAPS = (1e-1, 1e-3, 1e-6)
# The plots end here: the last digits of f are rounding errors.
_LEAST = 1e-9


@study("comparison", seconds=1200)
def versus_scipy(
    seconds: float, seed: int, *, only: str = "", most: float = float("inf")
) -> Findings:
    """Gradient-equivalents to parts of f's gap: HF against SciPy's optimizers on ten problems.

    The gap is f(θ_0) - f*, and the targets are f* + 1e-1, 1e-3 and 1e-6 of the gap. f*, the best
    known f, is the least f that any of the methods reached in this run, from this θ_0. A method
    stops after the gradient-equivalents that the problem allows: 2,000, but 200 for the
    autoencoders and 120 for the Fashion-MNIST classifier. If no method is near a minimum by then,
    or if they are near different ones, 1e-3 and 1e-6 say little more than which method ended
    lowest. So five problems have a target f besides.

    "HF" is the default recipe. A gradient-equivalent is the multiplications of one gradient of all
    cases, for all methods: everything that is computed counts, in proportion to its number of
    cases. On the same cases a loss alone is about 1/3 of a gradient, Gv 4/3
    and Hv 2 (erratum M24). All in float64. A method also stops when its share of the time is over;
    time that a run leaves goes to the later runs.

    Parameters
    ----------
    seconds : float
        The longest time for all runs together.
    seed : int
        Seed of θ_0.
    only : str
        Run this problem alone.
    most : float
        The gradient-equivalents of a run, where the problem allows more.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    races = {name: make for name, make in RACES.items() if only in ("", name)}
    if not races:
        raise RopValueError(f"comparison: only must be one of {list(RACES)}, got {only!r}")
    end, runs = time.perf_counter() + seconds, len(races) * len(METHODS)
    figure, axes = panels(len(races), columns=min(2, len(races)))
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    lines = []
    for ax, (name, make) in zip(axes, races.items(), strict=True):
        race = make(seed)
        paths: dict[str, Path] = {}
        for method in METHODS:
            share = (end - time.perf_counter()) / (runs - len(rows) - len(paths))
            paths[method] = run(race, method, min(most, race.most), share)
        found = _reached(race, paths)
        rows += [{"problem": name, "parameters": race.objective.n, **row} for row in found]
        curves += [
            {"problem": name, "method": method, **row}
            for method, path in paths.items()
            for row in path
        ]
        lines.append(f"{name} (f from {found[0]['f(θ_0)']:.4g} to {found[0]['best f']:.4g}): ")
        lines[-1] += ", ".join(f"{row['method']} {_told(row)}" for row in found)
        best = found[0]["best f"]
        gap = (found[0]["f(θ_0)"] - best) or 1.0
        series = {
            method: (
                [row["gradients"] for row in path],
                [max((row["f"] - best) / gap, _LEAST) for row in path],
            )
            for method, path in paths.items()
        }
        draw(ax, series, name, "gradient-equivalents", "part of f's gap left", log="xy")
        for part in GAPS:
            ax.axhline(part, color="#777777", lw=0.8, ls=":")
    text = "\n".join([f"gradient-equivalents to {', '.join(map(str, GAPS))} of f's gap", *lines])
    return Findings({"table": rows, "curves": curves}, {"comparison": figure}, text)


def _reached(race: Race, paths: dict[str, Path]) -> list[dict[str, Any]]:
    """The work of each method to each target, None where it was not reached."""
    start = paths["HF"][0]["f"]
    best = min(path[-1]["f"] for path in paths.values())
    targets = {f"to {gap:g} of the gap": best + gap * (start - best) for gap in GAPS}
    if race.target is not None:
        targets["to the target"] = race.target
    return [
        {
            "method": method,
            "f(θ_0)": start,
            "best f": best,
            "target": race.target,
            **{name: work(path, target) for name, target in targets.items()},
            "f": path[-1]["f"],
            "done": path[-1]["gradients"],
            "seconds": path[-1]["seconds"],
        }
        for method, path in paths.items()
    ]


def work(path: Path, target: float) -> float | None:
    """Return the gradient-equivalents until f is at a target, or None."""
    return next((row["gradients"] for row in path if row["f"] <= target), None)


def _told(row: dict[str, Any]) -> str:
    works = [work for name, work in row.items() if name.startswith("to ")]
    return " / ".join("-" if work is None else f"{work:.0f}" for work in works)


class _Stopped(Exception):
    """The end of the work or the time, or f at the target."""


def run(
    race: Race,
    method: str,
    most: float,
    seconds: float,
    recipe: hf.Recipe | None = None,
    *,
    until: float = -inf,
) -> Path:
    """Run a method until it stops by itself or must: the least f so far, whenever it fell.

    Parameters
    ----------
    race : Race
        The problem.
    method : str
        One of `METHODS`.
    most, seconds : float
        The gradient-equivalents and the time after which it is stopped.
    recipe : Recipe, optional
        The recipe of HF; by default the default one.
    until : float
        The f at which it is stopped.

    Returns
    -------
    list of dict
        Gradient-equivalents, seconds and f.
    """
    metered = Metered(race.objective, race.cases)
    path = watched(method, [])
    began = time.perf_counter()

    def enter(f: float) -> None:
        used = time.perf_counter() - began
        path.append({"gradients": metered.gradients, "seconds": used, "f": f})

    def stop_in_time() -> None:
        if metered.gradients > most or time.perf_counter() - began > seconds:
            raise _Stopped

    def note(f: float) -> None:
        if f < path[-1]["f"]:
            enter(f)
        if f <= until:
            raise _Stopped
        stop_in_time()

    enter(race.objective.value(race.theta, race.batch))
    with suppress(_Stopped):
        if method == "HF":
            iterations = hf.HessianFree(metered, race.theta, race.batch, recipe, dtype=np.float64)
            for it in iterations:
                note(it.f_after)
        else:
            _scipy(metered, race, method, note, stop_in_time)
    enter(path[-1]["f"])
    return path


def _scipy(
    metered: Metered,
    race: Race,
    method: str,
    note: Callable[[float], None],
    stop_in_time: Callable[[], None],
) -> None:
    functions = ScipyFunctions(metered, race.batch)

    def fun(theta: Any) -> float:
        f = functions.fun(theta)
        note(f)
        return f

    def hessp(theta: Any, v: Any) -> Any:
        stop_in_time()
        if not np.isfinite(v).all():
            raise _Stopped  # the trust-region methods divide by ‖∇f‖, even where it is 0
        return functions.hessp(theta, v)

    curvature = {} if method == "L-BFGS-B" else {"hessp": hessp}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line search that fails is an outcome, not a fault
        scipy.optimize.minimize(  # type: ignore[call-overload]
            fun,
            race.theta,
            jac=functions.jac,
            method=method,
            tol=1e-14,  # so small that it ends no run before the best f is known
            options={"maxiter": 10**6},
            **curvature,
        )
