"""How large a product is here, and where nothing is saturated."""

from dataclasses import dataclass

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.lines import Array
from rop.checking.point import Point


@dataclass(frozen=True)
class Sizes:
    """Norms of a product along a global direction.

    Attributes
    ----------
    whole : float
        At this θ.
    reference : float
        The largest at this θ and at smaller multiples of it.
    """

    whole: float
    reference: float


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
    return Sizes(norms[0], max(norms))
