"""What is on a worker: its parts of the data, and their linearizations."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from distributed import Worker, WorkerPlugin, get_worker
from numpy.typing import NDArray

from rop.distributed.errors import NotHere, PartError
from rop.distributed.sources import Arrays, Loader
from rop.distributed.sums import TreeSum, scaled
from rop.engines.parallel import given_threads
from rop.errors import RopError, RopMemoryError, RopValueError
from rop.hf.batches import Cases
from rop.hf.identity import Values
from rop.hf.preconditioners import Preconditioner
from rop.objective.inputs import checked_batch, numbers
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.programs.checkpointing import Checkpoints

# A worker keeps parts that it can load again in so much of the memory that it has left: Dask pauses
# it at 80 % of its limit.
_KEPT = 0.3


@dataclass(frozen=True)
class Part:
    """A part of the data: its number, its first case among all, and its number of cases."""

    number: int
    first: int
    cases: int


@dataclass(frozen=True)
class Point:
    """What a worker needs to linearize, besides θ: enough to do it again anywhere.

    Attributes
    ----------
    number : int
        No other linearization of the objective has it.
    engine, dtype : str
        Engine and dtype of the arithmetic.
    checkpoints : int, "sqrt" or None
        As in `Objective.linearize`.
    cases : Cases
        The cases, of all parts.
    """

    number: int
    engine: str
    dtype: str
    checkpoints: Checkpoints | None
    cases: Cases

    @property
    def kind(self) -> np.dtype[Any]:
        """The dtype."""
        return np.dtype(self.dtype)


class Site(WorkerPlugin):  # type: ignore[misc]
    """An objective on a worker. Whatever it loses it can make again, from a source and θ.

    Parameters
    ----------
    objective : Objective
        f without its penalty, which is no sum over cases.
    loaders : sequence of callable or None
        What loads each part; None for those that Dask brings.
    names : sequence of str
        What errors call the parts.
    threads : int
        Threads of each product.
    """

    def __init__(
        self,
        objective: Objective,
        loaders: Sequence[Loader | None],
        names: Sequence[str],
        threads: int,
    ) -> None:
        self.objective, self.loaders, self.names = objective, loaders, names
        self.threads = threads

    def setup(self, worker: Worker) -> None:
        """Begin with nothing, when Dask has brought the plugin to a worker."""
        self.lock = threading.RLock()
        used = worker.monitor.get_process_memory()
        self.room = _KEPT * ((worker.memory_manager.memory_limit or np.inf) - used)
        self.data: dict[int, Arrays] = {}
        self.linearized: dict[tuple[int, int], Linearization | None] = {}

    def teardown(self, worker: Worker) -> None:
        """Free the memory."""
        self.data.clear()
        self.linearized.clear()

    def keep_only(self, parts: Sequence[Part], forgotten: Sequence[int]) -> None:
        """Free the memory of parts that are now elsewhere, and of points that nobody needs."""
        mine = {part.number for part in parts}
        for number in self.data.keys() - mine:
            del self.data[number]
        for point, number in list(self.linearized):
            if number not in mine or point in forgotten:
                del self.linearized[point, number]

    def take(self, number: int, given: Mapping[str, Any] | None) -> int:
        """Load or receive a part, check it against the objective, and return its cases."""
        arrays = self._checked(number, given) if given is not None else self._loaded(number)
        if given is not None:
            self.data[number] = arrays
        return len(next(iter(arrays.values()))) if arrays else 1

    def arrays(self, part: Part) -> Arrays:
        """The data of a part, loaded again if it was not kept.

        Raises
        ------
        NotHere
            If the worker cannot load it by itself.
        PartError
            If loading fails.
        """
        arrays = self.data.get(part.number)
        if arrays is None:
            if self.loaders[part.number] is None:
                raise NotHere(part.number)
            arrays = self._loaded(part.number)
        found = len(next(iter(arrays.values()))) if arrays else 1
        if found != part.cases:
            raise PartError(
                f"{self.names[part.number]}: it had {part.cases} cases, and has {found} when it "
                "is loaded again; its function must return the same cases each time"
            )
        return arrays

    def _loaded(self, number: int) -> Arrays:
        load = self.loaders[number]
        assert load is not None
        try:
            given = load()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise PartError(f"{self.names[number]}: loading it failed with {said}") from error
        arrays = self._checked(number, given)
        # Pages of a mapped file count as the process's memory until it is closed.
        mapped = any(isinstance(array.base, np.memmap) for array in arrays.values())
        if not mapped and sum(map(_bytes, (*self.data.values(), arrays))) <= self.room:
            self.data[number] = arrays
        return arrays

    def _checked(self, number: int, given: Any) -> Arrays:
        """Return the arrays of a part; PartError if they do not fit the objective."""
        objective = self.objective
        try:
            if not isinstance(given, Mapping):
                raise RopValueError(f"expected a dict of arrays, got {type(given).__name__}")
            arrays = {name: numbers(f"data[{name!r}]", array) for name, array in given.items()}
            sizes = {name: array.shape[:1] for name, array in arrays.items()}
            if len(set(sizes.values())) > 1 or () in sizes.values() or (0,) in sizes.values():
                raise RopValueError(f"the numbers of cases differ, or are 0: {sizes}")
            first = {name: array[:1] for name, array in arrays.items()}
            shapes, integers = objective.data_shapes, objective._integers
            checked_batch(first, shapes, np.dtype(np.float64), integers, objective.loss.classes)
        except RopError as error:
            raise PartError(f"{self.names[number]}: {error}") from error
        return arrays

    def batch(self, part: Part, rows: slice | NDArray[np.intp]) -> Arrays:
        """Some cases of a part."""
        return {name: array[rows] for name, array in self.arrays(part).items()}

    def at(self, part: Part, point: Point, theta: NDArray[Any]) -> Linearization | None:
        """The linearization of a part, made again if the worker has none; None without cases."""
        key = point.number, part.number
        with self.lock:
            if key not in self.linearized:
                rows = rows_of(part, point.cases)
                self.linearized[key] = (
                    self.objective.linearize(
                        theta, self.batch(part, rows), point.engine, point.kind, point.checkpoints
                    )
                    if size_of(rows)
                    else None
                )
            return self.linearized[key]

    def identify(self, part: Part, point: Point, theta: NDArray[Any]) -> dict[str, Values]:
        """What tells the part's data from others."""
        return {name: Values.of(array) for name, array in self.arrays(part).items()}

    def fetch(self, part: Part, point: Point, theta: NDArray[Any]) -> Arrays:
        """The chosen cases themselves."""
        return self.batch(part, rows_of(part, point.cases))

    def each(
        self, part: Part, point: Point, theta: NDArray[Any], name: str, *arguments: Any
    ) -> Any:
        """A value, method or matrix of the part's linearization; None without cases."""
        at = self.at(part, point, theta)
        if at is None:
            return None
        owner, _, inner = name.partition(".")
        if inner:
            return getattr(getattr(at, owner), inner)()
        found = getattr(at, owner)
        return found(*arguments) if callable(found) else found

    def mean(
        self, part: Part, point: Point, theta: NDArray[Any], name: str, *arguments: Any
    ) -> Any:
        """The same, times the part's share of the cases: a term of the mean over all."""
        share = size_of(rows_of(part, point.cases)) / point.cases.size
        return scaled(share, self.each(part, point, theta, name, *arguments))

    def random_diagonal(
        self, part: Part, point: Point, theta: NDArray[Any], seed: int, *arguments: Any
    ) -> Any:
        """The share of a diagonal whose random numbers differ from part to part."""
        rng = np.random.default_rng([seed, part.number])
        return self.mean(part, point, theta, "diagonal", "chapelle-erhan", rng, *arguments)

    def split(
        self, part: Part, point: Point, theta: NDArray[Any], name: str, vectors: Any, *rest: Any
    ) -> Any:
        """A product with a vector that has a block for each part."""
        return self.each(part, point, theta, name, vectors[part.number], *rest)

    def value(self, part: Part, point: Point, theta: NDArray[Any], chunk: int) -> float | None:
        """The share of f, in pieces of at most so many cases."""
        total = None
        for share, batch in self._pieces(part, point, chunk):
            f = share * self.objective.value(theta, batch, point.engine, point.kind)
            total = f if total is None else total + f
        return total

    def gradient(
        self,
        part: Part,
        point: Point,
        theta: NDArray[Any],
        chunk: int,
        preconditioner: Preconditioner | None,
        seed: int,
        mu: float,
    ) -> Any:
        """The shares of f, ∇f and the preconditioner's diagonal, in pieces."""
        total: Any = None
        for number, (share, batch) in enumerate(self._pieces(part, point, chunk)):
            if preconditioner is None:
                f, g = self.objective.value_and_gradient(theta, batch, point.engine, point.kind)
                diagonal = None
            else:
                at = self.objective.linearize(theta, batch, point.engine, point.kind)
                f, g = at.value, at.gradient()
                own = int(np.random.SeedSequence([seed, part.number, number]).generate_state(1)[0])
                diagonal = preconditioner.diagonal(at, own, mu)
            total = plus_into(total, scaled(share, (f, g, diagonal)))
        return total

    def product(
        self, part: Part, point: Point, theta: NDArray[Any], name: str, v: NDArray[Any], chunk: int
    ) -> Any:
        """The share of Gv or Hv, linearized in pieces that are not kept."""
        total: Any = None
        for share, batch in self._pieces(part, point, chunk):
            at = self.objective.linearize(theta, batch, point.engine, point.kind)
            total = plus_into(total, (scaled(share, getattr(at, name)(v)),))
        return None if total is None else total[0]

    def _pieces(self, part: Part, point: Point, chunk: int) -> Iterator[tuple[float, Arrays]]:
        """Cut the part's chosen cases into pieces, each with its share of all chosen cases."""
        rows = rows_of(part, point.cases)
        size = size_of(rows)
        for begin in range(0, size, chunk):
            end = min(begin + chunk, size)
            if isinstance(rows, slice):
                piece: Any = slice(rows.start + begin, rows.start + end)
            else:
                piece = rows[begin:end]
            yield (end - begin) / point.cases.size, self.batch(part, piece)


