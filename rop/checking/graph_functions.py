"""An objective as functions of θ and z, the way `check_products` takes anybody's."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rop.checking.calls import Function
from rop.checking.lines import Array
from rop.checking.loss_alone import LossAlone
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective

# Linearizations that are kept, for products that come back to a θ.
KEPT = 3


def functions_of(
    objective: Objective, batch: Mapping[str, npt.NDArray[np.generic]], engine: str
) -> dict[str, Function]:
    """The products of an objective by the names that `check_products` has for them.

    Parameters
    ----------
    objective : Objective
    batch : mapping of str to arrays
    engine : str

    Returns
    -------
    dict
        Argument name -> function of NumPy arrays.
    """
    loss = LossAlone(objective, batch, engine)
    kept: dict[bytes, Linearization] = {}

    def at(theta: Array) -> Linearization:
        key = theta.tobytes()
        if key not in kept:
            if len(kept) >= KEPT:
                del kept[next(iter(kept))]
            kept[key] = objective.linearize(theta, batch, engine)
        return kept[key]

    def ggnvp(theta: Array, v: Array) -> Array:
        product: Array = at(theta).ggnvp(v)
        if loss.convexify is None:
            return product
        # Without what convexification adds, it must be Jᵀ L'' J v of the true L''.
        added = loss.correction(at(theta).outputs, at(theta).jvp(v))
        product = product - at(theta).vjp(added)
        return product

    def loss_hvp(z: Array, w: Array) -> Array:
        if loss.convexify is None:
            return loss.hvp(z, w)
        product: Array = loss.convex_hvp(z, w) - loss.correction(z, w)
        return product

    return {
        "value": lambda theta: np.float64(objective.value(theta, batch, engine)),
        "outputs": lambda theta: at(theta).outputs,
        "gradient": lambda theta: at(theta).gradient(),
        "jvp": lambda theta, v: at(theta).jvp(v),
        "vjp": lambda theta, u: at(theta).vjp(u),
        "loss": lambda z: np.float64(loss.value(z)),
        "loss_gradient": loss.gradient,
        "loss_hvp": loss_hvp,
        "ggnvp": ggnvp,
        "hvp": lambda theta, v: at(theta).hvp(v),
    }
