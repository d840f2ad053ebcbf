"""The cases of the gradient and of the curvature at each iteration (sec. 12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rop.errors import RopValueError
from rop.hf.policy import Policy
from rop.hf.schedules import Ramp, Scheduled, value_at
from rop.support.constraints import Constraint, Count, Either, Real, Seed, Whole


@dataclass(frozen=True)
class Cases:
    """``size`` consecutive cases of the data, in the data's own order or in a shuffled one.

    They begin at ``start`` and wrap around at the end of the data. These four numbers suffice to
    find the same cases again.

    Attributes
    ----------
    start, size : int
        The position of the first case, and the number of cases.
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
        """The index of these cases into an array; a slice, which makes views, if possible."""
        stop = self.start + self.size
        if self.seed is None and stop <= self.total:
            return slice(self.start, stop)
        positions = np.arange(self.start, stop) % self.total
        return positions if self.seed is None else _order(self.seed, self.total)[positions]

    def pieces(self, most: int) -> Iterator[Cases]:
        """Split into computational minibatches of at most ``most`` cases, in order (sec. 7.1)."""
        cases = self.unordered()
        for offset in range(0, self.size, most):
            yield cases.part(offset, min(most, self.size - offset))

    def unordered(self) -> Cases:
        """Return all cases in the data's own order, which needs no copies, if these are all."""
        return replace(self, start=0, seed=None) if self.size == self.total else self

    def part(self, offset: int, size: int) -> Cases:
        """Return ``size`` cases, beginning ``offset`` cases after the first of these."""
        return replace(self, start=(self.start + offset) % self.total, size=size)


@lru_cache(maxsize=4)
def _order(seed: int, total: int) -> npt.NDArray[np.intp]:
    order: npt.NDArray[Any] = np.random.default_rng(seed).permutation(total)
    return order


@dataclass(frozen=True)
class _CountOrFraction(Either):
    choices: tuple[Constraint, ...] = (Whole(at_least=1), Real(above=0, at_most=1))

    def __str__(self) -> str:
        return "a number of cases (an int of at least 1) or a fraction (a float above 0, at most 1)"


Size: TypeAlias = Annotated[int | float | Ramp, Scheduled(_CountOrFraction())]


