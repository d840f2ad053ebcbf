"""What happened in one iteration of HF: every decision with the numbers it was based on."""

from dataclasses import dataclass
from time import perf_counter

from rop.hf.batches import Draw
from rop.hf.evaluation import Evaluator, Work
from rop.hf.line_search import Step
from rop.hf.recipe import Settings
from rop.hf.solution import Reason, Solution


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
    multiplier : float or None
        The λ that the trust region amounts to, where the solver knows it (erratum M50).
    """

    warm: bool
    steps: int
    reason: Reason
    q: tuple[float, ...]
    stored: tuple[int, ...]
    residual: float
    products: int
    multiplier: float | None

    @classmethod
    def of(cls, solution: Solution, warm: bool) -> "CGRun":
        """Return the record of a solution.

        Parameters
        ----------
        solution : Solution
            What the solver found.
        warm : bool
            Whether it started elsewhere than at 0.

        Returns
        -------
        CGRun
            All of it but the iterates.
        """
        return cls(
            warm=warm,
            steps=solution.steps,
            reason=solution.reason,
            q=tuple(solution.q),
            stored=tuple(iterate.steps for iterate in solution.iterates),
            residual=solution.residual,
            products=solution.products,
            multiplier=solution.multiplier,
        )


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
        Steps and f(θ + x) of the iterates that the selection tried, in the order of the trials.
    model_stored : tuple of (int, float)
        The same with M(x) on the selection's cases, where it goes by that.
    f_selection : float or None
        f(θ) on the selection's cases, where ``f_stored`` has values to compare with it.
    f_watched : tuple of (int, float)
        Steps and f(θ + x) of all iterates at which f on the curvature's cases was looked at.
    chosen : int
        The steps of the iterate that became the update δ.
    q : float
        The undamped q(δ), the prediction in ρ.
    rho : float
        The reduction ratio of the full δ on the curvature's cases; -inf where f rose there.
    rho_damped : float
        The same with the damped q(δ), which is ``cg.q[chosen]``, as the denominator (sec. 8.5).
    rho_judged : float
        The ratio by which λ, μ and the radius were adapted: one of these, or -inf after a rejected
        update.
    f_curvature : tuple of (float, float)
        f before and after the full δ on the curvature's cases.
    step : Step
        The line search: α and its trials.
    step_norm : float
        ‖αδ‖.
    cases : Draw
        The cases of gradient, curvature and selection, and the held-out ones.
    mu_before, mu_after : float
        μ as used, and as adapted (sec. 8.4).
    radius_before, radius_after : float or None
        The trust region's radius as used, and as adapted; None without one.
    f_held_out : tuple of (float, float) or None
        f before and after the update αδ on the held-out cases, if there are any.
    settings : Settings
        What scheduled settings were at this iteration.
    thresholds : dict of str to float
        The numbers by which damping, CG and line search decided; see `Recipe.thresholds`.
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
    model_stored: tuple[tuple[int, float], ...]
    f_selection: float | None
    f_watched: tuple[tuple[int, float], ...]
    chosen: int
    q: float
    rho: float
    rho_damped: float
    rho_judged: float
    f_curvature: tuple[float, float]
    step: Step
    step_norm: float
    cases: Draw
    mu_before: float
    mu_after: float
    radius_before: float | None
    radius_after: float | None
    f_held_out: tuple[float, float] | None
    settings: Settings
    thresholds: dict[str, float]
    events: tuple[str, ...]
    seconds: dict[str, float]
    work: Work

    def __str__(self) -> str:
        radius = "" if self.radius_before is None else f"r {self.radius_before:.3g}  "
        return (
            f"{self.number:4d}  f {self.f_before:.6g} -> {self.f_after:.6g}  "
            f"|g| {self.gradient_norm:.2e}  lam {self.lam_before:.3g}  {radius}rho {self.rho:.2f}  "
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
