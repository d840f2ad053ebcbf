"""The results of `rop train`: parameters, summary, table and plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rop import hf
from rop.datasets.writing import write_atomically
from rop.experiments.pictures import lines
from rop.experiments.registry import Problem
from rop.show import plot


def write_results(
    folder: Path, problem: Problem, result: hf.Result, rows: list[dict[str, Any]]
) -> None:
    """Write parameters, summary and table of a run.

    Parameters
    ----------
    folder : Path
        The axes to draw into.
    problem : Problem
        The problem.
    result : Result
        The result of HF.
    rows : list of dict
        The measures after each iteration.
    """
    parameters: dict[str, Any] = problem.objective.unpack(result.theta)
    write_atomically(folder / "parameters.npz", lambda file: np.savez(file, **parameters))
    at = result.nit if result.best_iteration is None else result.best_iteration
    measured = next((row for row in rows if row["iterations"] == at), {})
    summary = {
        "reason": result.reason,
        "message": result.message,
        "iterations": result.nit,
        "gradients": result.njev,
        "losses": result.nfev,
        "products": result.nhev,
        "seconds": sum(sum(it.seconds.values()) for it in result.records),
        **{name: value for name, value in measured.items() if name != "iterations"},
    }
    if result.best_iteration is not None:
        summary["best iteration"] = result.best_iteration
        summary["validation f"] = result.f_validation
    write_json(folder / "summary.json", summary)
    if not result.records:
        return
    with open(folder / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, hf.columns(result.records))
        writer.writeheader()
        writer.writerows(hf.table(result.records))


def draw_results(
    folder: Path, problem: Problem, result: hf.Result, rows: list[dict[str, Any]]
) -> None:
    """Plot a run: its iterations, one run of CG (fig. 4), and the measures.

    Parameters
    ----------
    folder : Path
        The axes to draw into.
    problem : Problem
        The problem.
    result : Result
        The result of HF; nothing is plotted if it has no iterations.
    rows : list of dict
        The measures after each iteration.
    """
    if not result.records:
        return
    plot.run(result, path=folder / "run.png")
    plot.iteration(result, path=folder / "iteration.png")
    for name in ["f", *problem.measures]:
        series = {
            key: ([row["iterations"] for row in rows], [row[key] for row in rows])
            for key in (f"train {name}", f"test {name}")
            if rows and key in rows[-1]
        }
        if series:
            _curve_plot(name, series).savefig(folder / f"{name.replace(' ', '_')}.png", dpi=150)


def _curve_plot(name: str, series: Mapping[str, Any]) -> Any:
    smallest = min(min(ys) for _, ys in series.values())
    title = f"{name} after every iteration, mean over cases"
    return lines(series, title, "iterations", name, log="y" if smallest > 0 else "")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file: all of it or nothing.

    Parameters
    ----------
    path : Path
        The file.
    value : object
        What ``json.dumps`` takes.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
