"""Budgets: how thorough a check is, what that costs, and what it leaves unseen."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from tqdm import TqdmMonitorWarning, tqdm

from rop.errors import RopTypeError, RopValueError

# Seconds, or a number of calls as "300 calls".
Budget: TypeAlias = float | str

# A check that takes longer shows how far it is.
PATIENCE = 5.0
# Share of a budget that a plan may fill: some comparisons take more calls than planned.
MARGIN = 0.8
# Functions with a noise of their own to measure, by the product that is held against them.
MEASURED = ("jvp", "loss_gradient", "gradient", "loss_hvp", "ggnvp", "hvp")


class BudgetSpent(Exception):
    """No more calls may be made."""


@dataclass(frozen=True)
class Effort:
    """How much of a check is done.

    Attributes
    ----------
    lines : int
        Lines along which noise is measured.
    directions : int
        Directions over all of θ.
    blocks : bool
        Whether there is also a direction for every block.
    second : bool
        Whether there is a second θ, and calls are repeated there.
    quick : bool
        Whether ladders end at the first steps that decide; else one is long enough to draw.
    unseen : str
        What it cannot see that the next larger one can.
    """

    lines: int = 3
    directions: int = 2
    blocks: bool = True
    second: bool = True
    quick: bool = False
    unseen: str = ""

    def calls(self, names: Collection[str], blocks: int) -> int:
        """About how many calls a check of some functions, with so many blocks, makes."""
        points = 1 + self.second
        directions = self.directions + self.second + (blocks if self.blocks and blocks > 1 else 0)
        total = 25 * (len(names) if self.second else 0)
        for name in {*MEASURED, "vjp"} & set(names):
            # Along a line of Gv, two functions are called.
            functions = 2 if name == "ggnvp" else 1
            total += directions * (4 * functions + 3) + 7
            if name in MEASURED:
                noise = points * (7 * self.lines + 6)
                total += functions * (noise + (0 if self.quick else 24))
        return total


EFFORTS = (
    Effort(),
    Effort(quick=True, lines=2, blocks=False, unseen="an error in a small block alone"),
    Effort(
        quick=True,
        lines=1,
        directions=1,
        blocks=False,
        unseen="what a kink along the one direction hides",
    ),
    Effort(
        quick=True,
        lines=1,
        directions=1,
        blocks=False,
        second=False,
        unseen="stale caches and results that change from call to call",
    ),
)


@dataclass
class Meter:
    """Counts the calls of a check, stops it at its budget, and shows progress past a few seconds.

    Attributes
    ----------
    seconds, calls : float
        Limits.
    spent : int
        Calls so far.
    """

    seconds: float = float("inf")
    calls: float = float("inf")
    start: float = field(default_factory=time.perf_counter)
    spent: int = 0
    bar: tqdm[NoReturn] | None = None

    @classmethod
    def of(cls, budget: Budget | None) -> Meter:
        """The meter of a budget.

        Raises
        ------
        RopTypeError, RopValueError
            If it is neither a positive number of seconds nor one of calls.
        """
        if budget is None:
            return cls()
        if isinstance(budget, str):
            found = re.fullmatch(r"\s*(\d+)\s*calls?\s*", budget)
            if found is None or int(found[1]) == 0:
                raise RopValueError(
                    f"budget must be seconds or calls, got {budget!r}; write 10.0 or '300 calls'"
                )
            return cls(calls=int(found[1]))
        if isinstance(budget, bool) or not isinstance(budget, int | float):
            raise RopTypeError(
                f"budget must be seconds or calls, got {type(budget).__name__}; "
                "write 10.0 or '300 calls'"
            )
        if not 0 < budget < float("inf"):
            raise RopValueError(f"budget must be a positive number of seconds, got {budget}")
        return cls(seconds=float(budget))

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return min(self.seconds, self.calls) < float("inf")

    def choose(self, names: Collection[str], blocks: int, seconds: float) -> int:
        """Index of the most thorough of `EFFORTS` that the budget allows; a bar shows its progress.

        Parameters
        ----------
        names : collection of str
            The functions given.
        blocks : int
        seconds : float
            That one call takes.
        """
        allowed = MARGIN * min(self.calls, self.seconds / max(seconds, 1e-9))
        costs = [effort.calls(names, blocks) for effort in EFFORTS]
        chosen = next((i for i, cost in enumerate(costs) if cost <= allowed), len(EFFORTS) - 1)
        expected = costs[chosen] * seconds
        with warnings.catch_warnings():
            # The bar does without the thread that tqdm cannot start in a browser.
            warnings.simplefilter("ignore", TqdmMonitorWarning)
            self.bar = tqdm(
                total=costs[chosen],
                desc=f"rop.check, about {expected:.0f} s" if expected >= 1 else "rop.check",
                unit="call",
                leave=False,
                disable=None,
                delay=0.0 if expected > PATIENCE else PATIENCE,
            )
        return chosen

    def tick(self) -> None:
        """Count one call; raise BudgetSpent if there is nothing left for it."""
        if self.spent >= self.calls or time.perf_counter() - self.start > self.seconds:
            raise BudgetSpent
        self.spent += 1
        if self.bar is not None:
            self.bar.update()

    def close(self) -> None:
        """Take away the limit and the bar: what follows explains what was found."""
        self.seconds = self.calls = float("inf")
        if self.bar is not None:
            self.bar.close()
            self.bar = None
