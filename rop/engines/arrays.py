"""What users hand over as arrays: checked, named in errors, and made ready for the engines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopTypeError, RopValueError
from rop.graph import Shape
from rop.ops.kernels import Array


def real(name: str, values: ArrayLike, dtype: np.dtype[Any]) -> Array:
    """Make a C-contiguous array of a dtype; the array itself if it is one.

    Raises
    ------
    RopTypeError
        If the values are not real numbers (complex, strings, objects).
    """
    if isinstance(values, np.ndarray) and values.dtype == dtype and values.flags.c_contiguous:
        return values
    # What is too large for the dtype becomes inf, which is refused by name where it matters.
    with np.errstate(over="ignore"):
        return np.asarray(numbers(name, values), dtype=dtype, order="C")


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


def numbers(name: str, values: ArrayLike) -> Array:
    """Make an array of real numbers of any dtype; raises RopTypeError if they are not."""
    if on_gpu(values):
        from rop.engines.cuda.arrays import fetched

        values = fetched(values)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise RopTypeError(f"{name}: expected an array of numbers, got: {error}") from None
    if array.dtype.kind not in "fiub":
        raise RopTypeError(
            f"{name}: expected real numbers, got dtype {array.dtype}; convert it first"
        )
    return array


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
    if not 0 < flat.size < 2**31:
        return bool(np.isfinite(flat).all())
    return isfinite(_dots()[array.dtype.char](flat, flat)) or bool(np.isfinite(flat).all())


@cache
def _dots() -> dict[str, Any]:
    """BLAS's scalar products, which unlike NumPy's raise no warnings when they overflow."""
    from scipy.linalg.blas import ddot, sdot

    return {"f": sdot, "d": ddot}


def checked_batch(
    batch: Mapping[str, ArrayLike] | None,
    shapes: Mapping[str, Shape],
    dtype: np.dtype[Any],
    integers: Collection[str] = (),
) -> tuple[dict[str, NDArray[Any]], int]:
    """Check a batch against the data nodes of a graph.

    Parameters
    ----------
    batch : mapping of str to array_like
        The batch: (N, *shape) for each data node.
    shapes : mapping of str to tuple of int
        Shapes of the data nodes for one case.
    dtype : dtype
        float32 or float64.
    integers : collection of str
        Names of the data nodes that hold integers.

    Returns
    -------
    dict of str to ndarray
        C-contiguous arrays of the dtype.
    int
        N, the number of cases; 1 for a graph without data.

    Raises
    ------
    RopTypeError
        If the batch is not a mapping, or holds something else than real numbers.
    RopValueError
        If names are missing or unknown, a shape does not fit, the numbers of cases differ or are 0.
    """
    if not isinstance(batch, Mapping | None):
        raise RopTypeError(
            f"batch: expected a mapping of {_names(shapes)} to arrays, got {type(batch).__name__}"
        )
    given = dict(batch or {})
    missing, unknown = sorted(shapes.keys() - given), sorted(given.keys() - shapes.keys())
    if missing or unknown:
        raise RopValueError(
            f"batch: expected the entries {_names(shapes)}, got {_names(given)}; "
            f"missing {_names(missing)}, unknown {_names(unknown)}"
        )
    arrays: dict[str, NDArray[Any]] = {}
    cases: int | None = None
    for name, shape in shapes.items():
        array = real(f"batch[{name!r}]", given[name], dtype)
        if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
            expected = ", ".join(["N", *map(str, shape)]) + ("," if not shape else "")
            hint = "; the first axis is that of the cases" if array.shape == shape else ""
            raise RopValueError(
                f"batch[{name!r}]: expected shape ({expected}), got {array.shape}{hint}"
            )
        if cases is not None and len(array) != cases:
            counts = {key: np.shape(given[key])[0] for key in shapes if np.ndim(given[key])}
            raise RopValueError(f"batch: the numbers of cases differ: {counts}")
        cases = len(array)
        if cases == 0:
            raise RopValueError(f"batch[{name!r}]: no cases (N = 0); a mean needs at least one")
        if name in integers and not (array == np.rint(array)).all():
            raise RopValueError(
                f"batch[{name!r}]: expected integers, got {array[array != np.rint(array)][0]:g}"
            )
        arrays[name] = array
    return arrays, 1 if cases is None else cases


def _names(names: Any) -> str:
    return ", ".join(repr(name) for name in names) or "none"
