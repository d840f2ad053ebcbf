"""A checksum that tells one graph from another, in any process."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from rop.graph import Node, ancestors
from rop.objective.definition import Definition

_KNOWN = "rop", "abc", "builtins"


def fingerprint(objective: Definition) -> str:
    """Return the SHA-256 of a graph: ops with their settings, shapes, names, constants, loss.

    Of a function of the user's own it contains the names and the numbers.
    """
    nodes = ancestors(objective.z, *objective.loss.given, *objective.hidden)
    return hashlib.sha256("\n".join(_graph(objective, nodes)).encode()).hexdigest()


def ops_of(objective: Definition) -> dict[str, int]:
    """How many nodes of each op, or leaves of each kind, an objective has, by name."""
    nodes = ancestors(objective.z, *objective.loss.given, *objective.hidden)
    counts = Counter(node.kind if node.op is None else node.op.name for node in nodes)
    return dict(sorted(counts.items()))


def _graph(objective: Definition, nodes: list[Node]) -> Iterator[str]:
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
    return f"{getattr(cls, '__name__', '')} {shapes} {_described(options)} {rules}"


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
