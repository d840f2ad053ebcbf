"""CURVES trained as `rop train curves --engine cuda` does, beside the log of 2011."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rop.experiments.golden_trace import ERRORS
from rop.experiments.registry import EXPERIMENTS
from rop.experiments.runs import mean_image_error
from rop.experiments.training import MEASURES, Order, train
from rop.hf.files import read_lines

GOLDEN = {"updates": 300, "error": ERRORS[300], "CG steps": 60_221, "mean image": 16.9}
"""What Martens' run came to, and the error where learning gets stuck."""


def measure(
    seconds: float,
    iterations: int = 300,
    engine: str = "cuda",
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train; record the error after each update and the cost of an iteration.

    Parameters
    ----------
    seconds : float
        Start no iteration after this time.
    iterations : int
        The number of updates.
    engine : str
        The engine.
    options : mapping of str to object, optional
        Options of the experiment, those of its full size by default.

    Returns
    -------
    dict
        "reason", "iterations", "products", "CG steps", "seconds" without the measuring, "seconds
        per iteration" (the median), "error" (the last training squared error), "mean image" (that
        of the mean image), "golden" (`GOLDEN`) and "updates", a dict for each.
    """
    order = Order("curves", dict(options or {}), "own", 0, engine)
    with TemporaryDirectory() as name:
        folder = Path(name)
        result = train(order, folder, iterations=iterations, seconds=seconds)
        rows = list(read_lines(folder / MEASURES))
    updates: list[dict[str, Any]] = [
        {
            "update": row["iterations"],
            "error": row["train squared error"],
            "test error": row["test squared error"],
            "Martens' error": ERRORS.get(row["iterations"]),
            "lam": it.lam_before,
            "rho": it.rho,
            "CG steps": it.cg.steps,
            "chosen": it.chosen,
            "products": it.work.products,
            "losses": it.work.losses,
            "seconds": dict(it.seconds),
        }
        for it, row in zip(result.records, rows, strict=True)
    ]
    each = [sum(update["seconds"].values()) for update in updates]
    problem = EXPERIMENTS["curves"].build(0, **order.options)
    return {
        "reason": result.reason,
        "iterations": result.nit,
        "products": result.nhev,
        "CG steps": sum(update["CG steps"] for update in updates),
        "seconds": sum(each),
        "seconds per iteration": median(each),
        "error": updates[-1]["error"],
        "mean image": mean_image_error(problem),
        "golden": GOLDEN,
        "updates": updates,
    }


def told(found: Mapping[str, Any]) -> str:
    """Describe a training in words.

    Parameters
    ----------
    found : mapping
        What `measure` returned.

    Returns
    -------
    str
    """
    log = found["golden"]
    return (
        f"CURVES: {found['iterations']} updates ({found['reason']}) in {found['seconds']:.0f} s, "
        f"{found['seconds per iteration']:.2f} s each; {found['CG steps']:,} CG steps, "
        f"{found['products']:,} products; error {found['error']:.4g}, that of the mean image "
        f"{found['mean image']:.4g}\n  the log of 2011: {log['updates']} updates, "
        f"{log['CG steps']:,} CG steps; error {log['error']}, that of the mean image "
        f"{log['mean image']}"
    )
