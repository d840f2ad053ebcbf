"""Engines: what runs programs. `numpy` is there to be read, `numba` and `cuda` are fast."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

from rop.engines.execution import Execution
from rop.engines.numpy import NumpyExecution
from rop.errors import RopError, RopValueError

WHY_NOT_NUMBA = ""
"""Why the engine "numba" cannot be used, and what to do; "" if it can."""

if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
    WHY_NOT_NUMBA = "NUMBA_DISABLE_JIT is set; unset it"
elif find_spec("numba") is None:
    WHY_NOT_NUMBA = "Numba is not installed; install it"
    warnings.warn(
        "Numba is not installed, so rop computes with engine='numpy', which is slower", stacklevel=2
    )

DEFAULT_ENGINE = "numpy" if WHY_NOT_NUMBA else "numba"
"""The engine for those who name none: "numba", or "numpy" if Numba cannot compile."""


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
        if WHY_NOT_NUMBA:
            raise RopError(
                f"engine 'numba': Numba has to compile it, but {WHY_NOT_NUMBA}, or use "
                "engine='numpy'"
            )
        from rop.engines.sharded import ShardedExecution

        return ShardedExecution.take
    if name == "numpy":
        return NumpyExecution
    raise RopValueError(f"engine: expected 'numba', 'numpy' or 'cuda', got {name!r}")
