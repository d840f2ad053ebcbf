"""`rop demo`: networks on real data, explained, verified, and trained by HF and by others.

On the first, a classifier, first-order methods do as well; on the second, a recurrent net that has
to remember, they hardly move from the same start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

import rop
from rop import datasets, hf, nets
from rop.datasets import Dataset
from rop.experiments import baselines, sequences_runs
from rop.experiments.pictures import lines
from rop.experiments.registry import EXPERIMENTS
from rop.objective.objective import Objective
from rop.show import plot
from rop.show.pictures.figures import save
from rop.show.waiting import waiting
from rop.support.words import counted

_L2, _MOMENTUM, _RATES, _CASES = 1e-4, 0.9, (0.1, 0.03, 0.01), 100
_HIDDEN: dict[str, list[int]] = {"digits": [100, 50], "fashion-mnist": [100]}
SECONDS = {"digits": 4.0, "fashion-mnist": 60.0}
_LENGTH, _RECALL = 30, 30.0
_HF = "Hessian-free"


@dataclass
class Table:
    """The results of the methods, printed as a table.

    Attributes
    ----------
    heads : tuple of str
        The headings of the columns.
    rows : list of tuple of str
        The rows.
    """

    heads: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def __str__(self) -> str:
        wide = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        return "\n".join(
            "   " + "  ".join([row[0].ljust(wide[0]), *map(str.rjust, row[1:], wide[1:])])
            for row in (self.heads, *self.rows)
        )


def demo(dataset: str, seconds: float | None, out: Path, seed: int) -> bool:
    """Run the demo.

    Parameters
    ----------
    dataset : {"digits", "fashion-mnist"}
        The images.
    seconds : float or None
        Training time of each method; None takes the data set's own, and lets HF solve the recurrent
        net.
    out : Path
        Folder for the pictures.
    seed : int
        Seed of θ and of the minibatches.

    Returns
    -------
    bool
        Whether every product passed its check.
    """
    budget = SECONDS[dataset] if seconds is None else seconds
    images = datasets.digits() if dataset == "digits" else datasets.fashion_mnist(download=True)
    out.mkdir(parents=True, exist_ok=True)
    _, z = nets.mlp([images.x_train.shape[1], *_HIDDEN[dataset], len(images.classes)])
    objective = Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", len(images.classes))), l2=_L2)
    theta = objective.init("sparse", seed=seed)

    _heading(f"1. The network: {objective.n:,} parameters, {len(images.x_train):,} real images")
    print(f"   {images.source}")
    rop.draw(objective, path=out / "graph.png")

    _heading("2. The Gauss-Newton product of this network (algorithm 5)")
    print(rop.explain(objective, "ggnvp"))

    _heading("3. Is it right? Every product against finite differences, in float64")
    few = {name: array[:16] for name, array in images.train.items()}
    with waiting("checking the products"):
        report = rop.check(objective, theta, few, seed=seed)
    print(report)
    report.plot(out / "verification.png")

    _heading(f"4. Training by Hessian-free optimization and by others, {budget:g} s each")
    _classify(objective, theta, images, budget, out, seed)

    _heading(f"5. Why curvature: a recurrent net that has to remember for {_LENGTH} steps")
    _recall(_RECALL if seconds is None else min(seconds, _RECALL), out, seed)
    print(f"\nPictures: {', '.join(str(path) for path in sorted(out.glob('*.png')))}")
    return bool(report.ok)


def _heading(text: str) -> None:
    print(f"\n{text}\n", flush=True)


def _classify(
    objective: Objective,
    theta: NDArray[Any],
    images: Dataset,
    seconds: float,
    out: Path,
    seed: int,
) -> None:
    """Train the classifier by all methods and print a table; after Ctrl-C, of what is done."""
    table = Table(("method", "training loss", "test accuracy", "seconds", "work"))

    def enter(f: Objective, theta: NDArray[Any], method: str, taken: float, work: str) -> None:
        z = f.linearize(theta, images.test).outputs
        right = float(np.mean(z.argmax(axis=1) == images.labels_test))
        loss = f.value(theta, images.train)
        table.rows.append((method, f"{loss:.5f}", f"{right:.2%}", f"{taken:.1f}", work))

    with waiting("compiling"):  # not part of the training time
        few = {name: array[:_CASES] for name, array in images.train.items()}
        next(hf.HessianFree(objective, theta, few))
    try:
        run = hf.minimize(
            objective, theta, images.train, iterations=1000, seconds=seconds, progress=True
        )
        work = f"{counted(run.nit, 'update')}, {counted(run.nhev, 'product')}"
        enter(objective, run.theta, _HF, run.seconds, work)
        if run.records:
            plot.run(run, path=out / "hf_trace.png")
            plot.iteration(run, path=out / "quadratic_model.png")
        if run.reason == "interrupted":
            raise KeyboardInterrupt
        for rate in _RATES:
            name = f"SGD, momentum {_MOMENTUM:g}, rate {rate:g}"
            gradient = baselines.minibatch_gradient(objective, images.train, _CASES, seed)
            method = baselines.nesterov(theta.astype(np.float32), gradient, rate, _MOMENTUM)
            with waiting(name, seconds):
                found, taken, updates = _for(method, seconds)
            enter(objective, found, name, taken, f"{updates:,} updates of {_CASES} cases")
        with waiting("logistic regression, L-BFGS", seconds):
            f, found, taken, work = _logistic(images, seconds)
        enter(f, found, "logistic regression, L-BFGS", taken, work)
    finally:
        if table.rows:
            print(table, flush=True)
    print("   With minibatches, SGD tests as well here: this is not what HF is for.")


def _for(method: Iterator[NDArray[Any]], seconds: float) -> tuple[NDArray[Any], float, int]:
    """The last θ of a method that runs for a time, the time, and the number of updates."""
    began, updates = time.perf_counter(), 0
    while True:
        theta = next(method)
        updates += 1
        taken = time.perf_counter() - began
        if taken >= seconds:
            return theta, taken, updates


def _logistic(images: Dataset, seconds: float) -> tuple[Objective, NDArray[Any], float, str]:
    """Logistic regression by SciPy's L-BFGS: rop's objective and gradient, SciPy's optimizer."""
    _, z = nets.mlp([images.x_train.shape[1], len(images.classes)])
    t = rop.data("t", len(images.classes))
    objective = Objective(z, rop.SoftmaxCrossEntropy(t), l2=_L2)
    began = time.perf_counter()

    def until(theta: NDArray[Any]) -> None:
        if time.perf_counter() - began > seconds:
            raise StopIteration

    functions = objective.scipy(images.train)
    del functions["hessp"]
    found = scipy.optimize.minimize(  # type: ignore[call-overload]
        x0=np.zeros(objective.n),
        method="L-BFGS-B",
        callback=until,
        options={"maxiter": 10_000},
        **functions,
    )
    work = counted(found.nit, "iteration")
    return objective, found.x, time.perf_counter() - began, work


