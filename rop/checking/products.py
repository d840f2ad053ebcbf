"""`check_products`: the checker for anybody's functions of arrays."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.checking.budget import EFFORTS, Budget, BudgetSpent, Effort, Meter
from rop.checking.calls import CallFailed, Function, Guarded
from rop.checking.columns import check_columns
from rop.checking.diagnosis import diagnose
from rop.checking.directions import Direction, name_blocks
from rop.checking.findings import SYMBOLS
from rop.checking.lines import Array
from rop.checking.policy import Verdict
from rop.checking.report import Columns, Identity, Report
from rop.checking.scale import weigh
from rop.checking.session import NOTHING_TO_COMPARE, Session
from rop.checking.spaces import Spaces
from rop.checking.structures import Structure
from rop.errors import RopTypeError, RopValueError
from rop.support.arguments import checked
from rop.support.constraints import NotNegative, Seed

# Parameters from which on a check is likely to take seconds.
LARGE = 50_000
RECORDABLE = ("gradient", "jvp", "ggnvp", "hvp")
Product = Function | npt.ArrayLike

# What each product needs to be checked at all: one of these sets.
UNLOCKS: dict[str, tuple[tuple[str, ...], ...]] = {
    "jvp": (("outputs",),),
    "vjp": (("jvp",), ("outputs",)),
    "loss_gradient": (("loss", "outputs"),),
    "gradient": (("value",), ("loss", "outputs")),
    "loss_hvp": (("loss_gradient", "outputs"),),
    "ggnvp": (("outputs", "loss_gradient"), ("zero_residual",)),
    "hvp": (("gradient",),),
}


# Numbers near the ends of the range overflow on the way to a verdict.
@np.errstate(all="ignore")
@checked
def check_products(
    theta: Any,
    *,
    value: Function | None = None,
    outputs: Function | None = None,
    gradient: Product | None = None,
    jvp: Product | None = None,
    vjp: Function | None = None,
    loss: Function | None = None,
    loss_gradient: Function | None = None,
    loss_hvp: Function | None = None,
    ggnvp: Product | None = None,
    hvp: Product | None = None,
    zero_residual: Function | None = None,
    l2: NotNegative = 0.0,
    convex: bool = True,
    blocks: Mapping[str, Any] | None = None,
    shapes: Mapping[str, Any] | None = None,
    directions: npt.ArrayLike | None = None,
    full: bool = False,
    budget: Budget | None = None,
    seed: Seed = 0,
) -> Report:
    """Check derivative products of f(θ) = L(F(θ)) + l2/2 |θ|².

    Give the functions that you have: each is checked against the others and against central
    differences (sec. 7.2). The report lists what was not checked. Tolerances follow from the
    dtypes and the measured noise: float64 products must be known to 1e-5, float32 ones to 1e-3.

    Parameters
    ----------
    theta : (n,) array, or dicts, lists, tuples, dataclasses or pytrees of arrays
        Where to check: NumPy, PyTorch or JAX arrays. The functions get θ and v, and return
        products, in this structure and these dtypes; (n,) below stands for it.
    value, outputs : callable
        f(θ) -> float, and F(θ) -> array or structure of arrays, whose first axis counts cases.
    gradient, jvp, vjp : callable
        ∇f(θ), (n,); (θ, v) -> Jv, shaped like F(θ), no 1/N; (θ, u) -> Jᵀu, (n,), summed over cases.
    loss, loss_gradient, loss_hvp : callable
        L(z) -> float; ∇L(z) and (z, w) -> L''w, shaped like z, with the 1/N.
    ggnvp, hvp : callable
        (θ, v) -> Gv and Hv, (n,).
    zero_residual : callable
        (θ₀, θ) -> gradient at θ, (n,), with the targets set to the predictions at θ₀. There H = G,
        which checks a Gv given alone.
    l2 : float
        Coefficient of |θ|²/2 in f, ∇f, G and H, but not in L.
    convex : bool
        Whether L is convex. If so, vᵀGv < 0 fails where nothing else tells.
    blocks, shapes : dict, optional
        Name -> slice of θ, by default its leaves or four equal runs; name -> shape of the block.
    directions : (n, K) array, optional
        Recorded directions; then `jvp` (K, ...), `ggnvp` and `hvp` (n, K) and `gradient` (n,) may
        be arrays: ``check_products(**np.load("products.npz"), outputs=F, loss_gradient=dL)``.
    full : bool
        Also build J, G and H column by column (sec. 7.2), for small n.
    budget : float or str, optional
        Seconds, or calls as "300 calls". The report says what a smaller budget cannot see.
    seed : int
        Of the directions.

    Returns
    -------
    Report

    Raises
    ------
    RopValueError, RopTypeError
        If an argument does not fit. The functions' own errors are reported.

    Examples
    --------
    >>> def hvp(theta, v):
    ...     return -np.sin(theta) * v
    >>> def wrong(theta, v):
    ...     return np.sin(theta) * v
    >>> theta = np.array([0.3, 1.0, 2.0])
    >>> rop.check_products(theta, gradient=np.cos, hvp=hvp).products["hvp"].verdict
    'pass'
    >>> report = rop.check_products(theta, gradient=np.cos, hvp=wrong)
    >>> report.products["hvp"].verdict, report.products["hvp"].diagnosis
    ('fail', ('-1 times the true product: the sign is wrong',))
    """
    start = time.perf_counter()
    meter = Meter.of(budget)
    structure = Structure.of("theta", theta)
    point = as_vector("theta", structure.flatten(theta))
    if not structure.is_array:
        blocks = structure.blocks if blocks is None else blocks
        shapes = structure.shapes if shapes is None else shapes
    named = name_blocks(point.size, blocks)
    spaces = Spaces(structure)
    given = {
        "value": value, "outputs": outputs, "gradient": gradient, "jvp": jvp, "vjp": vjp,
        "loss": loss, "loss_gradient": loss_gradient, "loss_hvp": loss_hvp, "ggnvp": ggnvp,
        "hvp": hvp, "zero_residual": zero_residual,
    }  # fmt: skip
    recorded = None if directions is None else _as_directions(directions, point.size)
    functions = {
        name: Guarded(
            name,
            spaces.flat(name, _as_function(name, function, recorded)),
            not callable(function),
            meter,
        )
        for name, function in given.items()
        if function is not None
    }
    effort, unseen = plan(meter, functions, point, len(named))
    session = Session(
        functions, point, named, shapes_of(shapes, named), l2, seed, recorded, convex, effort
    )
    session.warnings += unseen
    session.run()
    meter.close()
    columns = check_columns(session) if full else None
    arguments = f"theta, ..., seed={seed}{', full=True' if full else ''}"
    return summarize(session, columns, f"rop.check_products({arguments})", seed, start)


def plan(
    meter: Meter, functions: Mapping[str, Guarded], theta: Array, blocks: int
) -> tuple[Effort, list[str]]:
    """How much of a check fits its budget, and what that cannot see."""
    seconds = 0.0
    if meter.limited or theta.size >= LARGE:
        start, timed = time.perf_counter(), 0
        for name in ("value", "outputs", "gradient"):
            if name in functions:
                with suppress(CallFailed, BudgetSpent):
                    functions[name](theta)
                timed += 1
        seconds = (time.perf_counter() - start) / max(timed, 1)
    chosen = meter.choose(functions, blocks, seconds)
    unseen = "; ".join(effort.unseen for effort in EFFORTS[1 : chosen + 1])
    return EFFORTS[chosen], [f"not seen within this budget: {unseen}"] if unseen else []


def summarize(
    session: Session,
    columns: Columns | None,
    reproduce: str,
    seed: int,
    start: float,
    identities: Sequence[Identity] = (),
) -> Report:
    """The report on a session that has run, begun at `start` on `time.perf_counter`."""
    for name in session.products:
        diagnose(name, session)
    verdicts = {product.verdict for product in session.products.values()}
    verdicts |= {identity.verdict for identity in identities}
    if columns is not None:
        verdicts.add(columns.verdict)
    verdict: Verdict = "pass" if verdicts == {"pass"} else "inconclusive"
    return Report(
        verdict="fail" if "fail" in verdicts else verdict,
        products=session.products,
        not_checked=tuple(_unchecked(session)),
        warnings=(*session.warnings, *weigh(session)),
        n=session.points[0].n,
        seed=seed,
        reproduce=reproduce,
        seconds=time.perf_counter() - start,
        calls={name: function.calls for name, function in session.functions.items()},
        columns=columns,
        identities=tuple(identities),
    )


def _unchecked(session: Session) -> list[str]:
    """What was not checked, and what would unlock it."""
    missing = []
    for name, needs in UNLOCKS.items():
        if name not in session.products:
            missing.append(f"{SYMBOLS[name]} (give {name}= to check it)")
        elif session.products[name].cause == NOTHING_TO_COMPARE:
            lacking = [[f"{n}=" for n in need if n not in session.functions] for need in needs]
            alternatives = ", or ".join(" and ".join(names) for names in lacking)
            missing.append(f"{SYMBOLS[name]} (needs {alternatives})")
    return missing


def as_vector(name: str, array: npt.ArrayLike) -> Array:
    """A finite float64 vector from what the user gave as one."""
    try:
        vector = np.array(array)
    except ValueError as error:
        raise RopValueError(
            f"{name} must be one vector (n,), got arrays of different lengths; "
            "flatten and concatenate the parameters"
        ) from error
    if vector.dtype.kind not in "fiu":
        raise RopTypeError(f"{name} must be real numbers, got dtype {vector.dtype}")
    if vector.ndim != 1 or vector.size == 0:
        raise RopValueError(
            f"{name} must be one non-empty vector (n,), got shape {vector.shape}; "
            "flatten and concatenate the parameters"
        )
    if not np.isfinite(vector).all():
        raise RopValueError(f"{name} has entries that are NaN or infinite; give a finite point")
    return vector.astype(np.float64)


def shapes_of(
    shapes: Mapping[str, Any] | None, blocks: Mapping[str, slice]
) -> dict[str, tuple[int, ...]]:
    """The shapes of blocks, as far as given; they must have the blocks' sizes."""
    found = {}
    for name, shape in (shapes or {}).items():
        size = blocks[name].stop - blocks[name].start if name in blocks else None
        if size is not None and int(np.prod(shape)) != size:
            raise RopValueError(
                f"shapes[{name!r}] = {shape} has {int(np.prod(shape))} entries, but the block "
                f"has {size}"
            )
        found[name] = tuple(shape)
    return found


