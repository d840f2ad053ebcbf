"""Data drawn for each iteration (sec. 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Annotated, TypeAlias

import numpy.typing as npt

from rop.errors import RopTypeError, RopValueError
from rop.support.arguments import checked, shown
from rop.support.constraints import Constraint, Fault

Batch: TypeAlias = Mapping[str, npt.ArrayLike]


class Stream:
    """Data drawn anew for each iteration; the recipe's batches are parts of them.

    Files that do not fit in memory need no stream: give ``np.memmap`` arrays or
    ``np.load(..., mmap_mode="r")``, from which only the batch at hand is read.

    Parameters
    ----------
    source : callable, int -> mapping of str to ndarray, or iterable of such mappings
        A function of k that returns the data of iteration k = 0, 1, ...; with it a run can be
        resumed anywhere at no cost. Or an iterable such as a list or a data loader: a resumed run
        draws its batches again from the beginning, so they must be the same.

    Raises
    ------
    RopTypeError
        If the source is neither callable nor iterable.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> def sample(k):
    ...     x = np.random.default_rng(k).normal(size=(100, 2))
    ...     return {"x": x, "t": x.sum(axis=1, keepdims=True)}
    >>> run = rop.hf.minimize(objective, np.zeros(3), rop.hf.Stream(sample), iterations=20)
    >>> run.theta.round(2)
    array([1., 1., 0.], dtype=float32)
    """

    @checked
    def __init__(self, source: Callable[[int], Batch] | Iterable[Batch]) -> None:
        self._draw = source if callable(source) else _InOrder(source)
        self._last: tuple[int, Batch] | None = None

    def __call__(self, iteration: int) -> Batch:
        """Return the data of an iteration; the latest ones are not drawn again.

        Parameters
        ----------
        iteration : int
            The iteration's number, from 0.

        Returns
        -------
        mapping of str to ndarray, shape (N, ...)
            The data.

        Raises
        ------
        StopIteration
            If an iterable source is exhausted.
        """
        if self._last is None or self._last[0] != iteration:
            self._last = None  # frees its memory before more is taken
            drawn = self._draw(iteration)
            if not isinstance(drawn, Mapping):
                raise RopTypeError(
                    f"Stream: the data of iteration {iteration} must be a dict of arrays by the "
                    f"names of the objective's data, got {shown(drawn)}"
                )
            self._last = iteration, drawn
        return self._last[1]

    def first(self) -> Batch:
        """Return the data of iteration 0; raises RopValueError if there are none."""
        try:
            return self(0)
        except StopIteration:
            raise RopValueError("data: the stream has no batches") from None


class _InOrder:
    """An iterable as a function of the position; to go back is to start again."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches, self._next = batches, 0
        self._iterator: Iterator[Batch] = iter(batches)

    def __call__(self, iteration: int) -> Batch:
        if iteration < self._next:
            if self._iterator is self._batches:
                raise RopValueError(
                    f"Stream: batch {iteration} of an iterator that is past it is gone; give an "
                    "iterable that can start again, such as a list or a data loader, or a "
                    "function of the iteration's number"
                )
            self._iterator, self._next = iter(self._batches), 0
        skipped = iteration - self._next
        self._next = iteration + 1
        return next(islice(self._iterator, skipped, None))


class _NamedArrays(Constraint):
    """A dict of arrays, or a `Stream` of such dicts."""

    def fault(self, value: object) -> Fault | None:
        return None if isinstance(value, Mapping | Stream) else RopTypeError

    def remedy(self, value: object) -> str:
        if value is None:
            return "write {} for an objective without data"
        return 'write {"x": X, "t": T}, with the names given to rop.data'

    def __str__(self) -> str:
        return "a dict of arrays by the names of the objective's data, or a Stream"


Data: TypeAlias = Annotated[Batch | Stream, _NamedArrays()]
