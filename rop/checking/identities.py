"""What every product must satisfy whatever the function: repeatable, additive, symmetric."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rop.checking.calls import Guarded
from rop.checking.lines import Array
from rop.checking.point import Point
from rop.checking.sizes import Sizes

LINEAR = ("jvp", "vjp", "loss_hvp", "ggnvp", "hvp")
SYMMETRIC = ("loss_hvp", "ggnvp", "hvp")

# Relative differences: between two equal calls, and in additivity where only rounding breaks it.
SAME_CALL = {"float64": 1e-10, "float32": 1e-4}
ADDITIVE = {"float64": 1e-9, "float32": 1e-4}
# What breaks additivity by more is no rounding error of any precision.
NOT_LINEAR = 1e-3
# Rounding errors of a product, relative to its size where nothing is saturated.
CANCELLATION = {"float64": 1e-12, "float32": 1e-4}
SYMMETRY = {"float64": 1e-10, "float32": 1e-4}


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
    random = max(_difference(first, again), _difference(again, third))
    if random > allowed:
        if _difference(again, third) <= allowed:
            message = "remembers: the first call at a point gives another result than the second"
            guarded.report("stale", message)
            return
        if _difference(again - first, third - again) <= allowed:
            message = "accumulates: each call adds the same to the last one's result; reset it"
            guarded.report("stale", message)
            return
        message = f"is random: two calls with the same arguments differ by {random:.1e} (dropout?)"
        guarded.report("random", message)
        return
    visit(True)
    if _difference(first, guarded(*here)) > allowed:
        message = "is stale: it uses what another function has left behind from another theta"
        guarded.report("stale", message)
        return
    other = guarded(*elsewhere)
    if _difference(first, guarded(*here)) > allowed:
        message = "remembers: the same call after one at another point gives another result"
        guarded.report("stale", message)
    elif _difference(other, guarded.after_change_in_place(here, elsewhere)) > allowed:
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
    size = float(np.linalg.norm(a) + 2 * np.linalg.norm(b)) or 1.0
    error = float(np.linalg.norm(both - a - 2 * b)) / size
    findings = []
    # Where most of a product cancels, its rounding errors are those of what it was made from.
    cancelled = max(CANCELLATION[precision] * sizes.reference, sizes.residue) / size
    if error > max(NOT_LINEAR, cancelled):
        findings.append(Finding("not linear", f"not linear: A(v + 2w) - Av - 2Aw is {error:.1e}"))
    elif error > max(ADDITIVE[precision], cancelled):
        message = f"loses digits: linear only to {error:.1e}; "
        message += "a float32 cast, or finite differences, inside?"
        findings.append(Finding("digits", message))
    if name in SYMMETRIC and not findings:
        norm = np.linalg.norm
        scale = float(norm(first) * norm(b) + norm(second) * norm(a)) or 1.0
        gap = abs(float(np.vdot(second, a) - np.vdot(first, b))) / scale
        if gap > max(SYMMETRY[precision], cancelled):
            findings.append(Finding("not symmetric", f"not symmetric: wᵀAv - vᵀAw is {gap:.1e}"))
    if name == "ggnvp":
        allowed = max(SYMMETRY[precision], cancelled)
        for vector, image in ((first, a), (second, b)):
            curvature = float(np.vdot(vector, image))
            if curvature < -allowed * np.linalg.norm(vector) * np.linalg.norm(image):
                message = f"vᵀGv = {curvature:.2e} < 0, impossible for a convex loss: is this Hv?"
                findings.append(Finding("not positive semidefinite", message))
                break
    return findings


def _difference(a: Array, b: Array) -> float:
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return float(np.linalg.norm(a - b)) / scale if scale > 0 else 0.0
