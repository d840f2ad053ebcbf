"""The policy: what it takes to convict a product, and to pass it.

A ladder of central differences and their Richardson extrapolations estimates the true product. Each
estimate has an uncertainty: the change that the last extrapolation made, its rounding noise, and
what finer steps that can be read contradict it by. Everything is relative to the measured size of
the functions, of θ and of the noise.

- Pass: the best estimate is *known* to the tolerance, and agrees with the product.
- Fail: two successive steps agree to 5 % of the discrepancy with noise below 1 % of it, no finer
  step contradicts them, no kink sits at the origin, and no other estimate excuses the product.
- Inconclusive otherwise, with the cause: kinks, noise, saturation, or no values beside the point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from rop.checking.lines import Array, Ladder, OutsideDomain, norm, norms

Verdict = Literal["pass", "fail", "inconclusive"]
Cause = Literal[
    "", "kink", "noise", "saturation", "tiny weights", "domain", "random", "zero", "unconfirmed"
]

# Steps relative to the size of θ. The first two decide most comparisons in float64; the finest ones
# serve functions with dense kinks or narrow features, the coarsest ones noisy functions.
FIRST_STEPS = (1e-4, 1e-5)
DECADES = tuple(10.0**-k for k in range(2, 14))
COARSE_STEPS = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
ALL_STEPS = (*COARSE_STEPS, *(h for h in DECADES if h < 1e-4))
# Where even the coarsest steps drown in noise, θ may be small beside what the function feels.
WIDE_STEPS = (1e8, 1e6, 1e4, 1e3, 1e2, 10.0, 3.0, 1.0)
LARGEST_CONVICTING = {"float64": 0.1, "float32": 0.3, "float16": 0.3, "bfloat16": 0.3}

# Precisions from fine to coarse, and their unit roundoff.
EPSILON = {
    "float64": float(np.finfo(np.float64).eps),
    "float32": float(np.finfo(np.float32).eps),
    "float16": float(np.finfo(np.float16).eps),
    "bfloat16": 2.0**-7,
}
# Relative errors. `PASSING` is met by correct float64 products, whose differences reach 1e-11;
# an error above `RESOLVED` that the differences resolve is no rounding error of that precision.
PASSING = {"float64": 1e-7, "float32": 1e-3, "float16": 3e-2, "bfloat16": 0.1}
RESOLVED = {"float64": 1e-9, "float32": 3e-3, "float16": 0.1, "bfloat16": 0.3}
# To pass, a product must be known this well: noise may excuse no more.
KNOWN = {"float64": 1e-5, "float32": 1e-3, "float16": 3e-2, "bfloat16": 0.1}
# What a product in a coarser precision than its functions may be off by: some of its last digits.
LAST_DIGITS = 100.0
# What vanishes beside the rest of the product, or beside the product at another θ, is made of
# differences between rounded numbers: it may pass, but it cannot convict.
VANISHING = 1e-11
# A product is zero if it, and all that is unknown of it, is so many units of rounding of Φ.
NOTHING = 500.0
# Conviction: two steps agree to this share of the discrepancy, with noise below that share.
AGREEMENT, QUIET = 0.05, 0.01


def coarsest(precisions: Sequence[str]) -> str:
    """The coarsest of some precisions."""
    order = list(EPSILON)
    return max(precisions, key=order.index, default="float64")


@dataclass(frozen=True)
class Tolerance:
    """Errors between which a comparison is decided, the first three relative.

    Attributes
    ----------
    passing : float
        At most this passes.
    resolved : float
        An error must exceed this to fail.
    known : float
        Largest uncertainty with which a product still passes.
    largest : float
        Coarsest step that may convict.
    epsilon : float
        Unit roundoff of the functions.
    negligible : float
        Absolute error that passes.
    invisible : float
        Absolute error that cannot fail.
    size : float
        What a negligible error is relative to.
    """

    passing: float
    resolved: float
    known: float
    largest: float
    epsilon: float
    negligible: float = 0.0
    invisible: float = 0.0
    size: float = 0.0

    @classmethod
    def of(
        cls,
        precision: str,
        product_precision: str = "float64",
        whole: float = 0.0,
        reference: float = 0.0,
        nearby: float = 0.0,
    ) -> "Tolerance":
        """Tolerances that follow from dtypes and sizes.

        Parameters
        ----------
        precision, product_precision : str
            Of the functions that are differenced, and of the product.
        whole : float
            Norm of the whole product, of which this may be a part.
        reference : float
            Norm of the product where nothing is saturated.
        nearby : float
            Norm of a gradient beside a stationary point, else 0: there it is rounding, and is
            compared on the scale that it has nearby.
        """
        floor = 0.0
        if EPSILON[product_precision] > EPSILON[precision]:
            floor = LAST_DIGITS * EPSILON[product_precision]
            if product_precision != "float32":
                floor = PASSING[product_precision]
        return cls(
            max(PASSING[precision], floor),
            max(RESOLVED[precision], floor),
            KNOWN[precision],
            LARGEST_CONVICTING[precision],
            EPSILON[precision],
            max(VANISHING * whole, PASSING[precision] * nearby),
            max(VANISHING * reference, PASSING[precision] * nearby),
            max(whole, nearby),
        )


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
        Uncertainty of that estimate, relative.
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
    limited : bool
        Whether coarser steps would know more: noise is all that is unknown at the coarsest ones.
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
    limited: bool = False

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


@dataclass(frozen=True)
class _Estimates:
    """Estimates of one derivative with what is not known of them.

    `order` extrapolations lie behind each, of which the finest step has index `step`.
    """

    values: Array
    order: Array
    step: Array
    noise: Array
    truncation: Array
    contradiction: Array

    @property
    def unknown(self) -> Array:
        return np.maximum(self.truncation, self.contradiction) + 2 * self.noise

    @property
    def excusing(self) -> Array:
        """What is unknown of each estimate where it speaks for a product.

        Finer steps may agree with each other and be wrong: a part of Φ that comes in coarse digits,
        such as 1 - p of a saturated softmax, stands still there.
        """
        return self.truncation + 2 * self.noise


def _estimates(ladder: Ladder) -> _Estimates:
    """Central differences and their first two Richardson extrapolations, coarse to fine."""
    steps, count = ladder.steps, len(ladder.steps)
    noise = norms(ladder.noise)
    table = [ladder.central]
    for j in range(1, min(3, count)):
        ratio = (steps[:-j] / steps[j:])[:, None] ** 2
        coarse, fine = table[-1][:-1], table[-1][1:]
        table.append(fine + (fine - coarse) / (ratio - 1))
    truncations = []
    for j, rows in enumerate(table):
        if j + 1 < len(table):
            # The next extrapolation says how much was missing.
            change = norms(rows[1:] - table[j + 1])
            first = norm(rows[0] - rows[1]) if len(rows) > 1 else np.inf
            truncations.append(np.append(first, change))
        else:
            truncations.append(norms(rows - table[j - 1][1:]))
    orders = np.concatenate([np.full(len(rows), j) for j, rows in enumerate(table)])
    finest = np.concatenate([np.arange(j, count) for j in range(len(table))])
    values = np.concatenate(table)
    contradiction = np.zeros(len(values))
    plain, missing = ladder.central, truncations[0]
    for k in range(1, count):
        coarser = finest < k
        beyond = norms(values[coarser] - plain[k]) - 4 * noise[k] - missing[k]
        contradiction[coarser] = np.maximum(contradiction[coarser], beyond)
    return _Estimates(
        values, orders, finest, noise[finest], np.concatenate(truncations), contradiction
    )


def judge(product: Array, ladder: Ladder, tolerance: Tolerance) -> Judgement:
    """Compare a product (m,) with a ladder."""
    if ladder.steps.size < 2:
        return undecided(product, ladder.steps, "domain")
    found = _estimates(ladder)
    errors = norms(product - found.values)
    best = int(found.unknown.argmin())
    scale = max(norm(product), norm(found.values[best]))
    kink, hidden = _kink(ladder)
    enough = max(tolerance.passing * scale, tolerance.negligible)
    kinked = kink > max(hidden, 10 * enough, 10 * found.unknown[best])
    known = max(tolerance.known * scale, tolerance.negligible)
    convicting = _convicting(found, errors, ladder, kink, tolerance, norm(product))
    # Where the product and the differences are both lost in the rounding of Φ, the product is zero.
    lost = NOTHING * tolerance.epsilon * norm(ladder.level)
    nothing = max(norm(product), found.unknown[best], errors[best]) <= lost
    serious = errors[best] > max(tolerance.resolved * scale, tolerance.negligible)

    verdict: Verdict = "inconclusive"
    cause: Cause = ""
    if convicting and serious and errors[best] > tolerance.invisible:
        verdict = "fail"
    elif (
        not kinked
        and (found.unknown[best] <= known or nothing)
        and (errors[best] <= max(enough, min(found.unknown[best], known)) or nothing)
    ):
        verdict = "pass"
    elif convicting and serious:
        cause = "saturation"
    else:
        cause = "kink" if kinked or _rough(ladder) else "noise"
    unit = scale or 1.0
    if verdict == "pass" and errors[best] <= tolerance.negligible:
        # Shown relative to the whole product, not to this vanishing part of it.
        unit = max(unit, tolerance.size)
    return Judgement(
        verdict=verdict,
        cause=cause,
        error=float(errors[best] / unit),
        noise=float(found.unknown[best] / unit),
        step=float(ladder.steps[found.step[best]]),
        scale=scale,
        estimate=found.values[best],
        steps=ladder.steps,
        errors=errors[: len(ladder.steps)] / unit,
        noises=norms(ladder.noise) / unit,
        limited=bool(
            ladder.steps[found.step[best]] >= 0.1
            and 2 * found.noise[best] >= found.truncation[best]
        ),
    )


def _kink(ladder: Ladder) -> tuple[float, float]:
    """How far the derivatives on both sides of the origin differ, and what noise hides of that.

    Where Φ is smooth, the extrapolated difference falls with h; at a kink it stays, and where the
    steps have jumped over a narrow feature it grows.
    """
    first = min(int(np.count_nonzero(ladder.steps > 0.1)), len(ladder.steps) - 2)
    steps, jumps = ladder.steps[first:], ladder.jumps[first:]
    ratio = steps[:-1] / steps[1:]
    fine, coarse = jumps[1:], jumps[:-1]
    kinks = norms(fine + (fine - coarse) / (ratio - 1)[:, None])
    hidden = 35 * norms(ladder.noise[first + 1 :]) * ratio / (ratio - 1)
    clearest = int(np.maximum(kinks, hidden).argmin())
    return float(kinks[clearest]), float(hidden[clearest])


def _convicting(
    found: _Estimates,
    errors: Array,
    ladder: Ladder,
    kink: float,
    tolerance: Tolerance,
    size: float,
) -> bool:
    """Whether two successive steps agree on a discrepancy that nothing explains.

    Steps beyond a narrow feature of Φ confirm a zero; only a product of some size is excused.
    """
    unknown = found.excusing
    for i in range(1, len(errors)):
        error = errors[i]
        if (
            found.order[i] == found.order[i - 1]
            and ladder.steps[found.step[i]] <= tolerance.largest
            and max(found.noise[i], found.noise[i - 1]) <= QUIET * error
            and norm(found.values[i] - found.values[i - 1]) <= AGREEMENT * error
            and found.contradiction[i] <= AGREEMENT * error
            and kink <= AGREEMENT * error
        ):
            excused = (errors < min(error, size) / 10) & (unknown <= error / 10)
            if not excused.any():
                return True
    return False


def _rough(ladder: Ladder) -> bool:
    """Whether the differences change from step to step by more than noise, as across kinks."""
    small = ladder.steps <= 0.1
    changes, noise = norms(np.diff(ladder.central[small], axis=0)), norms(ladder.noise[small])
    rough = (changes[1:] > 10 * noise[2:]) & (changes[1:] > 0.5 * changes[:-1])
    return bool(rough.any())


def judge_line(
    product: Array,
    differences: Differences,
    parts: dict[str, slice],
    tolerance: Tolerance,
    precision: str = "float64",
    thorough: bool = False,
    quick: bool = False,
    weights: Array | None = None,
) -> tuple[Judgement, dict[str, Judgement]]:
    """Judge a product, and parts of it, with no more steps than it takes.

    Parameters
    ----------
    product : (m,)
    differences : Differences
    parts : dict
        Name -> entries.
    tolerance : Tolerance
    precision : str
        Of the functions that are differenced.
    thorough : bool
        Whether to show a long ladder even if the first steps decide.
    quick : bool
        Whether to be content with the first steps that decide, rather than know to rounding.
    weights : (m,), optional
        Sizes by which the entries are made comparable.

    Returns
    -------
    Judgement, dict of str to Judgement
    """
    w = np.ones(()) if weights is None else weights
    stages = [COARSE_STEPS, (*WIDE_STEPS, *COARSE_STEPS)]
    if precision == "float64":
        stages = [DECADES, ALL_STEPS, (*WIDE_STEPS, *ALL_STEPS)]
        if not thorough:
            stages.insert(0, FIRST_STEPS)
    whole, judged = undecided(product, np.array([]), "domain"), dict[str, Judgement]()
    for steps in stages:
        try:
            ladder = differences.ladder(steps).times(w)
        except OutsideDomain:
            break
        whole = judge(product * w, ladder, tolerance)
        judged = {
            name: judge((product * w)[where], ladder.part(where), tolerance)
            for name, where in parts.items()
        }
        tight = all(
            j.verdict == "pass"
            and j.error * j.scale <= max(tolerance.resolved * j.scale, tolerance.negligible)
            for j in (whole, *judged.values())
        )
        decided = whole.verdict != "inconclusive" or any(
            j.verdict == "fail" for j in judged.values()
        )
        if tight or (decided and (quick or steps is not FIRST_STEPS)):
            break
        if steps in (ALL_STEPS, COARSE_STEPS) and not whole.limited:
            break
    if weights is not None:
        whole = replace(whole, estimate=whole.estimate / w)
        judged = {
            name: replace(j, estimate=j.estimate / w[parts[name]]) for name, j in judged.items()
        }
    return whole, judged


def undecided(product: Array, steps: Array, cause: Cause) -> Judgement:
    """The judgement where there is nothing to compare with."""
    nothing = np.full(steps.shape, np.nan)
    return Judgement(
        verdict="inconclusive",
        cause=cause,
        error=np.nan,
        noise=np.nan,
        step=np.nan,
        scale=norm(product),
        estimate=np.full_like(product, np.nan),
        steps=steps,
        errors=nothing,
        noises=nothing,
    )
