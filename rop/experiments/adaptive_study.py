"""The study of Adaptive HF: trials of each method in processes, kept in one database file."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import isfinite, log, nan, sqrt
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from rop.engines import DEFAULT_ENGINE
from rop.errors import RopError, RopValueError, file_errors
from rop.experiments.adaptive_trials import METHODS, PROBLEMS, Range, build, run_trial
from rop.experiments.registry import Findings
from rop.show.waiting import waiting
from rop.support.words import either

if TYPE_CHECKING:
    import optuna

DATABASE = "study.db"
_FIGURE_1 = 15  # trials in the paper's figure 1
_FAILED = 0.9 * log(10)  # a loss above this: 10 classes are hardly told apart


@dataclass(frozen=True)
class Plan:
    """The arguments of the study.

    Attributes
    ----------
    problem : str
        One of `rop.experiments.adaptive_trials.PROBLEMS`.
    methods : tuple of str
        Keys of `rop.experiments.adaptive_trials.METHODS`.
    trials : int
        Trials of each method; those in the database count.
    updates : int
        Updates in each trial; 1,450 in the paper's figures.
    every : int
        Measure after every so many updates.
    cases : int
        Training cases, and test cases, that are measured.
    seed : int
        Trial k starts from the θ_0 of this seed plus k, whatever the method.
    processes : int
        How many trials run at the same time.
    engine : str
        Engine of the sweeps.
    """

    problem: str = "fashion-lenet"
    methods: tuple[str, ...] = tuple(METHODS)
    trials: int = 70
    updates: int = 1450
    every: int = 10
    cases: int = 10_000
    seed: int = 0
    processes: int = 1
    engine: str = DEFAULT_ENGINE

    @property
    def setting(self) -> dict[str, Any]:
        """What makes two trials comparable: all but their number and how they run."""
        names = ("problem", "updates", "every", "cases", "seed")
        return {name: getattr(self, name) for name in names}


def study_adaptive_hf(plan: Plan, folder: Path) -> Findings:
    """Run what is missing of the trials, and return tables and figures of all.

    Killed or interrupted, it goes on with the same command: finished trials are in the database.

    Parameters
    ----------
    plan : Plan
        What to run.
    folder : Path
        The folder of the database; made if it does not exist.

    Returns
    -------
    Findings
        Figures 1 and 2 of the paper, and the tables behind them.

    Raises
    ------
    RopError
        If Optuna is missing, or a process of the study failed.
    RopValueError
        If a method or the problem is unknown, or the database has trials of another setting.
    """
    for name in plan.methods:
        if name not in METHODS:
            raise RopValueError(f"methods must be of {', '.join(METHODS)}; got {name!r}")
    if plan.problem not in PROBLEMS:
        raise RopValueError(f"problem must be {either(PROBLEMS)}; got {plan.problem!r}")
    build(plan.problem, plan.seed)  # complains here, not in every process
    with file_errors(f"cannot make the folder {folder}", "give another folder"):
        folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE
    studies = {method: _opened(plan, method, database) for method in plan.methods}
    context = get_context("spawn")
    workers = [
        context.Process(target=work, args=(plan, database, number))
        for number in range(plan.processes)
    ]
    for worker in workers:
        worker.start()
    try:
        with waiting("rop study adaptive-hf", detail=lambda: _progress(plan, studies)):
            for worker in workers:
                worker.join()
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    if any(worker.exitcode for worker in workers):
        raise RopError("a process of the study failed; its error stands above")
    return findings(plan, database)


def work(plan: Plan, database: Path, number: int) -> None:
    """Run trials until every method has enough: one process of the study.

    Parameters
    ----------
    plan : Plan
        What to run.
    database : Path
        The database of all processes.
    number : int
        The process's number.
    """
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt):  # the parent says so
        with suppress(AttributeError):  # only some systems pin processes to cores
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[number % len(cores)]})
        for method in plan.methods:
            study = _opened(plan, method, database, number)
            while len(_complete(study)) < plan.trials:
                study.optimize(partial(_trial, plan, method), n_trials=1)


def _end_with_parent() -> None:
    """End this process when its parent ends, however that ends."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _trial(plan: Plan, method: str, trial: optuna.Trial) -> float:
    values = {name: _suggest(trial, name, each) for name, each in METHODS[method].ranges.items()}
    seed = plan.seed + trial.number
    rows = run_trial(
        build(plan.problem, seed),
        method,
        values,
        updates=plan.updates,
        every=plan.every,
        cases=plan.cases,
        seed=seed,
        engine=plan.engine,
    )
    stored = [{k: v if isfinite(v) else None for k, v in row.items()} for row in rows]
    trial.set_user_attr("rows", stored)
    return rows[-1]["loss"]


def _suggest(trial: optuna.Trial, name: str, of: Range) -> Any:
    if of.choices:
        return trial.suggest_categorical(name, of.choices)
    return trial.suggest_float(name, of.low, of.high, log=of.log)


def _opened(plan: Plan, method: str, database: Path, number: int = 0) -> optuna.Study:
    """Return a method's part of the database; raises RopValueError if it is of another setting."""
    try:
        import optuna
    except ImportError as error:
        raise RopError('the study needs Optuna: pip install "rop[study]"') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{database}",
        study_name=method,
        sampler=optuna.samplers.TPESampler(seed=1000 * plan.seed + number),
        load_if_exists=True,
    )
    before = study.user_attrs.get("setting")
    if before is None:
        study.set_user_attr("setting", plan.setting)
    elif before != plan.setting:
        raise RopValueError(
            f"{database} has trials of {before}, not of {plan.setting}; give another folder"
        )
    return study


