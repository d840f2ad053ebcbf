"""CG as HF's solver, on the CPU or on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from rop.hf.cg import pcg
from rop.hf.length import Forcing
from rop.hf.policy import Policy
from rop.hf.resident import resident_pcg
from rop.hf.schedules import Steps, value_at
from rop.hf.solution import Solution, StopRule
from rop.hf.stopping import ObjectiveRise, RelativeProgress
from rop.hf.subproblem import Subproblem
from rop.hf.trust_region import TrustRegion
from rop.hf.vectors import norm
from rop.support.constraints import Count, NotNegative


@dataclass(frozen=True)
class ConjugateGradient(Policy):
    """CG as HF's solver: its stopping rules, its trust region if any, and the iterates it keeps.

    With the CUDA engine CG runs on the GPU, if there are no pairs, no forcing, no trust region and
    no ``downhill``, D and P are diagonal, and the batch and CG's vectors fit into its memory.
    Otherwise the GPU computes the products only.

    Parameters
    ----------
    max_steps : int or Ramp
        The hard limit, between 10 and 300+; an important meta-parameter (sec. 14).
    progress : RelativeProgress or None
        The rule that stops CG when q stagnates; None switches it off.
    residual : float
        Stop when ‖r‖ <= residual · ‖b‖.
    keep : int
        The largest number of iterates in memory, n numbers each; the earliest are dropped.
    rise : ObjectiveRise or None
        The rule that stops CG when f rises; None switches it off.
    region : TrustRegion or None
        With a region this is the method of Steihaug and Toint, which starts from 0 (sec. 8.6).
    downhill : bool
        Take a steepest-descent step if the first direction has no positive curvature.
    forcing : Forcing or None
        The rule that stops CG at a residual relative to ‖∇f‖; None switches it off.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(cg=rop.hf.ConjugateGradient(max_steps=50))
    >>> print(rop.hf.Recipe().diff(recipe))
    cg.max_steps: 250 -> 50
    """

    preconditioned = True
    max_steps: Steps = 250
    progress: RelativeProgress | None = None
    residual: NotNegative = 1e-10
    keep: Count = 32
    rise: ObjectiveRise | None = None
    region: TrustRegion | None = None
    downhill: bool = True
    forcing: Forcing | None = Forcing()

    @property
    def warm(self) -> bool:
        """Whether CG may start elsewhere than at 0."""
        return self.region is None

    def solve(self, problem: Subproblem, /) -> Solution:
        """Run CG on Ax = b; see `Solver`."""
        stops: list[StopRule] = [] if self.progress is None else [self.progress]
        if self.rise is not None and problem.watch is not None:
            stops.append(self.rise.rule(problem.f, problem.watch))
        max_steps = problem.max_steps or int(value_at(self.max_steps, 0))
        resident = not (self.downhill or problem.pairs or self.forcing)
        if problem.radius == inf and resident:
            found = resident_pcg(
                problem,
                max_steps=max_steps,
                residual=self.residual,
                stops=stops,
                keep=self.keep,
            )
            if found is not None:
                return found
        forcing = 0.0
        if self.forcing is not None:
            forcing = self.forcing.eta(norm(problem.b), problem.b_norm_before)
        return pcg(
            problem.A,
            problem.b,
            problem.x0,
            problem.preconditioner,
            max_steps=max_steps,
            residual=self.residual,
            forcing=forcing,
            stops=stops,
            store=problem.store,
            keep=self.keep,
            radius=problem.radius,
            downhill=self.downhill,
            pairs=problem.pairs,
        )
