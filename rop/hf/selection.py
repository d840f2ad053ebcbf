"""Which iterates CG keeps, and which of them becomes the update: CG-backtracking (sec. 8.7)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from math import ceil, inf, isnan
from typing import Annotated, ClassVar, Literal, Protocol

from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.policy import Policy
from rop.hf.solution import Iterate, hidden
from rop.support.constraints import Count, Real


@dataclass(frozen=True)
class Powers(Policy):
    """Keep the iterates after ⌈first · ratioʲ⌉ steps, j = 0, 1, ... (5 · 1.3ʲ in the HF code).

    >>> sorted(rop.hf.Powers(first=5).steps(50))
    [5, 7, 9, 11, 15, 19, 25, 32, 41]
    """

    first: Count = 1
    ratio: Annotated[float, Real(above=1)] = 1.3

    def steps(self, most: int) -> Collection[int]:
        """Return these numbers of steps up to ``most``."""
        wanted = set()
        power = float(self.first)
        while ceil(power) <= most:
            wanted.add(ceil(power))
            power *= self.ratio
        return wanted


@dataclass(frozen=True)
class Every(Policy):
    """Keep the iterates after every ``interval`` steps.

    >>> sorted(rop.hf.Every(20).steps(100))
    [20, 40, 60, 80, 100]
    """

    interval: Count = 10

    def steps(self, most: int) -> Collection[int]:
        """Return these numbers of steps up to ``most``."""
        return range(self.interval, most + 1, self.interval)


@dataclass(frozen=True)
class Choice:
    """The iterate chosen as the update, and the values that were compared.

    Attributes
    ----------
    iterate : Iterate
        The chosen iterate.
    f : tuple of (int, float)
        Steps and f(θ + x), or M(x), of every iterate that was tried, in the order of the trials.
    """

    iterate: Iterate
    f: tuple[tuple[int, float], ...]


class Selection(Protocol):
    """Says which iterates CG should keep and picks the update among them."""

    @property
    def by(self) -> Literal["f", "model"]:
        """What is compared on the selection's cases: f(θ + x), or the undamped M(x)."""

    def wanted(self, most: int, /) -> Collection[int]:
        """Return the numbers of steps, up to ``most``, whose iterates CG should keep."""

    def choose(
        self,
        iterates: Sequence[Iterate],
        f: Callable[[Iterate], float],
        before: Callable[[], float] | None = None,
        /,
    ) -> Choice:
        """Pick the update.

        Parameters
        ----------
        iterates : sequence of Iterate
            The iterates that CG kept, in order of their steps. The last one is always there.
        f : callable, Iterate -> float
            f(θ + x) or M(x) at an iterate x. NaN counts as infinite.
        before : callable, () -> float, optional
            The same at x = 0.

        Returns
        -------
        Choice
            The chosen iterate, and the values that were compared.
        """


@dataclass(frozen=True)
class LastIterate(Policy):
    """Take CG's last iterate as the update, as algorithm 3 does; f is not evaluated.

    >>> recipe = rop.hf.Recipe(selection=rop.hf.LastIterate())
    >>> print(rop.hf.Recipe().diff(recipe))
    selection: Backtracking() -> LastIterate()
    """

    by: ClassVar[Literal["f", "model"]] = "f"

    def wanted(self, most: int, /) -> Collection[int]:
        """Return nothing; see `Selection`."""
        return ()

    def choose(
        self,
        iterates: Sequence[Iterate],
        f: Callable[[Iterate], float],
        before: Callable[[], float] | None = None,
        /,
    ) -> Choice:
        """Pick the last iterate; see `Selection`."""
        return Choice(iterates[-1], ())


@dataclass(frozen=True)
class Backtracking(Policy):
    """CG-backtracking: go back from the last iterate for as long as f does not rise (sec. 8.7).

    Parameters
    ----------
    schedule : Powers or Every
        Which iterates CG keeps.
    enough : float
        Take an iterate at once if its ρ, by the damped q, is at least this: going back from it
        would cost an f for nothing. The last iterate is taken without an f if it is the only one,
        or if its predicted gain is below f's rounding error. Infinity goes back until f rises, as
        the paper does.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(selection=rop.hf.Backtracking(rop.hf.Every(20)))
    >>> print(rop.hf.Recipe().diff(recipe))
    selection.schedule: Powers() -> Every(interval=20)
    """

    by: ClassVar[Literal["f", "model"]] = "f"
    schedule: Powers | Every = field(default_factory=Powers)
    enough: Annotated[float, Real(infinite=True)] = 1 / 2

    def wanted(self, most: int, /) -> Collection[int]:
        """Return the schedule's steps; see `Selection`."""
        return self.schedule.steps(most)

    def choose(
        self,
        iterates: Sequence[Iterate],
        f: Callable[[Iterate], float],
        before: Callable[[], float] | None = None,
        /,
    ) -> Choice:
        """Pick the last iterate before f rises; see `Selection`."""
        best, lowest = iterates[-1], inf
        if self.enough < inf:
            # After a warm start q may be above 0, which is no gain that f could hide.
            unseen = before is not None and best.q < 0 and hidden(best.q, before(), best.x)
            if len(iterates) == 1 or unseen:
                return Choice(best, ())
        tried = []
        for iterate in reversed(iterates):
            value = f(iterate)
            tried.append((iterate.steps, value))
            value = inf if isnan(value) else value
            if value > lowest:
                break
            best, lowest = iterate, value
            if before is not None and self.enough < inf:
                rho = reduction_ratio(before(), value, iterate.q)
                if rho >= self.enough:
                    break
        return Choice(best, tuple(tried))


@dataclass(frozen=True)
class Best(Policy):
    """Take the best of all kept iterates on the selection's cases (sec. 8.7, second recipe of 13).

    Parameters
    ----------
    schedule : Powers or Every
        Which iterates CG keeps.
    by : str
        "f" for f(θ + x), or "model" for the undamped M(x) with the selection cases' own gradient
        and curvature, at one product for each iterate.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(selection=rop.hf.Best())
    >>> print(rop.hf.Recipe().diff(recipe))
    selection: Backtracking() -> Best()
    """

    schedule: Powers | Every = field(default_factory=Every)
    by: Literal["f", "model"] = "f"

    def wanted(self, most: int, /) -> Collection[int]:
        """Return the schedule's steps; see `Selection`."""
        return self.schedule.steps(most)

    def choose(
        self,
        iterates: Sequence[Iterate],
        f: Callable[[Iterate], float],
        before: Callable[[], float] | None = None,
        /,
    ) -> Choice:
        """Pick the iterate with the lowest value, the last of equal ones; see `Selection`."""
        tried = [(iterate, f(iterate)) for iterate in reversed(iterates)]
        best, _ = min(tried, key=lambda pair: inf if isnan(pair[1]) else pair[1])
        return Choice(best, tuple((iterate.steps, value) for iterate, value in tried))
