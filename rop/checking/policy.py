"""The three-way verdict on one derivative product against a ladder of central differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array, Ladder
from rop.checking.tolerance import VANISHING, Cause, Tolerance, Verdict

# The ladder of steps. The first two decide most comparisons; the finest ones serve functions with
# dense kinks or with structure below 1e-8, as long as rounding leaves them any digit.
FIRST_STEPS = (1e-4, 1e-5)
ALL_STEPS = tuple(10.0**-k for k in range(2, 13))


@dataclass(frozen=True)
class Judgement:
    """What one ladder says about one product.

    Attributes
    ----------
    verdict : {"pass", "fail", "inconclusive"}
    cause : Cause
        Why it is inconclusive, else "".
    error : float
        Relative 2-norm of product minus best estimate.
    noise : float
        Rounding noise of that estimate, relative.
    step : float
        The step of that estimate.
    scale : float
        The norm that errors are relative to.
    estimate : (m,)
        The derivative according to the differences.
    errors : (K,)
        Relative error at each step of the ladder.
    noises : (K,)
        Relative noise at each step.
    """

    verdict: Verdict
    cause: Cause
    error: float
    noise: float
    step: float
    scale: float
    estimate: Array
    steps: Array
    errors: Array
    noises: Array

    @property
    def slope(self) -> float:
        """Order in h at which the error falls above the noise; nan if it falls by no power of h."""
        clear = self.errors > 10 * np.maximum(self.noises, 1e-13)
        if clear.sum() < 3:
            return float("nan")
        h, error = np.log10(self.steps[clear]), np.log10(self.errors[clear])
        order, constant = np.polyfit(h, error, 1)
        straight = np.abs(error - order * h - constant).max() < 0.2
        return float(order) if straight and order > 0.5 else float("nan")


class Differences(Protocol):
    """Anything that yields a `Ladder` at the steps asked for."""

    def ladder(self, steps: Sequence[float]) -> Ladder:
        """Estimates at some steps, coarse to fine."""
        ...


def judge(product: Array, ladder: Ladder, tolerance: Tolerance) -> Judgement:
    """Compare a product with a ladder.

    Parameters
    ----------
    product : (m,)
    ladder : Ladder
    tolerance : Tolerance

    Returns
    -------
    Judgement
    """
    steps, central = ladder.steps, ladder.central
    if steps.size < 2:
        return undecided(product, ladder.steps, "domain")
    noise = _norms(ladder.noise)
    scale = max(float(np.linalg.norm(product)), float(_norms(central).min()))
    # Richardson pairs are exact to O(h⁴); where the step has just left a kink behind, the plain
    # differences are better.
    fourth_order = _extrapolate(steps, central, 2)
    estimates = np.vstack([central, fourth_order])
    estimate_steps = np.concatenate([steps, steps[1:]])
    estimate_noise = np.concatenate([noise, noise[1:]])
    errors = _norms(product - estimates)

    best = int(errors.argmin())
    small = steps <= ladder.local
    plateau, kinks = None, np.zeros(len(steps) - 1)
    # What some estimate confirms ten times closer than it takes to convict is right.
    if 10 * errors[best] > tolerance.resolved * scale:
        kinks = _norms(_extrapolate(steps, ladder.jumps, 1))
        plateau = _plateau(product, central, noise, kinks, small)
        if plateau is None:
            plateau = _plateau(product, fourth_order, noise[1:], kinks, small[1:])
            plateau = None if plateau is None else plateau + len(steps)
    wrong = plateau is not None and errors[plateau] > max(
        tolerance.resolved * scale, tolerance.negligible
    )

    verdict: Verdict
    cause: Cause = ""
    if wrong and errors[plateau] > tolerance.invisible:
        verdict, best = "fail", len(steps) + _sharpest(fourth_order, noise[1:])
    elif errors[best] <= max(
        tolerance.passing * scale,
        tolerance.negligible,
        min(estimate_noise[best], tolerance.excuse * scale),
    ):
        verdict = "pass"
    else:
        verdict = "inconclusive"
        cause = "saturation" if wrong else _cause(central, noise, kinks)
    unit = scale or 1.0
    if verdict == "pass" and errors[best] <= tolerance.negligible:
        # Shown relative to the whole product, not to this vanishing part of it.
        unit = max(unit, tolerance.negligible / VANISHING)
    return Judgement(
        verdict=verdict,
        cause=cause,
        error=float(errors[best] / unit),
        noise=float(estimate_noise[best] / unit),
        step=float(estimate_steps[best]),
        scale=scale,
        estimate=estimates[best],
        steps=steps,
        errors=errors[: len(steps)] / unit,
        noises=noise / unit,
    )


def _sharpest(estimates: Array, noise: Array) -> int:
    """Index of the estimate that changes least from its coarser neighbour, beyond its noise."""
    changes = np.concatenate([[np.inf], _norms(np.diff(estimates, axis=0))])
    return int(np.argmin(changes + noise))


def _cause(central: Array, noise: Array, kinks: Array) -> Cause:
    """Why differences neither confirm nor convict: they are rough beyond their noise, or noisy."""
    changes = _norms(np.diff(central, axis=0))
    rough = (changes[1:] > 10 * noise[2:]) & (changes[1:] > 0.5 * changes[:-1])
    return "kink" if rough.any() or (kinks > 10 * noise[1:]).any() else "noise"


def _plateau(
    product: Array, estimates: Array, noise: Array, kinks: Array, small: npt.NDArray[np.bool_]
) -> int | None:
    """Index of an estimate that every finer step confirms while the product differs from it.

    The step must be a small one, and the discrepancy dwarf the noise and the jump of a kink at the
    origin, where central differences agree on a derivative that no side has. A product that coarser
    steps confirm is not wrong: there Φ rounds inside itself and stops moving at the finer ones.
    """
    for k in range(1, len(estimates)):
        errors = _norms(product - estimates)
        discrepancy = errors[k]
        if not small[k] or noise[k - 1 : k + 1].max() > discrepancy / 100:
            continue
        readable = noise < discrepancy / 5
        readable[: k - 1] = False
        drift = _norms(estimates - estimates[k])
        if (
            np.all(drift[readable] <= np.maximum(0.05 * discrepancy, 5 * noise[readable]))
            and errors.min() > discrepancy / 10
            and kinks[min(k, len(kinks) - 1)] <= 0.05 * discrepancy
        ):
            return k
    return None


def undecided(product: Array, steps: Array, cause: Cause) -> Judgement:
    """The judgement where there is nothing to compare with."""
    return Judgement(
        verdict="inconclusive",
        cause=cause,
        error=np.nan,
        noise=np.nan,
        step=np.nan,
        scale=float(np.linalg.norm(product)),
        estimate=np.full_like(product, np.nan),
        steps=steps,
        errors=np.full(steps.shape, np.nan),
        noises=np.full(steps.shape, np.nan),
    )


def _norms(rows: Array) -> Array:
    squares: Array = np.einsum("km,km->k", rows, rows)
    return np.sqrt(squares)


def _extrapolate(steps: Array, rows: Array, order: int) -> Array:
    ratio = (steps[:-1] / steps[1:])[:, None] ** order
    finer: Array = rows[1:] + (rows[1:] - rows[:-1]) / (ratio - 1)
    return finer
