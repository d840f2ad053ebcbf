"""What a run belongs to: its objective, data, start and environment, in a few lines."""

from __future__ import annotations

import hashlib
import platform
import sys
import zlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.engines.parallel import threads
from rop.hf.vectors import Vector
from rop.objective.fingerprint import fingerprint, ops_of
from rop.objective.objective import Objective

# Arrays up to this size are read whole: at about 1 GB/s, a quarter of a second.
_WHOLE = 2**28
_BLOCK = 2**20


@dataclass(frozen=True)
class Model:
    """An objective: enough to tell it from another, and to say where they differ.

    Attributes
    ----------
    parameters : dict of str to tuple of int
        Their shapes, in the order of θ.
    ops : dict of str to int
        How many nodes of each op the graph has.
    loss : str
        The loss.
    l2 : float or dict of str to float
        The strength of the penalty.
    sha256 : str
        Checksum of the graph: ops with their settings, shapes, names of parameters and data,
        constants, loss. Of a function of the user's own it contains the names and the numbers.
    """

    parameters: dict[str, tuple[int, ...]]
    ops: dict[str, int]
    loss: str
    l2: float | dict[str, float]
    sha256: str

    @classmethod
    def of(cls, objective: Objective) -> Model:
        """Return the identity of an objective."""
        return cls(
            dict(objective.shapes),
            ops_of(objective),
            objective.loss.name,
            objective.l2,
            fingerprint(objective),
        )


@dataclass(frozen=True)
class Values:
    """An array of the data; with a `Stream`, of its first batch.

    Attributes
    ----------
    shape : tuple of int
        (N, ...).
    dtype : str
        Its dtype.
    crc32 : str
        Checksum of its bytes. Of an array above 256 MiB, 256 blocks of about 1 MiB are read, evenly
        spread, so a change between them is not noticed.
    """

    shape: tuple[int, ...]
    dtype: str
    crc32: str

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> Values:
        """Return the identity of an array; reads at most 256 MiB of it."""
        rows = array.reshape(1) if array.ndim == 0 else array
        per_block = max(1, _BLOCK * len(rows) // max(array.nbytes, 1))
        starts = np.arange(0, len(rows), per_block)
        if array.nbytes > _WHOLE:
            starts = np.linspace(0, len(rows) - per_block, _WHOLE // _BLOCK).astype(int)
        checksum = 0
        for start in starts:
            block = np.ascontiguousarray(rows[start : start + per_block])
            checksum = zlib.crc32(block.reshape(-1).view(np.uint8).data, checksum)
        return cls(array.shape, array.dtype.str, f"{checksum:08x}")


@dataclass(frozen=True)
class Environment:
    """What decides the last bits of a run besides its identity.

    Attributes
    ----------
    threads : int
        Cores that the process may use, and so the number of shards.
    machine : str
        Operating system and processor family.
    versions : dict of str to str
        Of Python, rop and the libraries that compute.
    """

    threads: int
    machine: str
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Environment:
        """Return the environment of this process."""
        versions = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        for name in ("rop", "numpy", "scipy", "numba"):
            try:
                versions[name] = version(name)
            except PackageNotFoundError:  # run from a source tree
                versions[name] = "not installed"
        return cls(threads(), f"{platform.system()} {platform.machine()}", versions)


def checksum(theta: Vector) -> str:
    """Return the SHA-256 of a vector's bytes, in hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(theta).tobytes()).hexdigest()
