"""Section 8.2: one net in several parameterizations, and a damping that ignores the difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rop import hf, ops
from rop.experiments.pictures import draw, panels
from rop.experiments.problems import digits
from rop.experiments.registry import Findings, Problem, study
from rop.experiments.runs import Run, train_for
from rop.experiments.warm_starts import summary
from rop.graph import Node, constant, data, param
from rop.hf.batches import Batches
from rop.hf.damping import ScaleSensitive
from rop.hf.preconditioners import EmpiricalFisher, NoPreconditioner
from rop.hf.recipes import Recipe, damped
from rop.losses import SoftmaxCrossEntropy
from rop.objective.objective import Objective

_FACTOR = 1e4


def scaled_digits(seed: int, factor: float = _FACTOR) -> Problem:
    """Build the classifier 64-25-10 of digits with W2 = factor · θ2 (sec. 8.2, erratum M39).

    Parameters
    ----------
    seed : int
        Seed of θ_0, which stands for the same net whatever the factor.
    factor : float
        How much more sensitive the net is to the upper weights.

    Returns
    -------
    Problem
    """
    return _classifier(seed, lambda W: constant(np.array(factor)) * W, lambda W: W / factor)


def exponential_digits(seed: int) -> Problem:
    """Build the classifier 64-25-10 of digits with W2 = exp θ2 - 1 (sec. 8.2).

    Parameters
    ----------
    seed : int
        Seed of θ_0, which stands for the same net as that of `scaled_digits`.

    Returns
    -------
    Problem
    """
    return _classifier(seed, lambda W: ops.exp(W) - 1.0, np.log1p)


@study("reparameterization", seconds=120)
def reparameterized(seconds: float, seed: int, *, updates: int = 25) -> Findings:
    """One net with W, 10⁴ W and exp W as parameters: Tikhonov's damping against diag(G) (sec. 8.2).

    Parameters
    ----------
    seconds : float
        The longest time for the six runs together.
    seed : int
        Seed of θ_0.
    updates : int
        Updates of each run.

    Returns
    -------
    Findings
    """
    problems = {
        "W2 = θ2": scaled_digits(seed, 1.0),
        "W2 = 10⁴ θ2": scaled_digits(seed),
        "W2 = exp θ2 - 1": exponential_digits(seed),
    }
    everything = Batches(curvature=1.0, selection=1.0)
    rule = hf.LevenbergMarquardt(lower_by=2 / 3)
    dampings = {
        "D = I": replace(
            damped(),
            batches=everything,
            damping=hf.Tikhonov(1.0, rule),
            preconditioner=NoPreconditioner(),
        ),
        # ξ = 1 makes CG itself invariant; κ is for pixels that are always 0, whose Fisher is 0.
        "D = diag(G)": replace(
            damped(),
            batches=everything,
            damping=ScaleSensitive(0.1, rule),
            preconditioner=EmpiricalFisher(1.0, 1e-10, 0.0, cases="gradient"),
        ),
    }
    figure, axes = panels(len(dampings))
    runs: dict[str, Run] = {}
    for ax, (damping, recipe) in zip(axes, dampings.items(), strict=True):
        series = {}
        for name, problem in problems.items():
            share = seconds / len(problems) / len(dampings)
            run = train_for(problem, share, recipe, updates, np.float64)
            runs[f"{name}, {damping}"] = run
            series[name] = (
                [it.number for it in run.records],
                [it.f_before for it in run.records],
            )
        draw(ax, series, f"damping with {damping}", "update", "f (nats)", log="y")
    rows = [
        {
            **summary(name, run),
            "f": run.records[-1].f_after if run.records else float("nan"),
            "f after two updates": run.records[1].f_after if len(run.records) > 1 else float("nan"),
        }
        for name, run in runs.items()
    ]
    text = "f after two updates: " + ", ".join(
        f"{name} {run.records[1].f_after:.6g}" for name, run in runs.items() if len(run.records) > 1
    )
    path = [
        {"run": name, "update": it.number, "f": it.f_before, "λ": it.lam_before}
        for name, run in runs.items()
        for it in run.records
    ]
    return Findings({"runs": rows, "path": path}, {"reparameterization": figure}, text)


def _classifier(
    seed: int, weights: Callable[[Node], Node], parameters: Callable[[np.ndarray], np.ndarray]
) -> Problem:
    """A net whose upper weights are a function of its parameters, with its inverse for θ_0."""
    plain = digits(seed, hidden="25")
    x, t = data("x", 64), data("t", 10)
    W1, b1 = param("W1", (25, 64)), param("b1", 25)
    W2, b2 = param("W2", (10, 25)), param("b2", 10)
    y = ops.tanh(W1 @ x + b1)
    objective = Objective(weights(W2) @ y + b2, SoftmaxCrossEntropy(t))
    start = plain.objective.unpack(plain.objective.init("glorot", seed))
    theta = objective.pack({**start, "W2": parameters(start["W2"])})
    return Problem(objective, theta, plain.train, plain.test, Recipe(), {}, plain.measures)
