"""The work and the time of an iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Work:
    """How many gradients, losses and products with the curvature were computed."""

    gradients: int
    losses: int
    products: int

    def __sub__(self, earlier: Work) -> Work:
        return Work(
            self.gradients - earlier.gradients,
            self.losses - earlier.losses,
            self.products - earlier.products,
        )


class Clock:
    """The wall time of each phase of an iteration, and its work.

    Parameters
    ----------
    work : callable, () -> Work
        Returns the work so far.
    """

    def __init__(self, work: Callable[[], Work]) -> None:
        self.seconds: dict[str, float] = {}
        self._work, self._before, self._last = work, work(), perf_counter()

    def lap(self, phase: str) -> None:
        """End a phase."""
        now = perf_counter()
        self.seconds[phase], self._last = now - self._last, now

    @property
    def work(self) -> Work:
        """The work since the clock was made."""
        return self._work() - self._before