def _as_directions(array: npt.ArrayLike, n: int) -> list[Direction]:
    try:
        columns = np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RopTypeError(f"directions must be an array of numbers: {error}") from None
    if columns.ndim == 1:
        columns = columns[:, None]
    if columns.ndim != 2 or columns.shape[0] != n:
        raise RopValueError(
            f"directions must have shape ({n}, K), one direction a column, got {columns.shape}"
        )
    useless = np.flatnonzero(~columns.any(axis=0) | ~np.isfinite(columns).all(axis=0))
    if useless.size or not columns.size:
        raise RopValueError(
            f"directions: column {useless[0] if useless.size else 0} is zero or not finite; "
            "give directions along which something changes"
        )
    return [
        Direction(f"recorded {k}", "", np.ascontiguousarray(column))
        for k, column in enumerate(columns.T)
    ]


def _as_function(name: str, product: Any, recorded: list[Direction] | None) -> Function:
    if callable(product):
        function: Function = product
        return function
    if recorded is None or name not in RECORDABLE:
        raise RopTypeError(
            f"{name} must be a function of NumPy arrays, got {type(product).__name__}; "
            f"recorded arrays go with directions= and only as {', '.join(RECORDABLE)}"
        )
    array = np.asarray(product)
    if name == "gradient":
        return lambda theta: array
    rows = array if name == "jvp" else np.atleast_2d(array.T)
    if len(rows) != len(recorded):
        raise RopValueError(
            f"{name} holds {len(rows)} products for {len(recorded)} directions; record "
            "jvp as (K, ...), ggnvp and hvp as (n, K)"
        )

    def look_up(theta: Array, v: Array) -> npt.ArrayLike:
        k = next(k for k, d in enumerate(recorded) if np.array_equal(d.vector, v))
        row: npt.ArrayLike = rows[k]
        return row

    return look_up
