"""The experiments by name: problems for `rop train`, studies for `rop figure`.

A new one is a function in a module of this package, decorated with `experiment` or `study`; the
module is named in ``rop/experiments/__init__.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from numpy.typing import NDArray

from rop.errors import RopValueError
from rop.hf.recipes import Recipe
from rop.hf.streams import Batch, Data
from rop.objective.objective import Objective

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Measure: TypeAlias = Callable[[NDArray[Any], Mapping[str, NDArray[Any]]], NDArray[Any]]
Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Problem:
    """A problem: objective, θ_0, data, recipe and measures of success.

    Attributes
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0.
    train : mapping of str to ndarray, or Stream
        The training set, or a stream that draws one for every iteration.
    test : mapping of str to ndarray
        Cases for the measures alone; may be empty.
    recipe : Recipe
        The settings of HF that suit the problem.
    settings : mapping of str to object
        Arguments such as ``lam`` or ``curvature`` for a recipe asked for by its name; each is
        passed to a recipe that has it.
    measures : mapping of str to callable, (z, batch) -> (N,)
        What counts besides f, case by case: outputs z (N, ...) and batch to N numbers, whose mean
        is reported.
    goals : mapping of str to float
        What solves the problem: measures, "train" or "test" before their names, and what each has
        to fall below, such as ``{"test wrong": 0.01}``. A run ends where all of them are reached.
    measured : int, optional
        How many cases of each set are measured, the first ones; all by default.
    """

    objective: Objective
    theta: NDArray[Any]
    train: Data
    test: Batch
    recipe: Recipe
    settings: Mapping[str, Any] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    measured: int | None = None

    def solved(self, row: Row) -> bool:
        """Return whether measures reach the goals.

        Parameters
        ----------
        row : mapping of str to float
            The measures, by the names of the goals.

        Returns
        -------
        bool
            False where there are no goals, or a measure is NaN.
        """
        return bool(self.goals) and all(row[name] < goal for name, goal in self.goals.items())


@dataclass(frozen=True)
class _Entry:
    """A function that the command line knows by a name."""

    name: str
    function: Callable[..., Any]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """The keyword-only arguments of the function, with their defaults, such as length=50."""
        return {
            name: parameter.default
            for name, parameter in inspect.signature(self.function).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }


@dataclass(frozen=True)
class Experiment(_Entry):
    """A named problem of `rop train`.

    Attributes
    ----------
    name : str
        Its name on the command line.
    function : callable
        ``function(seed, **options) -> Problem``.
    iterations : int
        The number of iterations by default.
    """

    iterations: int

    def build(self, seed: int, **options: Any) -> Problem:
        """Build the problem.

        Parameters
        ----------
        seed : int
            Seed of θ_0.
        **options
            Values of `options` other than the defaults.

        Returns
        -------
        Problem
        """
        problem: Problem = self.function(seed, **options)
        return problem


@dataclass(frozen=True, eq=False)
class Findings:
    """The findings of a study: tables, pictures and a summary.

    Attributes
    ----------
    tables : mapping of str to sequence of mappings
        Tables by name, row by row: what the pictures were made of, and more.
    pictures : mapping of str to Figure
        Pictures by name.
    text : str
        A summary in a few lines.
    """

    tables: Mapping[str, Sequence[Row]]
    pictures: Mapping[str, Figure]
    text: str


@dataclass(frozen=True)
class Study(_Entry):
    """A named study of `rop figure`.

    Attributes
    ----------
    name : str
        Its name on the command line.
    function : callable
        ``function(seconds, seed, **options) -> Findings``; ``seconds`` is for the whole study.
    seconds : float
        The time it takes by default.
    """

    seconds: float

    def run(self, seconds: float, seed: int, **options: Any) -> Findings:
        """Run the study.

        Parameters
        ----------
        seconds : float
            The time for the whole study.
        seed : int
            Seed of θ_0 and of the data.
        **options
            Values of `options` other than the defaults.

        Returns
        -------
        Findings
        """
        findings: Findings = self.function(seconds, seed, **options)
        return findings


_Kind = TypeVar("_Kind", Experiment, Study)
EXPERIMENTS: dict[str, Experiment] = {}
STUDIES: dict[str, Study] = {}


def experiment(
    name: str, *, iterations: int
) -> Callable[[Callable[..., Problem]], Callable[..., Problem]]:
    """Register a function that builds a problem, by a name for `rop train`.

    The function takes a seed; its keyword-only arguments, which need defaults that are numbers,
    bools or strings, become options of the command line: ``length=50`` becomes ``--length 50``.

    Parameters
    ----------
    name : str
        The name.
    iterations : int
        The number of iterations by default.

    Returns
    -------
    callable
        The decorator.

    Examples
    --------
    >>> @experiment("addition", iterations=100)  # doctest: +SKIP
    ... def addition(seed: int, *, length: int = 30) -> Problem:
    ...     ...
    """

    def enter(build: Callable[..., Problem]) -> Callable[..., Problem]:
        _enter(EXPERIMENTS, Experiment(name, build, iterations))
        return build

    return enter


def study(
    name: str, *, seconds: float
) -> Callable[[Callable[..., Findings]], Callable[..., Findings]]:
    """Register a function that runs a study, by a name for `rop figure`.

    The function takes ``seconds``, the time for all its runs, and a seed; keyword-only arguments
    become options of the command line.

    Parameters
    ----------
    name : str
        The name.
    seconds : float
        The time it takes by default.

    Returns
    -------
    callable
        The decorator.
    """

    def enter(run: Callable[..., Findings]) -> Callable[..., Findings]:
        _enter(STUDIES, Study(name, run, seconds))
        return run

    return enter


def _enter(known: dict[str, _Kind], entry: _Kind) -> None:
    if entry.name in known:
        raise RopValueError(f"an experiment has this name already: {entry.name!r}")
    known[entry.name] = entry
