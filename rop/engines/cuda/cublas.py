"""cuBLAS through NVIDIA's own binding, on the engine's stream: one handle for each precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rop.engines.cuda import driver

# What NVIDIA recommends for Hopper. Given once: without it, captured graphs share none, and results
# may differ from run to run.
_WORKSPACE = 32 * 2**20


class Operand(NamedTuple):
    """A matrix on the GPU: address, leading dimension, and elements to the next one of a batch."""

    address: int
    leading: int
    apart: int


@cache
def missing() -> str | None:
    """What is missing for cuBLAS, and what to install; None if it can be used."""
    if driver.SIMULATED:
        return "Numba's simulator has no cuBLAS"
    try:
        from nvmath.bindings import cublas

        cublas.get_version(_handle(False))
    except Exception as error:
        # Whatever stops cuBLAS: the engine runs with its own kernel, and `rop info` says why.
        return f"cuBLAS cannot be used ({error}); run pip install 'rop[cuda]'"
    return None


def version() -> int:
    """cuBLAS's version number, such as 130200."""
    from nvmath.bindings import cublas

    return int(cublas.get_version(_handle(False)))


def address(array: Any) -> int:
    """Address of the first element of an array on the GPU."""
    return int(array.__cuda_array_interface__["data"][0])


@cache
def _handle(tf32: bool) -> int:
    """A handle on the engine's stream, without TF32 unless it is asked for."""
    from nvmath.bindings import cublas

    stream = int(driver.stream().handle)  # first: a handle belongs to the present context
    handle = int(cublas.create())
    cublas.set_stream(handle, stream)
    # In this order: cublasSetStream resets the workspace.
    cublas.set_workspace(handle, address(_workspace()), _WORKSPACE)
    mode = cublas.Math.TF32_TENSOR_OP_MATH if tf32 else cublas.Math.DEFAULT_MATH
    cublas.set_math_mode(handle, mode)
    return handle


@cache
def _workspace() -> Any:
    return driver.empty(_WORKSPACE // 4, np.dtype(np.float32))


@cache
def gemm(dtype: np.dtype[Any], tf32: bool) -> Callable[..., None]:
    """The function t = α op(x) op(y) + β t of a dtype, column-major.

    Parameters
    ----------
    dtype : dtype
        float32 or float64.
    tf32 : bool
        Whether float32 operands may be rounded to TF32.

    Returns
    -------
    callable
        ``call((turned, turned), (m, n, k), α, x, y, β, t, count)``.
    """
    from nvmath.bindings import cublas

    handle = _handle(tf32)
    single = dtype == np.float32
    one = cublas.sgemm if single else cublas.dgemm
    many = cublas.sgemm_strided_batched if single else cublas.dgemm_strided_batched

    def call(
        turned: tuple[bool, bool],
        lengths: tuple[int, int, int],
        alpha: float,
        x: Operand,
        y: Operand,
        beta: float,
        t: Operand,
        count: int,
    ) -> None:
        # cuBLAS reads both before the call returns.
        scalars = np.array([alpha, beta], dtype)
        a = scalars.ctypes.data
        b = a + dtype.itemsize
        letters = [cublas.Operation.T if each else cublas.Operation.N for each in turned]
        if count == 1:
            one(handle, *letters, *lengths, a, *x[:2], *y[:2], b, *t[:2])
        else:
            many(handle, *letters, *lengths, a, *x, *y, b, *t, count)

    return call
