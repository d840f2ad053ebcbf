"""How large a product is here, and where nothing is saturated."""

from dataclasses import dataclass

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.lines import Array
from rop.checking.point import Point

EPSILON = float(np.finfo(np.float64).eps)
# A product that is smaller, per unit of the direction, at every θ tried is a zero, rounded.
ROUNDED_ZERO = 100 * EPSILON


@dataclass(frozen=True)
class Sizes:
    """Norms of a product along a global direction.

    Attributes
    ----------
    whole : float
        At this θ.
    reference : float
        The largest at this θ and at smaller multiples of it.
    unit : float
        Norm of the direction.
    """

    whole: float
    reference: float
    unit: float

    @property
    def residue(self) -> float:
        """Size of the rounding errors that stand in for a zero, or 0 for a product that is none."""
        if self.reference > ROUNDED_ZERO * self.unit:
            return 0.0
        return max(10 * self.reference, EPSILON * self.unit)


# Of a product about which nothing is known.
NO_SIZES = Sizes(0.0, 0.0, 0.0)


def measure_sizes(point: Point, name: str, direction: Array) -> Sizes:
    """Norms of the product called `name` at θ and at θ/10 and θ/100, which saturate less.

    Parameters
    ----------
    point : Point
    name : str
    direction : array
        Global direction in the product's space; unused by first derivatives.

    Returns
    -------
    Sizes
    """
    function = point.functions[name]
    origin = point.origin(name)
    norms = []
    for factor in (1.0, 0.1, 0.01):
        arguments = [factor * origin]
        if name not in ("loss_gradient", "gradient", "value"):
            arguments.append(direction)
        try:
            norms.append(float(np.linalg.norm(function(*arguments))))
        except CallFailed:
            if factor == 1.0:
                raise
    return Sizes(norms[0], max(norms), float(np.linalg.norm(direction)))


def unsaturated(point: Point) -> float:
    """Norm of Gv with the L'' of outputs zero, where no loss is saturated; 0 where it has none.

    What a saturated L'' cancels leaves rounding errors that are relative to this.

    Parameters
    ----------
    point : Point
        Whose functions jvp, vjp and loss_hvp are right.

    Returns
    -------
    float
    """
    Jv = point.jvp(point.rng.standard_normal(point.n))
    try:
        w = point.functions["loss_hvp"](np.zeros_like(point.outputs), Jv, shape=Jv.shape)
    except CallFailed:
        return 0.0
    return float(np.linalg.norm(point.vjp(w)))