def _bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())


def plus_into(total: Any, term: Any) -> Any:
    """Add a tuple to another, whose arrays it may change."""
    if total is None:
        return term
    return tuple(
        b if a is None else np.add(a, b, out=a) if isinstance(a, np.ndarray) else a + b
        for a, b in zip(total, term, strict=True)
    )


def rows_of(part: Part, cases: Cases) -> slice | NDArray[np.intp]:
    """Return which rows of a part are among the cases, in the order of the data."""
    if cases.size == cases.total:
        return slice(0, part.cases)
    index = _ordered(cases)
    begin, end = part.first, part.first + part.cases
    if isinstance(index, slice):
        inside = [min(max(place, begin), end) - begin for place in (index.start, index.stop)]
        return slice(inside[0], inside[1])
    found: NDArray[np.intp] = index[np.searchsorted(index, begin) : np.searchsorted(index, end)]
    return found - begin


@lru_cache(maxsize=4)
def _ordered(cases: Cases) -> slice | NDArray[np.intp]:
    index = cases.index
    return index if isinstance(index, slice) else np.sort(index)


def size_of(rows: slice | NDArray[np.intp]) -> int:
    """Return how many rows there are."""
    return int(rows.stop - rows.start) if isinstance(rows, slice) else len(rows)


def take(token: str, number: int, names: Sequence[str] | None, *blocks: Any) -> int:
    """Load a part on this worker, or receive it; the task "rop-load".

    Parameters
    ----------
    token : str
        Name of the objective's plugin.
    number : int
        The part.
    names : sequence of str or None
        Names of the arrays that follow; None if the worker loads the part itself.
    *blocks : array_like
        The arrays.

    Returns
    -------
    int
        Its number of cases.
    """
    site: Site = get_worker().plugins[token]
    given = None if names is None else dict(zip(names, blocks, strict=True))
    with _memory_errors(site, f"loading {site.names[number]}"):
        return site.take(number, given)


