"""`check`: the checker for an objective made of a graph and a loss."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import numpy as np
import numpy.typing as npt

from rop.checking.budget import Budget, Meter
from rop.checking.calls import Guarded
from rop.checking.columns import check_columns
from rop.checking.graph_functions import functions_of
from rop.checking.kinks import name_kinks
from rop.checking.lines import Array
from rop.checking.localisation import localise
from rop.checking.metamorphic import hold_identities
from rop.checking.power import measure_power
from rop.checking.products import as_vector, plan, summarize
from rop.checking.report import Report
from rop.checking.session import Session
from rop.engines import DEFAULT_ENGINE
from rop.errors import RopValueError
from rop.objective.objective import Objective
from rop.support.arguments import checked
from rop.support.constraints import Seed


@np.errstate(all="ignore")
@checked
def check(
    objective: Annotated[Objective, "for functions of your own there is rop.check_products"],
    theta: npt.ArrayLike,
    batch: Mapping[str, npt.ArrayLike] | None = None,
    *,
    engine: str = DEFAULT_ENGINE,
    full: bool = False,
    power: bool = False,
    budget: Budget | None = None,
    seed: Seed = 0,
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
    power : bool
        Also put wrong rules into the graph, one at a time, and count how many of them this check
        would see at this θ; for some 20 s.
    budget : float or str, optional
        Seconds, or calls as "300 calls", for the products; identities come on top. The report
        says what a smaller budget cannot see.
    seed : int
        Of the directions.

    Returns
    -------
    Report

    Raises
    ------
    RopTypeError, RopValueError
        If θ or the batch do not fit the objective.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> batch = {"x": np.eye(2), "t": [[1.0], [0.0]]}
    >>> report = rop.check(objective, [3.0, 4.0, 0.0], batch)
    >>> report.verdict, report.ok
    ('pass', True)
    """
    start = time.perf_counter()
    meter = Meter.of(budget)
    point = as_vector("theta", theta)
    if point.size != objective.n:
        raise RopValueError(f"theta: expected shape ({objective.n},), got {point.shape}")
    checked = objective.linearize(point, batch, engine, np.float64).batch  # labels are one-hot now
    arrays = {name: np.array(array) for name, array in checked.items()}
    functions = {
        name: Guarded(name, function, meter=meter)
        for name, function in functions_of(objective, arrays, engine).items()
    }
    blocks, shapes = objective.slices, objective.shapes
    effort, unseen = plan(meter, functions, point, len(blocks))
    session = Session(functions, point, blocks, shapes, objective.penalty, seed, effort=effort)
    session.warnings += unseen
    session.run()
    meter.close()
    columns = check_columns(session) if full else None
    identities = hold_identities(objective, point, arrays, engine, session)
    session.warnings += name_kinks(objective, point, arrays, session)
    arguments = f"objective, theta, batch, engine={engine!r}, seed={seed}"
    arguments += f"{', full=True' if full else ''}{', power=True' if power else ''}"
    report = summarize(session, columns, f"rop.check({arguments})", seed, start, identities)
    if report.verdict == "fail":
        where = _failing_theta(session)
        blame = localise(objective, where, arrays, engine, seed)
        report = replace(report, localization=blame)
    if power:
        found = measure_power(objective, point, arrays, engine, seed)
        report = replace(report, power=found)
    return replace(report, seconds=time.perf_counter() - start)


def _failing_theta(session: Session) -> Array:
    """The θ at which a product failed first; one with a stale cache is right at the caller's."""
    for product in session.products.values():
        thetas = [c.theta for c in product.comparisons if c.verdict == "fail"]
        if thetas:
            return session.points[min(thetas)].theta
    return session.points[0].theta
