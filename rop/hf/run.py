"""A whole run of HF: `minimize`, its stops, and its result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter

import numpy as np
import numpy.typing as npt

from rop.hf.evaluation import Data
from rop.hf.optimizer import HessianFree
from rop.hf.recipes import Recipe
from rop.hf.record import Iteration
from rop.hf.vectors import Vector
from rop.objective import Objective

_MESSAGES = {
    "target": (True, "f reached the target"),
    "gradient": (True, "the norm of the gradient is small enough"),
    "precision": (True, "the predicted gain is below the rounding error of f"),
    "iterations": (True, "all iterations were done"),
    "seconds": (True, "the time is up"),
    "callback": (True, "the callback raised StopIteration"),
    "interrupted": (False, "interrupted from the keyboard; theta is the last complete iteration's"),
    "not finite": (False, "f or its gradient at theta is not finite; try a smaller initial theta"),
    "rejected": (
        False,
        "too many updates in a row were rejected, whatever the damping; check the products with "
        "rop.check, or give the gradient more cases",
    ),
}


@dataclass(frozen=True)
class Result:
    """What a run of HF found, in the manner of SciPy's OptimizeResult.

    Attributes
    ----------
    theta : ndarray, shape (n,)
        The best θ, which is the last one: θ never moves where f rises on the gradient's cases.
    fun : float
        f at θ on the latest gradient's cases; NaN if no iteration was begun.
    nit : int
        The number of iterations.
    success : bool
        Whether the run ended as asked for: False if it was interrupted or could not go on.
    reason : str
        Why the run ended: "target", "gradient", "precision", "iterations", "seconds",
        "callback", "interrupted", "not finite" or "rejected".
    message : str
        The reason in words.
    records : list of Iteration
        Every decision of every iteration.
    lam : float
        The last λ.
    recipe : Recipe
        The settings.
    seconds : float
        Wall time of the run.
    """

    theta: Vector = field(repr=False)
    fun: float
    nit: int
    success: bool
    reason: str
    message: str
    records: list[Iteration] = field(repr=False)
    lam: float
    recipe: Recipe = field(repr=False)
    seconds: float

    @property
    def x(self) -> Vector:
        """θ under SciPy's name."""
        return self.theta


def minimize(
    objective: Objective,
    theta: npt.ArrayLike,
    data: Data,
    recipe: Recipe | None = None,
    *,
    iterations: int = 100,
    seconds: float | None = None,
    target: float | None = None,
    gradient_norm: float = 0.0,
    callback: Callable[[Iteration, Vector], object] | None = None,
    progress: bool = False,
    engine: str = "numba",
    dtype: npt.DTypeLike = np.float32,
) -> Result:
    """Minimise an objective by Hessian-free optimization, algorithm 3.

    Ctrl-C ends the run with the θ of the last complete iteration. A loss that is not a number, an
    update that does not descend, λ at its bounds and the like end no run by an exception and pass
    in no silence: they are in the events of the records, and in the result's message.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0; it is copied.
    data : mapping of str to ndarray, shape (N, ...)
        The training set by the names of the objective's data; empty if it has none.
    recipe : Recipe, optional
        The settings; those of ``Recipe()`` by default. See `rop.hf.recipes`.
    iterations : int
        The largest number of iterations.
    seconds : float, optional
        Start no iteration after this wall time.
    target : float, optional
        End when f on the gradient's cases is not above this.
    gradient_norm : float
        End when ‖∇f‖ is not above this.
    callback : callable, (Iteration, theta) -> None, optional
        Called after every iteration; it ends the run by raising StopIteration.
    progress : bool
        Show a line of progress; needs tqdm.
    engine : str
        The engine of the products: "numba", "numpy" or "cuda".
    dtype : dtype
        The dtype of θ and of all arithmetic but CG's scalars, float32 or float64.

    Returns
    -------
    Result
        θ, f, the reason for ending, and a record of every decision.

    Raises
    ------
    RopValueError
        If θ does not fit the objective, the data differ in their number of cases, or the dtype
        is not float32 or float64.

    Examples
    --------
    >>> recipe = rop.hf.recipes.martens2010(lam=1.0)  # doctest: +SKIP
    >>> result = rop.hf.minimize(objective, theta, data, recipe, seconds=60)  # doctest: +SKIP
    >>> print(result.message, result.fun)  # doctest: +SKIP
    """
    began = perf_counter()
    run = HessianFree(
        objective, theta, data, recipe, engine=engine, dtype=dtype, gradient_norm=gradient_norm
    )
    records: list[Iteration] = []
    reason = "iterations"
    with _bar(iterations if seconds is None else None, progress) as show:
        try:
            for it in islice(run, iterations):
                records.append(it)
                show(it)
                if callback is not None:
                    callback(it, run.theta)
                if target is not None and it.f_after <= target:
                    reason = "target"
                elif seconds is not None and perf_counter() - began >= seconds:
                    reason = "seconds"
                if reason != "iterations":
                    break
            else:
                reason = run.ended or "iterations"
        except StopIteration:
            reason = "callback"
        except KeyboardInterrupt:
            reason = "interrupted"
    success, message = _MESSAGES[reason]
    return Result(
        theta=run.state.theta,
        fun=run.state.f,
        nit=run.state.iteration,
        success=success,
        reason=reason,
        message=message,
        records=records,
        lam=run.state.lam,
        recipe=run.recipe,
        seconds=perf_counter() - began,
    )


@contextmanager
def _bar(iterations: int | None, wanted: bool) -> Iterator[Callable[[Iteration], None]]:
    """Give a function that shows an iteration on a line of progress, or does nothing."""
    if not wanted:
        yield lambda it: None
        return
    from tqdm import tqdm  # a progress line is all it is needed for

    with tqdm(total=iterations, desc="HF", unit="it") as bar:

        def show(it: Iteration) -> None:
            bar.set_postfix_str(
                f"f={it.f_after:.5g}, lam={it.lam_after:.3g}, rho={it.rho:.2f}, "
                f"CG={it.chosen}/{it.cg.steps}, alpha={it.step.alpha:.2g}"
            )
            bar.update()
            for event in it.events:
                bar.write(f"iteration {it.number}: {event}")

        yield show
