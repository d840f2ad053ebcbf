"""Phases of an iteration of algorithm 3 in which policies meet; each is a function."""

from collections.abc import Callable
from functools import partial
from math import inf, isfinite

import numpy as np

from rop.hf.along import Along
from rop.hf.batches import Draw
from rop.hf.curvature import Operator
from rop.hf.damping import Penalty
from rop.hf.evaluation import Evaluator
from rop.hf.preconditioners import NoPreconditioner
from rop.hf.products import CurvatureProduct
from rop.hf.recipe import Recipe
from rop.hf.solution import Iterate, Solution
from rop.hf.state import State
from rop.hf.subproblem import Subproblem
from rop.hf.vectors import Vector
from rop.objective.linearization import Linearization


def gradient(
    recipe: Recipe, evaluator: Evaluator, state: State, cases: Draw
) -> tuple[float, Vector, Vector | None]:
    """Return f, ∇f and, if it comes along with them, the preconditioner's diagonal (sec. 11.3).

    Parameters
    ----------
    recipe : Recipe
        The settings.
    evaluator : Evaluator
        Evaluates f, ∇f and linearizations.
    state : State
        What the iteration began with.
    cases : Draw
        The cases of the iteration.

    Returns
    -------
    tuple
        f, ∇f of shape (n,), and the diagonal of shape (n,) or None.
    """
    comes_along = recipe.preconditioner.cases == "gradient"
    preconditioner = recipe.preconditioner if comes_along else NoPreconditioner()
    mu = recipe.damping.structural(state.lam, state.mu)
    return evaluator.gradient(state.theta, cases.gradient, preconditioner, state.seed, mu)


def subproblem(
    recipe: Recipe,
    evaluator: Evaluator,
    state: State,
    at: Linearization,
    penalty: Penalty,
    gradient: Vector,
    diagonal: Vector | None,
    along: Along,
    cases: Draw,
) -> Subproblem:
    """Return the damped quadratic model with all that its solver may ask for.

    Parameters
    ----------
    recipe : Recipe
        The settings.
    evaluator : Evaluator
        Evaluates f, ∇f and linearizations.
    state : State
        What the iteration began with.
    at : Linearization
        The objective at θ on the curvature's cases.
    penalty : Penalty
        The damping at θ.
    gradient : ndarray, shape (n,)
        ∇f.
    diagonal : ndarray, shape (n,), or None
        The preconditioner's diagonal, if it came along with ∇f.
    along : Along
        f along the iterates.
    cases : Draw
        The cases of the iteration.

    Returns
    -------
    Subproblem
        The model, and where to start.
    """
    now = recipe.settings(state.iteration)
    mu = recipe.damping.structural(state.lam, state.mu)
    product = CurvatureProduct(at, recipe.curvature, mu, evaluator)

    def f_and_gradient(x: Vector) -> tuple[float, Vector]:
        return evaluator.gradient(state.theta + x, cases.selection, NoPreconditioner())[:2]

    start = state.start if recipe.cg.warm and now.decay > 0 else None
    return Subproblem(
        A=penalty.damp(product, state.lam),
        b=-gradient,
        x0=None if start is None else scaled(now.decay, start),  # sec. 10
        preconditioner=_inverse(recipe, evaluator, state, at, penalty, diagonal, mu),
        radius=inf if state.radius is None else state.radius,
        semidefinite=recipe.curvature == "ggn",
        max_steps=now.max_steps,
        store=recipe.selection.wanted(now.max_steps),
        f=at.value,
        watch=partial(along.f, cases.curvature),
        objective=f_and_gradient,
    )


def _inverse(
    recipe: Recipe,
    evaluator: Evaluator,
    state: State,
    at: Linearization,
    penalty: Penalty,
    diagonal: Vector | None,
    mu: float,
) -> Operator | None:
    if recipe.preconditioner.cases == "curvature":
        diagonal = recipe.preconditioner.diagonal(at, state.seed, mu)
    damping = penalty.diagonal(state.lam)
    return recipe.preconditioner.inverse(diagonal, damping, evaluator.objective)


def next_start(
    recipe: Recipe,
    state: State,
    solution: Solution,
    delta: Vector,
    f: Callable[[Iterate], float],
) -> Vector | None:
    """Return where the next run of CG starts, before decay; None is 0 (sec. 8.5, 10).

    Parameters
    ----------
    recipe : Recipe
        The settings.
    state : State
        What the iteration began with.
    solution : Solution
        What the solver found.
    delta : ndarray, shape (n,)
        The update δ.
    f : callable, Iterate -> float
        f(θ + x) on the curvature's cases.

    Returns
    -------
    ndarray, shape (n,), or None
        An iterate of CG.
    """
    restart = recipe.restart is not None and (state.iteration + 1) % recipe.restart == 0
    # Where CG reached the minimum there is nothing left to go on with.
    if not solution.usable or solution.reason == "residual" or restart:
        return None
    if recipe.start == "chosen":
        return delta
    if recipe.start == "best":
        known = [(f(iterate), iterate) for iterate in solution.iterates]
        finite = [pair for pair in known if isfinite(pair[0])]
        return min(finite, key=lambda pair: pair[0])[1].x if finite else None
    return solution.x


def radius(recipe: Recipe, state: State, rho: float, solution: Solution) -> float | None:
    """Return the next radius of the trust region, if there is one (sec. 8.6).

    Parameters
    ----------
    recipe : Recipe
        The settings.
    state : State
        What the iteration began with.
    rho : float
        The ratio that counts; -inf after a failed update.
    solution : Solution
        What the solver found.

    Returns
    -------
    float or None
        The radius.
    """
    if recipe.cg.region is None or state.radius is None:
        return None
    return recipe.cg.region.adapt(state.radius, rho, solution.reason == "boundary")


def scaled(factor: float, x: Vector) -> Vector:
    """Return factor · x in x's dtype.

    Parameters
    ----------
    factor : float
        The factor.
    x : ndarray, shape (n,)
        The vector.

    Returns
    -------
    ndarray, shape (n,)
        A new vector.
    """
    return np.multiply(x, factor, dtype=x.dtype)