def _recall(seconds: float, out: Path, seed: int) -> None:
    """Train a recurrent net to remember; HF ends when it does, the others get as much time."""
    problem = EXPERIMENTS["memorization-5"].build(seed, length=_LENGTH)
    print(
        f"   A recurrent net of {problem.objective.n:,} parameters reads 5 bits and repeats them "
        f"{_LENGTH} steps later.\n   All methods start from the same weights.\n"
    )
    table = Table(("method", "sequences wrong", "seconds", "work"))
    curves: dict[str, list[dict[str, float]]] = {}

    def enter(name: str, attempt: Callable[[], sequences_runs.Attempt]) -> float:
        with waiting(name):
            rows = curves[name] = attempt().rows
        last = rows[-1]
        table.rows.append(
            (
                name,
                f"{last['wrong']:.0%} of 32",
                f"{last['seconds']:.1f}",
                f"{last['update']:,.0f} updates",
            )
        )
        return last["seconds"]

    try:
        taken = enter(_HF, partial(sequences_runs.hessian_free, problem, seconds))
        for name in sequences_runs.FIRST_ORDER:
            enter(name, partial(sequences_runs.first_order, problem, name, taken, seed))
    finally:
        if table.rows:
            print(table, flush=True)
    picture = lines(
        {name: _line(rows) for name, rows in curves.items()},
        f"Repeating 5 bits after {_LENGTH} steps, from the same weights",
        "seconds of the processor",
        "part of the sequences that are wrong",
    )
    save(picture, out / "recall.png")
    print("   The gradient hardly sees the first steps from the last one; curvature rescales it.")


def _line(
    rows: list[dict[str, float]],
) -> tuple[list[float], list[float]]:
    return [row["seconds"] for row in rows], [row["wrong"] for row in rows]
