"""Section 3: gradients that vanish or explode through layers and through time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop import datasets, nets
from rop.experiments.along_cg import damped_run
from rop.experiments.registry import Findings, study
from rop.graph import data
from rop.losses import SoftmaxCrossEntropy
from rop.objective.objective import Objective

_NETS = (("sigmoid", "glorot"), ("sigmoid", "sparse"), ("tanh", "glorot"), ("tanh", "sparse"))
_TIMES = (1, 2, 4, 8, 16, 32, 64)
_RADII = (0.7, 0.95, 1.1, 1.5)
_LAM, _STEPS = 1e-4, 100


@study("vanishing-gradients", seconds=10)
def vanishing_gradients(
    seconds: float, seed: int, *, layers: int = 9, cases: int = 500
) -> Findings:
    """Gradients by layer and by distance in time at θ_0, and HF's update by layer (sec. 3).

    A deep net classifies digits; a recurrent one reads their pixels one by one. The update solves
    (G + λI)δ = -∇f with λ = 1e-4.

    Parameters
    ----------
    seconds : float
        Not used: nothing is trained.
    seed : int
        Seed of θ_0.
    layers : int
        Layers of weights of the deep net, 50 units each.
    cases : int
        Images.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import draw, panels

    images = datasets.digits()
    batch = {name: np.asarray(a[:cases], np.float64) for name, a in images.train.items()}
    numbers = list(range(1, layers + 1))
    by_layer: list[dict[str, Any]] = []
    for activation, init in _NETS:
        _, z = nets.mlp([64, *[50] * (layers - 1), 10], activation)
        objective = Objective(z, SoftmaxCrossEntropy(data("t", 10)))
        theta = objective.init(init, seed)
        gradient = objective.unpack(objective.linearize(theta, batch).gradient())
        update = objective.unpack(damped_run(objective, theta, batch, _LAM, _STEPS).x)
        by_layer += [
            {
                "net": f"{activation}, {init}",
                "layer": i,
                "gradient": _relative(gradient, i, layers),
                "update": _relative(update, i, layers),
            }
            for i in numbers
        ]
    by_time = [
        {"spectral radius": radius, "steps": T, "gradient": through_time(radius, T, batch, seed)}
        for radius in _RADII
        for T in _TIMES
    ]
    figure, (of_gradient, of_update, of_time) = panels(3, columns=3)
    names = list(dict.fromkeys(row["net"] for row in by_layer))
    for ax, of, title in (
        (of_gradient, "gradient", "‖∂f/∂W$_i$‖, that of the last layer = 1"),
        (of_update, "update", "‖δ$_i$‖ of HF's first update, the last layer = 1"),
    ):
        lines = {
            name: (numbers, [row[of] for row in by_layer if row["net"] == name]) for name in names
        }
        draw(ax, lines, title, "layer i, from the input", "relative norm", log="y", marker="o")
    values = [row[of] for row in by_layer for of in ("gradient", "update")]
    for ax in (of_gradient, of_update):
        ax.set_ylim(min(values) / 2, max(values) * 2)
    draw(
        of_time,
        {
            f"radius {radius:g}": (
                list(_TIMES),
                [row["gradient"] for row in by_time if row["spectral radius"] == radius],
            )
            for radius in _RADII
        },
        "recurrent net: ‖∂f/∂h$_0$‖ of f after T steps",
        "T",
        "‖∂f/∂h$_0$‖, root mean square",
        log="xy",
        marker="o",
    )
    first = {row["net"]: row for row in reversed(by_layer)}  # the first layer comes last
    text = (
        "First layer over last: "
        + "; ".join(
            f"{name}: gradient {row['gradient']:.2g}, update {row['update']:.2g}"
            for name, row in first.items()
        )
        + f". ∂f/∂h_0 after {_TIMES[-1]} steps over that after 1: "
        + ", ".join(
            f"{rows[-1]['gradient'] / rows[0]['gradient']:.2g} (radius {radius:g})"
            for radius in _RADII
            for rows in [[row for row in by_time if row["spectral radius"] == radius]]
        )
        + "."
    )
    tables = {"layers": by_layer, "times": by_time}
    return Findings(tables, {"vanishing_gradients": figure}, text)


def through_time(radius: float, T: int, batch: Mapping[str, NDArray[Any]], seed: int) -> float:  # noqa: N803
    """Return ‖∂f_i/∂h_0‖ of a recurrent net whose loss is at step T, root mean square over cases.

    Parameters
    ----------
    radius : float
        Spectral radius of W_hh.
    T : int
        Steps; the net reads the first T pixels.
    batch : mapping of str to ndarray
        Images "x" and targets "t".
    seed : int
        Seed of θ_0.

    Returns
    -------
    float
    """
    _, z, _ = nets.rnn([1, 100, 10], T, at=-1)
    objective = Objective(z, SoftmaxCrossEntropy(data("t", 10)))
    theta = objective.init("spectral", seed, radius=radius, inputs=0.1)
    pixels = {"x": batch["x"][:100, :T, None], "t": batch["t"][:100]}
    own = objective.linearize(theta, pixels).per_case_gradients()[:, objective.slices["h_0"]]
    return float(np.sqrt(np.mean(np.sum(np.square(own), axis=1))))


def _relative(vector: Mapping[str, NDArray[Any]], layer: int, last: int) -> float:
    return float(np.linalg.norm(vector[f"W{layer}"]) / np.linalg.norm(vector[f"W{last}"]))
