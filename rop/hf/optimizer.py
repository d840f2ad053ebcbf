"""Hessian-free optimization, algorithm 3, as an iterator over its decisions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import inf, isfinite, nan
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.engines import DEFAULT_ENGINE
from rop.engines.arrays import finite
from rop.errors import RopError, RopTypeError, RopValueError
from rop.hf.adaptation import Adapted, adapted
from rop.hf.along import Along
from rop.hf.batches import Cases, Draw
from rop.hf.damping_matrices import Identity
from rop.hf.evaluation import evaluator_of
from rop.hf.length import Limit
from rop.hf.pairs import Memory
from rop.hf.policy import UndefinedError
from rop.hf.preconditioners import NoPreconditioner, Preconditioner
from rop.hf.products import CurvatureProduct
from rop.hf.recipe import Recipe, Settings, named
from rop.hf.record import Iteration
from rop.hf.state import Ended, State
from rop.hf.streams import Data, Stream
from rop.hf.subproblem import Subproblem
from rop.hf.trial import Model, Trial
from rop.hf.validation import Validation
from rop.hf.vectors import Vector, dot, norm
from rop.hf.work import Clock
from rop.losses import TableLoss
from rop.objective.inputs import flat
from rop.objective.objective import Objective
from rop.programs.loss import Loss
from rop.support.arguments import checked, shown
from rop.support.constraints import Count, NotNegative

__all__ = ["Ended", "HessianFree", "State"]

# λ · 1.5⁶⁰ = 4e10 λ: if so many updates in a row fail, more damping does not help.
_MOST_REJECTED = 60


def _float(owner: str, dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64; raises RopTypeError for all else, NumPy's meaning of None too."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if dtype is None or kind not in (np.float32, np.float64):
        raise RopTypeError(f"{owner}: dtype must be float32 or float64, got {shown(dtype)}")
    return kind


class HessianFree(Iterator[Iteration]):
    """Minimise f with HF; each step of the iterator is one iteration of algorithm 3.

    The iterator stops when no further iteration makes sense. ``ended`` then says why: "gradient"
    (‖∇f‖ is small enough), "precision" (the predicted gain is below the rounding error of f, and
    less than a quarter of it came true), "not finite" (f or ∇f at θ), "rejected" (60 updates in a
    row), "undefined" (damping or preconditioner at θ; ``error`` says what), "validation" (f on the
    validation data has not fallen for too long). θ changes only when an iteration is complete, and
    never to a point where f on the gradient's cases is not a number, or larger unless there is no
    line search.

    Anything less serious is handled and listed in the record's ``events``. If f rises or is not a
    number at the full update, ρ = -inf, which raises λ. If no α is acceptable, or the update is
    not a descent direction and does not lower f, θ stays and λ rises too. If CG meets negative
    curvature, its last iterate is used; if CG ends above q(0) = 0, the next run starts from 0. λ
    stays within the bounds of its rule.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0; it is copied.
    data : mapping of str to ndarray, shape (N, ...), or Stream
        The training set by the names of the objective's data, empty if it has none; or a `Stream`,
        which draws other cases for each iteration.
    recipe : Recipe or str, optional
        The settings, or the name of a recipe such as "martens2010" (see `rop.hf.recipes`); by
        default ``Recipe()``, and "newton" for an objective without a loss.
    engine : str
        The engine of the products: "numba", "numpy" or "cuda".
    dtype : dtype
        The dtype of θ and of all arithmetic but CG's scalars, float32 or float64.
    gradient_norm : float
        Stop if ‖∇f‖ is at most this.
    validation : mapping of str to ndarray, shape (M, ...), optional
        Data that training does not use. f on them, without the penalty, is in the records, and the
        θ where it is lowest in ``state.best``.
    validate_every : int
        Evaluate f on the validation data after every so many iterations, and at θ_0.
    patience : int, optional
        Stop after so many evaluations in a row without a lower f on the validation data.

    Attributes
    ----------
    state : State
        What the next iteration begins with. Set it to continue from another state.
    ended : str or None
        Why no further iteration is possible.
    error : RopError or None
        What is wrong with damping or preconditioner if ``ended`` is "undefined". At the first
        iteration the error is raised instead.

    Raises
    ------
    RopValueError
        If θ does not fit the objective, the data differ in their number of cases, the stream has
        no batches, or the dtype is not float32 or float64.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> for it in rop.hf.HessianFree(f, [-1.2, 1.0], {}, dtype=np.float64):
    ...     if it.f_after < 1e-8:
    ...         break
    >>> it.number, it.f_after < 1e-8
    (18, True)
    """

    @checked
    def __init__(
        self,
        objective: Objective,
        theta: npt.ArrayLike,
        data: Data,
        recipe: Recipe | str | None = None,
        *,
        engine: str = DEFAULT_ENGINE,
        dtype: npt.DTypeLike = np.float32,
        gradient_norm: NotNegative = 0.0,
        validation: Mapping[str, npt.ArrayLike] | None = None,
        validate_every: Count = 1,
        patience: Count | None = None,
    ) -> None:
        with np.errstate(over="ignore"):  # infinity is refused by name
            first = flat(theta, objective.n).astype(_float("HessianFree", dtype))
        if first.shape != (objective.n,):
            raise RopValueError(
                f"HessianFree: theta must have the objective's shape ({objective.n},), got "
                f"{first.shape}; objective.pack makes one of named arrays"
            )
        finite("theta", first)
        self.recipe = _suited(recipe, objective)
        self.gradient_norm = gradient_norm
        self._stream, self._drawn = data if isinstance(data, Stream) else None, 0
        self._evaluator_of = partial(
            evaluator_of,
            objective,
            engine=engine,
            chunk=self.recipe.batches.chunk,
            keep=self.recipe.pairs is not None,
        )
        self.evaluator = self._evaluator_of(data.first() if isinstance(data, Stream) else data)
        self.validation: Validation | None = None
        if validation is not None:
            held_out = self._evaluator_of(validation)
            self.validation = Validation(held_out, validate_every, patience)
        elif patience is not None:
            raise RopValueError("HessianFree: patience needs validation=, data to be judged by")
        damping, region = self.recipe.damping, self.recipe.cg.region
        radius = None if region is None else region.radius
        limit = None if self.recipe.length is None else Limit(self.recipe.length.first)
        self.state = State(0, first, damping.lam, damping.mu, radius, None, 0, nan, limit=limit)
        self._memory = Memory()
        self.ended: Ended | None = None
        self.error: RopError | None = None
        cases = self.evaluator.cases
        if self.recipe.batches.draw(0, cases).curvature.size == 1 < cases:
            warnings.warn(
                f"the curvature uses one case of {cases}: its rank is at most the number of "
                "outputs, and only damping bounds the update elsewhere; give a larger "
                "curvature=, 1.0 for all cases",
                stacklevel=3,
            )

    @property
    def theta(self) -> Vector:
        """The present θ."""
        return self.state.theta

    @np.errstate(over="ignore", invalid="ignore")  # isfinite tests the values that matter
    def __next__(self) -> Iteration:
        if self.ended is not None:
            raise StopIteration
        state = self.state
        if self._stream is not None and state.iteration != self._drawn:
            self.evaluator = self._evaluator_of(self._stream(state.iteration))
            self._drawn = state.iteration
        try:
            return self._iterate()
        except UndefinedError as error:
            if state.iteration == 0:
                raise
            self.ended, self.error = "undefined", error
            raise StopIteration from None

    def _iterate(self) -> Iteration:
        """Do one iteration: each line of algorithm 3 is a comment."""
        recipe, state, evaluator = self.recipe, self.state, self.evaluator
        clock = Clock(lambda: evaluator.work)
        theta, lam = state.theta, state.lam  # θ_{k-1} and λ
        now = recipe.settings(state.iteration)
        evaluator.penalise(now.l2)

        # Select a set of points S for the gradient, and a set S' for the curvature: sec. 12.
        # Both at once, as S' is a part of S.
        cases = recipe.batches.draw(state.iteration, evaluator.cases, state.grown.times)
        whole = self._stream is None and cases.gradient.size == evaluator.cases
        most = now.max_steps if state.limit is None else min(state.limit.steps, now.max_steps)
        # A step of L-BFGS needs no product, and P at an earlier θ does.
        lbfgs = recipe.pairs if whole and most == 1 and _length_known(state) else None

        # b <- -∇f(θ_{k-1}) on S: sec. 2. The diagonal for P may come with it (sec. 11.3).
        policy = recipe.preconditioner if recipe.cg.preconditioned else NoPreconditioner()
        f, gradient, diagonal = evaluator.gradient(
            theta,
            cases.gradient,
            policy if policy.cases == "gradient" and lbfgs is None else None,
            state.seed,
            recipe.damping.structural(lam, state.mu),
        )
        b, size = -gradient, norm(gradient)

        # while solution is not satisfactory do. Here, as ∇f says whether it is.
        if self.validation is not None:
            state = self.validation.begin(state)
        self.state = replace(state, f=f)
        self.ended = self._converged(f, size)
        if self.ended is not None:
            raise StopIteration

        # B, D, P, A and x_0: in _model. Then δ <- PCG(b, A, x_0, P): alg. 2.
        along = Along(evaluator, theta, {cases.gradient: f})
        if lbfgs is None:
            model = self._model(now, cases, most, b, along, policy, diagonal)
            assert model.problem is not None
            clock.lap("gradient")
            solution = recipe.cg.solve(model.problem)
        else:
            P = policy.inverse(state.diagonal, 0.0, evaluator.objective)
            model = Model(None, Identity(), P, state.diagonal)
            clock.lap("gradient")
            solution = lbfgs.step(b, lbfgs.inverse(P, state.pairs))
        clock.lap("cg")

        # CG-backtracking: sec. 8.7. δ is one of CG's iterates.
        by_f = recipe.selection.by == "f"
        choice = recipe.selection.choose(
            solution.iterates,
            partial(along.after, cases.selection)
            if by_f
            else along.model(cases.selection, recipe.curvature),
            partial(along.before, cases.selection) if by_f else None,
        )
        delta = choice.iterate.x
        clock.lap("selection")

        # f(θ + δ) and q(δ) for ρ, of the full δ: sec. 8.5, erratum M17. q is the undamped model.
        if recipe.pairs is not None and whole:
            along.with_gradient(cases.gradient, choice.iterate)
        compared = cases.curvature if recipe.reduction == "curvature" else cases.gradient
        reduction = along.change(compared, choice.iterate)
        q = choice.iterate.q - model.D.penalty(delta, lam)
        last = None
        if recipe.length is not None and by_f and choice.f:
            last = along.before(cases.selection), choice.f[0][1]
        clock.lap("damping")

        # The direction p that θ moves in: δ, or moments of δ with a step size of their own.
        p, first, averages, adaptive = delta, now.learning_rate, state.averages, None
        if recipe.moments is not None:
            p, averages, adaptive = recipe.moments.advance(
                averages, state.iteration + 1, f, gradient, delta
            )
            if recipe.moments.size is not None:
                first = max(getattr(adaptive, recipe.moments.size), 0.0)

        # Compute a step-size α: sec. 8.8.
        step = recipe.line_search.search(
            lambda alpha: evaluator.value(theta + scaled(alpha, p), cases.gradient),
            f,
            dot(gradient, p),
            along.after(cases.gradient, choice.iterate) if first == 1 and p is delta else None,
            first,
        )
        clock.lap("line search")

        # Update λ with the Levenberg-Marquardt method: sec. 8.5. After α, as a rejected update
        # raises λ whatever ρ is. The trust region's radius and CG's length follow too.
        cost = _cost(recipe.curvature, cases)
        own = partial(along.ratio, cases.curvature, solution.iterates[-1], b)
        trial = Trial(b, model, solution, choice, q, f, reduction, last, step, cost, own)
        new = adapted(recipe, state, trial, now.max_steps)

        # θ_k <- θ_{k-1} + αδ, k <- k + 1.
        update = scaled(step.alpha, p)
        theta = theta + update if step.alpha else theta
        self.state = replace(
            state,
            iteration=state.iteration + 1,
            theta=theta,
            lam=new.lam,
            mu=new.mu,
            radius=new.radius,
            start=recipe.next_start(
                state.iteration, solution, delta, partial(along.after, cases.curvature)
            ),
            rejected=0 if step.alpha or new.overdamped else state.rejected + 1,
            f=step.f,
            averages=averages,
            limit=new.limit,
            pairs=self._pairs(trial, theta, update, cases.gradient if whole else None),
            diagonal=model.diagonal if recipe.pairs is not None else None,
            gradient_norm=size,
            grown=new.grown if cases.curvature.size < cases.gradient.size else state.grown,
        )
        self.ended = self._stalled(state, trial, new, whole)
        f_validation = None
        if self.validation is not None:
            self.state, f_validation = self.validation.judge(self.state)
            if self.ended is None and self.validation.exhausted(self.state):
                self.ended = "validation"
        return Iteration.of(
            recipe,
            now,
            cases,
            state,
            self.state,
            trial,
            along,
            clock=clock,
            step_norm=norm(update),
            rho_judged=new.rho,
            rho_last=new.rho_last,
            adaptive=adaptive,
            f_validation=f_validation,
        )

    def _model(
        self,
        now: Settings,
        cases: Draw,
        most: int,
        b: Vector,
        along: Along,
        policy: Preconditioner,
        diagonal: Vector | None,
    ) -> Model:
        """Return the model that CG minimises: the lines of algorithm 3 between b and PCG."""
        recipe, state, evaluator = self.recipe, self.state, self.evaluator
        lam, mu = state.lam, state.mu
        structural = recipe.damping.structural(lam, mu)

        # B(v) = G(θ_{k-1})v on S': sec. 6. One linearization for all products (sec. 7.1).
        at = evaluator.linearize(state.theta, cases.curvature)
        own = None
        if recipe.growth is not None:
            evaluator.gradients += 1
            own = at.gradient()
        along.know(cases.curvature, at.value, own)
        B = CurvatureProduct(at, recipe.curvature, structural, evaluator)

        # Compute a damping matrix D: sec. 8. Before P, which contains diag(D) (erratum M58).
        D = recipe.damping.matrix(at, mu, state.seed)

        # Compute a preconditioner P at θ_{k-1}: sec. 11, erratum M15. P is r ↦ P⁻¹r here.
        if policy.cases == "curvature":
            diagonal = policy.diagonal(at, state.seed, structural)
        P = policy.inverse(diagonal, D.diagonal(lam), evaluator.objective)
        corrected = P if recipe.pairs is None else recipe.pairs.inverse(P, state.pairs)

        # Define A(v) = B(v) + λDv on S': sec. 6.
        A = D.damp(B, lam)

        # Choose a decay constant ζ; x_0 = ζδ_{k-1}: sec. 10, erratum M16 on what δ_{k-1} is.
        start = state.start if recipe.cg.warm and now.decay > 0 else None
        x_0 = None if start is None else scaled(now.decay, start)

        problem = Subproblem(
            A,
            b,
            x_0,
            corrected,
            radius=inf if state.radius is None else state.radius,
            semidefinite=recipe.curvature == "ggn" and _convex(evaluator.objective.loss),
            max_steps=most,
            store=recipe.selection.wanted(most),
            f=at.value,
            watch=partial(along.after, cases.curvature),
            objective=lambda x: evaluator.gradient(state.theta + x, cases.selection)[:2],
            b_norm_before=state.gradient_norm,
            pairs=0 if recipe.pairs is None else recipe.pairs.number(state.theta),
        )
        return Model(problem, D, P, diagonal)

    def _pairs(
        self, trial: Trial, theta: Vector, update: Vector, whole: Cases | None
    ) -> Vector | None:
        """Return the quasi-Newton pairs after an update; ``whole`` are all cases, if ∇f uses them.

        None after a rejected update, which the pairs may be to blame for.
        """
        recipe, state = self.recipe, self.state
        if recipe.pairs is None or trial.step.alpha == 0:
            return None
        found = list(trial.solution.pairs)
        if whole is not None:
            y = self.evaluator.ahead(theta, whole)[1] + trial.b
            if trial.solution.steps == 1:
                found = []  # its one pair is along the update, and from fewer cases
            found.append((update, y + trial.model.D.diagonal(state.lam) * update))
        return recipe.pairs.update(state.pairs, found, self._memory)

    def _converged(self, f: float, size: float) -> Ended | None:
        if not (isfinite(f) and isfinite(size)):
            return "not finite"
        return "gradient" if size <= self.gradient_norm else None

    def _stalled(self, before: State, trial: Trial, new: Adapted, whole: bool) -> Ended | None:
        """Return why no further iteration makes sense, or None."""
        if new.overdamped:
            return None
        f_reduction = trial.f - trial.step.f
        unseen = trial.hidden and not trial.cut_off and trial.step.outcome != "unchecked"
        if unseen and f_reduction < -trial.q / 4:
            return "precision"
        # Without λ, pairs and more steps than one, the next update is along the same direction.
        limit = before.limit
        alone = before.lam == 0 and before.pairs is None and new.radius is None and whole
        most = 1 if alone and limit is not None and limit.steps == 1 else _MOST_REJECTED
        return "rejected" if self.state.rejected >= most else None


def _length_known(state: State) -> bool:
    """Whether pairs know the length of a step that only CG's limit damps."""
    damped_by_length = state.limit is not None and state.lam == 0 and state.radius is None
    return damped_by_length and state.pairs is not None and not state.rejected


def _cost(curvature: str, cases: Draw) -> float:
    """Return the work of a product, in gradients (erratum M24)."""
    return (4 / 3 if curvature == "ggn" else 2) * cases.curvature.size / cases.gradient.size


def _convex(loss: Loss) -> bool:
    """Whether L'' is known to be positive semidefinite, so that G is."""
    return isinstance(loss, TableLoss) or getattr(loss, "convexify", None) is not None


def scaled(factor: float, x: Vector) -> Vector:
    """Return factor · x, a new vector of x's dtype."""
    return np.multiply(x, factor, dtype=x.dtype)


def _suited(recipe: Recipe | str | None, objective: Objective) -> Recipe:
    """Return the recipe; an objective without a loss has no G, so HF takes H, by default newton."""
    if not objective.by_itself:
        return named(recipe)
    return replace(named("newton" if recipe in (None, "default") else recipe), curvature="hessian")
