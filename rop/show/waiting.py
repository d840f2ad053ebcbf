"""A line on standard error during a long computation."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from shutil import get_terminal_size
from time import perf_counter

_PATIENCE = 1.0  # seconds before there is a line
_OFTEN, _SELDOM = 0.25, 10.0  # seconds between lines: on a terminal, and in a file
_SHARE = 0.1  # of the time so far, between lines in a file


@contextmanager
def waiting(
    what: str, seconds: float | None = None, detail: Callable[[], str] | None = None
) -> Iterator[None]:
    """Say what is going on, and for how long; on a terminal in one line that disappears.

    In a file or a pipe there are plain lines, every ten seconds at first and ever more rarely.

    Parameters
    ----------
    what : str
        What is going on.
    seconds : float, optional
        How long it may take.
    detail : callable, () -> str, optional
        Further words, asked for each time.

    Yields
    ------
    None
    """
    began, over = perf_counter(), threading.Event()
    limit = "" if seconds is None else f" of {seconds:g}"
    terminal = sys.stderr is not None and sys.stderr.isatty()

    def tell() -> None:
        wide, pause = 0, _PATIENCE
        while not over.wait(pause):
            if terminal and _has_bar():
                _write("\r" + " " * wide + "\r" if wide else "")
                wide, pause = 0, _OFTEN
                continue
            line = f"{what}: {perf_counter() - began:.0f}{limit} s"
            more = "" if detail is None else detail()
            line += f", {more}" if more else ""
            if terminal:
                line = line[: get_terminal_size().columns - 1]  # a wrapped line would stay
            _write("\r" + line.ljust(wide) if terminal else line + "\n")
            rarely = max(_SELDOM, _SHARE * (perf_counter() - began))
            wide, pause = (len(line), _OFTEN) if terminal else (0, rarely)
        _write("\r" + " " * wide + "\r" if wide else "")

    thread = threading.Thread(target=tell, daemon=True)
    with suppress(RuntimeError):  # a system without threads, such as a browser, says nothing
        thread.start()
    try:
        yield
    finally:
        over.set()
        with suppress(RuntimeError):  # of one that did not start
            thread.join()


def _has_bar() -> bool:
    """Whether tqdm has drawn a bar, such as that of a long check: two lines would take turns."""
    bars = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return any(bar.last_print_t > bar.start_t for bar in getattr(bars, "_instances", ()))


def _write(text: str) -> None:
    # A stream that is closed or full is no reason to stop.
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()
