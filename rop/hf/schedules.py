"""Settings that change over the iterations: ζ, the learning rate, sizes, weight decay (sec. 13)."""

from dataclasses import dataclass

from rop.errors import RopValueError


@dataclass(frozen=True)
class Ramp:
    """A number that goes from ``first`` to ``last`` between two iterations.

    It is ``first`` before iteration ``begin`` and ``last`` from iteration ``end`` on; a switch if
    the two are equal. If ``first`` and ``last`` are integers, so is everything between them.

    Parameters
    ----------
    first, last : int or float
        The values.
    begin, end : int
        The iterations between which it changes.
    geometric : bool
        Change by equal factors, not by equal amounts.

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
        """Return the value at an iteration.

        Parameters
        ----------
        iteration : int
            The iteration's number, from 0.

        Returns
        -------
        int or float
            The value.
        """
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
    """Return a setting's value at an iteration.

    Parameters
    ----------
    setting : int, float or Ramp
        The setting.
    iteration : int
        The iteration's number, from 0.

    Returns
    -------
    int or float
        The setting itself if it is a number.
    """
    return setting.at(iteration) if isinstance(setting, Ramp) else setting


def extremes(setting: int | float | Ramp) -> tuple[int | float, ...]:
    """Return the values between which a setting stays.

    Parameters
    ----------
    setting : int, float or Ramp
        The setting.

    Returns
    -------
    tuple of int or float
        The number itself, or a ramp's first and last.
    """
    return (setting.first, setting.last) if isinstance(setting, Ramp) else (setting,)
