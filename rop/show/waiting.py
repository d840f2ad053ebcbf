"""A line on standard error while something takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Self

_PATIENCE = 1.0  # seconds before there is a line
_OFTEN, _SELDOM = 0.25, 10.0  # seconds between lines: on a terminal, and in a file


class Waiting:
    """Says what is being done, and for how long already; on a terminal in one line that goes away.

    Parameters
    ----------
    what : str
        What is being done.
    seconds : float, optional
        How long it may take.
    detail : callable, () -> str, optional
        What there is to say at the moment.
    """

    def __init__(
        self, what: str, seconds: float | None = None, detail: Callable[[], str] | None = None
    ) -> None:
        self._what, self._seconds, self._detail = what, seconds, detail
        self._over = threading.Event()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._wide = 0

    def __enter__(self) -> Self:
        self._began = perf_counter()
        self._thread = threading.Thread(target=self._tell, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._wide:
            self._write("\r" + " " * self._wide + "\r")

    def line(self) -> str:
        """Return what is to be said now."""
        time = f"{perf_counter() - self._began:.0f}"
        time += " s" if self._seconds is None else f" of {self._seconds:g} s"
        detail = "" if self._detail is None else self._detail()
        return ", ".join(filter(None, [f"{self._what}: {time}", detail]))

    def _tell(self) -> None:
        pause = _PATIENCE
        while not self._over.wait(pause):
            line = self.line()
            if self._terminal:
                self._write("\r" + line.ljust(self._wide))
                self._wide, pause = len(line), _OFTEN
            else:
                self._write(line + "\n")
                pause = _SELDOM

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            return  # a closed stream is no reason to stop
