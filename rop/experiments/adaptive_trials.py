"""Trials of the study of Adaptive HF: problems, methods with their ranges, and one run of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite, nan
from time import process_time
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop import datasets, hf, nets
from rop.engines import DEFAULT_ENGINE
from rop.errors import RopValueError
from rop.experiments import baselines
from rop.experiments.measures import measure, wrong
from rop.experiments.registry import Problem, experiment
from rop.graph import data
from rop.hf.recipes import Recipe, adaptive_hf, damped, validated2012
from rop.hf.vectors import norm
from rop.losses import SoftmaxCrossEntropy
from rop.objective.objective import Objective
from rop.support.arguments import checked
from rop.support.constraints import Count
from rop.support.words import either

Values: TypeAlias = Mapping[str, Any]

BATCH = 128
WORST = 10.0
"""Losses above this, or not finite, count as this: the mean image of a class has about 2.3."""


@dataclass(frozen=True)
class Range:
    """The values of a hyperparameter: from low to high, or one of some choices."""

    low: float = nan
    high: float = nan
    log: bool = True
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A method of the study.

    Attributes
    ----------
    ranges : mapping of str to Range
        Its hyperparameters.
    recipe : callable, (values) -> Recipe, or None
        HF's settings for values of these; None for a first-order method.
    """

    ranges: Mapping[str, Range]
    recipe: Callable[[Values], Recipe] | None = None


_LAM = {"lam": Range(1.0, 30.0)}
_ADAPTIVE = {
    "beta2": Range(1e-10, 1e-4),
    **_LAM,
    "epsilon": Range(1e-5, 0.1),
    "sigma": Range(30.0, 100.0, log=False),
    "L": Range(50.0, 300.0, log=False),
}
_CHOICES = {
    "g": Range(choices=("gradient", "delta")),
    "xi": Range(choices=("1e-8", "2 sigma")),
    "curvature": Range(choices=("hessian", "ggn")),
    "reduction": Range(choices=("gradient", "step")),
}


def _plain(values: Values) -> Recipe:
    """The paper's HF: a constant α, and neither line search nor backtracking nor rejection."""
    return adaptive_hf("paper", lam=values["lam"], batch=BATCH).replace(
        moments=None, learning_rate=values["alpha"], decay=0.95
    )


def _chosen(values: Values) -> Recipe:
    numbers = {name: values[name] for name in _ADAPTIVE}
    choices = {name: values[name] for name in ("g", "curvature", "reduction")}
    xi = 1e-8 if values["xi"] == "1e-8" else 2 * values["sigma"]
    return adaptive_hf("paper", **numbers, batch=BATCH).replace(xi=xi, **choices)


# HF wants more cases than 128 for what judges an update: 16 batches for the gradient.
_CASES = 16 * BATCH
METHODS: dict[str, Method] = {
    "hf": Method({"alpha": Range(1e-3, 1.0), **_LAM}, _plain),
    "adaptive-hf": Method(_ADAPTIVE, lambda v: adaptive_hf("paper", **v, batch=BATCH)),
    "adaptive-hf-proof": Method(_ADAPTIVE, lambda v: adaptive_hf("proof", **v, batch=BATCH)),
    "adaptive-hf-code": Method(_ADAPTIVE, lambda v: adaptive_hf("released-code", **v, batch=BATCH)),
    "adaptive-hf-choices": Method({**_ADAPTIVE, **_CHOICES}, _chosen),
    "hf-validated2012": Method(
        _LAM,
        lambda v: validated2012(lam=v["lam"], max_steps=50).replace(
            **{"batches.gradient": _CASES, "batches.seed": 0}
        ),
    ),
    "hf-damped": Method(_LAM, lambda v: damped(lam=v["lam"]).replace(gradient=_CASES)),
    "sgd": Method({"rate": Range(1e-3, 1.0)}),
    "adam": Method({"rate": Range(1e-5, 0.1)}),
}
"""The methods by name. The ranges of HF and Adaptive HF are the paper's (appendix B.2)."""


def build(name: str, seed: int) -> Problem:
    """Build a classifier of real images.

    Parameters
    ----------
    name : str
        "fashion-lenet", "fashion-dense" (784-30-10), or "digits" (64-30-10).
    seed : int
        Seed of θ_0.

    Returns
    -------
    Problem
        With the measure "error rate".

    Raises
    ------
    RopValueError
        If there is no such problem.
    DatasetNotFoundError
        If Fashion-MNIST is not here and cannot be downloaded.
    """
    if name not in PROBLEMS:
        raise RopValueError(f"problem must be {either(PROBLEMS)}; got {name!r}")
    train, test = _images("digits" if name == "digits" else "fashion-mnist")
    if name == "fashion-lenet":
        _, z = nets.lenet()
        train, test = ({**batch, "x": batch["x"].reshape(-1, 1, 28, 28)} for batch in (train, test))
    else:
        _, z = nets.mlp([train["x"].shape[1], 30, 10], activation="relu")
    objective = Objective(z, SoftmaxCrossEntropy(data("t", 10)))
    theta = objective.init("glorot", seed)
    return Problem(objective, theta, train, test, Recipe(), {}, {"error rate": wrong})


PROBLEMS = "fashion-lenet", "fashion-dense", "digits"


@cache  # a process runs many trials
def _images(name: str) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    digits = name == "digits"
    images = datasets.digits() if digits else datasets.fashion_mnist(download=True)
    return {**images.train}, {**images.test}


