"""Reading an .npz file that somebody else made: it may be damaged, hostile or something else."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopError, RopFileError, RopValueError, file_errors

# Text and numbers; reading objects would execute what the file says.
_KINDS = "fiubcUS"
# Beyond this size, arrays that were packed to less than 1 % are taken for an attack.
_SMALL, _DENSEST = 2**28, 100


def read_npz(path: Path, largest: int = 2**33) -> dict[str, NDArray[Any]]:
    """Read the arrays of an .npz file; check every size before anything is allocated.

    Parameters
    ----------
    path : Path
        The file.
    largest : int
        The most bytes that all arrays may take.

    Returns
    -------
    dict of str to ndarray
        The arrays by their names.

    Raises
    ------
    RopValueError
        If it is no regular file, is damaged, or holds anything but arrays of numbers and text; or
        if the arrays are larger than ``largest``, or far larger than the file.
    RopFileError
        If the file does not exist or cannot be read.
    """
    try:
        with open_regular(path, largest) as file, zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _refuse_sizes(entries, path.stat().st_size, largest)
            return {entry.filename[:-4]: _array(archive, entry) for entry in entries}
    except RopFileError:
        raise
    except Exception as error:  # zipfile, zlib, ast and NumPy raise a dozen kinds
        said = str(error) if isinstance(error, RopError) else f"{type(error).__name__}: {error}"
        raise RopValueError(f"{path} is damaged, or is no .npz file of arrays: {said}") from None


def open_regular(path: Path, largest: int) -> BinaryIO:
    """Open a file for reading, but no pipe, which may never end, and nothing beyond a size.

    Parameters
    ----------
    path : Path
        The file.
    largest : int
        The most bytes it may have.

    Returns
    -------
    file
        The open file.

    Raises
    ------
    RopValueError
        If it is no regular file, or too large.
    RopFileError
        If it does not exist or cannot be read.
    """
    with file_errors(f"cannot read {path}", "check the path and its permissions"):
        size = path.stat().st_size
        if not path.is_file():
            raise RopValueError(f"{path} is not a regular file")
        if size > largest:
            raise RopValueError(
                f"{path} has {size / 2**30:.1f} GiB; {largest / 2**30:.1f} is the most"
            )
        return open(path, "rb")


def _refuse_sizes(entries: list[zipfile.ZipInfo], packed: int, largest: int) -> None:
    names = [entry.filename for entry in entries]
    if len({*names}) < len(names):
        raise RopValueError("two entries have the same name")
    foreign = [name for name in names if not name.endswith(".npy")]
    if foreign:
        raise RopValueError(f"it has the entry {foreign[0][:80]!r}, which is no array")
    size = sum(entry.file_size for entry in entries)
    if size > largest or size > max(_SMALL, _DENSEST * packed):
        raise RopValueError(
            f"its arrays take {size / 2**30:.1f} GiB, the file {packed / 2**20:.1f} MiB; save "
            "large arrays with np.savez, which does not pack them"
        )


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as file:
        shape, dtype = _header(file)
    if dtype.kind not in _KINDS:
        raise RopValueError(f"{entry.filename} holds {dtype}, not numbers or text")
    if prod(shape) * dtype.itemsize > entry.file_size:
        raise RopValueError(f"{entry.filename} says it has shape {shape}, more than there is")
    with archive.open(entry) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # at its end the file's checksum is compared
            raise RopValueError(f"{entry.filename} is longer than its array")
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise RopValueError(f"version {version} of the .npy format is unknown")
    shape, _, dtype = read(file)
    return shape, dtype
