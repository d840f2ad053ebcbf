"""Settings that change over the iterations: ζ, the learning rate, sizes, weight decay (sec. 13)."""

from dataclasses import dataclass

from rop.errors import RopValueError


@dataclass(frozen=True)
class Ramp:
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
    """

    first: int | float
    last: int | float
    begin: int
    end: int
    geometric: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.begin <= self.end:
            raise RopValueError(
                f"Ramp: expected 0 <= begin <= end, got begin={self.begin}, end={self.end}"
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