@experiment("fashion-lenet", iterations=1450)
@checked
def fashion_lenet(
    seed: int,
    *,
    method: str = "adaptive-hf",
    lam: float = 10.0,
    alpha: float = 0.1,
    cases: Count = 1000,
) -> Problem:
    """LeNet on Fashion-MNIST by one of the HF methods of `rop study adaptive-hf`.

    Parameters
    ----------
    seed : int
        Seed of θ_0.
    method : str
        A method of the study that is HF; its other settings are those of the released code.
    lam : float
        The first λ.
    alpha : float
        The learning rate of "hf".
    cases : int
        Training cases, and test cases, that are measured after each iteration.

    Returns
    -------
    Problem
        With the measure "error rate".
    """
    problem = replace(build("fashion-lenet", seed), measured=cases)
    return with_method(problem, method, {"lam": lam, "alpha": alpha})


def with_method(problem: Problem, method: str, values: Values) -> Problem:
    """Return a problem whose recipe is a method of the study.

    Parameters
    ----------
    problem : Problem
        The problem.
    method : str
        A method that is HF.
    values : mapping of str to object
        Hyperparameters other than the released code's.

    Returns
    -------
    Problem

    Raises
    ------
    RopValueError
        If the method is none of the study's, or not HF.
    """
    known = {name: each for name, each in METHODS.items() if each.recipe is not None}
    if method not in known:
        raise RopValueError(
            f"method must be {either(known)}; got {method!r} (sgd and adam run in "
            "rop study adaptive-hf)"
        )
    released = {"beta2": 1e-8, "epsilon": 1e-3, "sigma": 50.0, "L": 100.0}
    chosen = {name: each.choices[0] for name, each in _CHOICES.items()}
    given = {**released, **chosen, **values}
    ranges, make = known[method].ranges, known[method].recipe
    assert make is not None
    return replace(problem, recipe=make({name: given[name] for name in ranges}))


def run_trial(
    problem: Problem,
    method: str,
    values: Values,
    *,
    updates: int,
    every: int,
    cases: int,
    seed: int,
    engine: str = DEFAULT_ENGINE,
) -> list[dict[str, float]]:
    """Train by a method and measure at intervals.

    Parameters
    ----------
    problem : Problem
        The problem.
    method : str
        A key of `METHODS`.
    values : mapping of str to object
        Its hyperparameters.
    updates : int
        The number of updates of θ.
    every : int
        Measure after every so many updates.
    cases : int
        Training cases, and test cases, that are measured: the first ones.
    seed : int
        Seed of the batches of first-order methods.
    engine : str
        Engine of the sweeps.

    Returns
    -------
    list of dict
        Rows of "update", "seconds" of the processor without the measuring, "loss", "accuracy",
        "gradient", which is ‖∇f‖ of the last batch, "alpha", "step" (the length of the last step),
        and for HF "lam", "rho", "rho_step" and "L_seen". Fewer rows if the run cannot go on.
    """
    assert not isinstance(problem.train, hf.Stream)
    train = {name: np.asarray(array) for name, array in problem.train.items()}

    def measured(theta: NDArray[Any]) -> dict[str, float]:
        if not np.isfinite(theta).all():
            return {"loss": WORST, "accuracy": 0.1}
        f = problem.objective
        loss = measure(f, theta, train, {}, engine, cases)["f"]
        error = measure(f, theta, problem.test, problem.measures, engine, cases)["error rate"]
        return {"loss": min(loss, WORST) if isfinite(loss) else WORST, "accuracy": 1 - error}

    make = METHODS[method].recipe
    if make is None:
        steps = _first_order(problem, method, values["rate"], train, seed, engine)
    else:
        steps = _hessian_free(problem, make(values), engine)
    rows = [{"update": 0.0, "seconds": 0.0, **measured(problem.theta)}]
    used, began, update = 0.0, process_time(), 0
    for update, (theta, told) in enumerate(steps, 1):
        if update % every == 0 or update == updates:
            used += process_time() - began
            rows.append({"update": float(update), "seconds": used, **measured(theta), **told})
            began = process_time()
        if update == updates or not np.isfinite(theta).all():
            break
    return rows


Told: TypeAlias = dict[str, float]


def _hessian_free(
    problem: Problem, recipe: Recipe, engine: str
) -> Iterator[tuple[NDArray[Any], Told]]:
    optimizer = hf.HessianFree(
        problem.objective, problem.theta, problem.train, recipe, engine=engine
    )
    for it in optimizer:
        yield (
            optimizer.theta,
            {
                "gradient": it.gradient_norm,
                "alpha": it.step.alpha,
                "step": it.step_norm,
                "lam": it.lam_before,
                "rho": it.rho,
                "rho_step": it.rho_step,
                "L_seen": it.L_seen,
            },
        )


def _first_order(
    problem: Problem,
    method: str,
    rate: float,
    train: dict[str, NDArray[Any]],
    seed: int,
    engine: str,
) -> Iterator[tuple[NDArray[Any], Told]]:
    told: Told = {"alpha": rate}
    batch = baselines.minibatch_gradient(problem.objective, train, BATCH, seed, engine)

    def gradient(theta: NDArray[Any]) -> NDArray[Any]:
        g = batch(theta)
        told["gradient"] = norm(g)
        return g

    make = {"sgd": baselines.sgd, "adam": baselines.adam}[method]
    before = problem.theta
    with np.errstate(over="ignore", invalid="ignore"):
        for theta in make(problem.theta, gradient, rate):
            told["step"] = norm(theta - before)
            before = theta.copy()
            yield theta, dict(told)
