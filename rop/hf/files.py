"""Files that survive a crash: written whole or not at all, or line by line."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file such that at any moment its name stands for the old or the new content, whole.

    Parameters
    ----------
    path : Path
        The file.
    write : callable, file -> None
        Writes the content.
    """
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    _sync_folder(path.parent)


class JsonLines:
    """A file of JSON values, one a line; a line counts when its end is there.

    What a crash left of a line is cut off when the file is opened.

    Parameters
    ----------
    path : Path
        The file; made if it does not exist.
    lines : int, optional
        How many lines to keep; all by default.
    """

    def __init__(self, path: Path, lines: int | None = None) -> None:
        new = not path.exists()
        self._file = open(path, "ab", buffering=0)
        complete = _ends(path)
        if lines is not None:
            complete = complete[: lines + 1]
        self._end = complete[-1]
        self._file.truncate(self._end)
        if new:
            _sync_folder(path.parent)

    def append(self, value: Any) -> None:
        """Write a value, and return when it is on the disk.

        Parameters
        ----------
        value : object
            What ``json.dumps`` takes.
        """
        line = (json.dumps(value, allow_nan=False, ensure_ascii=False) + "\n").encode()
        rest = memoryview(line)
        while rest:
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())
        self._end += len(line)

    def close(self) -> None:
        """Close the file, without what an interruption left of a line."""
        self._file.truncate(self._end)
        self._file.close()


def read_lines(path: Path) -> Iterator[Any]:
    """Read the complete lines of a file of JSON values.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    object
        The values, in order.
    """
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _ends(path: Path) -> list[int]:
    """Where the file begins and where each complete line ends."""
    ends = [0]
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                ends.append(ends[-1] + len(line))
    return ends


def _sync_folder(folder: Path) -> None:
    """Make sure that names, not only contents, are on the disk; Windows has no such call."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
