"""True values to compare with: exact ones, shifted differences, products of two differences."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rop.checking.lines import Array, Ladder, Line, inner, norms
from rop.checking.policy import Differences

# Relative rounding error of an inner product of length one in which nothing cancels.
DOT = 1e-13
# Relative difference between two float64 programs for one number.
SAME = 1e-9


@dataclass(frozen=True)
class Exact:
    """A true value that needs no differences.

    Attributes
    ----------
    value : (m,)
    scale : float
        Norm to which rounding errors of either side are relative.
    tolerance : float
        Such an error, in float64.
    """

    value: Array
    scale: float
    tolerance: float


class Contraction:
    """<first, second> of two derivatives that are both known by differences only."""

    def __init__(self, first: Line, second: Line) -> None:
        self.first, self.second = first, second

    def ladder(self, steps: Sequence[float]) -> Ladder:
        """Ladder of the inner product, to first order in jumps and noise."""
        a, b = self.first.ladder(steps), self.second.ladder(steps)
        common, rows_a, rows_b = np.intersect1d(a.steps, b.steps, return_indices=True)
        order = np.argsort(-common)
        i, j = rows_a[order], rows_b[order]

        def products(x: Array, y: Array) -> Array:
            return np.array([[inner(p, q)] for p, q in zip(x, y, strict=True)])

        return Ladder(
            common[order],
            products(a.central[i], b.central[j]),
            products(a.jumps[i], b.central[j]) + products(a.central[i], b.jumps[j]),
            np.hypot(
                norms(a.noise[i] * np.abs(b.central[j]))[:, None],
                norms(a.central[i] * b.noise[j])[:, None],
            ),
            np.array([inner(a.level, b.level)]),
        )


@dataclass(frozen=True)
class Shifted:
    """Differences plus the known derivative of the rest of the function."""

    differences: Differences
    offset: Array

    def ladder(self, steps: Sequence[float]) -> Ladder:
        """Ladder of the sum; the offset adds rounding errors of its own size only."""
        ladder = self.differences.ladder(steps)
        return dataclasses.replace(ladder, central=ladder.central + self.offset)


# The user's numbers, computed when called, and what they should be.
Sides = tuple[Callable[[], Array], Differences | Exact]


def scalar(x: Array, y: Array) -> Array:
    """<x, y> as an array of one entry."""
    return np.array([inner(x, y)])
