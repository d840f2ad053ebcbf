"""Which elements a walk reaches, and whether it reaches some of them twice: decided exactly."""

from __future__ import annotations

from functools import lru_cache
from math import gcd, prod

import numpy as np

from rop.graph import Shape


@lru_cache(maxsize=4096)
def reached(extents: Shape, strides: tuple[int, ...]) -> int:
    """Count the different elements that a nest of loops reaches, from their lengths and strides."""
    return _count(sorted((abs(s), e) for e, s in zip(extents, strides, strict=True) if s and e > 1))


@lru_cache(maxsize=4096)
def overlapping(extents: Shape, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Find loops to run one after another, so that the others never reach an element twice.

    Loops that stand still (stride 0) are left aside: they sum. Returns the positions of the loops,
    in order; the shortest ones that will do. Empty if no element is reached twice.
    """
    moving = [i for i, (e, s) in enumerate(zip(extents, strides, strict=True)) if s and e > 1]

    def share(loops: list[int]) -> float:
        """How many of the steps reach an element that no other step does."""
        lengths = tuple(extents[i] for i in loops)
        return reached(lengths, tuple(strides[i] for i in loops)) / prod(lengths)

    kept = moving
    while share(kept) < 1.0:
        without = {i: share([j for j in kept if j != i]) for i in kept}
        helpful = [i for i in kept if without[i] > share(kept)] or kept
        shortest = min(helpful, key=lambda i: extents[i])
        kept = [i for i in kept if i != shortest]
    return tuple(i for i in moving if i not in kept)


def _count(loops: list[tuple[int, int]]) -> int:
    """Count the sums Σ stride · index; loops (stride, extent) come by increasing stride."""
    if not loops:
        return 1
    *lower, (stride, extent) = loops
    if stride > _span(lower):
        return extent * _count(lower)
    for i in range(1, len(loops)):
        # What the longer strides add up to lies further apart than the shorter ones reach.
        if gcd(*(s for s, _ in loops[i:])) > _span(loops[:i]):
            return _count(loops[:i]) * _count(loops[i:])
    unit = gcd(*(s for s, _ in loops))
    found = np.zeros(_span(loops) // unit + 1, bool)
    found[0] = True
    for stride, extent in loops:
        done, step = 1, stride // unit
        while done < extent:
            more = min(done, extent - done)
            found[more * step :] |= found[: len(found) - more * step].copy()
            done += more
    return int(np.count_nonzero(found))


def _span(loops: list[tuple[int, int]]) -> int:
    """Distance from the first element to the last."""
    return sum(stride * (extent - 1) for stride, extent in loops)
