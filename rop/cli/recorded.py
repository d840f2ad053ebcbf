"""Products that another program left in an .npz file, which may be damaged or anything else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopValueError

NAMES = ("theta", "directions", "jvp", "ggnvp", "hvp", "gradient")
_LARGEST = 2**31  # bytes of all arrays


def recorded(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file for `rop.check_products`.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to ndarray
        Those of `NAMES` that it holds.

    Raises
    ------
    RopValueError
        If it is no regular file, cannot be read, holds other arrays, or more than 2 GiB of them.
    """
    try:
        if not path.is_file():
            raise RopValueError(f"--npz {path}: there is no such file")
        _refuse_contents(path)
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except RopValueError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
        said = f"{type(error).__name__}: {error}"
        raise RopValueError(f"--npz {path}: cannot be read as an .npz file: {said}") from None


def _refuse_contents(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        entries = file.infolist()
    unknown = {entry.filename.removesuffix(".npy") for entry in entries} - {*NAMES}
    if unknown:
        got = ", ".join(sorted(unknown))[:80]
        raise RopValueError(f"--npz {path}: expected arrays called {', '.join(NAMES)}, got {got!r}")
    size = sum(entry.file_size for entry in entries)
    if size > _LARGEST:
        raise RopValueError(
            f"--npz {path}: its arrays take {size / 2**30:.1f} GiB; 2 GiB is the most"
        )
