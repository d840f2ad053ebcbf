"""What happened in one iteration of HF: every decision with the numbers it was based on."""

from dataclasses import dataclass
from math import inf
from time import perf_counter

from rop.hf.batches import Draw
from rop.hf.cg import Reason, Solution
from rop.hf.damping import LevenbergMarquardt
from rop.hf.evaluation import Evaluator, Work
from rop.hf.line_search import Step


@dataclass(frozen=True)
class CGRun:
    """The run of CG of one iteration.

    Attributes
    ----------
    warm : bool
        Whether CG started from the last run's last iterate, not from 0.
    steps : int
        The number of steps.
    reason : str
        Why CG stopped.
    q : tuple of float
        The damped q(x_j) after every step j, from j = 0.
    stored : tuple of int
        The steps whose iterates were kept.
    residual : float
        ‖Ax - b‖ at the end.
    products : int
        Products with the curvature.
    """

    warm: bool
    steps: int
    reason: Reason
    q: tuple[float, ...]
    stored: tuple[int, ...]
    residual: float
    products: int


@dataclass(frozen=True)
class Iteration:
    """One iteration of HF.

    Attributes
    ----------
    number : int
        The iteration's number, from 0.
    f_before, f_after : float
        f at the old and the new θ on the gradient's cases.
    gradient_norm : float
        ‖∇f‖ at the old θ.
    lam_before, lam_after : float
        λ as used, and as adapted.
    cg : CGRun
        CG's stop reason, steps and q.
    f_stored : tuple of (int, float)
        Steps and f(θ + x) of the iterates that CG-backtracking tried, in the order of the trials.
    chosen : int
        The steps of the iterate that became the update δ.
    q : float
        The undamped q(δ), the prediction in ρ.
    rho : float
        The reduction ratio of the full δ on the curvature's cases; -inf where f rose there.
    f_curvature : tuple of (float, float)
        f before and after the full δ on the curvature's cases.
    step : Step
        The line search: α and its trials.
    step_norm : float
        ‖αδ‖.
    cases : Draw
        The cases of gradient, curvature and selection.
    events : tuple of str
        What was out of the ordinary, in words.
    seconds : dict of str to float
        Wall time of "gradient", "cg", "selection", "damping" and "line search".
    work : Work
        Gradients, losses and products of this iteration.
    """

    number: int
    f_before: float
    f_after: float
    gradient_norm: float
    lam_before: float
    lam_after: float
    cg: CGRun
    f_stored: tuple[tuple[int, float], ...]
    chosen: int
    q: float
    rho: float
    f_curvature: tuple[float, float]
    step: Step
    step_norm: float
    cases: Draw
    events: tuple[str, ...]
    seconds: dict[str, float]
    work: Work

    def __str__(self) -> str:
        return (
            f"{self.number:4d}  f {self.f_before:.6g} -> {self.f_after:.6g}  "
            f"|g| {self.gradient_norm:.2e}  lam {self.lam_before:.3g}  rho {self.rho:.2f}  "
            f"CG {self.chosen}/{self.cg.steps} ({self.cg.reason})  alpha {self.step.alpha:.2g}"
            + "".join(f"\n      {event}" for event in self.events)
        )


class Clock:
    """Wall time of the phases of an iteration, and the work since it began.

    Parameters
    ----------
    evaluator : Evaluator
        Counts the work.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.seconds: dict[str, float] = {}
        self._evaluator, self._before, self._last = evaluator, evaluator.work, perf_counter()

    def lap(self, phase: str) -> None:
        """End a phase.

        Parameters
        ----------
        phase : str
            Its name.
        """
        now = perf_counter()
        self.seconds[phase], self._last = now - self._last, now

    @property
    def work(self) -> Work:
        """The work since the iteration began."""
        return self._evaluator.work - self._before


def events(
    solution: Solution, rho: float, lam: float, rule: LevenbergMarquardt, step: Step
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
    rule : LevenbergMarquardt
        The rule that adapted λ, for its bounds.
    step : Step
        The line search.

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
    if lam in (rule.lowest, rule.highest):
        said.append(f"lam is at its bound {lam:g}")
    if step.outcome == "not a descent direction":
        said.append("the update is not a descent direction: only alpha = 1 was tried")
    if step.alpha == 0:
        said.append(f"the update was rejected after {len(step.trials)} trials: theta stays")
    return tuple(said)
