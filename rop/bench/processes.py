"""Fresh processes for measurements: each with its own cores, thread pools and memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rop.errors import RopError

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class BenchmarkError(RopError, RuntimeError):
    """A process of the benchmark ended with an error of its own."""


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _pinned(cores: int) -> Iterator[None]:
    """Narrow this process to its first cores; whatever it starts inherits them."""
    # Every thread pool sizes itself by the cores it sees: the one setting that all obey.
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def call(
    arguments: list[str], cores: int, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python in a fresh process on some cores.

    Parameters
    ----------
    arguments : list of str
        The arguments of the interpreter.
    cores : int
        Number of cores, and of threads in every pool.
    environment : mapping of str to str, optional
        Further environment variables.

    Returns
    -------
    subprocess.CompletedProcess
        With its standard output as text; its standard error goes where this process's goes.

    Raises
    ------
    BenchmarkError
        If the process fails.
    """
    variables = dict.fromkeys(_THREAD_VARIABLES, str(cores))
    with _pinned(cores):
        process = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **variables, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            # Ctrl-C comes to this process alone, which then ends the other one.
            process_group=0 if os.name == "posix" else -1,
        )
    if process.returncode:
        raise BenchmarkError(
            f"`{' '.join(['python', *arguments])}` failed with exit code {process.returncode}; "
            "its error message is above"
        )
    return process


def ask(module: str, request: Any, cores: int, environment: Mapping[str, str] | None = None) -> Any:
    """Run a module of the benchmark in a fresh process.

    Parameters
    ----------
    module : str
        Name of a module that answers a request given as JSON with one line of JSON.
    request : object
        What JSON can hold.
    cores, environment
        As in `call`.

    Returns
    -------
    object
        The answer.
    """
    answer = call(["-m", module, json.dumps(request)], cores, environment)
    return json.loads(answer.stdout.splitlines()[-1])
