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

# Of OpenBLAS with integers of 32 and 64 bits, and of MKL.
_CONTROLS = (
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
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
_before: list[int] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Set NumPy's and SciPy's BLAS to one thread; back when the last of those who asked is done."""
    global _inside, _before
    controls = _controls()
    with _lock:
        if _inside == 0:
            _before = [get() for get, _ in controls]
            for _, put in controls:
                put(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for (_, put), count in zip(controls, _before, strict=True):
                    put(count)


@cache
def _controls() -> list[tuple[Callable[[], int], Callable[[int], Any]]]:
    """Functions that get and set the thread counts of the BLAS that NumPy and SciPy bring along."""
    from numpy.linalg import _umath_linalg
    from scipy.linalg import cython_blas

    found = []
    for extension in (_umath_linalg, cython_blas):
        # Symbols of the libraries that an extension is linked with are found through it.
        library = ctypes.CDLL(extension.__file__)
        for get, put in _CONTROLS:
            if hasattr(library, get) and hasattr(library, put):
                found.append((getattr(library, get), getattr(library, put)))
                break
    return found
