"""Which cases the gradient and the curvature of an iteration see (sec. 12)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rop.errors import RopValueError
from rop.hf.schedules import Ramp, extremes, value_at


@dataclass(frozen=True)
class Cases:
    """A stretch of ``size`` cases of the data, in the data's own order or in a shuffled one.

    The stretch runs from ``start`` and goes on at the beginning where the data end. It is all
    that is needed to find the same cases again.

    Attributes
    ----------
    start, size : int
        Where the stretch starts and how many cases it has.
    total : int
        The number of cases of the data.
    seed : int or None
        The seed of the shuffled order; None is the data's own order.
    """

    start: int
    size: int
    total: int
    seed: int | None = None

    @property
    def index(self) -> slice | npt.NDArray[np.intp]:
        """What picks these cases from an array; a slice, and so a view, where that can be."""
        stop = self.start + self.size
        if self.seed is None and stop <= self.total:
            return slice(self.start, stop)
        positions = np.arange(self.start, stop) % self.total
        return positions if self.seed is None else _order(self.seed, self.total)[positions]

    def pieces(self, most: int) -> Iterator["Cases"]:
        """Split into computational minibatches of at most ``most`` cases (sec. 7.1).

        Parameters
        ----------
        most : int
            The largest size of a piece.

        Yields
        ------
        Cases
            The pieces, in order.
        """
        cases = self.unordered()
        for offset in range(0, self.size, most):
            yield cases.stretch(offset, min(most, self.size - offset))

    def unordered(self) -> "Cases":
        """Return the same cases in the data's own order where these are all cases.

        Returns
        -------
        Cases
            Cases whose sums are the same, and for which no copies are needed.
        """
        return replace(self, start=0, seed=None) if self.size == self.total else self

    def stretch(self, offset: int, size: int) -> "Cases":
        """Return ``size`` of these cases, from ``offset`` on.

        Parameters
        ----------
        offset, size : int
            Where the part starts, counted from this stretch's start, and its number of cases.

        Returns
        -------
        Cases
            The part.
        """
        return replace(self, start=(self.start + offset) % self.total, size=size)


@lru_cache(maxsize=4)
def _order(seed: int, total: int) -> npt.NDArray[np.intp]:
    order: npt.NDArray[Any] = np.random.default_rng(seed).permutation(total)
    return order


@dataclass(frozen=True)
class Batches:
    """A partition of the data that is cycled through, the curvature's cases among the gradient's.

    Iteration k takes the next ``gradient`` cases, and of these the next ``curvature`` cases each
    time the data have been gone through. With the gradient on all data, the default, this is the
    partition of Martens' code: chunk k mod (number of chunks). The choice is a function of k
    alone, so a run can be resumed or replayed anywhere. Each size may be a `Ramp`: batches that
    grow are the simplest remedy against updates that overfit them (sec. 12.2).

    Parameters
    ----------
    gradient : int, float or Ramp
        Cases of the gradient and of the line search: a number, or a fraction of the data.
    curvature : int, float or Ramp
        Cases of the curvature and of ρ, fixed for a whole run of CG: a number, or a fraction of
        the gradient's cases.
    selection : int, float or Ramp
        Cases on which CG's iterates are compared: a number, or a fraction of the gradient's
        cases. The fewer, the cheaper (sec. 8.7).
    seed : int or None
        Shuffles the data once; None keeps their order, which avoids copies.
    chunk : int
        Most cases that the gradient and f work on at a time, which bounds the memory (sec. 7.1).
    selection_from : str
        Where the selection's cases are: the first of the "gradient"'s or of the "curvature"'s, or
        "outside", those that follow the curvature's (the second recipe of sec. 13).
    held_out : int, float, Ramp or None
        Cases on which f is watched, and nothing else: those that follow the gradient's, a number
        or a fraction of the data. None where the gradient sees all data.
    fewest : int
        Curvature and selection see at least this many cases, or all of the gradient's.
    least_work : int
        They also see so many cases that cases times parameters are at least this: on small problems
        fewer cases save no time, but spoil the fast convergence at the end.
    """

    gradient: int | float | Ramp = 1.0
    curvature: int | float | Ramp = 1.0
    selection: int | float | Ramp = 1.0
    seed: int | None = 0
    chunk: int = 1000
    selection_from: Literal["gradient", "curvature", "outside"] = "gradient"
    held_out: int | float | Ramp | None = None
    fewest: int = 1
    least_work: int = 0

    def __post_init__(self) -> None:
        for name in ("gradient", "curvature", "selection", "held_out"):
            setting = getattr(self, name)
            for size in () if setting is None else extremes(setting):
                if not (size >= 1 if isinstance(size, int | np.integer) else 0 < size <= 1):
                    raise RopValueError(
                        f"Batches: {name} must be a number of cases (an int of at least 1) or a "
                        f"fraction (a float above 0, at most 1.0), got {size!r}"
                    )
        if self.chunk < 1 or self.fewest < 1:
            raise RopValueError(
                f"Batches: chunk and fewest must be at least 1, got {self.chunk} and {self.fewest}"
            )
        if self.selection_from not in ("gradient", "curvature", "outside"):
            raise RopValueError(
                'Batches: selection_from must be "gradient", "curvature" or "outside", got '
                f"{self.selection_from!r}"
            )

    def draw(self, iteration: int, total: int, parameters: int = 1) -> "Draw":
        """Return the cases of one iteration.

        Parameters
        ----------
        iteration : int
            The iteration's number, from 0.
        total : int
            The number of cases of the data.
        parameters : int
            The number of parameters, for ``least_work``.

        Returns
        -------
        Draw
            The cases of gradient, curvature and selection, and the held-out ones.

        Raises
        ------
        RopValueError
            If the selection's cases should be outside the curvature's, which are all there are.
        """
        seen = self._seen(iteration, total)
        size = _size(self.gradient, total, iteration)
        gradient = Cases(seen % total, size, total, self.seed)
        fewest = min(max(self.fewest, ceil(self.least_work / parameters)), size)
        part = max(_size(self.curvature, size, iteration), fewest)
        parts = -(-size // part)
        # The last part ends with the gradient's cases, sharing some with the part before it.
        curvature = gradient.stretch(min(seen // total % parts * part, size - part), part)
        chosen = max(_size(self.selection, size, iteration), fewest)
        if self.selection_from == "outside":
            if part == total:
                raise RopValueError(
                    "Batches: selection_from='outside' needs cases outside the curvature's, which "
                    f"are all {total}; make curvature or gradient smaller"
                )
            selection = curvature.stretch(part, min(chosen, total - part))
        elif self.selection_from == "curvature":
            selection = curvature.stretch(0, min(chosen, part))
        else:
            selection = gradient.stretch(0, chosen)
        held_out = None
        if self.held_out is not None and size < total:
            beside = min(_size(self.held_out, total, iteration), total - size)
            held_out = gradient.stretch(size, beside)
        return Draw(gradient, curvature, selection, held_out)

    def _seen(self, iteration: int, total: int) -> int:
        """Return how many cases all earlier gradients saw."""
        changing = self.gradient.end if isinstance(self.gradient, Ramp) else 0
        ramp = sum(_size(self.gradient, total, k) for k in range(min(iteration, changing)))
        constant = _size(self.gradient, total, changing)
        return ramp + max(iteration - changing, 0) * constant


@dataclass(frozen=True)
class Draw:
    """The cases of one iteration's gradient, curvature and selection, and the held-out ones."""

    gradient: Cases
    curvature: Cases
    selection: Cases
    held_out: Cases | None = None


def _size(setting: int | float | Ramp, of: int, iteration: int) -> int:
    wanted = value_at(setting, iteration)
    cases = int(wanted) if isinstance(wanted, int | np.integer) else round(wanted * of)
    return min(max(cases, 1), of)
