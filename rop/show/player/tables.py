"""Arrays as tables of numbers in JSON, as the player shows them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.graph import Node

MOST_ROWS = MOST_COLUMNS = 12


class Tables:
    """The arrays of all steps as tables of numbers, each of them once."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self._known: dict[tuple[Any, ...], int] = {}

    def add(
        self,
        array: NDArray[Any],
        shape: Sequence[int],
        per_case: bool,
        reached: NDArray[np.bool_] | None = None,
    ) -> int:
        """Enter an array.

        Parameters
        ----------
        array : ndarray, (N, *shape) or shape
            The array.
        shape : sequence of int
            The shape for one case.
        per_case : bool
            Whether it has an axis of cases.
        reached : ndarray of bool, optional
            Of its elements for one case, those that are computed; the others are blank.

        Returns
        -------
        int
            The number of its table: the last axis lies along the rows, of which the first
            `MOST_ROWS` and `MOST_COLUMNS` are kept.
        """
        columns = shape[-1] if shape else 1
        rows = array.reshape(-1, columns)
        missing = np.zeros(rows.shape, bool)
        if reached is not None:
            missing = ~np.broadcast_to(reached, (array.size // reached.size, reached.size))
            missing = missing.reshape(rows.shape)
        content = sha256(np.where(missing, 0, rows).tobytes() + missing.tobytes()).digest()
        key = (content, array.dtype, rows.shape, per_case)
        if key not in self._known:
            self._known[key] = len(self.made)
            leading = (("N",) if per_case else ()) + tuple(shape[:-1])
            self.made.append(
                {
                    "rows": rows.shape[0],
                    "columns": columns,
                    "leading": list(leading),
                    "numbers": [
                        [
                            "" if blank else _number(number)
                            for number, blank in zip(*both, strict=True)
                        ]
                        for both in zip(_kept(rows), _kept(missing), strict=True)
                    ],
                }
            )
        return self._known[key]

    def add_value(
        self, node: Node, array: NDArray[Any], reached: NDArray[np.bool_] | None = None
    ) -> int:
        """Enter one of the values of a node, (N, *shape) or *shape; see `add`."""
        return self.add(array, node.shape, array.ndim > len(node.shape), reached)


def _kept(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[:MOST_ROWS, :MOST_COLUMNS]


def _number(number: Any) -> float | str:
    """A number as JSON has it: the shortest text that means it; text where it is not finite."""
    if not isfinite(number):
        return str(number)
    return float(str(number)) if isinstance(number, np.floating) else float(number)
