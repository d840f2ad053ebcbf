"""HF and SGD against depth, from dense weights (HF10's case)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rop.experiments.initialisations import first_order
from rop.experiments.pictures import lines
from rop.experiments.problems import curves
from rop.experiments.registry import Findings, study
from rop.experiments.runs import errors_after, mean_image_error, train_for
from rop.experiments.training import recipe_named

_DEPTHS = (4, 6, 8, 10, 12)
_WORK = 300  # gradients
_SGD = ("SGD, rate 0.1", "SGD, rate 0.3")


@study("depth", seconds=600)
def depth(seconds: float, seed: int) -> Findings:
    """HF, by the default recipe, and SGD on autoencoders of 4 to 12 layers from dense weights.

    Parameters
    ----------
    seconds : float
        Processor time for all runs together; HF gets as much as both rates of SGD.
    seed : int
        Seed of θ_0 and of the minibatches.

    Returns
    -------
    Findings
    """
    share = seconds / len(_DEPTHS) / 4
    rows: list[dict[str, Any]] = []
    stuck = 0.0
    for layers in _DEPTHS:
        hidden = "-".join(map(str, _sizes(layers // 2)))
        problem = curves(
            seed, size=14, images=3000, hidden=hidden, init="normal", lam=1.0, curvature=1 / 6
        )
        stuck = mean_image_error(problem)
        runs = {"HF": train_for(problem, 2 * share, recipe_named("default", problem)).rows}
        for name in _SGD:
            runs[name] = first_order(problem, name, share, seed)
        rows += [
            {
                "layers": layers,
                "encoder": f"196-{hidden}",
                "method": name,
                **errors_after(run, _WORK),
                **{column: run[-1][column] for column in ("error", "gradients")},
            }
            for name, run in runs.items()
        ]
    series = {
        name: (_DEPTHS, [row["error"] for row in rows if row["method"] == name])
        for name in ("HF", *_SGD)
    }
    series["the mean image"] = (_DEPTHS, [stuck] * len(_DEPTHS))
    figure = lines(
        series,
        f"Autoencoders of curves from dense weights, {2 * share:.0f} s of HF, {share:.0f} s of SGD",
        "layers of weights",
        "training squared error",
        log="y",
        marker="o",
    )
    text = f"Mean image {stuck:.3g}. " + " ".join(
        f"{layers} layers: HF {series['HF'][1][i]:.3g}, SGD "
        f"{np.nanmin([series[name][1][i] for name in _SGD]):.3g}."
        for i, layers in enumerate(_DEPTHS)
    )
    return Findings({"errors": rows}, {"depth": figure}, text)


def _sizes(layers: int) -> list[int]:
    """Sizes of an encoder from 196 pixels to 6 units, shrinking by one factor per layer."""
    return [round(196 * (6 / 196) ** (layer / layers)) for layer in range(1, layers + 1)]
