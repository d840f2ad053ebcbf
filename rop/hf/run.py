"""A whole run of HF: `minimize` and its stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from rop.engines import DEFAULT_ENGINE
from rop.errors import RopValueError
from rop.hf.interrupts import remembered
from rop.hf.journal import Journal, Resume
from rop.hf.log import Header
from rop.hf.optimizer import HessianFree
from rop.hf.progress import Live, Progress, watching
from rop.hf.recipes import Recipe
from rop.hf.record import Iteration
from rop.hf.result import LIMITS, MESSAGES, Records, Result
from rop.hf.state import State
from rop.hf.stationary import negative_curvature
from rop.hf.streams import Data
from rop.hf.vectors import Vector
from rop.objective.objective import Objective
from rop.support.arguments import checked
from rop.support.constraints import Count, Natural, NotNegative
from rop.support.words import counted

_LANCZOS_STEPS, _SMALL = 20, 10_000


@checked
def minimize(
    objective: Objective,
    theta: npt.ArrayLike,
    data: Data,
    recipe: Recipe | str | None = None,
    *,
    iterations: Natural = 100,
    seconds: NotNegative | None = None,
    target: float | None = None,
    gradient_norm: NotNegative = 0.0,
    validation: Mapping[str, npt.ArrayLike] | None = None,
    validate_every: Count = 1,
    patience: Count | None = None,
    lanczos_steps: Natural | None = None,
    callback: Callable[[Iteration, Vector], object] | None = None,
    progress: bool = False,
    live: bool = False,
    folder: str | Path | None = None,
    resume: Resume = False,
    engine: str = DEFAULT_ENGINE,
    dtype: npt.DTypeLike = np.float32,
) -> Result:
    """Minimise an objective by Hessian-free optimization, algorithm 3.

    Ctrl-C ends the run with the θ of the last complete iteration. A loss that is not a number, an
    update that does not descend, λ at its bounds and the like raise nothing: they are in the events
    of the records, and in the message of the result.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0; it is copied.
    data : mapping of str to ndarray, shape (N, ...), or Stream
        The training set by the names of the objective's data; empty if it has none. Arrays may be
        memory-mapped files; a `Stream` draws other cases for each iteration.
    recipe : Recipe or str, optional
        The settings, or the name of a recipe such as "martens2010" (see `rop.hf.recipes`); by
        default ``Recipe()``, and "newton" for an objective without a loss.
    iterations : int
        The largest number of iterations, those before a resumption included.
    seconds : float, optional
        Start no iteration after this wall time.
    target : float, optional
        End when f on the gradient's cases is not above this.
    gradient_norm : float
        End when ‖∇f‖ is not above this.
    validation : mapping of str to ndarray, shape (M, ...), optional
        Data that training does not use. f on them, without the penalty, is in the records, and the
        result has the θ where it is lowest.
    validate_every : int
        Evaluate f on the validation data after every so many iterations, and at θ_0.
    patience : int, optional
        End after so many evaluations in a row without a lower f on the validation data.
    lanczos_steps : int, optional
        Where ∇f vanishes, look for negative eigenvalues of H with so many products Hv on all cases,
        each about two gradients; 0 for none. By default 20 if n <= 10,000, otherwise none.
    callback : callable, (Iteration, theta) -> None, optional
        Called after every iteration; it ends the run by raising StopIteration.
    progress : bool
        Show how near the run is to its end, and what is unusual.
    live : bool
        Redraw `rop.plot.run` in a notebook as the run goes on.
    folder : str or Path, optional
        Keep the run there, in ``log.jsonl`` and ``state.npz``; see `read_log` and `replay`. It can
        be killed at any moment and resumed.
    resume : bool or "anyway"
        Go on with the run that the folder holds, if it holds one. Objective, data, θ_0 and settings
        must be the same; θ then comes out the same bit by bit. With another number of threads or
        other versions that is not so, and resuming is refused, unless this is "anyway".
    engine : str
        The engine of the products: "numba", "numpy" or "cuda"; with "cuda" CG runs on the GPU as
        well, where it can (see `ConjugateGradient`).
    dtype : dtype
        The dtype of θ and of all arithmetic but CG's scalars, float32 or float64.

    Returns
    -------
    Result
        θ, f, the reason for ending, and a record of every decision.

    Raises
    ------
    RopTypeError
        If an argument has a wrong type or dtype.
    RopValueError
        If a number is out of its bounds; if θ is not finite or does not fit the objective; if the
        data differ in their number of cases; if damping or preconditioner is undefined at θ_0,
        such as a P with an entry of 0; or if the folder holds a run that is not to be
        resumed, one of something else, or a damaged one (see `repair`).
    FolderInUseError
        If another process uses the folder.
    RopFileError
        If a file of the folder cannot be read or written.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> data = {"x": X, "t": X.sum(axis=1, keepdims=True)}
    >>> run = rop.hf.minimize(objective, np.zeros(3), data, target=1e-8)
    >>> run.message
    'f reached the target'
    >>> run.theta.round(2)
    array([1., 1., 0.], dtype=float32)
    """
    began = perf_counter()
    if resume and folder is None:
        raise RopValueError("minimize: resume needs folder=, where the run is kept")
    run = HessianFree(
        objective,
        theta,
        data,
        recipe,
        engine=engine,
        dtype=dtype,
        gradient_norm=gradient_norm,
        validation=validation,
        validate_every=validate_every,
        patience=patience,
    )
    journal = None
    if folder is not None:
        journal = Journal(Path(folder), Header.of(objective, run, engine), resume)
        if journal.state is not None:
            run.state, run.ended = journal.state, journal.ended
    records = [] if journal is None else list(journal.records)

    def reached(it: Iteration) -> bool:
        return target is not None and it.f_after <= target

    state = run.state
    reason = "target" if records and reached(records[-1]) else ""
    limit = 0 if reason else max(0, iterations - state.iteration)
    watchers: list[Progress | Live] = [Live()] if live else []
    if progress:
        watchers.append(Progress(iterations, state.iteration, seconds, target))
    try:
        with remembered() as interrupted, watching(*watchers) as show:
            for it in islice(run, limit):
                if journal is not None:
                    journal.commit(it, run.state, run.ended)
                records.append(it)
                state = run.state
                show(it)
                if callback is not None:
                    callback(it, _read_only(state.theta))
                if reached(it):
                    reason = "target"
                elif interrupted():
                    reason = "interrupted"
                elif seconds is not None and perf_counter() - began >= seconds:
                    reason = "seconds"
                if reason:
                    break
        state = run.state
        exhausted = "iterations" if state.iteration >= iterations else "data"
        reason = reason or run.ended or exhausted
        if reason == "rejected" and _vanished(records, run.theta.dtype):
            reason = "precision"
    except StopIteration:
        reason = "callback"
    except KeyboardInterrupt:
        reason = "interrupted"
    finally:
        if journal is not None:
            journal.close()
    if lanczos_steps is None:
        lanczos_steps = _LANCZOS_STEPS if objective.n <= _SMALL else 0
    found = None
    if reason in ("gradient", "precision") and lanczos_steps:
        found = negative_curvature(run.evaluator, state.theta, lanczos_steps)
    success, message = MESSAGES[reason]
    if found is not None:
        why = "the gradient vanishes" if reason == "gradient" else message
        reason, success = "saddle", False
        message = (
            f"{why}, but H has a negative eigenvalue, {found[0]:.3g} or lower: a saddle or a "
            "maximum; f falls on both sides along result.direction"
        )
    if reason in LIMITS and records:
        message += _so_far(records)
    if reason == run.ended and run.error is not None:
        message += f": {run.error}"
    best = state.best
    return Result(
        theta=state.theta if best is None else best,
        fun=state.f if best is None else _f_at_best(state, records),
        nit=state.iteration,
        success=success,
        reason=reason,
        message=message,
        records=Records(records),
        lam=state.lam,
        recipe=run.recipe,
        seconds=perf_counter() - began,
        last_theta=state.theta,
        f_validation=None if best is None else state.f_best,
        best_iteration=None if best is None else state.best_iteration,
        eigenvalue=None if found is None else found[0],
        direction=None if found is None else found[1],
    )


def _vanished(records: list[Iteration], dtype: npt.DTypeLike) -> bool:
    """Whether f has become 0 beside its first value, but for rounding errors."""
    return abs(records[-1].f_after) <= float(np.finfo(dtype).eps) * abs(records[0].f_before)


def _so_far(records: list[Iteration]) -> str:
    """Say how far from its end a run was that a limit ended."""
    rejected = sum(it.step.alpha == 0 for it in records)
    told = f"; the norm of the gradient was {records[-1].gradient_norm:.3g} at the last iteration"
    if not rejected:
        return told
    were = "was" if len(records) == 1 else "were"
    return f"{told}; {rejected} of {counted(len(records), 'update')} {were} rejected"


def _f_at_best(state: State, records: list[Iteration]) -> float:
    """Return f at the best θ on the gradient's cases, from the records."""
    for it in records:
        if it.number == state.best_iteration:
            return it.f_before
        if it.number + 1 == state.best_iteration:
            return it.f_after
    return state.f


def _read_only(theta: Vector) -> Vector:
    """Return a view that cannot be written to."""
    view = theta.view()
    view.flags.writeable = False
    return view
