"""Section 7.2: the error of finite differences against the size of the difference."""

from __future__ import annotations

from typing import Any

import numpy as np

from rop import nets
from rop.experiments.pictures import lines
from rop.experiments.registry import Findings, study
from rop.graph import data
from rop.losses import SoftmaxCrossEntropy
from rop.objective.objective import Objective


@study("finite-differences", seconds=5)
def finite_differences(seconds: float, seed: int) -> Findings:
    """Hv by finite differences of the gradient against the R-operator: the U of the error (sec. 5).

    Parameters
    ----------
    seconds : float
        Not used: it takes a second.
    seed : int
        Seed of θ, v and the data.

    Returns
    -------
    Findings
    """
    rng = np.random.default_rng(seed)
    _, z = nets.mlp([10, 12, 8, 5])
    objective = Objective(z, SoftmaxCrossEntropy(data("t", 5)))
    theta = objective.init("glorot", seed)
    v = rng.standard_normal(objective.n)
    batch = {"x": rng.standard_normal((30, 10)), "t": np.eye(5)[rng.integers(0, 5, 30)]}
    exact = objective.linearize(theta, batch).hvp(v)
    epsilons = np.logspace(-10, 0, 41)
    rows: list[dict[str, Any]] = []
    series: dict[str, tuple[list[float], list[float]]] = {}
    for dtype in (np.float64, np.float32):
        for scheme in ("central", "one-sided"):
            errors = []
            for epsilon in epsilons:
                step = epsilon * v
                after = _gradient(objective, theta + step, batch, dtype)
                before = theta - step if scheme == "central" else theta
                width = 2 * epsilon if scheme == "central" else epsilon
                estimate = (after - _gradient(objective, before, batch, dtype)) / width
                errors.append(float(np.linalg.norm(estimate - exact) / np.linalg.norm(exact)))
            name = f"{scheme}, {np.dtype(dtype).name}"
            series[name] = epsilons.tolist(), errors
            best = int(np.argmin(errors))
            rows.append({"scheme": name, "best ε": epsilons[best], "error": errors[best]})
    figure = lines(
        series, "Hv by finite differences", "ε", "relative error of Hv", log="xy", marker="."
    )
    curves = [
        {"scheme": name, "ε": e, "error": y}
        for name, (xs, ys) in series.items()
        for e, y in zip(xs, ys, strict=True)
    ]
    text = "Least errors: " + ", ".join(
        f"{row['scheme']} {row['error']:.1e} at ε = {row['best ε']:.1e}" for row in rows
    )
    return Findings({"best": rows, "curves": curves}, {"finite_differences": figure}, text)


def _gradient(objective: Objective, theta: Any, batch: Any, dtype: Any) -> Any:
    return objective.linearize(theta, batch, dtype=dtype).gradient().astype(np.float64)
