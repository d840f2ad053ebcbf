"""What was out of the ordinary in an iteration, in words."""

from math import inf

from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.line_search import Step
from rop.hf.solution import Solution


def events(
    solution: Solution,
    rho: float,
    lam: float,
    rule: LevenbergMarquardt | None,
    step: Step,
    held_out: tuple[float, float] | None,
) -> tuple[str, ...]:
    """Say in words what was out of the ordinary in an iteration, and what was done about it.

    Parameters
    ----------
    solution : Solution
        The run of CG.
    rho : float
        The reduction ratio.
    lam : float
        λ as adapted.
    rule : LevenbergMarquardt or None
        The rule that adapted λ, for its bounds.
    step : Step
        The line search.
    held_out : tuple of (float, float) or None
        f on held-out cases before and after the update.

    Returns
    -------
    tuple of str
        The events, in the order of the algorithm.
    """
    said = []
    if solution.reason == "negative curvature":
        said.append(f"CG met a direction without positive curvature after {solution.steps} steps")
    if solution.reason == "not finite":
        said.append(f"a product with the curvature was not finite after {solution.steps} CG steps")
    if not solution.usable:
        said.append("CG did not get below q(0) = 0: the next run starts from 0 (sec. 8.5)")
    if rho == -inf:
        said.append("f rose or is not a number at the full update: rho = -inf (erratum M48)")
    if rule is not None and lam in (rule.lowest, rule.highest):
        said.append(f"lam is at its bound {lam:g}")
    if step.outcome == "not a descent direction":
        said.append("the update is not a descent direction: only the first alpha was tried")
    if step.alpha == 0:
        said.append(
            f"the update was rejected after {len(step.trials)} trials: theta stays, lam rises"
        )
    if held_out is not None and not held_out[1] <= held_out[0]:
        said.append("f rose on held-out cases: the update overfits its minibatch (sec. 12.2)")
    return tuple(said)
