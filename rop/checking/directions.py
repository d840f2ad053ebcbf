"""Directions to differentiate along, and a second point to differentiate at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rop.checking.lines import Array
from rop.errors import RopValueError

Blocks = Mapping[str, slice]

# Blocks that the caller does not name.
UNNAMED_BLOCKS = 4


@dataclass(frozen=True)
class Direction:
    """A vector to multiply with.

    Attributes
    ----------
    name : str
        "random direction 1" or "block W1", as the report names it.
    block : str
        The block outside which the vector is zero, "" for none.
    vector : array
    """

    name: str
    block: str
    vector: Array


def name_blocks(n: int, blocks: Blocks | None) -> dict[str, slice]:
    """The caller's blocks of θ, checked; without them, a few equal ones named after their range."""
    if blocks is None:
        count = min(n, UNNAMED_BLOCKS)
        edges = [n * i // count for i in range(count + 1)]
        if count == 1:
            return {"theta": slice(0, n)}
        return {f"theta[{a}:{b}]": slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)}
    named = {}
    for name, where in blocks.items():
        if not isinstance(where, slice):
            raise RopValueError(
                f"blocks[{name!r}] must be a slice of theta, got {type(where).__name__}; "
                "give for example slice(0, 30)"
            )
        start, stop, step = where.indices(n)
        if step != 1 or start >= stop or (where.stop is not None and where.stop > n):
            raise RopValueError(
                f"blocks[{name!r}] = {where} is no non-empty run of entries of theta with {n}; "
                "give a slice with 0 <= start < stop <= n and step 1"
            )
        named[name] = slice(start, stop)
    return named


def theta_directions(
    scale: Array, blocks: Blocks, rng: np.random.Generator, count: int = 2
) -> list[Direction]:
    """Gaussian directions: `count` over all of θ, then one per block if there are several.

    Entries are in proportion to those of θ, so that no block drowns the others.
    """
    directions = [
        Direction(f"random direction {k + 1}", "", scale * rng.standard_normal(scale.size))
        for k in range(count)
    ]
    if len(blocks) > 1:
        for name, where in blocks.items():
            vector = np.zeros(scale.size)
            vector[where] = scale[where] * rng.standard_normal(where.stop - where.start)
            directions.append(Direction(f"block {name}", name, vector))
    return directions


def output_directions(scale: Array, rng: np.random.Generator, count: int = 2) -> list[Direction]:
    """Gaussian directions in the space of outputs, the last one confined to one case."""
    shape = scale.shape
    directions = [
        Direction(f"random direction {k + 1}", "", scale * rng.standard_normal(shape))
        for k in range(count)
    ]
    if len(shape) > 1 and shape[0] > 1:
        vector = np.zeros(shape)
        case = int(rng.integers(shape[0]))
        vector[case] = scale[case] * rng.standard_normal(shape[1:])
        directions.append(Direction(f"case {case}", "", vector))
    return directions


def second_theta(theta: Array, scale: Array, rng: np.random.Generator) -> Array:
    """θ moved by a tenth of its size, entry by entry: near enough to stay in the domain of f."""
    return theta + 0.1 * scale * rng.standard_normal(theta.size)
