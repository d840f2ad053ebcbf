"""The one module that imports CUDA: what is there, memory, the stream, and captured graphs.

In Numba's simulator (NUMBA_ENABLE_CUDASIM=1) the same kernels run on the CPU, one thread of Python
for each thread of the GPU.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import config
from numba import cuda as cuda

from rop.errors import RopError, RopMemoryError
from rop.ops.kernels import Array

SIMULATED = bool(config.ENABLE_CUDASIM)

# Small launches are meant: they are the small layers of a network.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

lock = threading.RLock()
"""Held while work is given to the stream: another thread's would end up in a graph's capture."""


def missing() -> str | None:
    """What the CUDA engine lacks on this machine, and what to install; None if it can run."""
    if SIMULATED:
        return None
    if importlib.util.find_spec("numba_cuda") is None:
        return "numba-cuda is not installed; run pip install 'rop[cuda]'"
    if not cuda.is_available():
        return (
            "no NVIDIA GPU can be used: the driver library (libcuda) is not found, or it sees no "
            "GPU; install NVIDIA's driver for CUDA 13 or later and look at nvidia-smi"
        )
    return _too_old()


@cache
def _too_old() -> str | None:
    """What keeps the driver from running what the compiler makes, or None."""
    from numba.cuda.cudadrv import driver, runtime

    try:
        compiler = runtime.get_version()
    except Exception as error:
        # Whatever hides NVRTC, a part of the toolkit that comes with the extra.
        return f"NVIDIA's compiler cannot be used ({error}); run pip install 'rop[cuda]'"
    found = driver.get_version()
    if found[0] >= compiler[0]:
        return None
    return (
        f"NVIDIA's driver is for CUDA {found[0]}.{found[1]}, the compiler for CUDA {compiler[0]}; "
        f"install a driver for CUDA {compiler[0]} or later"
    )


def require() -> None:
    """Raise RopError if the CUDA engine cannot run here."""
    lacking = missing()
    if lacking is not None:
        raise RopError(f"engine 'cuda': {lacking}; or use engine='numba'")


@cache
def stream() -> Any:
    """The stream that all kernels, products and copies of the engine run on, in order."""
    require()
    return cuda.stream()


def name() -> str:
    """Name of the GPU."""
    if SIMULATED:
        return "Numba's simulator"
    found = cuda.get_current_device().name
    return found.decode() if isinstance(found, bytes) else str(found)


def free_memory() -> float:
    """Bytes of the GPU's memory that are free."""
    require()
    context = cuda.current_context()
    if not SIMULATED:
        # Numba puts off giving memory back, up to a fifth of the card.
        context.memory_manager.deallocations.clear()
    return float(context.get_memory_info().free)


def processors() -> int:
    """Number of multiprocessors."""
    return 1 if SIMULATED else int(cuda.get_current_device().MULTIPROCESSOR_COUNT)


def empty(elements: int, dtype: np.dtype[Any]) -> Any:
    """Allocate an array (elements,) on the GPU.

    Raises
    ------
    RopMemoryError
        If there is no room for it.
    """
    try:
        return cuda.device_array(max(1, elements), dtype)
    except Exception as error:
        if "OUT_OF_MEMORY" not in str(error):
            raise
        raise RopMemoryError(
            f"engine 'cuda': {elements * dtype.itemsize / 2**20:,.0f} MiB are wanted, but "
            f"{free_memory() / 2**20:,.0f} MiB of the GPU's memory are free"
        ) from None


def upload(target: Any, source: Any) -> None:
    """Copy an array (of NumPy, or on the GPU) into the beginning of an array on the GPU."""
    if len(source):
        target[: len(source)].copy_to_device(source, stream=stream())


def download(target: Array, source: Any) -> None:
    """Copy the beginning of an array on the GPU into a contiguous array of NumPy, and wait."""
    if len(target):
        source[: len(target)].copy_to_host(target, stream=stream())
        synchronize()


def fetch(target: Any, source: Any) -> None:
    """Copy the beginning of an array on the GPU into an array of NumPy or on the GPU, and wait."""
    if isinstance(target, np.ndarray):
        download(target, source)
    else:
        upload(target, source[: len(target)])
        synchronize()


def synchronize() -> None:
    """Wait until the GPU has done what it was given."""
    if not SIMULATED:
        stream().synchronize()


class Graph:
    """A sequence of launches: run one by one at first, then captured as a CUDA graph and replayed.

    A replay costs about 15 µs and 0.6 µs a launch, launches from Python 5 to 30 µs each.

    Parameters
    ----------
    launches : sequence of callable
        Each gives one kernel, product or copy to the stream, always with the same arguments.
    """

    def __init__(self, launches: Sequence[Callable[[], Any]]) -> None:
        self._launches = launches
        self._warm = False
        self._executable: Any = None
        self._destroy: Callable[[Any], Any] | None = None

    def __call__(self) -> None:
        """Give the launches to the stream."""
        # cuBLAS and graphs, unlike Numba, expect that this thread has a context.
        cuda.current_context()
        if SIMULATED or not self._warm or len(self._launches) < 2:
            # The first time compiles and loads kernels, which cannot be captured.
            for launch in self._launches:
                launch()
            self._warm = True
            return
        from cuda.bindings import driver as api

        if self._executable is None:
            self._executable = _captured(self._launches)
            self._destroy = api.cuGraphExecDestroy
        _checked(api.cuGraphLaunch(self._executable, int(stream().handle)))

    def __del__(self) -> None:
        # Nothing can be imported when the interpreter ends.
        if self._destroy is not None:
            self._destroy(self._executable)


def _captured(launches: Sequence[Callable[[], Any]]) -> Any:
    from cuda.bindings import driver as api

    handle = int(stream().handle)
    # Memory that is taken or given back meanwhile, by Numba or by cuBLAS, would end another mode.
    mode = api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
    with cuda.defer_cleanup():
        _checked(api.cuStreamBeginCapture(handle, mode))
        try:
            for launch in launches:
                launch()
        except BaseException:
            api.cuStreamEndCapture(handle)  # the stream is of use again, and the error remains
            raise
        graph = _checked(api.cuStreamEndCapture(handle))
    executable = _checked(api.cuGraphInstantiate(graph, 0))
    _checked(api.cuGraphDestroy(graph))
    return executable


def _checked(returned: tuple[Any, ...]) -> Any:
    """The result of a call of the driver, whose first part says whether it succeeded."""
    error, *result = returned
    if int(error) != 0:
        raise RopError(f"engine 'cuda': the driver answered {error!r}")
    return result[0] if result else None
