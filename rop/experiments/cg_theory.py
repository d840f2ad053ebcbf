"""Section 9: the order in which CG converges, clusters of eigenvalues, and rounding."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rop.experiments.pictures import draw, panels
from rop.experiments.registry import Findings, study
from rop.hf import pcg

_SIZE, _CONDITION = 300, 1e5


@study("cg-theory", seconds=10)
def cg_theory(seconds: float, seed: int) -> Findings:
    """CG on matrices of size 300: high curvature first, clusters, float32 drift (sec. 9).

    Parameters
    ----------
    seconds : float
        Not used: it takes a few seconds.
    seed : int
        Seed of matrices and right-hand sides.

    Returns
    -------
    Findings
    """
    rng = np.random.default_rng(seed)
    eigenvalues = np.logspace(0, -np.log10(_CONDITION), _SIZE)[::-1]
    V, _ = np.linalg.qr(rng.standard_normal((_SIZE, _SIZE)))
    A = (V * eigenvalues) @ V.T
    b = V @ (eigenvalues * rng.standard_normal(_SIZE))
    exact = np.linalg.solve(A, b)

    steps = range(1, 61)
    found = _iterates(A, b, steps)
    thirds = np.array_split(np.arange(_SIZE), 3)
    names = ("lowest third", "middle third", "highest third")
    errors = {j: np.abs(V.T @ (x - exact)) / np.abs(V.T @ exact) for j, x in found.items()}
    order = {
        name: (list(steps), [float(np.median(errors[j][third])) for j in steps])
        for name, third in zip(names, thirds, strict=True)
    }

    clusters = {}
    for count in (2, 4, 8):
        centres = np.logspace(0, -3, count)
        spread = np.repeat(centres, _SIZE // count + 1)[:_SIZE]
        spread = spread * (1 + 1e-3 * rng.uniform(-1, 1, _SIZE))
        q = pcg(partial(np.multiply, spread), np.ones(_SIZE), max_steps=24).q
        least = -0.5 * np.sum(1 / spread)
        clusters[f"{count} clusters"] = (
            list(range(len(q))),
            [float(max(1 - value / least, 1e-16)) for value in q],
        )

    single = _iterates(A.astype(np.float32), b.astype(np.float32), steps)
    drift = [float(np.linalg.norm(single[j] - found[j]) / np.linalg.norm(found[j])) for j in steps]

    figure, axes = panels(3, columns=3)
    draw(
        axes[0],
        order,
        "error by curvature, median over eigenvectors",
        "CG step",
        "relative error",
        log="y",
    )
    draw(axes[1], clusters, "clusters of eigenvalues", "CG step", "(q - q*) / |q*|", log="y")
    draw(
        axes[2],
        {"float32": (list(steps), drift)},
        "CG in float32 against float64",
        "CG step",
        "relative difference",
        log="y",
    )
    at20 = [order[name][1][19] for name in names]
    rows = [
        {
            "step": j,
            "float32 drift": drift[j - 1],
            **{name: order[name][1][j - 1] for name in names},
        }
        for j in steps
    ]
    by_cluster = [
        {"clusters": name, "step": j, "gap": gap}
        for name, (js, gaps) in clusters.items()
        for j, gap in zip(js, gaps, strict=True)
    ]
    text = (
        "After 20 steps the median relative error in the lowest, middle and highest third of "
        f"the eigenvalues is {at20[0]:.2f}, {at20[1]:.2f}, {at20[2]:.2f}; float32 differs from "
        f"float64 by {drift[19]:.1e} after 20 and {drift[39]:.1e} after 40 steps."
    )
    return Findings({"steps": rows, "clusters": by_cluster}, {"cg_theory": figure}, text)


def _iterates(A: NDArray[np.floating], b: NDArray[np.floating], steps: range) -> dict[int, NDArray]:  # type: ignore[type-arg]
    solution = pcg(lambda v: A @ v, b, max_steps=steps[-1], store=steps)
    return {iterate.steps: iterate.x for iterate in solution.iterates}
