"""The runs of a study so far, for the line of progress and for Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Rows = list[dict[str, Any]]


class Watch:
    """The rows of all runs that begin inside of `watching`.

    Attributes
    ----------
    runs : list of (str, list of dict)
        Name and rows of each run, in the order in which they began; the rows grow during the run.
    """

    def __init__(self) -> None:
        self.runs: list[tuple[str, Rows]] = []

    def line(self) -> str:
        """Return the latest numbers of the run that is going on."""
        if not self.runs:
            return ""
        name, rows = self.runs[-1]
        last = rows[-1] if rows else {}
        numbers = [f"{key} {value:.4g}" for key, value in last.items() if key in _TOLD]
        return ", ".join([f"run {len(self.runs)} ({name})", *numbers])

    def rows(self) -> Rows:
        """Return all rows so far, each with the number and the name of its run."""
        return [
            {"run": number, "method": name, **row}
            for number, (name, rows) in enumerate(self.runs, 1)
            for row in rows
        ]


_TOLD = ("iteration", "update", "steps", "error", "wrong", "f")
_CURRENT: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the runs that begin inside of a ``with``.

    Yields
    ------
    Watch
    """
    watch = Watch()
    token = _CURRENT.set(watch)
    try:
        yield watch
    finally:
        _CURRENT.reset(token)


def watched(name: str, rows: Rows) -> Rows:
    """Let a watch see the rows of a run, if there is one.

    Parameters
    ----------
    name : str
        The method.
    rows : list of dict
        The rows, to which the run appends.

    Returns
    -------
    list of dict
        The rows themselves.
    """
    watch = _CURRENT.get()
    if watch is not None:
        watch.runs.append((name, rows))
    return rows
