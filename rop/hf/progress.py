"""The progress of a run: how much of it is done, and what was unusual."""

from __future__ import annotations

from collections import Counter
from math import isfinite, log
from time import perf_counter
from types import TracebackType
from typing import Self

from tqdm.auto import tqdm

from rop.hf.record import ORDINARY, Iteration


class Progress:
    """A line that says how near a run is to its end, and events as they come.

    The line counts what will end the run first: iterations, time, or the fall of f to its target.
    An event is written when it comes for the first time, unless it is an ordinary one; at the end
    each has a line with its count.

    Parameters
    ----------
    iterations : int
        The largest number of iterations.
    done : int
        Iterations done before, by the run that is resumed.
    seconds : float or None
        No iteration begins after this time.
    target : float or None
        The f that ends the run.
    """

    def __init__(
        self, iterations: int, done: int, seconds: float | None, target: float | None
    ) -> None:
        self._iterations, self._done = iterations, done
        self._seconds, self._target = seconds, target
        self._events: Counter[str] = Counter()
        self._first: float | None = None

    def __enter__(self) -> Self:
        self._began = perf_counter()
        self._bar = tqdm(total=1.0, bar_format="HF {percentage:3.0f}%|{bar:20}| {desc}")
        self._bar.set_description_str(f"{self._done} of {self._iterations} iterations")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        for event, times in self._events.items():
            self._bar.write(f"{times} time{'s' * (times > 1)}: {event}")

    def __call__(self, it: Iteration) -> None:
        """Show an iteration.

        Parameters
        ----------
        it : Iteration
            The latest one.
        """
        for event in it.events:
            if event not in self._events and not event.startswith(ORDINARY):
                self._bar.write(f"iteration {it.number}: {event}")
            self._events[event] += 1
        used = perf_counter() - self._began
        self._bar.n = min(1.0, max(self._parts(it, used)))
        self._bar.set_description_str(", ".join(self._words(it, used)))

    def _parts(self, it: Iteration, used: float) -> list[float]:
        """The part that is done of each of the things that may end the run."""
        self._first = it.f_before if self._first is None else self._first
        parts = [(it.number + 1) / self._iterations]
        if self._seconds is not None:
            parts.append(used / self._seconds if self._seconds > 0 else 1.0)
        if self._target is not None and it.f_after <= self._target:
            parts.append(1.0)
        elif self._target is not None and self._target > 0 and isfinite(self._first):
            parts.append(log(self._first / it.f_after) / log(self._first / self._target))
        return parts

    def _words(self, it: Iteration, used: float) -> list[str]:
        time = "" if self._seconds is None else f" of {self._seconds:g}"
        target = "" if self._target is None else f" (target {self._target:g})"
        return [
            f"{it.number + 1} of {self._iterations} iterations",
            f"{used:.1f}{time} s",
            f"f {it.f_after:.5g}{target}",
            f"lam {it.lam_after:.3g}",
            f"rho {it.rho:.2f}",
            f"CG {it.chosen}/{it.cg.steps}",
            f"alpha {it.step.alpha:.2g}",
        ]
