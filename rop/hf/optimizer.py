"""Hessian-free optimization, algorithm 3, as an iterator over its decisions."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import inf, isfinite, nan

import numpy as np
import numpy.typing as npt

from rop.errors import RopValueError
from rop.hf import phases
from rop.hf.along import Along, f_on_held_out, f_on_selection, model
from rop.hf.evaluation import Data, Evaluator
from rop.hf.events import events
from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.phases import scaled
from rop.hf.recipe import Recipe
from rop.hf.record import CGRun, Clock, Iteration
from rop.hf.state import Ended, State
from rop.hf.vectors import Vector, dot, norm
from rop.objective.objective import Objective

__all__ = ["Ended", "HessianFree", "State"]

# λ · 1.5⁶⁰ = 4e10 λ: when that many updates in a row fail, more damping is no remedy.
_MOST_REJECTED = 60


class HessianFree(Iterator[Iteration]):
    """Minimise f with HF; every step of the iterator is one iteration of algorithm 3.

    The iterator ends by itself where no further iteration makes sense; ``ended`` then says why:
    "gradient" (‖∇f‖ is small enough), "precision" (the predicted gain is below the rounding error
    of f, and not a quarter of it came true), "not finite" (f or ∇f at θ), "rejected" (60 updates
    in a row). θ changes only when an iteration is complete and never to a point with a larger f, or
    one that is not a number, on the gradient's cases.

    What goes wrong short of that is said in the record's ``events``, and answered: a full update at
    which f rises or is not a number has ρ = -inf, which raises λ, as does one that no α makes
    acceptable, or that is not a descent direction and does not lower f, and then θ stays; where CG
    meets negative curvature its iterate so far is taken, and where it ends above q(0) = 0 the next
    run starts from 0; λ stays within the bounds of its rule.

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
        damping, region = self.recipe.damping, self.recipe.cg.region
        radius = None if region is None else region.radius
        self.state = State(0, first, damping.lam, damping.mu, radius, None, 0, nan)
        self.ended: Ended | None = None
        cases = self.evaluator.cases
        if self.recipe.batches.draw(0, cases, first.size).curvature.size == 1 < cases:
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
        theta, now = state.theta, recipe.settings(state.iteration)
        clock = Clock(evaluator)
        evaluator.penalise(now.l2)

        cases = recipe.batches.draw(state.iteration, evaluator.cases, theta.size)  # sec. 12
        f, gradient, diagonal = phases.gradient(recipe, evaluator, state, cases)
        self.state = replace(state, f=f)
        self.ended = self._converged(f, gradient)
        if self.ended is not None:
            raise StopIteration
        at = evaluator.linearize(theta, cases.curvature)  # serves the whole run of CG, sec. 7.1
        penalty = recipe.damping.prepare(at, state.mu, state.seed)
        clock.lap("gradient")

        along = Along(evaluator, theta)
        problem = phases.subproblem(
            recipe, evaluator, state, at, penalty, gradient, diagonal, along, cases
        )
        solution = recipe.cg.solve(problem)  # alg. 2
        clock.lap("cg")

        by_f = recipe.selection.by == "f"
        f_or_model = (
            partial(along.f, cases.selection)
            if by_f
            else model(evaluator, theta, cases.selection, recipe.curvature)
        )
        choice = recipe.selection.choose(solution.iterates, f_or_model)
        delta = choice.iterate.x
        clock.lap("selection")

        same = cases.curvature == cases.gradient
        f_curvature = f if same else at.value, along.f(cases.curvature, choice.iterate)
        q = choice.iterate.q - penalty.penalty(delta, state.lam)
        if recipe.reduction == "gradient":
            f_reduction = f, along.f(cases.gradient, choice.iterate)
        else:
            f_reduction = f_curvature
        rho = reduction_ratio(*f_reduction, q)  # sec. 8.5, of the full update (erratum M17)
        rho_damped = reduction_ratio(*f_reduction, choice.iterate.q)
        clock.lap("damping")

        step = recipe.line_search.search(  # sec. 8.8
            lambda alpha: evaluator.value(theta + scaled(alpha, delta), cases.gradient),
            f,
            dot(gradient, delta),
            along.f(cases.gradient, choice.iterate) if now.learning_rate == 1 else None,
            now.learning_rate,
        )
        update = scaled(step.alpha, delta)
        clock.lap("line search")

        rule = recipe.damping.rule
        judged = rho_damped if rule is not None and rule.model == "damped" else rho
        judged = judged if step.alpha else -inf  # a failed update asks for more damping
        lam, mu = recipe.damping.adapt(state.lam, state.mu, judged)
        self.state = State(
            state.iteration + 1,
            theta + update if step.alpha else theta,
            lam,
            mu,
            phases.radius(recipe, state, judged, solution),
            phases.next_start(recipe, state, solution, delta, partial(along.f, cases.curvature)),
            0 if step.alpha else state.rejected + 1,
            step.f,
        )
        # Where CG was cut off its gain says little about what there is to gain.
        cut_off = solution.reason in ("steps", "f rose")
        self.ended = self._stalled(f, step.f, -inf if cut_off else q)
        compared = by_f and bool(choice.f)
        f_selection = f_on_selection(evaluator, theta, cases, f, at) if compared else None
        held_out = f_on_held_out(evaluator, theta, self.theta, cases)
        return Iteration(
            number=state.iteration,
            f_before=f,
            f_after=step.f,
            gradient_norm=norm(gradient),
            lam_before=state.lam,
            lam_after=lam,
            cg=CGRun.of(solution, warm=problem.x0 is not None),
            f_stored=choice.f if by_f else (),
            model_stored=() if by_f else choice.f,
            f_selection=f_selection,
            f_watched=along.known(cases.curvature),
            chosen=choice.iterate.steps,
            q=q,
            rho=rho,
            rho_damped=rho_damped,
            rho_judged=judged,
            f_curvature=f_curvature,
            step=step,
            step_norm=norm(update),
            cases=cases,
            mu_before=state.mu,
            mu_after=mu,
            radius_before=state.radius,
            radius_after=self.state.radius,
            f_held_out=held_out,
            settings=now,
            thresholds=recipe.thresholds(),
            events=events(solution, rho, lam, rule, step, held_out),
            seconds=clock.seconds,
            work=clock.work,
        )

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
