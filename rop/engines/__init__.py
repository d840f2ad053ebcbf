"""Engines: what runs programs. `numpy` is there to be read, `numba` and `cuda` are fast."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

from rop.engines.execution import Execution, NumpyExecution
from rop.errors import RopError, RopValueError

_COMPILES = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")

DEFAULT_ENGINE = "numba" if _COMPILES else "numpy"
"""The engine for those who name none: Numba's, unless Numba is told not to compile."""


@cache
def engine_named(name: str) -> Callable[..., Execution]:
    """Import an engine.

    Parameters
    ----------
    name : str
        "numba", "numpy", "cuda" or "cuda-tf32".

    Returns
    -------
    callable
        Makes an `Execution`, and takes its arguments.

    Raises
    ------
    RopValueError
        If there is no such engine.
    RopError
        If it cannot run on this machine.
    """
    if name in ("cuda", "cuda-tf32"):
        from rop.engines.cuda import driver

        driver.require()
        from rop.engines.cuda.execution import DeviceExecution

        return DeviceExecution.take
    if name == "numba":
        if not _COMPILES:
            raise RopError(
                "engine 'numba': NUMBA_DISABLE_JIT is set, but Numba has to compile this engine; "
                "unset it, or use engine='numpy'"
            )
        from rop.engines.sharded import ShardedExecution

        return ShardedExecution.take
    if name == "numpy":
        return NumpyExecution
    raise RopValueError(f"engine: expected 'numba', 'numpy' or 'cuda', got {name!r}")
