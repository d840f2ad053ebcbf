"""Files that survive a crash: written line by line with checksums."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rop.datasets.npz import open_regular
from rop.datasets.writing import sync_folder
from rop.errors import RopValueError, file_errors

_REMEDY = "free space on the disk or check the permissions, then resume the run"
OPENING = b'{"crc32": "'
_CHECKSUM = re.compile(OPENING + rb'([0-9a-f]{8})", ')
_LONGEST, _LARGEST = 2**28, 2**40


class DamagedLineError(RopValueError):
    """A line of a file is not as it was written."""


class JsonLines:
    """A file of JSON objects, one on a line, each with a checksum; it grows line by line.

    Opening it removes the rest of a line that a crash left.

    Parameters
    ----------
    path : Path
        The file; made if it does not exist.
    lines : int, optional
        How many lines to keep; all by default.

    Raises
    ------
    RopFileError
        If the operating system refuses; so does `append`.
    """

    def __init__(self, path: Path, lines: int | None = None) -> None:
        self._path = path
        with file_errors(f"cannot write {path}", _REMEDY):
            new = not path.exists()
            self._file = open(path, "ab", buffering=0)
            complete = _ends(path)
            if lines is not None:
                complete = complete[: lines + 1]
            self._end = complete[-1]
            self._file.truncate(self._end)
            if new:
                sync_folder(path.parent)

    def append(self, value: dict[str, Any]) -> None:
        """Write an object; return when it is on the disk.

        Parameters
        ----------
        value : dict
            An argument for ``json.dumps``, not empty.
        """
        line = encode_line(value)
        with file_errors(f"cannot write {self._path}", _REMEDY):
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        self._end += len(line)

    def close(self) -> None:
        """Close the file, without the beginning of a line that an interrupt left."""
        with self._file:
            self._file.truncate(self._end)


def encode_line(value: dict[str, Any]) -> bytes:
    """Return the line of an object: its JSON, opened by the checksum of that JSON.

    Parameters
    ----------
    value : dict
        An argument for ``json.dumps``, not empty.

    Returns
    -------
    bytes
        The line.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return OPENING + b'%08x", %b\n' % (zlib.crc32(text), text[1:])


def decode_line(line: bytes) -> dict[str, Any]:
    """Return the object of a line.

    Parameters
    ----------
    line : bytes
        What `encode_line` made.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    DamagedLineError
        If the line is another, whatever it contains.
    """
    opening = _CHECKSUM.match(line)
    if opening is None:
        raise DamagedLineError("it does not begin with a checksum")
    text = b"{" + line[opening.end() :].removesuffix(b"\n")
    if zlib.crc32(text) != int(opening[1], 16):
        raise DamagedLineError("its checksum differs")
    try:
        value: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedLineError(f"it is not JSON ({type(error).__name__})") from None
    return value


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read the complete lines of a file that `JsonLines` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    dict
        The objects, in order.

    Raises
    ------
    DamagedLineError
        At the first line that is not as it was written, with its number.
    """
    for number, line in enumerate(complete_lines(path), 1):
        try:
            yield decode_line(line)
        except DamagedLineError as error:
            raise DamagedLineError(f"{path}, line {number}: {error}") from None


def complete_lines(path: Path) -> Iterator[bytes]:
    """Read the lines of a file but for one that lacks its end.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    bytes
        The lines, each with its end; a line of more than 256 MiB comes in pieces.
    """
    with open_regular(path, _LARGEST) as file:
        while line := file.readline(_LONGEST):
            if line.endswith(b"\n") or len(line) == _LONGEST:
                yield line


def _ends(path: Path) -> list[int]:
    """Where the file begins and where each complete line ends."""
    ends = [0]
    for line in complete_lines(path):
        ends.append(ends[-1] + len(line))
    return ends
