"""Checks of arrays: whether they are finite, and where they lie."""

from __future__ import annotations

from functools import cache
from math import isfinite
from typing import Any

import numpy as np

from rop.errors import RopValueError
from rop.ops.kernels import Array


def on_gpu(values: Any) -> bool:
    """Whether an array lies on a GPU, such as those of CuPy, PyTorch and JAX."""
    if isinstance(values, np.ndarray):
        return False
    # Arrays of Numba's simulator have no interface, but are copied as those on a GPU are.
    if getattr(values, "__cuda_array_interface__", None) or hasattr(values, "copy_to_host"):
        return True
    device = getattr(values, "__dlpack_device__", None)
    return device is not None and device()[0] in _GPU


# DLPack's numbers of CUDA memory and of CUDA's managed memory.
_GPU = (2, 13)


def finite(name: str, array: Array, where: Any = None) -> None:
    """Raise RopValueError that names the first NaN or inf of an array, and its position.

    Parameters
    ----------
    name : str
        What the array is.
    array : ndarray
        The array.
    where : callable, optional
        Turns the index of an element into words.
    """
    if is_finite(array):
        return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        position = f"[{', '.join(map(str, index))}]" if where is None else where(index[0])
        raise RopValueError(
            f"{name}: {len(bad)} of {array.size} elements are NaN or inf, the first is "
            f"{array[index]} at {position}"
        )


def is_finite(array: Array) -> bool:
    """Whether no element of an array of float32 or float64 is NaN or inf."""
    # The sum of squares is finite unless an element is not, or it overflows: then look closer.
    flat = array if array.ndim == 1 else array.reshape(-1)
    if flat.size == 0:
        return True
    if flat.size >= 2**31:
        return bool(np.isfinite(flat).all())
    return isfinite(_dots()[array.dtype.char](flat, flat)) or bool(np.isfinite(flat).all())


@cache
def _dots() -> dict[str, Any]:
    """BLAS's scalar products, which unlike NumPy's raise no warnings when they overflow."""
    from scipy.linalg.blas import ddot, sdot

    return {"f": sdot, "d": ddot}
