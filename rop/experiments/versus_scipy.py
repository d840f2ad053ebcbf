"""HF against SciPy's optimizers, by gradient-equivalents and by time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize

from rop import hf, ops
from rop.datasets import curves, digits, fashion_mnist
from rop.experiments.metering import Metered
from rop.experiments.problems import autoencoder
from rop.experiments.registry import Findings, Problem, study
from rop.experiments.reparameterized import scaled_digits
from rop.experiments.watching import watched
from rop.graph import data, param
from rop.hf.recipes import Recipe, martens2010
from rop.losses import SoftmaxCrossEntropy, SquaredError
from rop.nets import mlp
from rop.objective.objective import Objective
from rop.objective.scipy import ScipyFunctions

_HF = {
    "HF": Recipe(),
    "HF, martens2010": martens2010(curvature=1 / 6, lam=1.0),
}
_SCIPY = ("L-BFGS-B", "Newton-CG", "trust-krylov")


@dataclass(frozen=True)
class Race:
    """A problem and the f that ends it.

    Attributes
    ----------
    problem : Problem
        The problem.
    target : float
        The f to reach on the training set.
    """

    problem: Problem
    target: float


@study("comparison", seconds=1200)
def versus_scipy(seconds: float, seed: int, *, only: str = "", most: float = 2000.0) -> Findings:
    """Gradient-equivalents to a given f: HF against SciPy's optimizers on five problems.

    "HF" is the default recipe. A gradient-equivalent is the multiplications of one gradient of all
    cases, for all methods: everything that is computed counts, in proportion to its number of
    cases. On the same cases a loss alone is about 1/3 of a gradient, Gv 4/3
    and Hv 2 (erratum M24). All in float64. A method stops after ``most`` of
    them, or when its share of the time is over; time that a run leaves goes to the later runs.

    Parameters
    ----------
    seconds : float
        The longest time for all runs together.
    seed : int
        Seed of θ_0.
    only : str
        Run this problem alone.
    most : float
        The gradient-equivalents after which a method is given up.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    races = {name: make for name, make in _RACES.items() if only in ("", name)}
    methods = (*_HF, *_SCIPY)
    end, runs = time.perf_counter() + seconds, len(races) * len(methods)
    figure, axes = panels(len(races), columns=min(3, len(races)))
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for ax, (name, make) in zip(axes, races.items(), strict=True):
        race = make(seed)
        series = {}
        for method in methods:
            share = (end - time.perf_counter()) / (runs - len(rows))
            path, won = _run(race, method, most, share)
            last = path[-1]
            rows.append(
                {
                    "problem": name,
                    "parameters": race.problem.objective.n,
                    "target": race.target,
                    "method": method,
                    "gradient-equivalents": last["gradients"] if won else None,
                    "seconds": last["seconds"],
                    "f": last["f"],
                    "done": last["gradients"],
                }
            )
            curves += [{"problem": name, "method": method, **row} for row in path]
            series[method] = [r["gradients"] for r in path], [max(r["f"], 1e-12) for r in path]
        draw(ax, series, name, "gradient-equivalents", "f", log="xy")
        ax.axhline(max(race.target, 1e-12), color="#777777", lw=0.8, ls=":")
    text = "\n".join(
        f"{name} (f <= {found[0]['target']:g}): "
        + ", ".join(
            f"{row['method']} {row['gradient-equivalents']:.0f}"
            if row["gradient-equivalents"] is not None
            else f"{row['method']} not reached (f = {row['f']:.4g} after {row['done']:.0f})"
            for row in found
        )
        for name in races
        for found in [[row for row in rows if row["problem"] == name]]
    )
    return Findings({"table": rows, "curves": curves}, {"comparison": figure}, text)


class _Reached(Exception):
    """The target, or the end of the work or the time."""


def _run(
    race: Race, method: str, most: float, seconds: float
) -> tuple[list[dict[str, float]], bool]:
    """Run a method until it reaches the target or must stop: its path, and whether it did."""
    problem = race.problem
    batch = {name: np.asarray(array, np.float64) for name, array in _data(problem).items()}
    cases = len(next(iter(batch.values()))) if batch else 1
    metered = Metered(problem.objective, cases)
    path = watched(method, [])
    began = time.perf_counter()

    def note(f: float) -> None:
        used = time.perf_counter() - began
        if not path or f < path[-1]["f"]:
            path.append({"gradients": metered.gradients, "seconds": used, "f": f})
        if f <= race.target or metered.gradients > most or used > seconds:
            path.append({"gradients": metered.gradients, "seconds": used, "f": path[-1]["f"]})
            raise _Reached

    with suppress(_Reached):
        if method in _HF:
            for it in hf.HessianFree(metered, problem.theta, batch, _HF[method], dtype=np.float64):
                note(it.f_after)
        else:
            _scipy(metered, problem, batch, method, note)
    return path, path[-1]["f"] <= race.target


def _scipy(
    metered: Metered,
    problem: Problem,
    batch: Mapping[str, Any],
    method: str,
    note: Callable[[float], None],
) -> None:
    functions = ScipyFunctions(metered, batch)

    def fun(theta: Any) -> float:
        f = functions.fun(theta)
        if np.isfinite(f):
            note(f)
        return f

    curvature = {} if method == "L-BFGS-B" else {"hessp": functions.hessp}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line search that fails is an outcome, not a fault
        scipy.optimize.minimize(  # type: ignore[call-overload]
            fun,
            problem.theta,
            jac=functions.jac,
            method=method,
            tol=1e-14,  # the target ends the run
            options={"maxiter": 10**6},
            **curvature,
        )


def _data(problem: Problem) -> Mapping[str, Any]:
    assert not isinstance(problem.train, hf.Stream)
    return problem.train


def _rosenbrock(seed: int) -> Race:
    a = param("a", 2)
    z = ops.stack([a[0] - 1.0, (a[1] - a[0] * a[0]) * 10.0])
    objective = Objective(z, SquaredError([0.0, 0.0]))
    return Race(Problem(objective, np.array([-1.2, 1.0]), {}, {}, Recipe()), 1e-10)


def _digits(seed: int) -> Race:
    images = digits()
    layers = [64, 100, 50, 25, 6]
    problem = autoencoder(images.x_train, images.x_test, layers, seed, "sparse", 1.0, 1.0)
    return Race(problem, 17.5)


def _curves(seed: int) -> Race:
    x = curves(3000, 14)
    return Race(autoencoder(x, x, [196, 100, 50, 25, 6], seed, "sparse", 1.0, 1.0), 14.0)


def _fashion(seed: int) -> Race:
    images = fashion_mnist(download=True)
    _, z = mlp([784, 100, 10])
    objective = Objective(z, SoftmaxCrossEntropy(data("t", 10)), l2=1e-4)
    train = {name: array[:10_000] for name, array in images.train.items()}
    return Race(Problem(objective, objective.init("sparse", seed), train, {}, Recipe()), 0.25)


def _scaled(seed: int) -> Race:
    return Race(scaled_digits(seed), 0.01)


_RACES: dict[str, Callable[[int], Race]] = {
    "Rosenbrock": _rosenbrock,
    "digits, W2 = 10⁴ θ2": _scaled,
    "digits autoencoder": _digits,
    "curves autoencoder, 14 x 14": _curves,
    "Fashion-MNIST classifier": _fashion,
}
