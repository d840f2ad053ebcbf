"""The progress of a run: how much of it is done, and what was unusual."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import isfinite, log
from time import perf_counter
from typing import Any

from rop.errors import RopValueError
from rop.hf.events import ORDINARY
from rop.hf.record import Iteration
from rop.hf.result import Records
from rop.support import display
from rop.support.words import counted

_REDRAW = 2.0  # seconds between two pictures
_SELDOM, _SHARE = 10.0, 0.1  # seconds between two lines in a file, and of the time so far


@contextmanager
def watching(*watchers: Progress | Live) -> Iterator[Callable[[Iteration], None]]:
    """Give a function that shows an iteration to all who watch.

    Parameters
    ----------
    *watchers : Progress or Live
        They are closed at the end.

    Yields
    ------
    callable, Iteration -> None
        Shows an iteration.
    """

    def show(it: Iteration) -> None:
        for each in watchers:
            each(it)

    try:
        yield show
    finally:
        for each in watchers:
            each.close()


class Progress:
    """A line that says how near a run is to its end, and events as they come, on standard error.

    On a terminal and in a notebook the line has a bar and is written over. In a file or a pipe it
    is a plain line, every ten seconds at first and ever more rarely.

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
        self._iterations, self._seconds, self._target = iterations, seconds, target
        self._events: Counter[str] = Counter()
        self._first: float | None = None
        self._began = perf_counter()
        rewritten = _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())
        self._line = _Bar(self._count(done)) if rewritten else _Lines()

    def close(self) -> None:
        """End the line, and count the events."""
        self._line.close()
        for event, times in self._events.items():
            self._line.write(f"{counted(times, 'time')}: {event}")

    def __call__(self, it: Iteration) -> None:
        """Show an iteration.

        Parameters
        ----------
        it : Iteration
            The latest one.
        """
        for event in it.events:
            if event not in self._events and not event.startswith(ORDINARY):
                self._line.write(f"iteration {it.number}: {event}")
            self._events[event] += 1
        used = perf_counter() - self._began
        part = min(1.0, max(self._parts(it, used)))
        self._line.show(part, ", ".join(self._words(it, used)))

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

    def _count(self, done: int) -> str:
        # With a limit of time, the number of iterations is hardly what ends the run.
        if self._seconds is None:
            return f"{done} of {counted(self._iterations, 'iteration')}"
        return counted(done, "iteration")

    def _words(self, it: Iteration, used: float) -> list[str]:
        time = "" if self._seconds is None else f" of {self._seconds:g}"
        target = "" if self._target is None else f" (target {self._target:g})"
        return [
            self._count(it.number + 1),
            f"{used:.1f}{time} s",
            f"f {it.f_after:.5g}{target}",
            f"lam {it.lam_after:.3g}"
            if it.radius_after is None
            else f"radius {it.radius_after:.3g}",
            f"rho {it.rho:.2f}",
            f"CG {it.chosen}/{it.cg.steps}",
            f"alpha {it.step.alpha:.2g}",
        ]


class _Bar:
    """A line with a bar, written over and over."""

    def __init__(self, words: str) -> None:
        layout = "HF {percentage:3.0f}%|{bar:20}| {desc}"
        with warnings.catch_warnings():
            # Without ipywidgets a notebook gets the line of a terminal, which will do. And so will
            # a bar without the thread that tqdm cannot start in a browser.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm  # takes a while to import

            self._bar = tqdm(total=1.0, bar_format=layout, mininterval=0.0, miniters=0)
        self._bar.set_description_str(words)

    def show(self, part: float, words: str) -> None:
        self._bar.set_description_str(words, refresh=False)
        self._bar.update(part - self._bar.n)

    def write(self, text: str) -> None:
        self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        self._bar.close()


class _Lines:
    """Lines that stay: one now and then, and the last."""

    def __init__(self) -> None:
        self._began = self._written = perf_counter()
        self._last = ""

    def show(self, part: float, words: str) -> None:
        self._last, now = f"HF {100 * part:.0f} %, {words}", perf_counter()
        if now - self._written >= max(_SELDOM, _SHARE * (now - self._began)):
            self.close()

    def write(self, text: str) -> None:
        # A stream that is closed or full is no reason to stop.
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def close(self) -> None:
        if self._last:
            self.write(self._last)
        self._written, self._last = perf_counter(), ""


class Live:
    """The plot of a run in a notebook, redrawn every few seconds and at the end.

    Raises
    ------
    RopValueError
        If this is no notebook.
    """

    def __init__(self) -> None:
        if not _in_notebook():
            raise RopValueError(
                "live: expected a notebook, where the plot can be redrawn; progress=True shows a "
                "line anywhere"
            )
        self._records = Records()
        self._picture: Any = None
        self._drawn = perf_counter()

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

    def close(self) -> None:
        """Draw all iterations."""
        if self._records:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import display as show

        picture = display.figure(self._records)
        if self._picture is None:
            self._picture = show(picture, display_id=True)
        else:
            self._picture.update(picture)
        self._drawn = perf_counter()


def _in_notebook() -> bool:
    # A kernel has imported IPython; elsewhere that would take a while for nothing.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
