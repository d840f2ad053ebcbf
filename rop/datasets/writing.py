"""Files that are written whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from rop.errors import file_errors


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], previous: Path | None = None
) -> None:
    """Write a file such that at any moment its name stands for the old or the new content, whole.

    Parameters
    ----------
    path : Path
        The file.
    write : callable, file -> None
        Writes the content.
    previous : Path, optional
        Where to keep the old content. A crash may leave it there, and no file at ``path``.

    Raises
    ------
    RopFileError
        If the operating system refuses.
    """
    unfinished = path.with_name(path.name + ".part")
    with file_errors(f"cannot write {path}", "free space on the disk or check the permissions"):
        with open(unfinished, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(unfinished, path)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make sure that names, not only contents, are on the disk; Windows has no such call."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
