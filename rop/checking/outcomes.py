"""One rule against another along a few random directions, where the only noise is rounding."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rop.checking.lines import Array, Line, Noise, OutsideDomain, root_mean_square
from rop.checking.policy import EPSILON, Judgement, Tolerance, judge_line, undecided

# Random directions that a rule is tried along before it counts as right.
TRIES = 2


@dataclass(frozen=True)
class Outcome:
    """What one comparison of two rules came to.

    Attributes
    ----------
    error : float
        Relative; nan where there is nothing to compare.
    wrong, right : bool
        Neither where kinks or rounding hide the answer.
    """

    error: float
    wrong: bool
    right: bool


def is_single(array: Array) -> bool:
    """Whether an array of float64 holds float32 numbers, among them some of many digits."""
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
        short = np.asarray(array, np.float16) == array
    return bool(np.all(single == array) and not short.all())


def worst(once: Callable[[], Judgement]) -> Outcome:
    """The worse of a few tries along random directions."""
    found = []
    for _ in range(TRIES):
        judgement = once()
        verdict = judgement.verdict
        found.append(Outcome(judgement.error, verdict == "fail", verdict == "pass"))
    return max(found, key=lambda o: (o.wrong, not o.right, np.nan_to_num(o.error)))


def against_differences(
    function: Callable[[Array], Array], origin: Array, direction: Array, product: Array
) -> Judgement:
    """Judge a product by central differences of code whose only noise is rounding.

    Parameters
    ----------
    function : callable
        Φ: (k,) -> (m,).
    origin, direction : (k,)
    product : (m,)
        What should be Φ's derivative along the direction.

    Returns
    -------
    Judgement
    """

    def finite(displaced: Array) -> Array:
        values = function(displaced)
        if not np.isfinite(values).all():
            raise OutsideDomain
        return values

    if not np.isfinite(product).all():
        return undecided(product, np.array([]), "domain")

    def last_digits() -> Noise:
        # What does not change at all may change by less than its last digit.
        return Noise(EPSILON["float64"] * np.abs(line.value(0.0)), EPSILON["float64"])

    scale = np.full(origin.shape, root_mean_square(origin) or 1.0)
    line = Line(finite, origin, direction, last_digits, scale)
    tolerance = Tolerance.of("float64")
    return judge_line(product, line, {}, tolerance)[0]
