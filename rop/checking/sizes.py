"""How large a product is here, and where nothing is saturated."""

from dataclasses import dataclass

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.lines import Array, norm
from rop.checking.point import Point

# A gradient this much smaller than nearby is at a stationary point.
STATIONARY = 1e-6


@dataclass(frozen=True)
class Sizes:
    """Norms of a product along a global direction.

    Attributes
    ----------
    whole : float
        At this θ.
    reference : float
        The largest at this θ and at smaller multiples of it.
    nearby : float
        Of a gradient that all but vanishes here, at the other θ; else 0.
    """

    whole: float
    reference: float
    nearby: float = 0.0


# Of a product about which nothing is known.
NO_SIZES = Sizes(0.0, 0.0)


def measure_sizes(point: Point, other: Point, name: str, direction: Array) -> Sizes:
    """Norms of the product called `name` at θ and at θ/10 and θ/100, which saturate less.

    First derivatives make no use of the direction; they are measured at another point as well.
    """
    function = point.functions[name]
    origin = point.origin(name)
    vector = () if name in ("loss_gradient", "gradient", "value") else (direction,)
    sizes = []
    for factor in (1.0, 0.1, 0.01):
        try:
            sizes.append(norm(function(factor * origin, *vector)))
        except CallFailed:
            if factor == 1.0:
                raise
    nearby = 0.0
    if name in ("loss_gradient", "gradient") and other is not point:
        there = norm(function(other.origin(name)))
        nearby = there if sizes[0] < STATIONARY * there else 0.0
    return Sizes(sizes[0], max(sizes), nearby)


def unsaturated(point: Point) -> float:
    """Norm of Gv with the L'' of outputs zero, where no loss is saturated; 0 where it has none.

    What a saturated L'' cancels leaves rounding errors that are relative to this.
    """
    Jv = point.product("jvp", point.random_vector("jvp"))
    try:
        w = point.functions["loss_hvp"](np.zeros_like(point.outputs), Jv, shape=Jv.shape)
    except CallFailed:
        return 0.0
    return norm(point.product("vjp", w))
