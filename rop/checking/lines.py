"""Functions along a line: central differences on a ladder of steps, and norms at any scale."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Rounding errors in a value Φ of good code, in units of ε|Φ|: a floor below the measured noise.
# Coarse precisions have no room for a margin; there the measured noise counts.
ROUNDING, COARSE_ROUNDING = 20.0, 1.0
# Squares that have not lost digits to the ends of the range.
ORDINARY = 1e-250
# Relative rounding of θ.
DISPLACED = float(np.finfo(np.float64).eps)
# Largest relative error of a displacement.
LOST = 0.01
SMALLEST = float(np.nextafter(0.0, 1.0))


class OutsideDomain(Exception):
    """Φ has no finite value at a displaced point."""


def norm(array: Array) -> float:
    """2-norm whose squares neither overflow nor vanish."""
    flat = array.ravel()
    square = float(flat @ flat)
    if ORDINARY < square < 1 / ORDINARY:
        return sqrt(square)
    largest = float(np.abs(flat).max(initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(flat / largest))


def norms(rows: Array) -> Array:
    """2-norm of every row."""
    squares: Array = np.einsum("km,km->k", rows, rows)
    if ((squares > ORDINARY) & (squares < 1 / ORDINARY)).all():
        return np.sqrt(squares)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)[:, None]
    scaled = rows / unit
    with np.errstate(invalid="ignore"):
        sizes: Array = unit[:, 0] * np.sqrt(np.einsum("km,km->k", scaled, scaled))
    return np.where(np.isfinite(largest), sizes, largest)


def inner(x: Array, y: Array) -> float:
    """<x, y>, whose terms overflow only if it does."""
    a, b = (float(np.abs(array).max(initial=0.0)) or 1.0 for array in (x, y))
    return float(np.vdot(x / a, y / b)) * a * b


def root_mean_square(vector: Array) -> float:
    """Root mean square of the non-zero entries; 0 if there are none."""
    support = vector[vector != 0]
    return norm(support) / float(np.sqrt(support.size)) if support.size else 0.0


def relative_difference(a: Array, b: Array, floor: float = 0.0) -> float:
    """|a - b| relative to the larger of |a|, |b| and a floor; infinite if one is not finite."""
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    scale = max(norm(a), norm(b), floor)
    return norm(a - b) / scale if scale > 0 else 0.0


# Standard deviation of log10 |θ_i| beyond which entries of one block have no common size: normally
# distributed ones have 0.5.
SPREAD = 1.2


def entry_scales(vector: Array, blocks: Sequence[slice] = ()) -> Array:
    """The size that each entry is measured in, and steps are taken in proportion to.

    That is the root mean square of its block; where a block spans many orders of magnitude, the
    size of the entry itself; where a block is zero, the typical size of all entries, or 1.
    """
    sizes = np.abs(vector)
    typical = float(np.median(sizes[sizes > 0])) if sizes.any() else 1.0
    scales = np.full(vector.shape, typical)
    for where in blocks or (...,):
        block = sizes[where]
        support = block[block > 0]
        if support.size == 0:
            continue
        logarithms = np.log10(support)
        if logarithms.std() > SPREAD:
            scales[where] = np.where(block > 0, block, 10.0 ** logarithms.mean())
        else:
            scales[where] = root_mean_square(support)
    return scales


@dataclass(frozen=True)
class Noise:
    """Standard deviation of the rounding noise in each entry of Φ; unit roundoff of its dtype."""

    deviation: Array
    epsilon: float


@dataclass(frozen=True)
class Ladder:
    """Estimates of one derivative at decreasing steps.

    Attributes
    ----------
    steps : (K,)
        Steps h, decreasing: displacements relative to the size of what is displaced.
    central : (K, m)
        Central differences D(h).
    jumps : (K, m)
        One-sided difference forward minus the one backward, O(h) where Φ is smooth.
    noise : (K, m)
        Standard deviation of the rounding noise in `central`.
    level : (m,)
        What D would be if Φ changed by its own size within a step of 1.
    """

    steps: Array
    central: Array
    jumps: Array
    noise: Array
    level: Array

    def part(self, entries: slice) -> "Ladder":
        """The ladder of some of the entries."""
        central, jumps, noise = (a[:, entries] for a in (self.central, self.jumps, self.noise))
        return Ladder(self.steps, central, jumps, noise, self.level[entries])

    def times(self, weights: Array) -> "Ladder":
        """The ladder of the entries times positive weights."""
        return Ladder(
            self.steps,
            self.central * weights,
            self.jumps * weights,
            self.noise * weights,
            self.level * weights,
        )


class Line:
    """Φ along origin + t direction, with every value computed once.

    Parameters
    ----------
    function : callable
        Φ: array like `origin` -> (m,). It may raise `OutsideDomain`.
    origin, direction : arrays of one shape
    noise : Noise, or a function that measures it
        Of Φ near the origin.
    scale : array, optional
        `entry_scales` of the origin: a step of 1 moves every entry by about so much.
    """

    def __init__(
        self,
        function: Callable[[Array], Array],
        origin: Array,
        direction: Array,
        noise: Noise | Callable[[], Noise],
        scale: Array | None = None,
    ) -> None:
        self.function, self.origin, self.direction, self._noise = function, origin, direction, noise
        scale = entry_scales(origin) if scale is None else scale
        self.unit = 1.0 / (root_mean_square(direction / scale) or 1.0)
        self._values: dict[float, Array] = {}

    def value(self, h: float) -> Array:
        """Φ at a displacement of h units."""
        if h not in self._values:
            self._values[h] = self.function(self.origin + (h * self.unit) * self.direction)
        return self._values[h]

    def ladder(self, steps: Sequence[float]) -> Ladder:
        """Central differences and one-sided jumps at those steps that stay inside Φ's domain."""
        noise = self._noise if isinstance(self._noise, Noise) else self._noise()
        middle = self.value(0.0)
        kept, ahead, behind = [], [], []
        for h in steps:
            if self._rounded / h > LOST:
                continue
            try:
                forward, backward = self.value(h), self.value(-h)
            except OutsideDomain:
                continue
            ahead.append(forward)
            behind.append(backward)
            kept.append(h)
        h_kept: Array = np.array(kept)
        shape = (len(kept), middle.size)
        # Halved first, so that differences of the largest numbers do not overflow.
        forwards, backwards = (np.array(rows).reshape(shape) / 2 for rows in (ahead, behind))
        t = (h_kept * self.unit)[:, None]
        D, J = (forwards - backwards) / t, ((forwards - middle) + backwards) / (t / 2)
        rounding = ROUNDING if noise.epsilon < 1e-12 else COARSE_ROUNDING
        floor = np.maximum(rounding * noise.epsilon * np.abs(middle), SMALLEST)
        # What stays the same at every step, and elsewhere, may hide less than a last digit.
        constant = ~D.any(axis=0) & ~J.any(axis=0) & (noise.deviation == 0)
        floor = np.where(constant, noise.epsilon * np.abs(middle), floor)
        floor[middle == 0] = 0.0
        of_values = np.maximum(noise.deviation, floor) / (np.sqrt(2) * self.unit * h_kept[:, None])
        of_displacements = np.abs(D) * (self._rounded / h_kept[:, None])
        return Ladder(h_kept, D, J, of_values + of_displacements, np.abs(middle) / self.unit)

    @cached_property
    def _rounded(self) -> float:
        """Relative rounding of a displacement by h = 1, as it is added to the origin."""
        support = self.direction != 0
        moved = self.unit * norm(self.direction)
        return DISPLACED * norm(self.origin[support]) / moved if moved > 0 else 0.0
