"""The noise of a function: what rounding, coarse digits and randomness leave unknown of a value."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array, Noise, OutsideDomain

# Spacing of seven points that smooth functions are straight over, by unit roundoff.
FINE = ((1e-12, 1e-9), (1e-6, 1e-5), (1.0, 1e-2))
# How far from the origin, in units of the spacing and of the size of the origin, noise is measured
# and coarse digits show: what is seen there is no jump at the origin.
BESIDE, AWAY = 100.0, (0.1, 0.1, 0.3, 0.3, 1.0, 1.0)
# The end of a plateau is bisected so many times, or until it is known to this ratio.
CLOSER, CLOSELY = 30, 1.01
# Two points so close, in units of the spacing, that coarse digits hardly ever tell them apart.
CLOSE = 1e-3


def measure_noise(
    function: Callable[[Array], Array],
    origin: Array,
    scale: Array,
    epsilon: float,
    rng: np.random.Generator,
    lines: int = 3,
) -> Noise:
    """Noise of Φ from what a parabola leaves of it over seven points, beside the origin.

    The median over a few lines discards the one that happens to cross a kink. An entry that hardly
    changes along most lines, but differs from place to place, comes in coarse digits: its noise is
    the smallest change that it makes.

    Parameters
    ----------
    function, origin, scale
        As for `Line`.
    epsilon : float
        Unit roundoff of Φ's dtype.
    rng : numpy.random.Generator
    lines : int

    Returns
    -------
    Noise
    """
    spacing = next(fine for bound, fine in FINE if epsilon < bound)
    positions = np.arange(-3.0, 4.0)
    basis, _ = np.linalg.qr(np.vander(positions, 3))
    left, unmoved = [], []
    for _ in range(lines):
        step = spacing * scale * rng.standard_normal(origin.shape)
        try:
            start = origin + BESIDE * spacing * scale * rng.standard_normal(origin.shape)
            values = np.array([function(start + t * step) for t in positions])
        except OutsideDomain:
            values = np.array([function(origin + t * step) for t in positions])
        unmoved.append((np.diff(values, axis=0) == 0).mean(axis=0) >= 0.5)
        # Divided by their size, so that no square overflows.
        size = float(np.abs(values).max()) or 1.0
        values = values / size - values[3] / size
        rest = values - basis @ (basis.T @ values)
        left.append(size * np.sqrt((rest**2).sum(axis=0) / (positions.size - 3)))
    deviation: Array = np.median(left, axis=0)
    still = np.mean(unmoved, axis=0) > 0.5
    if still.any():
        coarse = still & _changes_by_leaps(function, origin, scale, spacing, rng)
        if coarse.any():
            steps = _smallest_changes(function, origin, scale, spacing, rng, coarse)
            deviation = np.where(coarse, np.maximum(deviation, steps / 2), deviation)
    return Noise(deviation, epsilon)


def _changes_by_leaps(
    function: Callable[[Array], Array],
    origin: Array,
    scale: Array,
    spacing: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Which entries stay still around three places or more where they differ from one another."""
    values = []
    for away in AWAY:
        start = origin + away * scale * rng.standard_normal(origin.shape)
        try:
            here, beside = function(start), function(start + CLOSE * spacing * scale)
        except OutsideDomain:
            continue
        # Digits may be coarse beside the origin only: the softmax's loss is, where it saturates.
        values.append(np.where(here == beside, here, np.nan))
    if not values:
        return np.zeros((), dtype=bool)
    # Two values may be the two sides of a jump.
    leaps: npt.NDArray[np.bool_] = (np.diff(np.sort(values, axis=0), axis=0) > 0).sum(axis=0) >= 2
    return leaps


def _smallest_changes(
    function: Callable[[Array], Array],
    start: Array,
    scale: Array,
    spacing: float,
    rng: np.random.Generator,
    coarse: npt.NDArray[np.bool_],
) -> Array:
    """The smallest change that each entry makes as the point moves away, 0 if it makes none.

    A saturated unit stands still too, but ends its plateau with changes as small as rounding: what
    the coarse entries do there is looked at closely.
    """
    first = function(start)
    smallest, end = np.full(first.shape, np.inf), np.zeros(first.shape)
    direction = scale * rng.standard_normal(start.shape)

    def change(t: float) -> Array:
        try:
            return np.abs(function(start + t * direction) - first)
        except OutsideDomain:
            return np.zeros(first.shape)

    distance = spacing
    while distance < 1.0 and np.isinf(smallest).any():
        distance *= 10
        for t in (distance, -distance):
            found = change(t)
            new = (found > 0) & np.isinf(smallest)
            smallest, end = np.where(new, found, smallest), np.where(new, t, end)
    still = end / 10
    for _ in range(CLOSER):
        doubtful = np.where(
            coarse & np.isfinite(smallest) & (np.abs(end) > CLOSELY * np.abs(still)), smallest, 0
        )
        widest = int(doubtful.argmax())
        if not doubtful[widest]:
            break
        t = float(np.sign(end[widest]) * np.sqrt(end[widest] * still[widest]))
        found = change(t)
        between = (np.sign(end) == np.sign(t)) & (abs(t) > np.abs(still)) & (abs(t) < np.abs(end))
        moved = between & (found > 0)
        smallest, end = np.where(moved, found, smallest), np.where(moved, t, end)
        still = np.where(between & ~moved, t, still)
    return np.where(np.isinf(smallest), 0.0, smallest)


def shaken(array: Array, epsilon: float, seed: int) -> Array:
    """The array with every entry changed in its last digits."""
    signs = np.random.default_rng(seed).choice([-2.0, 2.0], array.shape)
    return array * (1 + epsilon * signs)
