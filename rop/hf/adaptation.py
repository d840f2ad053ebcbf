"""How λ, the region's radius, CG's length and the cases follow from an update (sec. 8.5, 8.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import inf, nan
from typing import NamedTuple

import numpy as np

from rop.hf.damping_matrices import DampingMatrix
from rop.hf.growth import Grown
from rop.hf.length import Limit
from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.line_search import Step
from rop.hf.recipe import Recipe
from rop.hf.solution import Iterate, Solution, hidden
from rop.hf.state import State
from rop.hf.vectors import Vector, dot


@dataclass(frozen=True)
class Trial:
    """An update, what the model predicted of it, and what came true.

    Attributes
    ----------
    b : ndarray, shape (n,)
        -∇f.
    solution : Solution
        CG's run.
    chosen : Iterate
        δ, with the damped q(δ).
    q : float
        q(δ) without damping (erratum M17).
    f : float
        f(θ) on the cases of the gradient.
    reduction : tuple of (float, float)
        f(θ) and f(θ + δ) on the cases of ρ.
    last : tuple of (float, float) or None
        f(θ) and f(θ + x) at CG's last iterate, on the cases of the selection; None if the selection
        does not compare f.
    step : Step
        The line search.
    cost : float
        The work of a product with B, in gradients (erratum M24).
    own : callable, () -> float
        ρ of CG's last iterate on the curvature's cases, by the damped q.
    """

    b: Vector
    solution: Solution
    chosen: Iterate
    q: float
    f: float
    reduction: tuple[float, float]
    last: tuple[float, float] | None
    step: Step
    cost: float
    own: Callable[[], float]

    @cached_property
    def rho(self) -> float:
        """ρ = Δf / q(δ), of the full δ and the undamped q (sec. 8.5)."""
        return reduction_ratio(*self.reduction, self.q)

    @cached_property
    def rho_damped(self) -> float:
        """ρ by the damped q."""
        return reduction_ratio(*self.reduction, self.chosen.q)

    @cached_property
    def rho_last(self) -> float:
        """ρ of CG's last iterate, by the damped q."""
        if self.last is None:
            return self.rho_damped
        return reduction_ratio(*self.last, self.solution.q[-1])

    @cached_property
    def hidden(self) -> bool:
        """Whether the predicted gain is below the rounding error of f."""
        return hidden(self.q, self.f, self.chosen.x)

    @cached_property
    def cut_off(self) -> bool:
        """Whether CG was stopped before it had minimised the model."""
        return self.solution.reason in ("steps", "pairs", "f rose")


class Adapted(NamedTuple):
    """The settings of the next iteration, and the ρ by which they were chosen.

    Attributes
    ----------
    lam, mu : float
        λ and μ.
    radius : float or None
        The trust region's radius.
    limit : Limit or None
        The limit of CG's next run.
    rho : float
        The ρ by which λ or the radius was adapted.
    rho_last : float or None
        The ρ by which the length was adapted.
    grown : Grown
        The growth of the curvature's cases.
    overdamped : bool
        Whether λ falls because f hides the gain that the damped model predicts.
    """

    lam: float
    mu: float
    radius: float | None
    limit: Limit | None
    rho: float
    rho_last: float | None
    grown: Grown
    overdamped: bool


def adapted(recipe: Recipe, state: State, trial: Trial, D: DampingMatrix, most: int) -> Adapted:
    """Return the settings of the next iteration.

    Parameters
    ----------
    recipe : Recipe
        Its rules.
    state : State
        The present settings.
    trial : Trial
        The update.
    D : DampingMatrix
        D.
    most : int
        The largest length of CG.

    Returns
    -------
    Adapted
        The settings.
    """
    taken = trial.step.alpha != 0
    rho = _judged(recipe, trial) if taken else -inf
    lam, mu, radius, overdamped = state.lam, state.mu, None, False
    region, rule = recipe.cg.region, recipe.damping.rule
    curvature = nan
    if region is None:
        delta = trial.chosen.x
        half = trial.q + dot(trial.b, delta)
        curvature = _curvature_along(delta, D, lam, half)
        if lam > curvature and trial.hidden and not trial.cut_off:
            # ρ is rounding errors, and the model has more to gain with a lower λ.
            overdamped, rho = True, inf
    lam, mu = recipe.damping.adapt(lam, mu, rho)
    if rule is not None:
        lam = rule.bounded(lam, curvature)
    if region is not None and state.radius is not None:
        radius = region.adapt(state.radius, rho, trial.solution.reason == "boundary")
    limit, rho_last = state.limit, None
    if recipe.length is not None and limit is not None:
        rho_last = trial.rho_last
        limit = recipe.length.update(
            limit,
            most,
            rho=rho_last if taken else -inf,
            steps=trial.solution.steps,
            chosen=trial.chosen.steps if taken else 0,
            q=trial.solution.q,
            cost=trial.cost,
            cut_off=trial.solution.reason in ("steps", "pairs"),
            hidden=trial.hidden,
        )
    grown = state.grown
    if recipe.growth is not None and trial.solution.reason != "pairs":
        grown = recipe.growth.update(grown, trial.rho_last, trial.own)
    overdamped = overdamped and lam < state.lam
    return Adapted(lam, mu, radius, limit, rho, rho_last, grown, overdamped)


def _judged(recipe: Recipe, trial: Trial) -> float:
    """Return the ρ that the recipe's rule looks at: by which q, and of δ or of the step taken."""
    region = recipe.cg.region
    rule = recipe.damping.rule if region is None else region.rule
    damped = rule is not None and rule.model == "damped"
    if recipe.reduction == "step":
        return reduction_ratio(trial.f, trial.step.f, trial.chosen.q if damped else trial.q)
    return trial.rho_damped if damped else trial.rho


def _curvature_along(delta: Vector, D: DampingMatrix, lam: float, half: float) -> float:
    """Return δᵀBδ / δᵀDδ, at least its rounding error; NaN if λ is 0 or B's curvature negative.

    `half` is ½δᵀBδ = q(δ) + bᵀδ, a difference of numbers of about the size of the penalty.
    """
    penalty = D.penalty(delta, lam)
    noise = 10 * float(np.finfo(delta.dtype).eps) * penalty
    return lam * max(half, noise) / penalty if penalty > 0 and half > -noise else nan
