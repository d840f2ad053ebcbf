"""Running the shards of a batch at the same time: through interrupts, forks and errors.

BLAS has one thread while a product calls it, whatever the product: its bits depend neither on how
many threads BLAS may have nor on what other threads do. The cores are for the shards.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from queue import SimpleQueue
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

# Of OpenBLAS with integers of 32 and 64 bits, and of MKL.
_CONTROLS = (
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


_given: ContextVar[int | None] = ContextVar("rop threads", default=None)


@contextmanager
def given_threads(count: int) -> Iterator[None]:
    """Split products among so many threads in the body, whatever cores there are.

    Parameters
    ----------
    count : int
        The number of threads; it decides the number of shards, and so the last bits.
    """
    before = _given.set(count)
    try:
        yield
    finally:
        _given.reset(before)


def threads() -> int:
    """Return the number of threads given, or of cores that this process may use."""
    given = _given.get()
    if given is not None:
        return given
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


class _Job:
    """A task that a worker may run, unless the caller takes it back first.

    Both locks are taken and freed by instructions that an interrupt cannot split.
    """

    __slots__ = ("busy", "claimed", "error", "task")

    def __init__(self, task: Callable[[], Any]) -> None:
        self.task = task
        self.busy, self.claimed = threading.Lock(), threading.Lock()
        self.error: BaseException | None = None

    def offer(self) -> None:
        """Run the task on a worker, unless it has been taken back."""
        with self.busy:
            if self.claimed.acquire(blocking=False):
                try:
                    self.task()
                except BaseException as error:
                    self.error = error


class _Workers:
    """Threads that take jobs from one queue. They belong to no caller, so none can lose them."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Job] = SimpleQueue()
        self._running: list[threading.Thread] = []

    def need(self, count: int) -> None:
        """Have so many threads, unless there are more."""
        for _ in range(count - len(self._running)):
            thread = threading.Thread(
                target=self._work, args=(count,), name="rop-shard", daemon=True
            )
            with suppress(RuntimeError):  # no more threads: the caller does all of it
                thread.start()

    def _work(self, needed: int) -> None:
        # A thread counts itself: a caller that is interrupted may start more than are needed.
        me = threading.current_thread()
        self._running.append(me)
        if len(self._running) > needed:
            self._running.remove(me)
            return
        while True:
            self.queue.get().offer()


_workers = _Workers()


def run_all(tasks: Sequence[Callable[[], Any]]) -> None:
    """Run tasks at the same time, the first on the calling thread.

    The caller itself runs what no worker has begun when it is done with its own task, so callers
    do not wait for each other's tasks. Whatever happens, no task runs on when this returns: its
    buffers may be used again. If a task fails, those that have not begun are left out.

    Parameters
    ----------
    tasks : sequence of callable
        One for each shard.
    """
    if len(tasks) == 1:
        tasks[0]()
        return
    jobs = [_Job(task) for task in tasks[1:]]
    _workers.need(len(jobs))
    interrupt: KeyboardInterrupt | None = None
    try:
        for job in jobs:
            _workers.queue.put(job)
        tasks[0]()
        for job in jobs:
            if job.claimed.acquire(blocking=False):
                job.task()
    finally:
        while True:
            try:
                for job in jobs:
                    job.claimed.acquire(blocking=False)
                    with job.busy:
                        job.task = _nothing  # the job may wait in the queue, its buffers must not
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt
    for job in jobs:
        if job.error is not None:
            raise job.error


def _nothing() -> None:
    """Do nothing."""


@cache
def ranges(n: int, parts: int) -> list[slice]:
    """Cut n elements into parts of about the same size."""
    return [slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)]


# What the tape machine knows of BLAS's threads: a lock, how many runs are inside, how many threads
# there were before, whether the process is about to fork, and the addresses of the functions that
# get and set the number of threads.
LOCK, INSIDE, BEFORE, FORKING, GET, PUT = range(6)
_blas: NDArray[np.int64] = np.zeros(6, np.int64)
_inside = _blas[:FORKING]


@cache
def blas_threads() -> NDArray[np.int64]:
    """What `rop.engines.numba.tape.run` needs to hold SciPy's BLAS to one thread: int64, (6,)."""
    for get, put in _controls():
        for place, function in ((GET, get), (PUT, put)):
            _blas[place] = ctypes.cast(function, ctypes.c_void_p).value or 0
    return _blas


@cache
def _controls() -> list[tuple[Any, Any]]:
    """The functions that get and set the number of threads of SciPy's BLAS, if it has them."""
    from scipy.linalg import cython_blas

    # Symbols of the libraries that an extension is linked with are found through it.
    library = ctypes.CDLL(cython_blas.__file__)
    for get, put in _CONTROLS:
        if hasattr(library, get) and hasattr(library, put):
            return [(getattr(library, get), getattr(library, put))]
    return []


_owners: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def renew_after_fork(owner: Any, lock: str) -> None:
    """Give an object a new reentrant lock in a child: the thread that held it is not there.

    Parameters
    ----------
    owner : object
        What has the lock.
    lock : str
        Its attribute.
    """
    _owners[owner] = lock


def _before_fork() -> None:
    """Wait until no run is inside BLAS, whose locks a child would find taken for ever."""
    _blas[FORKING] = 1
    time.sleep(0.0)
    while _blas[INSIDE] or _blas[LOCK]:
        time.sleep(1e-5)


def _in_parent() -> None:
    _blas[FORKING] = 0


def _in_child() -> None:
    """Put in order what other threads of the parent had in hand when it forked."""
    global _workers
    _workers = _Workers()
    for owner, lock in _owners.items():
        setattr(owner, lock, threading.RLock())
    _blas[[LOCK, INSIDE, FORKING]] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
