"""`check`: the checker for an objective made of a graph and a loss."""

import time
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rop.checking.calls import Guarded
from rop.checking.columns import check_columns
from rop.checking.kinks import name_kinks
from rop.checking.lines import Array
from rop.checking.loss_alone import LossAlone
from rop.checking.metamorphic import hold_identities
from rop.checking.products import Function, as_vector, summarize
from rop.checking.report import Report
from rop.checking.session import Session
from rop.errors import RopTypeError, RopValueError
from rop.linearization import Linearization
from rop.objective import Objective

# Linearizations that are kept, for products that come back to a θ.
KEPT = 3


def check(
    objective: Objective,
    theta: npt.ArrayLike,
    batch: Mapping[str, npt.ArrayLike] | None = None,
    *,
    engine: str = "numba",
    full: bool = False,
    seed: int = 0,
) -> Report:
    """Check every derivative product of an objective: ∇f, Jv, Jᵀu, ∇L, L''w, Gv and Hv.

    In float64, at θ and at a second point near it, against central differences whose step and
    tolerance follow from the measured rounding noise; then against itself on other batches, in
    blocks, in the other engine and in float32.

    Parameters
    ----------
    objective : Objective
    theta : (n,) array
        Where to check; of a scale at which the units neither saturate nor stay linear (sec. 7.2).
    batch : mapping of str to arrays
        A few cases are enough: rules do not depend on their number.
    engine : {"numba", "numpy"}
        Whose products are checked.
    full : bool
        Also build J, G and H column by column, for toy versions (sec. 7.2).
    seed : int
        Of the directions.

    Returns
    -------
    Report

    Raises
    ------
    RopTypeError, RopValueError
        If θ or the batch do not fit the objective.
    """
    start = time.perf_counter()
    if not isinstance(objective, Objective):
        raise RopTypeError(
            f"objective: expected a rop.Objective, got {type(objective).__name__}; for functions "
            "of your own there is rop.check_products"
        )
    point = as_vector("theta", theta)
    if point.size != objective.n:
        raise RopValueError(f"theta: expected shape ({objective.n},), got {point.shape}")
    objective.linearize(point, batch, engine)
    arrays = {name: np.array(array) for name, array in (batch or {}).items()}
    functions = {
        name: Guarded(name, function)
        for name, function in _functions(objective, arrays, engine).items()
    }
    session = Session(functions, point, objective.slices, objective.shapes, objective.l2, seed)
    session.run()
    columns = check_columns(session) if full else None
    identities = hold_identities(objective, point, arrays, engine, session)
    session.warnings += name_kinks(objective, point, arrays, session)
    arguments = f"objective, theta, batch, engine={engine!r}, seed={seed}"
    arguments += ", full=True" if full else ""
    return summarize(session, columns, f"rop.check({arguments})", seed, start, identities)


def _functions(
    objective: Objective, batch: Mapping[str, npt.NDArray[np.generic]], engine: str
) -> dict[str, Function]:
    """The objective as functions of θ and z."""
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
