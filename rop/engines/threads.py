"""Running shards on threads, with BLAS on one thread each, restored afterwards."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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


class _Worker(threading.Thread):
    """A thread that waits for tasks. A lock each way wakes in half the time an executor takes."""

    def __init__(self) -> None:
        super().__init__(name="rop-shard", daemon=True)
        self._given, self._done = threading.Lock(), threading.Lock()
        self._given.acquire()
        self._done.acquire()
        self._task: Callable[[], Any] | None = None
        self._error: BaseException | None = None
        self.start()

    @property
    def busy(self) -> bool:
        return self._task is not None

    def run(self) -> None:
        while True:
            self._given.acquire()
            assert self._task is not None
            try:
                self._task()
            except BaseException as error:
                self._error = error
            self._task = None  # and with it the buffers it holds
            self._done.release()

    def give(self, task: Callable[[], Any]) -> None:
        self._task = task
        self._given.release()

    def wait(self) -> BaseException | None:
        """Wait for the end of the task; returns what it raised."""
        self._done.acquire()
        error, self._error = self._error, None
        return error


# By process: threads do not survive a fork.
_idle: dict[int, list[_Worker]] = {}


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
    idle = _idle.setdefault(os.getpid(), [])
    workers: list[_Worker] = []
    for _ in tasks[1:]:
        try:
            workers.append(idle.pop())
        except IndexError:
            workers.append(_Worker())
    with one_blas_thread():
        for worker, task in zip(workers, tasks[1:], strict=True):
            worker.give(task)
        try:
            tasks[0]()
        finally:
            errors = _all_done(workers)
            idle.extend(workers)
    for error in errors:
        if error is not None:
            raise error


def _all_done(workers: list[_Worker]) -> list[BaseException | None]:
    """Wait for all: a shard must not run on when its buffers may be reused."""
    try:
        return [worker.wait() for worker in workers]
    except KeyboardInterrupt:
        # Which of the locks were taken is not known: these workers get no further tasks.
        while any(worker.busy for worker in workers):
            time.sleep(1e-3)
        raise


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
