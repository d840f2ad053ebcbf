"""Sums over parts in an order that no cluster changes.

The parts are the leaves of a binary tree, and a sum is one addition for each node above them: left
plus right. Which worker adds, and when, is left to the cluster. So the bits depend on the parts
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

Node: TypeAlias = tuple[int, int]
"""Level, from 0 for the parts, and number on this level."""


class TreeSum:
    """What is known of a sum: the largest nodes of the tree whose sums are complete.

    Parameters
    ----------
    parts : int
        The number of leaves.
    """

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.nodes: dict[Node, Any] = {}

    def add(self, level: int, number: int, value: Any) -> None:
        """Add the sum of a node, and then all nodes above it that are complete.

        Parameters
        ----------
        level, number : int
            The node.
        value : object
            Its sum: an array, a number, a tuple of sums, or None if no case is in its parts.
        """
        width = -(-self.parts // 2**level)
        while width > 1:
            other = number ^ 1
            if other < width:  # otherwise the last node of the level goes up alone
                if (level, other) not in self.nodes:
                    break
                beside = self.nodes.pop((level, other))
                value = plus(value, beside) if number < other else plus(beside, value)
            level, number, width = level + 1, number // 2, -(-width // 2)
        self.nodes[level, number] = value

    def merge(self, other: TreeSum) -> None:
        """Add another sum over other parts."""
        for (level, number), value in other.nodes.items():
            self.add(level, number, value)

    @property
    def total(self) -> Any:
        """The sum over all parts; AssertionError if one is missing."""
        (value,) = self.nodes.values()
        return value


def merged(first: TreeSum, second: TreeSum) -> TreeSum:
    """Return the sum of two sums over different parts, which stay as they are."""
    both = TreeSum(first.parts)
    both.merge(first)
    both.merge(second)
    return both


def plus(a: Any, b: Any) -> Any:
    """Add two sums; None is nothing."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, tuple):
        return tuple(plus(*pair) for pair in zip(a, b, strict=True))
    return a + b


def scaled(share: float, value: Any) -> Any:
    """Return share times a sum, in the dtype of its arrays."""
    if isinstance(value, tuple):
        return tuple(scaled(share, each) for each in value)
    if isinstance(value, np.ndarray):
        return value * value.dtype.type(share)
    return None if value is None else share * value


def in_order(found: list[Mapping[int, Any]]) -> list[Any]:
    """Return what several workers found for their parts, in the order of the parts."""
    every = {part: value for one in found for part, value in one.items()}
    return [every[part] for part in sorted(every)]
