"""Compiling the engine's functions: once for each dtype, kept on disk where that is possible."""

# mypy: disable-error-code="misc"

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

_DIGEST = sha256().digest_size


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function for each dtype that it is called with, and keep it on disk.

    Parameters
    ----------
    function : callable
        What Numba can compile.

    Returns
    -------
    Dispatcher
        The function itself where NUMBA_DISABLE_JIT is set.
    """
    made = njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})(function)
    if config.DISABLE_JIT:
        return made
    try:
        made._cache = _Cache(function)
    except RuntimeError:
        _say_that_nothing_is_kept()
    return made


@cache
def _say_that_nothing_is_kept() -> None:
    logging.getLogger("rop").warning(
        "rop compiles in memory, some 20 s in every process: no folder for compiled functions can "
        "be written; set NUMBA_CACHE_DIR to one that can"
    )


class _Cache(FunctionCache):
    """Numba's cache on disk; damaged files are compiled again, full disks do no harm."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file.__class__ = _Sealed

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Load a compiled function, or return None."""
        try:
            return super().load_overload(signature, target)
        except Exception:
            # Whatever a damaged file may raise.
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Save a compiled function, if the disk has room for it."""
        with suppress(OSError):
            super().save_overload(signature, data)


class _Sealed(IndexDataCacheFile):
    """Files of a cache, each with a digest of its contents at its end."""

    @contextmanager
    def _open_for_write(self, path: str) -> Iterator[BytesIO]:
        contents = BytesIO()
        yield contents
        with super()._open_for_write(path) as file:
            file.write(contents.getvalue() + sha256(contents.getvalue()).digest())

    def _load_index(self) -> Any:
        _refuse_if_damaged(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _refuse_if_damaged(self._data_path(name))
        return super()._load_data(name)


def _refuse_if_damaged(path: str) -> None:
    """Raise ValueError if a file is there, but not as it was written."""
    with suppress(FileNotFoundError):
        contents = Path(path).read_bytes()
        if sha256(contents[:-_DIGEST]).digest() != contents[-_DIGEST:]:
            raise ValueError(path)
