"""What every product must satisfy whatever the function: repeatable, additive, symmetric."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rop.checking.calls import CallFailed, Guarded
from rop.checking.lines import SMALLEST, Array, inner, norm, relative_difference
from rop.checking.noise import shaken
from rop.checking.point import Point
from rop.checking.policy import EPSILON
from rop.checking.sizes import Sizes

LINEAR = ("jvp", "vjp", "loss_hvp", "ggnvp", "hvp")
SYMMETRIC = ("loss_hvp", "ggnvp", "hvp")

# Relative differences: between two equal calls, and in additivity where only rounding breaks it.
SAME_CALL = {"float64": 1e-10, "float32": 1e-4, "float16": 3e-2, "bfloat16": 0.1}
ADDITIVE = {"float64": 1e-9, "float32": 1e-3, "float16": 0.1, "bfloat16": 0.3}
# What breaks additivity by more is no rounding error of any precision.
NOT_LINEAR = 1e-3
# Rounding errors of a product, relative to its size where nothing is saturated.
CANCELLATION = {"float64": 1e-12, "float32": 1e-4, "float16": 3e-2, "bfloat16": 0.1}
SYMMETRY = {"float64": 1e-10, "float32": 1e-3, "float16": 0.1, "bfloat16": 0.3}


@dataclass(frozen=True)
class Finding:
    """An identity that does not hold.

    Attributes
    ----------
    kind : {"not linear", "digits", "not symmetric", "not positive semidefinite"}
    message : str
    """

    kind: str
    message: str

    @property
    def wrong(self) -> bool:
        """Whether the identity holds for every correct product."""
        return self.kind != "not positive semidefinite"


def repeatable(
    guarded: Guarded,
    here: tuple[Array, ...],
    elsewhere: tuple[Array, ...],
    visit: Callable[[bool], None],
) -> None:
    """Call a function again after the same call, after others, and after a change in place.

    Parameters
    ----------
    guarded : Guarded
        Receives the faults "random" and "stale".
    here, elsewhere : tuples of arrays
        Two different sets of arguments.
    visit : callable
        Calls other functions: at θ if given False, elsewhere if given True.
    """
    allowed = SAME_CALL[guarded.precision]
    visit(False)
    first, again, third = guarded(*here), guarded(*here), guarded(*here)
    random = max(relative_difference(first, again), relative_difference(again, third))
    if random > allowed:
        if relative_difference(again, third) <= allowed:
            message = "remembers: the first call at a point gives another result than the second"
            guarded.report("stale", message)
            return
        if relative_difference(again - first, third - again) <= allowed:
            message = "accumulates: each call adds the same to the last one's result; reset it"
            guarded.report("stale", message)
            return
        message = f"is random: two calls with the same arguments differ by {random:.1e} (dropout?)"
        guarded.report("random", message)
        return
    visit(True)
    if relative_difference(first, guarded(*here)) > allowed:
        message = "is stale: it uses what another function has left behind from another theta"
        guarded.report("stale", message)
        return
    other = guarded(*elsewhere)
    if relative_difference(first, guarded(*here)) > allowed:
        message = "remembers: the same call after one at another point gives another result"
        guarded.report("stale", message)
    elif relative_difference(other, guarded.after_change_in_place(here, elsewhere)) > allowed:
        message = "is stale: it ignores that its first argument was changed in place"
        guarded.report("stale", message)


def linear(point: Point, name: str, first: Array, second: Array, sizes: Sizes) -> list[Finding]:
    """Additivity and, where the product is one, symmetry and sign of the curvature.

    Parameters
    ----------
    point : Point
    name : str
        One of `LINEAR`.
    first, second : arrays
        Directions in the product's space.
    sizes : Sizes
        A vanishing product has few digits to lose.

    Returns
    -------
    list of Finding
    """
    precision = point.functions[name].precision
    a, b = point.product(name, first), point.product(name, second)
    both = point.product(name, first + 2 * second)
    size = norm(a) + 2 * norm(b) or 1.0
    error = norm(both - a - 2 * b) / size
    # Where most of a product cancels, its rounding errors are those of what it was made from.
    cancelled = CANCELLATION[precision] * sizes.reference / size
    # Subnormal numbers have fewer digits.
    cancelled += 10 * SMALLEST * a.size / size
    if error > max(ADDITIVE[precision], cancelled):
        cancelled = max(cancelled, 10 * _own_noise(point, name, first, precision) / size)
    findings = []
    if error > max(NOT_LINEAR, ADDITIVE[precision], cancelled):
        findings.append(Finding("not linear", f"not linear: A(v + 2w) - Av - 2Aw is {error:.1e}"))
    elif error > max(ADDITIVE[precision], cancelled):
        message = f"loses digits: linear only to {error:.1e}; "
        message += "a float32 cast, or finite differences, inside?"
        findings.append(Finding("digits", message))
    if name in SYMMETRIC and not findings:
        scale = norm(first) * norm(b) + norm(second) * norm(a) or 1.0
        gap = abs(inner(second, a) - inner(first, b)) / scale
        if gap > max(SYMMETRY[precision], cancelled):
            cancelled = max(cancelled, 10 * _own_noise(point, name, first, precision) / size)
        if gap > max(SYMMETRY[precision], cancelled):
            findings.append(Finding("not symmetric", f"not symmetric: wᵀAv - vᵀAw is {gap:.1e}"))
    if name == "ggnvp":
        allowed = max(SYMMETRY[precision], cancelled)
        for vector, image in ((first, a), (second, b)):
            curvature = inner(vector, image)
            if curvature < -allowed * norm(vector) * norm(image):
                message = f"vᵀGv = {curvature:.2e} < 0, impossible for a convex loss: is this Hv?"
                findings.append(Finding("not positive semidefinite", message))
                break
    return findings


def _own_noise(point: Point, name: str, vector: Array, precision: str) -> float:
    """How much a product changes with the last digits of θ and of the vector."""
    function, origin, epsilon = point.functions[name], point.origin(name), EPSILON[precision]
    try:
        products = [
            function(shaken(origin, epsilon, seed), shaken(vector, epsilon, seed + 3))
            for seed in range(3)
        ]
    except CallFailed:
        return 0.0
    return norm(np.ptp(products, axis=0))