def compute(
    token: str,
    method: str,
    parts: Sequence[Part],
    of: int | None,
    forgotten: Sequence[int],
    point: Point,
    theta: NDArray[Any],
    *arguments: Any,
) -> TreeSum | dict[int, Any]:
    """Do something with each part of this worker; the task "rop-Gv" and its like.

    Parameters
    ----------
    token : str
        Name of the objective's plugin.
    method : str
        What to do: a method of `Site`.
    parts : sequence of Part
        All parts that the worker has now.
    of : int or None
        The number of all parts, to sum over them; None to keep the parts apart.
    forgotten : sequence of int
        Points that nobody needs any more.
    point : Point
        Where.
    theta : ndarray, shape (n,)
        θ.
    *arguments : object
        Of the method.

    Returns
    -------
    TreeSum, or dict of int to object
        The sum, or what was found for each part.
    """
    site: Site = get_worker().plugins[token]
    site.keep_only(parts, forgotten)
    found: TreeSum | dict[int, Any] = TreeSum(of) if of is not None else {}
    with given_threads(site.threads), _memory_errors(site, method):
        for part in parts:
            value = getattr(site, method)(part, point, theta, *arguments)
            if isinstance(found, TreeSum):
                found.add(0, part.number, value)
            else:
                found[part.number] = value
    return found


@contextmanager
def _memory_errors(site: Site, doing: str) -> Iterator[None]:
    """Say of an error for want of memory on which worker it is."""
    try:
        yield
    except MemoryError as error:
        worker = get_worker()
        limit = worker.memory_manager.memory_limit
        raise RopMemoryError(
            f"worker {worker.address} ({doing}) is out of memory, of which it may use "
            f"{limit or 'all'} bytes: {error}; use more workers, more and smaller parts, or "
            "smaller batches"
        ) from error
