"""`rop train`: an experiment trained by HF, with everything it did in a folder of results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop import hf
from rop.engines import engine_named
from rop.errors import RopValueError, file_errors
from rop.experiments.measures import measure
from rop.experiments.registry import EXPERIMENTS, Problem
from rop.experiments.results import draw_results, write_json, write_results
from rop.hf.files import DamagedLineError, JsonLines, read_lines
from rop.hf.journal import Resume
from rop.hf.recipes import MAKERS, Recipe
from rop.hf.storage import encode
from rop.hf.streams import Batch
from rop.hf.vectors import Vector
from rop.objective.objective import Objective

CONFIG, MEASURES = "config.json", "measures.jsonl"


@dataclass(frozen=True)
class Order:
    """The arguments of `rop train`: the experiment, its options, and how to train it.

    Attributes
    ----------
    experiment : str
        Its name.
    options : mapping of str to object
        The experiment's own options.
    recipe : str
        "own" for the experiment's own recipe, "default" for ``Recipe()``, or another key of
        `rop.hf.recipes.MAKERS`.
    seed : int
        Seed of θ_0.
    engine : str
        The engine of the products.
    validation : float, optional
        The share of the training cases that are kept for validation.
    """

    experiment: str
    options: Mapping[str, Any]
    recipe: str
    seed: int
    engine: str
    validation: float | None = None


def train(
    order: Order,
    folder: Path,
    *,
    iterations: int | None = None,
    seconds: float | None = None,
    patience: int | None = None,
    resume: Resume = False,
    spread: Callable[[Objective, Batch], Objective] | None = None,
) -> hf.Result:
    """Train, and write config, log, state, measures, parameters, plots and summary.

    The run ends when the problem is solved, if it says what solves it (`Problem.goals`).

    Parameters
    ----------
    order : Order
        What to train, and how.
    folder : Path
        The folder of results; made if it does not exist.
    iterations : int, optional
        The number of iterations in all; by default the experiment's.
    seconds : float, optional
        Start no iteration after this time.
    patience : int, optional
        End after so many iterations without a lower f on the validation cases.
    resume : bool or "anyway"
        Go on with the run in the folder; see `rop.hf.minimize`.
    spread : callable, (Objective, data) -> Objective, optional
        Puts the training set on other machines: the objective that has these data inside.

    Returns
    -------
    Result
        What HF found; its reason is "solved" where the goals were reached.

    Raises
    ------
    RopValueError
        If there is no such experiment or recipe, or the folder holds another run.
    RopError
        If the engine cannot run on this machine.
    """
    if order.experiment not in EXPERIMENTS:
        raise RopValueError(
            f"there is no experiment {order.experiment!r}; there are {', '.join(EXPERIMENTS)}"
        )
    engine_named(order.engine)  # complains before a folder is made
    experiment = EXPERIMENTS[order.experiment]
    problem = experiment.build(order.seed, **order.options)
    validation = None
    if order.validation is not None:
        problem, validation = _split(problem, order.validation, order.seed)
    recipe = recipe_named(order.recipe, problem)
    with file_errors(f"cannot make the folder {folder}", "give another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_others_files(folder)
        if not (folder / CONFIG).exists():
            write_json(folder / CONFIG, {**vars(order), "recipe_in_full": encode(recipe)})
    objective, data = problem.objective, problem.train
    if spread is not None:
        if isinstance(data, hf.Stream):
            objective = spread(objective, data.first())
        else:
            objective, data = spread(objective, data), {}
    run = partial(
        hf.minimize,
        objective,
        problem.theta,
        data,
        recipe,
        folder=folder,
        engine=order.engine,
        validation=validation,
        patience=patience,
    )
    begun = run(iterations=0, resume=resume)
    curve = _Curve(problem, folder / MEASURES, order.engine)
    # A crash may come between an iteration and its measures.
    curve.catch_up(begun.nit, begun.last_theta)
    if curve.solved:
        iterations = curve.rows[-1]["iterations"]
    result = run(
        iterations=experiment.iterations if iterations is None else iterations,
        seconds=seconds,
        callback=curve,
        progress=True,
        resume="anyway" if resume == "anyway" else True,
    )
    curve.catch_up(result.nit, result.last_theta)
    if curve.solved:
        goals = ", ".join(f"{name} is below {goal:g}" for name, goal in problem.goals.items())
        result = replace(result, success=True, reason="solved", message=f"solved: {goals}")
    remedy = "free space on the disk or check the permissions, then resume the run"
    with file_errors(f"cannot write the results to {folder}", remedy):
        write_results(folder, problem, result, curve.rows)
        draw_results(folder, problem, result, curve.rows)
    return result


def _split(problem: Problem, share: float, seed: int) -> tuple[Problem, dict[str, NDArray[Any]]]:
    """Take validation cases out of the training set, at random."""
    if isinstance(problem.train, hf.Stream):
        raise RopValueError("--validation: this experiment draws its cases anew; leave it out")
    train = {name: np.asarray(array) for name, array in problem.train.items()}
    cases = len(next(iter(train.values())))
    few = min(max(1, round(share * cases)), cases - 1)
    chosen = np.zeros(cases, bool)
    chosen[np.random.default_rng(seed).permutation(cases)[:few]] = True
    rest = {name: array[~chosen] for name, array in train.items()}
    return replace(problem, train=rest), {name: a[chosen] for name, a in train.items()}


def _refuse_others_files(folder: Path) -> None:
    """Raise RopValueError if the folder holds files but no run: results would replace them."""
    names = {file.name for file in folder.iterdir()} - {f"{CONFIG}.part"}
    if names and CONFIG not in names:
        raise RopValueError(
            f"{folder} holds files that rop train did not make, such as {min(names)}; give a new "
            "folder"
        )


def recipe_named(name: str, problem: Problem) -> Recipe:
    """Return a recipe by name, with those of the problem's settings that it has.

    Parameters
    ----------
    name : str
        "own" for the problem's own, or a key of `rop.hf.recipes.MAKERS`; "default" is ``Recipe()``.
    problem : Problem
        The problem.

    Returns
    -------
    Recipe
        The settings.

    Raises
    ------
    RopValueError
        If there is no such recipe.
    """
    if name == "own":
        return problem.recipe
    if name not in MAKERS:
        raise RopValueError(f"there is no recipe {name!r}; there are own, {', '.join(MAKERS)}")
    make = MAKERS[name]
    accepted = inspect.signature(make).parameters if name != "default" else ()
    return make(**{k: v for k, v in problem.settings.items() if k in accepted})


class _Curve:
    """The measures after every iteration, kept in a file beside the log."""

    def __init__(self, problem: Problem, path: Path, engine: str) -> None:
        self._problem, self._path, self._engine = problem, path, engine
        try:
            self.rows: list[dict[str, Any]] = list(read_lines(path)) if path.exists() else []
        except DamagedLineError as error:
            raise RopValueError(f"{error}; move the file away to go on without it") from None

    @property
    def solved(self) -> bool:
        """Whether the latest measures reach the problem's goals."""
        return bool(self.rows) and self._problem.solved(self.rows[-1])

    def __call__(self, it: hf.Iteration, theta: Vector) -> None:
        self._append(it.number + 1, theta)
        if self.solved:
            raise StopIteration

    def catch_up(self, iterations: int, theta: Vector) -> None:
        """Measure θ unless that is done."""
        if iterations and (not self.rows or self.rows[-1]["iterations"] < iterations):
            self._append(iterations, theta)

    def _append(self, iterations: int, theta: Vector) -> None:
        while self.rows and self.rows[-1]["iterations"] >= iterations:
            self.rows.pop()
        file = JsonLines(self._path, lines=len(self.rows))
        self.rows.append({"iterations": iterations, **self._measured(theta)})
        file.append(self.rows[-1])
        file.close()

    def _measured(self, theta: Vector) -> dict[str, float]:
        problem = self._problem
        train = None if isinstance(problem.train, hf.Stream) else problem.train
        found = {}
        for name, batch in (("train", train), ("test", problem.test)):
            if batch:
                values = measure(
                    problem.objective,
                    theta,
                    batch,
                    problem.measures,
                    self._engine,
                    problem.measured,
                )
                found.update({f"{name} {key}": value for key, value in values.items()})
        return found
