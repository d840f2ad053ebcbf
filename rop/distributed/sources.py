"""Where the parts of the data come from: arrays, files, Dask collections, functions that load."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines.parallel import ranges
from rop.errors import RopTypeError, RopValueError
from rop.hf.evaluation import cases_of
from rop.support.arguments import shown

Arrays: TypeAlias = dict[str, NDArray[Any]]
Loader: TypeAlias = Callable[[], Mapping[str, ArrayLike]]
Data: TypeAlias = Mapping[str, Any] | Sequence[Loader]


@dataclass(frozen=True)
class Source:
    """One part of the data.

    Attributes
    ----------
    name : str
        What errors call it.
    load : callable, optional
        Loads the part, on a worker.
    blocks : mapping of str to object, optional
        Otherwise, the arrays themselves, or Dask's delayed blocks: Dask brings them to a worker.
    """

    name: str
    load: Loader | None = None
    blocks: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class FileRows:
    """Rows of arrays in files, which a worker maps into its memory, and reads as they are needed.

    Attributes
    ----------
    arrays : mapping of str to tuple
        File, position of the first byte, dtype and shape of each array.
    """

    arrays: Mapping[str, tuple[str, int, str, tuple[int, ...]]]

    def __call__(self) -> Arrays:
        """Map the files."""
        return {
            name: np.memmap(file, np.dtype(dtype), "r", offset, shape)
            for name, (file, offset, dtype, shape) in self.arrays.items()
        }


def sources_of(data: Data, parts: int) -> list[Source]:
    """Cut data into parts.

    Parameters
    ----------
    data : mapping of str to array, or sequence of callables
        Arrays of NumPy, memory-mapped or not, all with the cases as axis 0; Dask arrays or
        dataframes, whose blocks of rows are the parts; or a function for each part, that returns
        such a mapping of NumPy arrays.
    parts : int
        The number of parts of NumPy arrays; at most one for each case.

    Returns
    -------
    list of Source

    Raises
    ------
    RopTypeError
        If the data are none of these.
    RopValueError
        If there is no part or case, or the arrays differ in their number of rows or blocks.
    """
    if isinstance(data, Mapping):
        if not data:
            return [Source("the only part", blocks={})]
        collections = {name: hasattr(each, "to_delayed") for name, each in data.items()}
        if all(collections.values()):
            return _dask_blocks(data)
        if any(collections.values()):
            raise RopTypeError(
                "data: either all arrays are Dask collections or none is; make one of "
                f"{_listed(collections, True)} as well as of {_listed(collections, False)}"
            )
        return _rows(data, parts)
    if isinstance(data, Sequence) and data and all(callable(each) for each in data):
        return [Source(f"part {i}, {shown(load)}", load) for i, load in enumerate(data)]
    raise RopTypeError(
        "data: expected a dict of arrays by the names of the objective's data, or a list of "
        f"functions, one for each part, that return such dicts; got {shown(data)}"
    )


def _listed(collections: Mapping[str, bool], dask: bool) -> str:
    return ", ".join(name for name, is_dask in collections.items() if is_dask == dask)


def _rows(data: Mapping[str, ArrayLike], parts: int) -> list[Source]:
    arrays = {name: a if isinstance(a, np.ndarray) else np.asarray(a) for name, a in data.items()}
    cases = cases_of(arrays)
    found = []
    for number, rows in enumerate(ranges(cases, min(parts, cases))):
        name = f"part {number}, cases {rows.start} to {rows.stop - 1}"
        mine = {key: array[rows] for key, array in arrays.items()}
        files = {key: _in_file(array) for key, array in mine.items()}
        known = {key: where for key, where in files.items() if where is not None}
        if len(known) == len(files):
            found.append(Source(name, FileRows(known)))
        else:
            found.append(Source(name, blocks=mine))
    return found


def _in_file(array: NDArray[Any]) -> tuple[str, int, str, tuple[int, ...]] | None:
    """Return where the rows of a memory-mapped array lie in its file; None for other arrays."""
    file, mapped = getattr(array, "filename", None), getattr(array, "_mmap", None)
    if file is None or not isinstance(mapped, mmap.mmap) or not array.flags.c_contiguous:
        return None
    assert isinstance(array, np.memmap)
    begin = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    before = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    return str(file), begin + before, array.dtype.str, array.shape


def _dask_blocks(data: Mapping[str, Any]) -> list[Source]:
    delayed = {}
    for name, collection in data.items():
        blocks = np.asarray(collection.to_delayed(), dtype=object)
        if blocks.size != len(blocks):
            raise RopValueError(
                f"data[{name!r}]: the blocks of a Dask array must be whole rows, got "
                f"{blocks.shape} of them; rechunk it with chunks of its full length on all axes "
                "but the first"
            )
        delayed[name] = list(blocks.reshape(-1))
    counts = {name: len(blocks) for name, blocks in delayed.items()}
    if len(set(counts.values())) > 1:
        raise RopValueError(f"data: the numbers of blocks differ: {counts}; rechunk the arrays")
    count = next(iter(counts.values()))
    return [
        Source(f"part {i}, a block of Dask", blocks={name: b[i] for name, b in delayed.items()})
        for i in range(count)
    ]
