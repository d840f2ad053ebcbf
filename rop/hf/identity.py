"""What a run belongs to: its objective, data, start and environment, in a few lines."""

from __future__ import annotations

import hashlib
import platform
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.graph import Node, ancestors
from rop.hf.vectors import Vector
from rop.objective.objective import Objective

# Arrays up to this size are read whole: at about 1 GB/s, a quarter of a second.
_WHOLE = 2**28
_BLOCK = 2**20
_KNOWN = "rop", "abc", "builtins"


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
    l2 : float
        The strength of the penalty.
    sha256 : str
        Checksum of the graph: ops with their settings, shapes, names of parameters and data,
        constants, loss. Of a function of the user's own it contains the names and the numbers.
    """

    parameters: dict[str, tuple[int, ...]]
    ops: dict[str, int]
    loss: str
    l2: float
    sha256: str

    @classmethod
    def of(cls, objective: Objective) -> Model:
        """Return the identity of an objective."""
        nodes = ancestors(objective.z, *objective.loss.given, *objective.hidden)
        ops = Counter(node.kind if node.op is None else node.op.name for node in nodes)
        digest = hashlib.sha256("\n".join(_graph(objective, nodes)).encode())
        return cls(
            dict(objective.shapes),
            dict(sorted(ops.items())),
            objective.loss.name,
            objective.l2,
            digest.hexdigest(),
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
        from rop.engines.numba.binding import threads  # Numba takes longer to load than rop

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


def _graph(objective: Objective, nodes: list[Node]) -> Iterator[str]:
    """Yield a line for each node, and one for the loss and the order of the parameters."""
    position = {node: i for i, node in enumerate(nodes)}
    ops: dict[int, str] = {}  # many nodes share one op
    for node in nodes:
        if id(node.op) not in ops:
            ops[id(node.op)] = _op(node.op)
        parents = [position[parent] for parent in node.parents]
        name = node.name if node.op is None else ""
        constant = _described(node.constant)
        yield f"{node.kind} {name} {ops[id(node.op)]} {parents} {node.shape} {constant}"
    given = [position[node] for node in (objective.z, *objective.loss.given, *objective.hidden)]
    order = [position[node] for node in objective.parameters]
    yield f"{objective.loss.name} {objective.loss.convexify} {objective.distance} {given} {order}"


def _op(op: Any) -> str:
    """Describe an op by what it was made of; one of the user's own by its functions too."""
    cls, shapes, options = op.__reduce__()[1] if op is not None else (None, (), {})
    if not isinstance(options, dict):  # no op of the catalogue, and not made by `of`
        cls, options = type(op), {}
    classes = [each for each in type(op).__mro__ if each.__module__.split(".")[0] not in _KNOWN]
    rules = [_described(member) for each in classes for member in vars(each).values()]
    return f"{getattr(cls, '__qualname__', '')} {shapes} {_described(options)} {rules}"


def _described(value: Any, depth: int = 4) -> str:
    """Describe a value by its numbers, a function by its names and numbers."""
    if value is None or isinstance(value, bool | int | float | str | slice | np.generic):
        return repr(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{zlib.crc32(value.tobytes()):08x}"
    if depth and isinstance(value, tuple | list):
        return f"({', '.join(_described(each, depth - 1) for each in value)})"
    if depth and isinstance(value, dict):
        return _described(list(value.items()), depth)
    function = getattr(value, "__func__", value)
    code = getattr(function, "__code__", None)
    if depth and code is not None:
        numbers = [each for each in code.co_consts if isinstance(each, float)]
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        return f"{code.co_name}{code.co_names}{numbers}{_described(cells, depth - 1)}"
    return type(value).__qualname__