@dataclass(frozen=True)
class Batches(Policy):
    """A partition of the data, used in turn, with the curvature's cases among the gradient's.

    Iteration k takes the next ``gradient`` cases. Of these it takes ``curvature`` cases, the next
    ones after each pass through the data. With the gradient on all data, the default, this is the
    partition of Martens' code: chunk k mod (number of chunks). The choice depends on k alone, so a
    run can be resumed or replayed anywhere. Each size may be a `Ramp`: growing batches are the
    simplest remedy against updates that overfit them (sec. 12.2). `Growth` lets them grow when they
    must.

    Parameters
    ----------
    gradient : int, float or Ramp
        Cases of the gradient and of the line search: a number, or a fraction of the data.
    curvature : int, float or Ramp
        Cases of the curvature and of ρ, fixed for a whole run of CG: a number, or a fraction of
        the gradient's cases.
    selection : int, float or Ramp
        Cases on which CG's iterates are compared: a number, or a fraction of the gradient's
        cases. Fewer are cheaper (sec. 8.7).
    seed : int or None
        Shuffles the data once; None keeps their order, which avoids copies.
    chunk : int
        The largest number of cases in one sweep of f or ∇f, which bounds the memory (sec. 7.1).
    selection_from : str
        Where the selection's cases are: the first of the "gradient" or of the "curvature", or
        "outside": those that follow the curvature's (the second recipe of sec. 13).
    held_out : int, float, Ramp or None
        Cases for nothing but recording f: those that follow the gradient's, a number or a fraction
        of the data. There are none if the gradient uses all data.
    fewest : int
        Curvature and selection use at least this many cases, or all of the gradient's, if their
        sizes are fractions.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(batches=rop.hf.Batches(curvature=0.25))
    >>> print(rop.hf.Recipe().diff(recipe))
    batches.curvature: 0.0625 -> 0.25
    """

    gradient: Size = 1.0
    curvature: Size = 1 / 16
    selection: Size = 1 / 8
    seed: Seed | None = 0
    chunk: Count = 1000
    selection_from: Literal["gradient", "curvature", "outside"] = "gradient"
    held_out: Size | None = None
    fewest: Count = 256

    def draw(self, iteration: int, total: int, times: float = 1.0) -> Draw:
        """Return the cases of one iteration.

        Parameters
        ----------
        iteration : int
            The iteration's number, from 0.
        total : int
            The number of cases of the data.
        times : float
            The factor by which curvature and selection have grown (see `Growth`).

        Returns
        -------
        Draw
            The cases of gradient, curvature and selection, and the held-out ones.

        Raises
        ------
        RopValueError
            If ``selection_from`` is "outside" but the curvature uses all cases.
        """
        seen = self._seen(iteration, total)
        size = _size(self.gradient, total, iteration)
        gradient = Cases(seen % total, size, total, self.seed)
        fewest = min(self.fewest, size)
        part = _grown(_size(self.curvature, size, iteration, fewest), times, size)
        parts = -(-size // part)
        # The last part ends with the gradient's cases, sharing some with the part before it.
        curvature = gradient.part(min(seen // total % parts * part, size - part), part)
        chosen = _grown(_size(self.selection, size, iteration, fewest), times, size)
        if self.selection_from == "outside":
            if part == total:
                raise RopValueError(
                    "Batches: selection_from='outside' needs cases outside the curvature's, which "
                    f"are all {total}; make curvature or gradient smaller"
                )
            selection = curvature.part(part, min(chosen, total - part))
        elif self.selection_from == "curvature":
            selection = curvature.part(0, min(chosen, part))
        else:
            selection = gradient.part(0, chosen)
        held_out = None
        if self.held_out is not None and size < total:
            beside = min(_size(self.held_out, total, iteration), total - size)
            held_out = gradient.part(size, beside)
        return Draw(gradient, curvature, selection, held_out)

    def _seen(self, iteration: int, total: int) -> int:
        """Return the number of cases in all earlier gradients."""
        if not isinstance(self.gradient, Ramp):
            return iteration * _size(self.gradient, total, iteration)
        ramp = self.gradient
        before = min(iteration, ramp.begin) * _size(ramp, total, 0)
        after = max(iteration - ramp.end, 0) * _size(ramp, total, ramp.end)
        # From the iteration asked for last: a run that draws one after the other adds one each.
        last = _last_sum(ramp, total)
        changing = min(max(iteration, ramp.begin), ramp.end)
        begin, cases = last[0] if last[0][0] <= changing else (ramp.begin, 0)
        cases += sum(_size(ramp, total, k) for k in range(begin, changing))
        last[0] = changing, cases
        return before + cases + after


@lru_cache(maxsize=8)
def _last_sum(ramp: Ramp, total: int) -> list[tuple[int, int]]:
    """Where `Batches.draw` keeps up to which iteration it has summed a ramp, and the sum."""
    return [(ramp.begin, 0)]


@dataclass(frozen=True)
class Draw:
    """The cases of one iteration's gradient, curvature and selection, and the held-out ones."""

    gradient: Cases
    curvature: Cases
    selection: Cases
    held_out: Cases | None = None


def _grown(size: int, times: float, most: int) -> int:
    return min(round(size * times), most)


def _size(setting: int | float | Ramp, of: int, iteration: int, fewest: int = 1) -> int:
    """Return a number of cases; ``fewest`` bounds fractions only."""
    wanted = value_at(setting, iteration)
    if isinstance(wanted, int | np.integer):
        return min(int(wanted), of)
    return min(max(round(wanted * of), fewest), of)
