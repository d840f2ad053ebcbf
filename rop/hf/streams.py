"""Data that are not all there at once: another batch of them for every iteration (sec. 12)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

import numpy.typing as npt

from rop.errors import RopTypeError, RopValueError

Batch = Mapping[str, npt.ArrayLike]


class Stream:
    """Data drawn anew for each iteration; the recipe's batches are parts of what was drawn.

    What does not fit in memory but lies in files needs no stream: hand over ``np.memmap`` arrays
    or ``np.load(..., mmap_mode="r")``, of which only the pieces in work are read.

    Parameters
    ----------
    source : callable, int -> mapping of str to ndarray, or iterable of such mappings
        The data of iteration k, for k = 0, 1, ..., as a function of k: best, for then a run can be
        resumed anywhere at no cost. Or an iterable such as a list or a data loader: a resumed run
        goes through it from the beginning up to its place, which must bring the same batches.

    Raises
    ------
    RopTypeError
        If the source is neither callable nor iterable.

    Examples
    --------
    >>> def sample(k):
    ...     rng = np.random.default_rng([seed, k])
    ...     return {"x": rng.normal(size=(1000, 20)), "t": ...}
    >>> rop.hf.minimize(objective, theta, rop.hf.Stream(sample))  # doctest: +SKIP
    """

    def __init__(self, source: Callable[[int], Batch] | Iterable[Batch]) -> None:
        if not callable(source) and not isinstance(source, Iterable):
            raise RopTypeError(
                "Stream: expected a function of the iteration's number, or an iterable of "
                f"batches, got {type(source).__name__}"
            )
        self._draw = source if callable(source) else _InOrder(source)
        self._last: tuple[int, Batch] | None = None

    def __call__(self, iteration: int) -> Batch:
        """Return the data of an iteration, the latest ones again without drawing them.

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
            If the source is an iterable and has come to its end.
        """
        if self._last is None or self._last[0] != iteration:
            self._last = None  # frees its memory before more is taken
            self._last = iteration, self._draw(iteration)
        return self._last[1]


class _InOrder:
    """An iterable as a function of the position; going back means starting again."""

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
