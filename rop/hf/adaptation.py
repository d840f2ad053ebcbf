"""How λ, the region's radius, CG's length and the cases follow from an update (sec. 8.5, 8.6)."""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple

import numpy as np

from rop.hf.damping_matrices import DampingMatrix
from rop.hf.growth import Grown
from rop.hf.length import Limit
from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.recipe import Recipe
from rop.hf.state import State
from rop.hf.trial import Trial
from rop.hf.vectors import Vector, dot


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


def adapted(recipe: Recipe, state: State, trial: Trial, most: int) -> Adapted:
    """Return the settings of the next iteration.

    Parameters
    ----------
    recipe : Recipe
        Its rules.
    state : State
        The present settings.
    trial : Trial
        The update.
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
        curvature = _curvature_along(delta, trial.model.D, lam, half)
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