def _complete(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    import optuna

    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _progress(plan: Plan, studies: Mapping[str, optuna.Study]) -> str:
    done = {method: min(len(_complete(study)), plan.trials) for method, study in studies.items()}
    return ", ".join(f"{method} {trials}/{plan.trials}" for method, trials in done.items())


def findings(plan: Plan, database: Path) -> Findings:
    """Return tables, figures and a summary of the trials in a database.

    Parameters
    ----------
    plan : Plan
        Its methods and numbers.
    database : Path
        The database.

    Returns
    -------
    Findings
    """
    curves: list[dict[str, Any]] = []
    trials: list[dict[str, Any]] = []
    for method in plan.methods:
        for trial in _complete(_opened(plan, method, database))[: plan.trials]:
            rows = [
                {k: nan if v is None else v for k, v in row.items()}
                for row in trial.user_attrs["rows"]
            ]
            which = {"method": method, "trial": trial.number}
            curves += [{**which, **row} for row in rows]
            trials.append({**which, **_summary(rows), **trial.params})
    methods = [
        _of_method(name, [trial for trial in trials if trial["method"] == name])
        for name in plan.methods
    ]
    text = " ".join(
        f"{row['method']}: loss {row['loss']:.3g} ± {row['loss s.e.']:.2g} (best "
        f"{row['loss best']:.3g}), test accuracy {row['accuracy']:.3g} ± "
        f"{row['accuracy s.e.']:.2g}, {row['failed']} of {row['trials']} trials failed."
        for row in methods
    )
    tables = {"methods": methods, "trials": trials, "curves": curves}
    return Findings(tables, _figures(plan, curves), text)


def _summary(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    last, moved = rows[-1], rows[1:]
    found: dict[str, Any] = {
        "updates": last["update"],
        "seconds": last["seconds"],
        "loss": last["loss"],
        "accuracy": last["accuracy"],
        "failed": not last["loss"] < _FAILED,
    }
    for name in ("gradient", "L_seen"):
        found[f"{name} largest"] = max(_finite(moved, name), default=nan)
    for name in ("rho", "rho_step", "lam", "step"):
        found[f"{name} median"] = statistics.median(_finite(moved, name) or [nan])
    return found


def _finite(rows: Sequence[dict[str, float]], name: str) -> list[float]:
    return [row[name] for row in rows if isfinite(row.get(name, nan))]


def _of_method(method: str, trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "method": method,
        "trials": len(trials),
        "failed": sum(trial["failed"] for trial in trials),
        "seconds": sum(trial["seconds"] for trial in trials),
    }
    for name, best in (("loss", min), ("accuracy", max)):
        values = [trial[name] for trial in trials]
        row[name], row[f"{name} s.e."] = _mean_and_error(values)
        row[f"{name} median"], row[f"{name} best"] = statistics.median(values), best(values)
    return row


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error; NaN for the error of one value."""
    error = statistics.stdev(values) / sqrt(len(values)) if len(values) > 1 else nan
    return statistics.fmean(values), error


def _figures(plan: Plan, curves: Sequence[dict[str, Any]]) -> dict[str, Any]:
    from rop.experiments.pictures import panels
    from rop.show.pictures.figures import label, logarithmic

    adaptive = [name for name in plan.methods if name.startswith("adaptive-hf")]
    few = f"mean ± s.e. of {min(plan.trials, _FIGURE_1)} trials"
    all_of_them = f"mean ± s.e. of {plan.trials} trials"
    pictures = {}
    for picture, methods, most, plots in (
        ("figure1", adaptive, _FIGURE_1,
         (("gradient", "‖∇f‖ of the batch", few), ("alpha", "step size α", few))),
        ("figure2", plan.methods, plan.trials,
         (("loss", "training loss", all_of_them), ("accuracy", "test accuracy", all_of_them))),
    ):  # fmt: skip
        if not methods:
            continue
        pictures[picture], axes = panels(2)
        for ax, (column, name, title) in zip(axes, plots, strict=True):
            for i, method in enumerate(methods):
                own = [row for row in curves if row["method"] == method]
                _band(ax, _points(own, column, most), method, i)
            label(ax, title, "update", name)
            if column != "accuracy":
                logarithmic(ax, "y")
        axes[0].legend(fontsize=7, frameon=False)
    return pictures


def _points(
    rows: Sequence[dict[str, Any]], column: str, most: int
) -> list[tuple[float, float, float]]:
    """Return update, mean and standard error over trials; a trial that ended keeps its value."""
    by_trial: dict[int, dict[float, float]] = defaultdict(dict)
    for row in rows:
        if isfinite(row.get(column, nan)):
            by_trial[row["trial"]][row["update"]] = row[column]
    series = list(by_trial.values())[:most]
    latest: list[float] = [nan] * len(series)
    points = []
    for update in sorted({update for each in series for update in each}):
        latest = [each.get(update, old) for each, old in zip(series, latest, strict=True)]
        points.append((update, *_mean_and_error([x for x in latest if isfinite(x)])))
    return points


def _band(ax: Any, points: Sequence[tuple[float, float, float]], name: str, number: int) -> None:
    colour = f"C{number}"
    if not points:
        return
    x, mean, error = zip(*points, strict=True)
    ax.plot(x, mean, color=colour, lw=1.2, label=name)
    low = [max(m - e, 0.1 * m) if isfinite(e) else m for m, e in zip(mean, error, strict=True)]
    high = [m + e if isfinite(e) else m for m, e in zip(mean, error, strict=True)]
    ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
