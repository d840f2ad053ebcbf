"""The record of one iteration of HF: every decision with the numbers behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rop.errors import RopTypeError
from rop.hf.along import Along
from rop.hf.batches import Draw
from rop.hf.curvature import Diagonal
from rop.hf.events import events_of
from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.line_search import Step
from rop.hf.moments import AdaptiveStep, conjugate_smoothness
from rop.hf.recipe import Recipe, Settings
from rop.hf.solution import Reason
from rop.hf.state import State
from rop.hf.trial import Trial
from rop.hf.work import Clock, Work
from rop.support import display
from rop.support.arguments import shown


@dataclass(frozen=True)
class CGRun:
    """The run of CG of one iteration: its `Solution` without the iterates.

    Attributes
    ----------
    warm : bool
        Whether CG started from ζ times an iterate of the run before, not from 0.
    steps : int
        The number of steps.
    reason : str
        Why CG stopped; see `Solution`.
    q : tuple of float
        The damped q(x_j) after every step j, from j = 0.
    stored : tuple of int
        The steps whose iterates were kept.
    residual : float
        ‖Ax - b‖ at the end.
    products : int
        The number of products with the curvature.
    multiplier : float or None
        The λ that the trust region amounts to, if the solver computes it (erratum M50).
    """

    warm: bool
    steps: int
    reason: Reason
    q: tuple[float, ...]
    stored: tuple[int, ...]
    residual: float
    products: int
    multiplier: float | None


@dataclass(frozen=True, repr=False)
class Iteration:
    """One iteration of HF: every decision, and the numbers behind it.

    Attributes
    ----------
    number : int
        The iteration's number, from 0.
    f_before, f_after : float
        f at the old and the new θ on the gradient's cases.
    gradient_norm : float
        ‖∇f‖ at the old θ.
    lam_before, lam_after : float
        λ during the iteration, and λ as adapted.
    cg : CGRun
        The run of CG.
    f_stored : tuple of (int, float)
        Steps and f(θ + x) of the iterates that the selection tried, in the order of the trials.
    model_stored : tuple of (int, float)
        The same with M(x) on the selection's cases, if the selection compares that.
    f_selection : float or None
        f(θ) on the selection's cases, to compare with ``f_stored``.
    f_watched : tuple of (int, float)
        Steps and f(θ + x) of all iterates whose f on the curvature's cases was computed.
    chosen : int
        The number of steps of the iterate that became the update δ.
    q : float
        The undamped q(δ), the predicted change of f. For a step of L-BFGS, whose ``cg.reason`` is
        "pairs", it is that of the pairs' model.
    rho : float
        The reduction ratio of the full δ on the cases that ``Recipe.reduction`` names; -inf if f
        rose there.
    rho_damped : float
        The same with the damped q(δ), which is ``cg.q[chosen]``, as the denominator (sec. 8.5).
    rho_judged : float
        The ratio that adapted λ, μ and the radius: ``rho``, ``rho_damped``, that of the step if
        ``Recipe.reduction`` says so, or -inf after a rejected update. It is inf where damping alone
        keeps the predicted gain below f's rounding error: there λ falls, whatever ρ is.
    f_reduction : tuple of (float, float)
        f before and after the full δ on the cases that ``Recipe.reduction`` names: ρ's numerator.
    f_curvature : tuple of (float, float)
        f before and after the full δ on the curvature's cases; ``f_reduction`` for a step of
        L-BFGS, which has none.
    P_range : tuple of (float, float) or None
        The least and the largest entry of the preconditioner P, before pairs correct it, if it is a
        diagonal.
    step : Step
        The line search: α and its trials.
    step_norm : float
        ‖αδ‖.
    cases : Draw
        The cases of gradient, curvature and selection, and the held-out ones.
    mu_before, mu_after : float
        μ during the iteration, and μ as adapted (sec. 8.4).
    length_before, length_after : int or None
        The limit of CG's steps during the iteration, and as adapted; None if it is not adapted.
    rho_last : float or None
        ρ of CG's last iterate on the selection's cases, which adapted the length; None without it.
    pairs : int
        The number of quasi-Newton pairs that corrected P.
    radius_before, radius_after : float or None
        The trust region's radius during the iteration, and as adapted; None without a region.
    f_held_out : tuple of (float, float) or None
        f before and after the update αδ on the held-out cases, if there are any (sec. 12.2).
    f_validation : float or None
        f at the new θ on the validation data, without the penalty; None if not evaluated.
    settings : Settings
        The values of scheduled settings at this iteration.
    thresholds : dict of str to float
        The thresholds of damping, CG and line search; see `Recipe.thresholds`.
    events : tuple of str
        Everything unusual, in words.
    seconds : dict of str to float
        Wall time of "gradient", "cg", "selection", "damping" and "line search".
    work : Work
        Gradients, losses and products of this iteration.
    adaptive : AdaptiveStep or None
        Moments and step sizes of Adaptive HF.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> it = rop.hf.minimize(f, [-1.2, 1.0], {}, dtype=np.float64).records[2]
    >>> print(it)
       2  f 4.33884 -> 3.12557  |g| 4.06e+01  lam 0  r 0.667  rho 1.15  CG 2/2 (residual)  alpha 1
    >>> print(it.explain())
    ρ = 1.15, so the radius goes 0.667 → 0.667.
    CG began from 0 and stopped at 2: the residual is 2.4e-13, the model's minimum is reached.
    Iterate 2 of 2 taken: the last one.
    α = 1 at the first try (accepted): f 4.33884 → 3.12557.
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
    f_reduction: tuple[float, float]
    f_curvature: tuple[float, float]
    P_range: tuple[float, float] | None
    step: Step
    step_norm: float
    cases: Draw
    mu_before: float
    mu_after: float
    radius_before: float | None
    radius_after: float | None
    f_held_out: tuple[float, float] | None
    f_validation: float | None
    settings: Settings
    thresholds: dict[str, float]
    events: tuple[str, ...]
    seconds: dict[str, float]
    work: Work
    adaptive: AdaptiveStep | None = None
    length_before: int | None = None
    length_after: int | None = None
    rho_last: float | None = None
    pairs: int = 0

    @property
    def rho_step(self) -> float:
        """The reduction of f by the step taken, over q of the full δ; -inf if f rose."""
        return reduction_ratio(self.f_before, self.f_after, self.q)

    @property
    def L_seen(self) -> float:  # noqa: N802
        """The L that the step taken needs in definition 1 of Adaptive HF; NaN if θ stayed.

        Where the step is so short that f hardly changes, this is rounding error.
        """
        slope = self.step.alpha * self.step.slope
        return conjugate_smoothness(self.f_before, self.f_after, slope, self.step_norm)

    def explain(self) -> str:
        """Say why λ, CG's end, the update and α are what they are, from the record alone.

        Returns
        -------
        str
            Such as "ρ = 0.85 > 3/4, so λ 0.44 × 2/3 = 0.293."; a line for each decision.
        """
        return display.words(self)

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        settings: Settings,
        cases: Draw,
        before: State,
        after: State,
        trial: Trial,
        along: Along,
        *,
        clock: Clock,
        step_norm: float,
        rho_judged: float,
        rho_last: float | None,
        adaptive: AdaptiveStep | None,
        f_validation: float | None,
    ) -> Iteration:
        """Return the record of an iteration.

        Parameters
        ----------
        recipe, settings, cases, step_norm, rho_judged, rho_last, adaptive, f_validation
            As in the record.
        before, after : State
            The state at the beginning and at the end.
        trial : Trial
            The update.
        along : Along
            f along CG's iterates.
        clock : Clock
            Time and work.

        Returns
        -------
        Iteration
            The record.
        """
        solution, choice = trial.solution, trial.choice
        problem, _, P, _ = trial.model
        by_f = recipe.selection.by == "f"
        f_held_out = None
        if cases.held_out is not None:
            f_held_out = (
                along.before(cases.held_out),
                along.evaluator.value(after.theta, cases.held_out),
            )
        return cls(
            number=before.iteration,
            f_before=trial.f,
            f_after=trial.step.f,
            gradient_norm=after.gradient_norm,
            lam_before=before.lam,
            lam_after=after.lam,
            cg=CGRun(
                problem is not None and problem.x0 is not None,
                solution.steps,
                solution.reason,
                tuple(solution.q),
                tuple(iterate.steps for iterate in solution.iterates),
                solution.residual,
                solution.products,
                solution.multiplier,
            ),
            f_curvature=trial.reduction
            if problem is None
            else along.change(cases.curvature, choice.iterate),
            f_stored=choice.f if by_f else (),
            model_stored=() if by_f else choice.f,
            f_selection=along.before(cases.selection) if by_f and choice.f else None,
            f_watched=along.computed(cases.curvature),
            chosen=choice.iterate.steps,
            q=trial.q,
            rho=trial.rho,
            rho_damped=trial.rho_damped,
            rho_judged=rho_judged,
            f_reduction=trial.reduction,
            P_range=P.inverse_range if isinstance(P, Diagonal) else None,
            step=trial.step,
            step_norm=step_norm,
            cases=cases,
            mu_before=before.mu,
            mu_after=after.mu,
            radius_before=before.radius,
            radius_after=after.radius,
            f_held_out=f_held_out,
            f_validation=f_validation,
            settings=settings,
            thresholds=recipe.thresholds(),
            events=events_of(recipe, settings, before, after, trial, rho_judged, f_held_out),
            seconds=clock.seconds,
            work=clock.work,
            adaptive=adaptive,
            length_before=None if before.limit is None else before.limit.steps,
            length_after=None if after.limit is None else after.limit.steps,
            rho_last=rho_last,
            pairs=0 if before.pairs is None else len(before.pairs),
        )

    def __repr__(self) -> str:
        return f"<Iteration {' '.join(str(self).split())}>"

    def __str__(self) -> str:
        radius = "" if self.radius_before is None else f"r {self.radius_before:.3g}  "
        return (
            f"{self.number:4d}  f {self.f_before:.6g} -> {self.f_after:.6g}  "
            f"|g| {self.gradient_norm:.2e}  lam {self.lam_before:.3g}  {radius}rho {self.rho:.2f}  "
            f"CG {self.chosen}/{self.cg.steps} ({self.cg.reason})  alpha {self.step.alpha:.2g}"
            + ("" if self.f_validation is None else f"  validation {self.f_validation:.6g}")
            + "".join(f"\n      {event}" for event in self.events)
        )


def only_iterations(name: str, records: Iterable[Iteration]) -> Iterator[Iteration]:
    """Yield records; raise RopTypeError if one is no `Iteration`.

    Parameters
    ----------
    name : str
        The argument, for the message.
    records : iterable of Iteration
        The records.

    Yields
    ------
    Iteration
        The records, in order.
    """
    for i, record in enumerate(records):
        if not isinstance(record, Iteration):
            raise RopTypeError(
                f"{name}: expected the result of rop.hf.minimize, or its records, got "
                f"{shown(record)} at place {i}"
            )
        yield record
