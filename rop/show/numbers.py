"""Arrays in a few characters, for tables and pictures."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rop.graph import Node

_SHOWN = 3  # elements


def numbers(array: NDArray[Any]) -> str:
    """The first numbers of an array."""
    flat = array.reshape(-1)
    shown = " ".join(f"{number:.3g}" for number in flat[:_SHOWN])
    return shown + (" …" if len(flat) > _SHOWN else "")


def of_first_case(array: NDArray[Any], node: Node) -> str:
    """The first numbers of a node's value, (N, *shape) or *shape, for the first case."""
    return numbers(array[0] if array.ndim > len(node.shape) else array)
