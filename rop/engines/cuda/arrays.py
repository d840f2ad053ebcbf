"""Arrays of other libraries on the GPU: CuPy, PyTorch, JAX, or whatever speaks DLPack."""

from __future__ import annotations

from math import isfinite, prod
from typing import Any

import numpy as np

from rop.engines.arrays import finite
from rop.engines.cuda import driver, vectors
from rop.errors import RopTypeError, RopValueError
from rop.graph import Shape


class _View:
    """Memory that DLPack describes, as the interface that Numba reads."""

    def __init__(self, view: Any) -> None:
        self._view = view  # owns the memory
        size = np.dtype(view.dtype).itemsize
        self.__cuda_array_interface__ = {
            "shape": tuple(view.shape),
            "strides": tuple(stride * size for stride in view.strides),
            "typestr": np.dtype(view.dtype).str,
            "data": (int(view.ptr), True),
            "version": 3,
        }


def received(name: str, values: Any, dtype: np.dtype[Any], shape: Shape) -> Any:
    """See a contiguous array on the GPU, without a copy, as a flat one of Numba's.

    Parameters
    ----------
    name : str
        What the array is.
    values : array on the GPU
        With ``__cuda_array_interface__`` or ``__dlpack__``.
    dtype : dtype
        float32 or float64, which it must have.
    shape : tuple of int
        The shape that it must have.

    Returns
    -------
    array on the GPU, 1-D

    Raises
    ------
    RopTypeError, RopValueError
        If its dtype, shape or layout is another one, or it holds NaN or inf.
    """
    if driver.SIMULATED:
        array = values
    elif hasattr(values, "__cuda_array_interface__"):
        array = driver.cuda.as_cuda_array(values)
    else:
        array = _dlpack(values)
    if array.dtype != dtype:
        raise RopTypeError(f"{name}: expected {dtype} as θ, got {array.dtype}; convert it first")
    if tuple(array.shape) != shape:
        raise RopValueError(
            f"{name}: expected shape {shape} on the GPU, got {tuple(array.shape)}; give directions "
            "one by one, or as an array of NumPy"
        )
    if not array.is_c_contiguous():
        raise RopValueError(f"{name}: expected a contiguous array; copy it first")
    flat = array.reshape(prod(shape))
    if not isfinite(vectors.dot(flat, flat, prod(shape))):
        finite(name, array.copy_to_host())
    return flat


def empty(shape: Shape, dtype: np.dtype[Any]) -> Any:
    """Allocate a result on the GPU, which CuPy, PyTorch and JAX take without a copy."""
    return driver.empty(prod(shape), dtype).reshape(shape)


def fetched(values: Any) -> Any:
    """Copy an array on the GPU to NumPy."""
    if driver.SIMULATED:
        return values.copy_to_host()
    if hasattr(values, "__cuda_array_interface__"):
        return driver.cuda.as_cuda_array(values).copy_to_host()
    return _dlpack(values).copy_to_host()


def _dlpack(values: Any) -> Any:
    from cuda.core.utils import StridedMemoryView

    view = StridedMemoryView.from_dlpack(values, stream_ptr=int(driver.stream().handle))
    return driver.cuda.as_cuda_array(_View(view))
