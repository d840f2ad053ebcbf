"""What was unusual in an iteration, in words."""

from __future__ import annotations

from math import inf, isfinite

from rop.hf.conjugate_gradient import ConjugateGradient
from rop.hf.length import Limit
from rop.hf.recipe import Recipe, Settings
from rop.hf.state import State
from rop.hf.trial import Trial
from rop.support.words import counted

ORDINARY = "f is higher at the full update"
"""The event that belongs to HF's everyday: the line search and λ are there for it."""


def events_of(
    recipe: Recipe,
    settings: Settings,
    before: State,
    after: State,
    trial: Trial,
    rho_judged: float,
    f_held_out: tuple[float, float] | None,
) -> tuple[str, ...]:
    """Everything unusual and how it was handled, in the order of the algorithm.

    Parameters
    ----------
    recipe, settings
        Those of the iteration.
    before, after : State
        The state at the beginning and at the end.
    trial : Trial
        The update.
    rho_judged : float
        The ρ by which λ or the radius was adapted.
    f_held_out : tuple of (float, float) or None
        f before and after the step on the held-out cases.

    Returns
    -------
    tuple of str
        Everything unusual, in words.
    """
    said = []
    solution, step, lam = trial.solution, trial.step, after.lam
    rule, solver = recipe.damping.rule, type(recipe.cg).__name__
    adapted = "" if rule is None else "lam rises"
    if recipe.cg.region is not None:
        adapted = "the radius falls"
    elif lam == 0:
        adapted = "CG's next run is shorter" if _shorter(before.limit, after.limit) else ""
    if isinstance(recipe.cg, ConjugateGradient):
        solver = "CG"
        wanted = [s for s in recipe.selection.wanted(settings.max_steps) if s <= solution.steps]
        if len(wanted) > sum(iterate.steps in wanted for iterate in solution.iterates):
            said.append(
                f"CG kept the last {recipe.cg.keep} of {len(wanted)} wanted iterates: raise keep "
                "to choose among all"
            )
    if solution.reason == "negative curvature":
        said.append(
            f"{solver} met a direction without positive curvature after "
            f"{counted(solution.steps, 'step')}"
        )
    if solution.reason == "not finite":
        said.append(
            "a product with the curvature was not finite after "
            f"{counted(solution.steps, f'{solver} step')}"
        )
    if not solution.usable:
        said.append(
            f"{solver} found nothing better than an update of 0: its next run starts from 0"
        )
    if rho_judged == inf:
        said.append("damping keeps the predicted gain below the rounding error of f: lam falls")
    elif trial.rho == -inf:
        f, full = trial.reduction
        what = ORDINARY if isfinite(full) else "f is not a number at the full update"
        what = "the model predicts no change of f" if full <= f else what
        handled = [adapted] if adapted else []
        handled += ["a shorter step is taken"] if 0 < step.alpha < 1 else []
        said.append(f"{what}{': ' if handled else ''}{', and '.join(handled)}")
    if rule is not None and lam > 0 and lam in (rule.lowest, rule.highest):
        said.append(f"lam is at its bound {lam:g}")
    if step.outcome == "not a descent direction":
        said.append("the update is not a descent direction: only the first alpha was tried")
    if step.outcome == "unchecked" and not step.f <= trial.f:
        said.append("f rose, and the step was taken unchecked")
    if step.alpha == 0:
        alpha, value = step.trials[-1]
        why = "no step along it lowers f" if isfinite(value) else "f is not finite along it"
        why = why if alpha else "its step size is not above 0"
        what = f"the update was rejected, as {why}: theta stays"
        said.append(f"{what}, {adapted}" if adapted else what)
    if before.grown.times < after.grown.times:
        said.append(
            "the model holds on the curvature's cases and not on others: it takes "
            f"{after.grown.times:g} times as many as at first from now on (sec. 12)"
        )
    if f_held_out is not None and not f_held_out[1] <= f_held_out[0]:
        said.append("f rose on held-out cases: the update overfits its minibatch (sec. 12.2)")
    return tuple(said)


def _shorter(before: Limit | None, after: Limit | None) -> bool:
    return before is not None and after is not None and after.steps < before.steps
