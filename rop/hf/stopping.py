"""When CG stops: the relative progress on q, a rise of f, a limit; and CG as HF's solver."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf

from rop.errors import RopValueError
from rop.hf.cg import pcg
from rop.hf.resident import resident_pcg
from rop.hf.schedules import Ramp, extremes, value_at
from rop.hf.solution import Iterate, Progress, Reason, Solution, StopRule
from rop.hf.subproblem import Subproblem
from rop.hf.trust_region import TrustRegion


@dataclass(frozen=True)
class RelativeProgress:
    """Stop when q hardly fell over the last k steps (sec. 4, eq. 2; erratum M13).

    With s_j = (q_j - q_{j-k}) / q_j and k = max(10, ⌈j/10⌉) CG stops at the first j > k with
    q_j < 0 and s_j < tolerance, times k if the tolerance is per step. q has q(0) = 0; the guard
    q_j < 0 keeps a warm start, where q may begin above 0, from being taken for stagnation.

    Parameters
    ----------
    tolerance : float
        5e-4 in Martens (2010), 1e-4 in the 2012 text.
    per_step : bool
        Whether the tolerance is that of the average step (2010) or of the whole window (2012).
    """

    tolerance: float = 5e-4
    per_step: bool = True
    smallest_window: int = 10
    window_fraction: float = 0.1

    def __call__(self, progress: Progress, /) -> Reason | None:
        """Return "progress" if q stagnates.

        Parameters
        ----------
        progress : Progress
            The run of CG after its latest step.

        Returns
        -------
        str or None
            The reason to stop, if there is one.
        """
        j, q = progress.steps, progress.q
        k = max(self.smallest_window, ceil(self.window_fraction * j))
        if j <= k or not q[j] < 0:
            return None
        threshold = self.tolerance * (k if self.per_step else 1)
        return "progress" if (q[j] - q[j - k]) / q[j] < threshold else None


@dataclass(frozen=True)
class ObjectiveRise:
    """Stop when f on the curvature's cases is significantly worse than some steps ago (sec. 13).

    f is looked at every few steps. CG stops at step j if q_j < 0 and f_j exceeds f_{j-window} by
    more than ``tolerance`` times the reduction of back then, f(θ) - f_{j-window} or 0; a loss that
    is not a number exceeds everything.

    Parameters
    ----------
    every : int
        How many steps lie between two looks.
    window : int
        How many steps to look back, a multiple of ``every``.
    tolerance : float
        What is significant, as a share of the reduction.
    """

    every: int = 5
    window: int = 10
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        if not (self.every >= 1 and self.window >= 1 and self.window % self.every == 0):
            raise RopValueError(
                "ObjectiveRise: expected every >= 1 and window a multiple of it, got "
                f"{self.every} and {self.window}"
            )
        if not self.tolerance >= 0:
            raise RopValueError(f"ObjectiveRise: tolerance must be >= 0, got {self.tolerance}")

    def rule(self, f: float, watch: Callable[[Iterate], float]) -> StopRule:
        """Return the stopping rule for one run of CG.

        Parameters
        ----------
        f : float
            f(θ).
        watch : callable, Iterate -> float
            f(θ + x) at an iterate x.

        Returns
        -------
        callable, Progress -> str or None
            Says "f rose", or nothing.
        """
        seen: dict[int, float] = {}

        def judge(progress: Progress, /) -> Reason | None:
            j = progress.steps
            if j % self.every:
                return None
            seen[j] = watch(Iterate(j, progress.x, progress.q[-1]))
            before = seen.get(j - self.window)
            if before is None or not progress.q[-1] < 0:
                return None
            allowed = before + self.tolerance * max(f - before, 0.0)
            return None if seen[j] <= allowed else "f rose"

        return judge


@dataclass(frozen=True)
class ConjugateGradient:
    """How HF runs CG: its stopping rules, its trust region if any, and the memory for its iterates.

    With the CUDA engine all of CG's vectors stay on the GPU and the host looks every few steps, if
    there is no trust region and no ``downhill``, the damping matrix is diagonal, P too, and batch
    and vectors fit. Otherwise, as with the other engines, the vectors are the host's.

    Parameters
    ----------
    max_steps : int or Ramp
        The hard limit, between 10 and 300+; an important meta-parameter (sec. 14).
    progress : RelativeProgress or None
        The progress rule; None leaves only the other stops.
    residual : float
        Stop when ‖r‖ <= residual · ‖b‖.
    keep : int
        The most iterates held in memory, each of n numbers; the earliest are dropped.
    rise : ObjectiveRise or None
        The rule that looks at f, if it is wanted.
    region : TrustRegion or None
        With one, this is the method of Steihaug and Toint, which starts from 0 (sec. 8.6).
    downhill : bool
        Take a step of steepest descent where already the first direction has no positive curvature.
    """

    max_steps: int | Ramp = 250
    progress: RelativeProgress | None = RelativeProgress()
    residual: float = 1e-10
    keep: int = 32
    rise: ObjectiveRise | None = None
    region: TrustRegion | None = None
    downhill: bool = False

    def __post_init__(self) -> None:
        if min(extremes(self.max_steps)) < 1 or self.keep < 1:
            raise RopValueError(
                "ConjugateGradient: max_steps and keep must be at least 1, "
                f"got {self.max_steps} and {self.keep}"
            )

    @property
    def warm(self) -> bool:
        """Whether CG may start elsewhere than at 0."""
        return self.region is None

    def solve(self, problem: Subproblem, /) -> Solution:
        """Run CG on Ax = b.

        Parameters
        ----------
        problem : Subproblem
            The model.

        Returns
        -------
        Solution
            The wanted iterates and the reason for stopping.
        """
        stops: list[StopRule] = [] if self.progress is None else [self.progress]
        if self.rise is not None and problem.watch is not None:
            stops.append(self.rise.rule(problem.f, problem.watch))
        max_steps = problem.max_steps or int(value_at(self.max_steps, 0))
        if problem.radius == inf and not self.downhill:
            found = resident_pcg(
                problem,
                max_steps=max_steps,
                residual=self.residual,
                stops=stops,
                keep=self.keep,
            )
            if found is not None:
                return found
        return pcg(
            problem.A,
            problem.b,
            problem.x0,
            problem.preconditioner,
            max_steps=max_steps,
            residual=self.residual,
            stops=stops,
            store=problem.store,
            keep=self.keep,
            radius=problem.radius,
            downhill=self.downhill,
        )
