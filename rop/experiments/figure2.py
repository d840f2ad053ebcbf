"""Figure 2: what √T checkpointing keeps, what it recomputes, and what that costs (sec. 7.1)."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from rop import nets
from rop.experiments.pictures import draw, panels
from rop.experiments.registry import Findings, study
from rop.experiments.watching import watched
from rop.graph import data
from rop.losses import SquaredError
from rop.objective.definition import programs_of
from rop.objective.init import initialize
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.ops.kernels import Loops
from rop.programs.checkpointing import Checkpoints

LENGTHS = (25, 50, 100, 200, 400, 800, 1000)
HIDDEN, CASES = 100, 100


@study("2", seconds=60)
def figure2(seconds: float, seed: int) -> Findings:
    """Memory and time of Gv for an RNN with and without √T checkpointing (fig. 2).

    Parameters
    ----------
    seconds : float
        Start no longer sequence after this time.
    seed : int
        Seed of θ, v and the data.

    Returns
    -------
    Findings
    """
    began = perf_counter()
    rows = watched("checkpointing", [])
    for steps in LENGTHS:
        if rows and perf_counter() - began > seconds:
            break
        rows.append(_measured(steps, seed))
    columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
    T = columns["T"]
    figure, (memory, time) = panels(2)
    draw(
        memory,
        {name: (T, columns[name]) for name in columns if "MB" in name},
        "memory for one batch",
        "T",
        "MB",
        log="xy",
        marker=".",
    )
    draw(
        time,
        {name: (T, columns[name]) for name in columns if "time" in name},
        "time with checkpoints / without",
        "T",
        "ratio",
        log="x",
        marker=".",
    )
    last = rows[-1]
    text = (
        f"T = {last['T']}: {last['segments']} segments, "
        f"{last['√T MB, measured'] / last['plain MB, measured']:.1%} of the memory, "
        f"Gv takes {last['time of Gv, measured']:.2f} times as long "
        f"({last['time of Gv, predicted']:.2f} by the count of multiplications), the gradient "
        f"{last['time of the gradient, measured']:.2f} times."
    )
    return Findings({"checkpointing": rows}, {"figure2": figure}, text)


def _measured(steps: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    _, z, _ = nets.rnn([2, HIDDEN, 2], steps)
    objective = Objective(z, SquaredError(data("t", z.shape)))
    theta = objective.pack(initialize("glorot", objective.shapes, rng)).astype(np.float32)
    v = rng.standard_normal(objective.n).astype(np.float32)
    batch = {
        "x": rng.standard_normal((CASES, steps, 2)).astype(np.float32),
        "t": rng.standard_normal((CASES, *z.shape)).astype(np.float32),
    }
    kinds: dict[str, Checkpoints] = {"plain": 0, "√T": "sqrt"}
    found = {kind: _one(objective, theta, batch, v, c) for kind, c in kinds.items()}
    row: dict[str, Any] = {
        "T": steps,
        "segments": _segments(objective),
    }
    for kind, (at, _) in found.items():
        predicted = at.predicted_memory
        row[f"{kind} MB, predicted"] = (predicted["cached"] + predicted["work"]) / 1e6
        row[f"{kind} MB, measured"] = (at.memory["cached"] + at.memory["work"]) / 1e6
    work = {kind: _multiplications(objective, c) for kind, c in kinds.items()}
    row["time of Gv, predicted"] = work["√T"] / work["plain"]
    for product in ("Gv", "the gradient"):
        times = {kind: seconds[product] for kind, (_, seconds) in found.items()}
        row[f"time of {product}, measured"] = times["√T"] / times["plain"]
    return row


def _one(
    objective: Objective, theta: Any, batch: Any, v: Any, checkpoints: Checkpoints
) -> tuple[Linearization, dict[str, float]]:
    at = objective.linearize(theta, batch, checkpoints=checkpoints)

    def gradient() -> None:
        objective.linearize(theta, batch, checkpoints=checkpoints).gradient()

    seconds = {"Gv": _median(lambda: at.ggnvp(v)), "the gradient": _median(gradient)}
    return at, seconds


def _median(call: Any) -> float:
    call()
    times = []
    for _ in range(5):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return float(np.median(times))


def _segments(objective: Objective) -> int:
    algorithms = programs_of(objective, "sqrt")
    assert algorithms.segments is not None
    return len(algorithms.segments.steps)


def _multiplications(objective: Objective, checkpoints: Checkpoints) -> float:
    algorithms = programs_of(objective, checkpoints)
    kernels = [step.kernel for step in algorithms.product("ggnvp").steps]
    return float(sum(np.prod(k.extents) for k in kernels if isinstance(k, Loops)))
