"""Products that another program left in an .npz file, which may be damaged or anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rop.datasets.npz import read_npz
from rop.errors import RopError, RopValueError

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
        arrays = read_npz(path, _LARGEST)
        unknown = sorted(arrays.keys() - {*NAMES})
        if unknown:
            got = ", ".join(unknown)[:80]
            raise RopValueError(f"{path}: expected arrays called {', '.join(NAMES)}, got {got!r}")
    except RopError as error:
        raise RopValueError(f"--npz {error}") from None
    return arrays
