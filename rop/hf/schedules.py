"""Settings that change over the iterations: ζ, the learning rate, sizes, weight decay (sec. 13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from rop.errors import RopValueError
from rop.hf.policy import Policy
from rop.support.constraints import Constraint, Fault, Natural, Whole


@dataclass(frozen=True)
class Ramp(Policy):
    """A number that goes from ``first`` to ``last`` between two iterations.

    It is ``first`` before iteration ``begin`` and ``last`` from iteration ``end`` on. With begin
    equal to end it is a switch. If ``first`` and ``last`` are integers, so are all values.

    Parameters
    ----------
    first, last : int or float
        The values.
    begin, end : int
        The iterations between which it changes.
    geometric : bool
        Change by equal factors instead of equal amounts.

    Raises
    ------
    RopValueError
        If ``begin`` is negative or after ``end``, or a geometric ramp has values not above 0.

    Examples
    --------
    >>> ramp = rop.hf.Ramp(10.0, 0.1, begin=100, end=300, geometric=True)
    >>> [ramp.at(k) for k in (0, 200, 400)]
    [10.0, 1.0, 0.1]
    >>> recipe = rop.hf.Recipe(l2=rop.hf.Ramp(1e-4, 0.0, begin=50, end=50))
    """

    first: int | float
    last: int | float
    begin: Natural
    end: Natural
    geometric: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.begin <= self.end:
            raise RopValueError(
                f"Ramp: expected begin <= end, got begin={self.begin}, end={self.end}"
            )
        if self.geometric and not min(self.first, self.last) > 0:
            raise RopValueError(
                "Ramp: geometric needs first and last above 0, got "
                f"first={self.first}, last={self.last}"
            )

    def at(self, iteration: int) -> int | float:
        """Return the value at an iteration; iterations count from 0."""
        if iteration < self.begin:
            return self.first
        if iteration >= self.end:
            return self.last
        share = (iteration - self.begin) / (self.end - self.begin)
        value = self.first + share * (self.last - self.first)
        if self.geometric:
            value = self.first * float(self.last / self.first) ** share
        return round(value) if isinstance(self.first, int) and isinstance(self.last, int) else value


def value_at(setting: int | float | Ramp, iteration: int) -> int | float:
    """Return a setting's value at an iteration; a number is its own value."""
    return setting.at(iteration) if isinstance(setting, Ramp) else setting


def extremes(setting: int | float | Ramp) -> tuple[int | float, ...]:
    """Return a ramp's first and last value, or the number itself."""
    return (setting.first, setting.last) if isinstance(setting, Ramp) else (setting,)


@dataclass(frozen=True)
class Scheduled(Constraint):
    """A number, or a `Ramp` between two such numbers."""

    wanted: Constraint

    def fault(self, value: Any) -> Fault | None:  # noqa: D102
        faults = [self.wanted.fault(number) for number in extremes(value)]
        return next((fault for fault in faults if fault is not None), None)

    def remedy(self, value: Any) -> str:  # noqa: D102
        return "" if isinstance(value, Ramp) else self.wanted.remedy(value)

    def __str__(self) -> str:
        return f"{self.wanted}, or a Ramp of such numbers"


Steps: TypeAlias = Annotated[int | Ramp, Scheduled(Whole(at_least=1))]
"""A largest number of steps."""
