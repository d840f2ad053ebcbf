"""Section 12.2: the number of cases that the variance of the gradient asks for."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop import hf
from rop.experiments.along_cg import Batch, part
from rop.experiments.problems import digits
from rop.experiments.registry import Findings, study
from rop.objective.objective import Objective

_SCALE = 1e4  # W3 = 10⁴ θ3, as in sec. 8.2
_PIECE = 1000  # cases at a time, which bounds the memory
_DRAWS = 10


@study("sample-sizes", seconds=30)
def sample_sizes(
    seconds: float, seed: int, *, updates: int = 32, error: float = 0.5, fixed: int = 200
) -> Findings:
    """Cases that Byrd, Chin, Nocedal and Wu's variance rule would choose along a run (sec. 12.2).

    Their rule wants so many cases that the expected error of ∇f is a given part of ‖∇f‖. The run
    itself uses all cases for ∇f.

    Parameters
    ----------
    seconds : float
        No update begins after this time.
    seed : int
        Seed of θ_0 and of the samples.
    updates : int
        HF updates.
    error : float
        The relative error that the rule allows; theirs is 0.5.
    fixed : int
        Cases of a sample to compare with.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    problem = digits(seed)
    assert not isinstance(problem.train, hf.Stream)
    objective = problem.objective
    data = {name: np.asarray(array, np.float32) for name, array in problem.train.items()}
    cases = len(data["x"])
    scales = np.ones(objective.n)
    scales[objective.slices["W3"]] = _SCALE
    optimizer = hf.HessianFree(objective, problem.theta, data, problem.recipe)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    used = 0.0
    while len(rows) <= updates and used <= seconds:
        theta = optimizer.theta
        gradient = objective.linearize(theta, data).gradient().astype(np.float64)
        variance = spread(objective, theta, data)
        row: dict[str, Any] = {
            "update": len(rows),
            "f": objective.value(theta, data),
            "cases": chosen(gradient, variance, cases, error),
            "cases, W3 = 10⁴ θ3": chosen(scales * gradient, scales**2 * variance, cases, error),
        }
        for name, size in (("chosen", row["cases"]), ("fixed", min(fixed, cases))):
            row[f"error, {name}"] = _error(objective, theta, data, size, rng, gradient)
        rows.append(row)
        it = next(optimizer, None)
        if it is None:
            break
        used += sum(it.seconds.values())
    ks = [row["update"] for row in rows]
    figure, (of_cases, of_error) = panels(2)
    draw(
        of_cases,
        {
            "as the net is": (ks, [row["cases"] for row in rows]),
            "W3 = 10⁴ θ3": (ks, [row["cases, W3 = 10⁴ θ3"] for row in rows]),
            "all cases": (ks, [cases] * len(ks)),
        },
        f"cases for an error of {error:g} ‖∇f‖",
        "update",
        "cases",
        log="y",
    )
    draw(
        of_error,
        {
            "the chosen number": (ks, [row["error, chosen"] for row in rows]),
            f"{fixed} cases": (ks, [row["error, fixed"] for row in rows]),
            "wanted": (ks, [error] * len(ks)),
        },
        "measured error of ∇f on samples",
        "update",
        "error of ∇f / ‖∇f‖",
        log="y",
    )
    most = max(rows, key=lambda row: row["cases"])
    text = (
        f"The rule wants {rows[0]['cases']} of {cases} cases at θ_0, {most['cases']} after "
        f"{most['update']} updates (f = {most['f']:.3g}) and {rows[-1]['cases']} after "
        f"{rows[-1]['update']}; with W3 = 10⁴ θ3 {rows[0]['cases, W3 = 10⁴ θ3']}, "
        f"{most['cases, W3 = 10⁴ θ3']} and {rows[-1]['cases, W3 = 10⁴ θ3']}. With {fixed} cases "
        f"the error of ∇f is up to {max(row['error, fixed'] for row in rows):.2g} ‖∇f‖."
    )
    return Findings({"sizes": rows}, {"sample_sizes": figure}, text)


def spread(objective: Objective, theta: NDArray[Any], data: Batch) -> NDArray[np.float64]:
    """Return the unbiased variance of the cases' gradients, parameter by parameter.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ.
    data : mapping of str to ndarray
        N cases.

    Returns
    -------
    ndarray, shape (n,)
        The variance, with the divisor N - 1.
    """
    cases = len(next(iter(data.values())))
    total = squares = np.zeros(objective.n)
    for begin in range(0, cases, _PIECE):
        at = objective.linearize(theta, part(data, begin, begin + _PIECE))
        own = at.per_case_gradients().astype(np.float64)
        total = total + own.sum(axis=0)
        squares = squares + np.square(own).sum(axis=0)
    return (squares - total**2 / cases) / (cases - 1)


def chosen(
    gradient: NDArray[np.float64], variance: NDArray[np.float64], cases: int, error: float
) -> int:
    """Return the least sample whose ∇f has an expected error of at most a part of ‖∇f‖.

    The error of ∇f on S of N cases, drawn without replacement, is ‖variance‖₁ / S · (N - S) / N in
    the mean square; N is N - 1 in their text, whose variance has the divisor N.

    Parameters
    ----------
    gradient, variance : ndarray, shape (n,)
        ∇f, and the variance of `spread`.
    cases : int
        N.
    error : float
        The relative error.

    Returns
    -------
    int
        S, from 1 to N.
    """
    total = float(variance.sum())
    allowed = error**2 * float(gradient @ gradient)
    return ceil(cases * total / (total + cases * allowed)) or 1


def _error(
    objective: Objective,
    theta: NDArray[Any],
    data: Batch,
    size: int,
    rng: np.random.Generator,
    gradient: NDArray[np.float64],
) -> float:
    """The root mean square of the error of ∇f on random samples, relative to ‖∇f‖."""
    squares = []
    for _ in range(_DRAWS):
        index = rng.choice(len(next(iter(data.values()))), size, replace=False)
        sample = {name: array[index] for name, array in data.items()}
        miss = objective.linearize(theta, sample).gradient() - gradient
        squares.append(float(miss @ miss))
    return sqrt(float(np.mean(squares)) / float(gradient @ gradient))
