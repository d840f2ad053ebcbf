"""A folder for one process at a time."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from rop.errors import RopError, file_errors

NAME = "lock"


class FolderInUseError(RopError):
    """Another process, or another run of this one, keeps its run in the folder.

    >>> issubclass(rop.hf.FolderInUseError, rop.RopError)
    True
    """


class FolderLock:
    """The exclusive use of a folder, for as long as this object is not closed.

    The operating system holds the lock on an open file, and frees it when the process ends, however
    it ends. The file stays in the folder, with the number of the last process in it.

    Parameters
    ----------
    folder : Path
        The folder, which exists.

    Raises
    ------
    FolderInUseError
        If the folder is in use, with the process that uses it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        with file_errors(f"cannot write {path}", "check the permissions of the folder"):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError):
            holder = os.read(self._file, 20).decode(errors="replace").strip()
            os.close(self._file)
            raise FolderInUseError(
                f"{folder} is in use by process {holder}; wait until it ends, or give another "
                "folder"
            ) from None
        except (OSError, ImportError) as error:
            warnings.warn(
                f"{folder} cannot be locked ({error}): make sure that no other process uses it",
                stacklevel=2,
            )
        with suppress(OSError):  # a full disk: the number is there only for the message
            os.ftruncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())
        _open.add(self._file)

    def close(self) -> None:
        """Let others use the folder."""
        if self._file in _open:
            _open.remove(self._file)
            os.close(self._file)


def _lock(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        # A byte beyond the content, which others may read.
        os.lseek(file, 2**20, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
    else:
        import fcntl  # which some systems in a browser do without

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_open: set[int] = set()


def _close_all() -> None:
    """Close the copies that a fork made: a child must not hold the lock of a dead parent."""
    while _open:
        os.close(_open.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)
