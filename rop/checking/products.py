"""`check_products`: the checker for anybody's functions of arrays."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.checking.calls import Function, Guarded
from rop.checking.columns import check_columns
from rop.checking.diagnosis import diagnose
from rop.checking.directions import Direction, name_blocks
from rop.checking.findings import SYMBOLS
from rop.checking.lines import Array
from rop.checking.report import Columns, Identity, Report
from rop.checking.scale import weigh
from rop.checking.session import NOTHING_TO_COMPARE, Session
from rop.checking.spaces import Spaces
from rop.checking.structures import Structure
from rop.checking.tolerance import Verdict
from rop.errors import RopTypeError, RopValueError

RECORDABLE = ("gradient", "jvp", "ggnvp", "hvp")
Product = Function | npt.ArrayLike

# What each product needs to be checked at all, in words.
UNLOCKS = {
    "jvp": "outputs=",
    "vjp": "jvp= or outputs=",
    "loss_gradient": "loss= and outputs=",
    "gradient": "value=, or loss= and outputs=",
    "loss_hvp": "loss_gradient= and outputs=",
    "ggnvp": "outputs= and loss_gradient=, or zero_residual=",
    "hvp": "gradient=",
}


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
    l2: float = 0.0,
    blocks: Mapping[str, slice] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    directions: npt.ArrayLike | None = None,
    full: bool = False,
    seed: int = 0,
) -> Report:
    """Check derivative products of f(θ) = L(F(θ)) + l2/2 |θ|².

    Every function takes θ and returns arrays as the caller has them, and may be left out: what the
    others allow is checked, against each other and against central differences (sec. 7.2), and the
    report lists the rest. Tolerances follow from the dtypes and the measured rounding noise.

    Parameters
    ----------
    theta : (n,) float array, or any structure of arrays
        Parameters of any shape in nested dicts, lists, tuples, dataclasses or JAX's pytrees, of
        NumPy, PyTorch or JAX: functions get θ and v, and return products, in this structure and in
        these dtypes. Its leaves are the blocks of the report, named by their paths. Below, (n,)
        stands for this structure. Where to check, of a scale at which the units neither saturate
        nor stay linear. A second point near it, and two far from it for sizes, are evaluated as
        well.
    value : callable
        f(θ) -> float.
    outputs : callable
        F(θ) -> array of any shape, or a structure of arrays; an array's first axis, where it has
        more than one, counts as cases.
    gradient : callable
        ∇f(θ) -> (n,).
    jvp : callable
        (θ, v) -> Jv, shaped like F(θ); no 1/N.
    vjp : callable
        (θ, u) -> Jᵀu, (n,), summed over cases.
    loss, loss_gradient : callable
        L(z) -> float and ∇L(z), shaped like z, with the 1/N.
    loss_hvp : callable
        (z, w) -> L''w, shaped like z, with the 1/N.
    ggnvp, hvp : callable
        (θ, v) -> Gv and Hv, (n,).
    zero_residual : callable
        (θ₀, θ) -> gradient at θ of the same objective with its targets set to the predictions at
        θ₀, (n,). There the residual vanishes and H = G, which checks a black-box Gv.
    l2 : float
        Coefficient of |θ|²/2 in f, ∇f, G and H, but not in L.
    blocks : dict of slices of θ, optional
        Names for the report; by default four equal runs.
    shapes : dict of tuples, optional
        Shapes of the blocks, to recognise transposed ones.
    directions : (n, K) array, optional
        Recorded directions; then `jvp` (K, ...), `ggnvp` and `hvp` (n, K) and `gradient` (n,)
        may be arrays of what some other program computed along them, as in
        ``check_products(**np.load("products.npz"), outputs=F, loss_gradient=dL)``.
    full : bool
        Also build G and J column by column (sec. 7.2), for small n.
    seed : int
        Of the directions.

    Returns
    -------
    Report

    Raises
    ------
    RopValueError, RopTypeError
        If θ, the blocks or the recorded arrays do not fit; the message names the path in θ. The
        functions' own errors are reported.
    """
    start = time.perf_counter()
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
        )
        for name, function in given.items()
        if function is not None
    }
    session = Session(functions, point, named, shapes or {}, l2, seed, recorded)
    session.run()
    columns = check_columns(session) if full else None
    arguments = f"theta, ..., seed={seed}{', full=True' if full else ''}"
    return summarize(session, columns, f"rop.check_products({arguments})", seed, start)


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
            missing.append(f"{SYMBOLS[name]} (needs {needs})")
    return missing


def as_vector(name: str, array: npt.ArrayLike) -> Array:
    """A finite float64 vector from what the user gave as one."""
    vector = np.array(array)
    if vector.dtype.kind not in "fiu":
        raise RopTypeError(f"{name} must be real numbers, came dtype {vector.dtype}")
    if vector.ndim != 1 or vector.size == 0:
        raise RopValueError(
            f"{name} must be one non-empty vector (n,), came shape {vector.shape}; "
            "flatten and concatenate the parameters"
        )
    if not np.isfinite(vector).all():
        raise RopValueError(f"{name} has entries that are NaN or infinite; give a finite point")
    return vector.astype(np.float64)


def _as_directions(array: npt.ArrayLike, n: int) -> list[Direction]:
    columns = np.array(array, dtype=np.float64)
    if columns.ndim == 1:
        columns = columns[:, None]
    if columns.ndim != 2 or columns.shape[0] != n:
        raise RopValueError(
            f"directions must have shape ({n}, K), one direction a column, came {columns.shape}"
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
            f"{name} must be a function of NumPy arrays, came {type(product).__name__}; "
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
