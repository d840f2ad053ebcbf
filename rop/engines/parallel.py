"""Running shards on threads, with BLAS on one thread each, restored afterwards."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

_SETTERS = (
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


def run_all(tasks: Sequence[Callable[[], Any]]) -> None:
    """Run tasks at the same time, the first on the calling thread; BLAS on one thread meanwhile.

    Parameters
    ----------
    tasks : sequence of callable
        One for each shard.
    """
    if len(tasks) == 1:
        tasks[0]()
        return
    with one_blas_thread():
        others = [_pool(os.getpid(), len(tasks) - 1).submit(task) for task in tasks[1:]]
        try:
            tasks[0]()
        finally:
            # A shard must not run on when its buffers may be reused.
            for other in others:
                other.exception()
        for other in others:
            other.result()


@cache
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    # One for each process: threads do not survive a fork.
    return ThreadPoolExecutor(workers, thread_name_prefix="rop-shard")


@cache
def stretches(n: int, parts: int) -> list[slice]:
    """Cut n elements into parts of about the same size."""
    return [slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)]


_lock = threading.Lock()
_inside = 0
_before = 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Set SciPy's BLAS to one thread, and back when the last of those who asked is done."""
    global _inside, _before
    get, put = _controls()
    with _lock:
        if _inside == 0:
            _before = get()
            put(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                put(_before)


@cache
def _controls() -> tuple[Callable[[], int], Callable[[int], Any]]:
    """Functions that get and set the thread count of the BLAS that SciPy is linked with."""
    from scipy.linalg import cython_blas

    # Symbols of the libraries that the extension is linked with are found through it.
    library = ctypes.CDLL(cython_blas.__file__)
    for get, put in _SETTERS:
        if hasattr(library, get) and hasattr(library, put):
            return getattr(library, get), getattr(library, put)
    return lambda: 1, lambda count: None
