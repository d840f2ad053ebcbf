"""Functions along a line: central differences on a ladder of steps, their kinks and their noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# Rounding errors in a value Φ of good code, in units of ε|Φ|: a floor below the measured noise.
ROUNDING = 20.0
# Share of the origin's size up to which a step is a small one.
LOCAL = 0.1


class OutsideDomain(Exception):
    """Φ has no finite value at a displaced point."""


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
        Steps h, decreasing, in units of the root mean square of the direction.
    central : (K, m)
        Central differences D(h).
    jumps : (K, m)
        One-sided difference forward minus the one backward, O(h) where Φ is smooth.
    noise : (K, m)
        Standard deviation of the rounding noise in `central`.
    local : float
        Steps above this move the origin by much of its own size, past kinks of that scale.
    """

    steps: Array
    central: Array
    jumps: Array
    noise: Array
    local: float

    def part(self, entries: slice) -> "Ladder":
        """The same ladder for some of the entries."""
        return Ladder(
            self.steps,
            self.central[:, entries],
            self.jumps[:, entries],
            self.noise[:, entries],
            self.local,
        )


def root_mean_square(vector: Array) -> float:
    """Root mean square of the non-zero entries; 0 if there are none."""
    support = vector[vector != 0]
    return float(np.sqrt(np.mean(support**2))) if support.size else 0.0


class Line:
    """Φ along origin + t direction, with every value computed once.

    Parameters
    ----------
    function : callable
        Φ: array like `origin` -> (m,). It may raise `OutsideDomain`.
    origin, direction : arrays of one shape
    noise : Noise
        Of Φ near the origin.
    """

    def __init__(
        self, function: Callable[[Array], Array], origin: Array, direction: Array, noise: Noise
    ) -> None:
        self.function, self.origin, self.direction, self.noise = function, origin, direction, noise
        support = direction != 0
        # A step of 1e-4 means 1e-4 per entry, or 1e-4 of an entry's size where that exceeds one.
        size = root_mean_square(direction)
        self.unit = max(1.0, root_mean_square(origin[support])) / size
        own_size = root_mean_square(origin)
        self.local = LOCAL * own_size / (self.unit * size) if own_size > 0 else np.inf
        self._values: dict[float, Array] = {}

    def value(self, h: float) -> Array:
        """Φ at a displacement of h units."""
        if h not in self._values:
            self._values[h] = self.function(self.origin + (h * self.unit) * self.direction)
        return self._values[h]

    def ladder(self, steps: Sequence[float]) -> Ladder:
        """Central differences and one-sided jumps at those steps that stay inside Φ's domain."""
        middle = self.value(0.0)
        kept, central, jumps = [], [], []
        for h in steps:
            try:
                forward, backward = self.value(h), self.value(-h)
            except OutsideDomain:
                continue
            t = h * self.unit
            kept.append(h)
            central.append((forward - backward) / (2 * t))
            jumps.append((forward - 2 * middle + backward) / t)
        deviation = np.hypot(self.noise.deviation, ROUNDING * self.noise.epsilon * np.abs(middle))
        kept_steps: Array = np.array(kept)
        return Ladder(
            kept_steps,
            np.array(central).reshape(len(kept), middle.size),
            np.array(jumps).reshape(len(kept), middle.size),
            deviation / (np.sqrt(2) * self.unit * kept_steps[:, None]),
            self.local,
        )


def measure_noise(
    function: Callable[[Array], Array],
    origin: Array,
    epsilon: float,
    rng: np.random.Generator,
    lines: int = 3,
) -> Noise:
    """Noise of Φ from what a parabola leaves of it over seven points.

    The points are 1e-9 apart for entries that move from each to the next, which leaves kinks and
    curvature out; and 1e-7 for the others, such as those of a Φ that is float32 inside. The median
    over a few random lines discards the one that happens to cross a kink.

    Parameters
    ----------
    function, origin
        As for `Line`.
    epsilon : float
        Unit roundoff of Φ's dtype.
    rng : numpy.random.Generator
    lines : int

    Returns
    -------
    Noise
    """
    fine, moving = _left_by_parabolas(function, origin, 1e-9, rng, lines)
    if moving.all():
        return Noise(fine, epsilon)
    coarse, _ = _left_by_parabolas(function, origin, 1e-7, rng, lines)
    return Noise(np.where(moving, fine, coarse), epsilon)


def _left_by_parabolas(
    function: Callable[[Array], Array],
    origin: Array,
    spacing: float,
    rng: np.random.Generator,
    lines: int,
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Standard deviation of each entry, and whether no two neighbouring points agree in it."""
    positions = np.arange(-3.0, 4.0)
    basis, _ = np.linalg.qr(np.vander(positions, 3))
    spacing *= max(1.0, root_mean_square(origin))
    variances, moving = [], np.array(True)
    for _ in range(lines):
        direction = spacing * rng.standard_normal(origin.shape)
        values = np.array([function(origin + t * direction) for t in positions])
        moving = moving & (np.diff(values, axis=0) != 0).all(axis=0)
        values -= values[3]
        left = values - basis @ (basis.T @ values)
        variances.append((left**2).sum(axis=0) / (positions.size - 3))
    return np.sqrt(np.median(variances, axis=0)), moving
