"""The progress of a run: how much of it is done, and what was unusual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import isfinite, log
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from rop import display
from rop.errors import RopValueError
from rop.hf.record import ORDINARY, Iteration
from rop.hf.result import Records

_REDRAW = 2.0  # seconds between two pictures


@contextmanager
def watching(progress: Progress | None, live: bool) -> Iterator[Callable[[Iteration], None]]:
    """Give a function that shows an iteration in all ways asked for.

    Parameters
    ----------
    progress : Progress or None
        The line of progress.
    live : bool
        Whether to redraw the plot of the run in a notebook.

    Yields
    ------
    callable, Iteration -> None
        Shows an iteration.
    """
    with ExitStack() as stack:
        shown: list[Callable[[Iteration], None]] = []
        if progress is not None:
            shown.append(stack.enter_context(progress))
        if live:
            shown.append(stack.enter_context(Live()))

        def show(it: Iteration) -> None:
            for each in shown:
                each(it)

        yield show


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
        from tqdm.auto import tqdm  # takes a while to import

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


class Live:
    """The plot of a run in a notebook, redrawn every few seconds and at the end.

    Raises
    ------
    RopValueError
        If this is no notebook.
    """

    def __init__(self) -> None:
        try:
            from IPython import get_ipython
        except ImportError:
            shell = None
        else:
            shell = get_ipython()
        if shell is None or not hasattr(shell, "kernel"):
            raise RopValueError(
                "live: expected a notebook, where the plot can be redrawn; progress=True shows a "
                "line anywhere"
            )
        self._records = Records()
        self._picture: Any = None
        self._drawn = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._records:
            self._draw()

    def __call__(self, it: Iteration) -> None:
        """Take an iteration into the plot.

        Parameters
        ----------
        it : Iteration
            The latest one.
        """
        self._records.append(it)
        if perf_counter() - self._drawn >= _REDRAW:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import display as show

        picture = display.figure(self._records)
        if self._picture is None:
            self._picture = show(picture, display_id=True)
        else:
            self._picture.update(picture)
        self._drawn = perf_counter()
