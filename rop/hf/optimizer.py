"""Hessian-free optimization, algorithm 3, as an iterator over its decisions."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite, nan
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rop.errors import RopValueError
from rop.hf.cg import Solution
from rop.hf.damping import reduction_ratio
from rop.hf.evaluation import Data, Evaluator
from rop.hf.recipes import Recipe
from rop.hf.record import CGRun, Clock, Iteration, events
from rop.hf.vectors import Vector, dot, norm
from rop.linearization import Linearization
from rop.objective import Objective

Ended: TypeAlias = Literal["gradient", "precision", "not finite", "rejected"]

# λ · 1.5⁶⁰ = 4e10 λ: when that many updates in a row fail, more damping is no remedy.
_MOST_REJECTED = 60


@dataclass(frozen=True)
class State:
    """All that an iteration hands on to the next; with the data and the recipe, the whole run.

    Attributes
    ----------
    iteration : int
        The number of the next iteration; it also determines the batches.
    theta : ndarray, shape (n,)
        θ.
    lam : float
        λ.
    start : ndarray, shape (n,), or None
        CG's last iterate, from which the next run starts after decay (erratum M16); None is 0.
    rejected : int
        How many updates in a row were rejected.
    f : float
        f(θ) on the cases of the latest gradient; NaN before the first.
    """

    iteration: int
    theta: Vector
    lam: float
    start: Vector | None
    rejected: int
    f: float


class HessianFree(Iterator[Iteration]):
    """Minimise f with HF; every step of the iterator is one iteration of algorithm 3.

    The iterator ends by itself where no further iteration makes sense; ``ended`` then says why:
    "gradient" (‖∇f‖ is small enough), "precision" (the predicted gain is below the rounding error
    of f, and not a quarter of it came true), "not finite" (f or ∇f at θ), "rejected" (60 updates
    in a row). θ changes only when an iteration is complete and never to a point with a larger f, or
    one that is not a number, on the gradient's cases.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0; it is copied.
    data : mapping of str to ndarray, shape (N, ...)
        The training set by the names of the objective's data; empty if it has none.
    recipe : Recipe, optional
        The settings; those of ``Recipe()`` by default.
    engine : str
        The engine of the products: "numba", "numpy" or "cuda".
    dtype : dtype
        The dtype of θ and of all arithmetic but CG's scalars, float32 or float64.
    gradient_norm : float
        End when ‖∇f‖ is not above this.

    Attributes
    ----------
    state : State
        θ, λ and what else the next iteration needs.
    ended : str or None
        Why no further iteration is possible.

    Raises
    ------
    RopValueError
        If θ does not fit the objective, the data differ in their number of cases, or the dtype
        is not float32 or float64.

    Examples
    --------
    >>> for it in HessianFree(objective, theta, {"x": X, "t": T}):  # doctest: +SKIP
    ...     print(it)
    ...     if it.f_after < 1e-3:
    ...         break
    """

    def __init__(
        self,
        objective: Objective,
        theta: npt.ArrayLike,
        data: Data,
        recipe: Recipe | None = None,
        *,
        engine: str = "numba",
        dtype: npt.DTypeLike = np.float32,
        gradient_norm: float = 0.0,
    ) -> None:
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise RopValueError(
                f"HessianFree: dtype must be float32 or float64, got {np.dtype(dtype)}"
            )
        first: Vector = np.array(theta, dtype)
        if first.shape != (objective.n,):
            raise RopValueError(
                f"HessianFree: theta must have the objective's shape ({objective.n},), got "
                f"{first.shape}; objective.pack makes one of named arrays"
            )
        self.recipe = Recipe() if recipe is None else recipe
        self.gradient_norm = gradient_norm
        self.evaluator = Evaluator(objective, data, engine=engine, chunk=self.recipe.batches.chunk)
        self.state = State(0, first, self.recipe.damping.lam, None, 0, nan)
        self.ended: Ended | None = None
        cases = self.evaluator.cases
        if self.recipe.batches.draw(0, cases).curvature.size == 1 < cases:
            warnings.warn(
                f"the curvature sees one case of {cases}: its rank is at most the number of "
                "outputs, and only damping bounds the update elsewhere; for all cases give "
                "curvature=1.0, not 1",
                stacklevel=2,
            )

    @property
    def theta(self) -> Vector:
        """The present θ."""
        return self.state.theta

    @np.errstate(over="ignore", invalid="ignore")  # judged where they matter, by isfinite
    def __next__(self) -> Iteration:
        if self.ended is not None:
            raise StopIteration
        recipe, evaluator, state = self.recipe, self.evaluator, self.state
        theta, lam = state.theta, state.lam
        clock = Clock(evaluator)

        cases = recipe.batches.draw(state.iteration, evaluator.cases)  # sec. 12
        f, gradient, diagonal = evaluator.gradient(theta, cases.gradient, recipe.preconditioner)
        self.state = replace(state, f=f)
        self.ended = self._converged(f, gradient)
        if self.ended is not None:
            raise StopIteration
        at = evaluator.linearize(theta, cases.curvature)  # serves the whole run of CG, sec. 7.1
        clock.lap("gradient")

        solution = self._solve(at, gradient, diagonal)  # alg. 2
        clock.lap("cg")

        f_at = evaluator.along(theta)
        choice = recipe.selection.choose(solution.iterates, partial(f_at, cases.selection))
        delta = choice.iterate.x
        clock.lap("selection")

        same = cases.curvature == cases.gradient
        f_curvature = f if same else at.value, f_at(cases.curvature, choice.iterate)
        q = choice.iterate.q - recipe.damping.penalty(delta, lam)
        rho = reduction_ratio(*f_curvature, q)  # sec. 8.5, of the full update (erratum M17)
        lam_next = recipe.damping.rule.update(lam, rho)
        clock.lap("damping")

        step = recipe.line_search.search(  # sec. 8.8
            lambda alpha: evaluator.value(theta + _scaled(alpha, delta), cases.gradient),
            f,
            dot(gradient, delta),
            f_at(cases.gradient, choice.iterate),
        )
        update = _scaled(step.alpha, delta)
        clock.lap("line search")

        self.state = State(
            state.iteration + 1,
            theta + update if step.alpha else theta,
            lam_next,
            solution.x if solution.usable else None,
            0 if step.alpha else state.rejected + 1,
            step.f,
        )
        self.ended = self._stalled(f, step.f, q)
        return Iteration(
            number=state.iteration,
            f_before=f,
            f_after=step.f,
            gradient_norm=norm(gradient),
            lam_before=lam,
            lam_after=lam_next,
            cg=CGRun(
                warm=state.start is not None,
                steps=solution.steps,
                reason=solution.reason,
                q=tuple(solution.q),
                stored=tuple(iterate.steps for iterate in solution.iterates),
                residual=solution.residual,
                products=solution.products,
            ),
            f_stored=choice.f,
            chosen=choice.iterate.steps,
            q=q,
            rho=rho,
            f_curvature=f_curvature,
            step=step,
            step_norm=norm(update),
            cases=cases,
            events=events(solution, rho, lam_next, recipe.damping.rule, step),
            seconds=clock.seconds,
            work=clock.work,
        )

    def _solve(self, at: Linearization, gradient: Vector, diagonal: Vector | None) -> Solution:
        recipe, state = self.recipe, self.state
        product = at.ggnvp if recipe.curvature == "ggn" else at.hvp
        A = recipe.damping.damp(self.evaluator.counted(product), state.lam)
        inverse = recipe.preconditioner.inverse(diagonal, recipe.damping.diagonal(state.lam))
        start = None if state.start is None else _scaled(recipe.decay, state.start)  # sec. 10
        wanted = recipe.selection.wanted(recipe.cg.max_steps)
        return recipe.cg.solve(A, -gradient, start, inverse, wanted)

    def _converged(self, f: float, gradient: Vector) -> Ended | None:
        size = norm(gradient)
        if not (isfinite(f) and isfinite(size)):
            return "not finite"
        return "gradient" if size <= self.gradient_norm else None

    def _stalled(self, f_before: float, f_after: float, q: float) -> Ended | None:
        rounding = float(np.finfo(self.theta.dtype).eps) * abs(f_before)
        if -q <= rounding and f_before - f_after < -q / 4:
            return "precision"
        return "rejected" if self.state.rejected >= _MOST_REJECTED else None


def _scaled(factor: float, x: Vector) -> Vector:
    """Return factor · x in x's dtype."""
    return np.multiply(x, factor, dtype=x.dtype)
