"""When CG stops: the relative progress on q, in the 2010 and the 2012 form, and a step limit."""

from collections.abc import Container
from dataclasses import dataclass
from math import ceil

from rop.errors import RopValueError
from rop.hf.cg import Operator, Progress, Reason, Solution, pcg
from rop.hf.vectors import Vector


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
class ConjugateGradient:
    """How HF runs CG: its stopping rules and the memory for its iterates.

    Parameters
    ----------
    max_steps : int
        The hard limit, between 10 and 300+; an important meta-parameter (sec. 14).
    progress : RelativeProgress or None
        The progress rule; None leaves only the other stops.
    residual : float
        Stop when ‖r‖ <= residual · ‖b‖.
    keep : int
        The most iterates held in memory, each of n numbers; the earliest are dropped.
    """

    max_steps: int = 250
    progress: RelativeProgress | None = RelativeProgress()
    residual: float = 1e-10
    keep: int = 32

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.keep < 1:
            raise RopValueError(
                "ConjugateGradient: max_steps and keep must be at least 1, "
                f"got {self.max_steps} and {self.keep}"
            )

    def solve(
        self,
        operator: Operator,
        b: Vector,
        x0: Vector | None,
        preconditioner: Operator | None,
        store: Container[int],
    ) -> Solution:
        """Run CG on Ax = b.

        Parameters
        ----------
        operator : callable, (n,) -> (n,)
            v ↦ Av, the damped curvature.
        b : ndarray, shape (n,)
            -∇f.
        x0 : ndarray, shape (n,), or None
            Where to start; None is 0.
        preconditioner : callable, (n,) -> (n,), or None
            r ↦ P⁻¹r.
        store : container of int
            The step numbers whose iterates are wanted.

        Returns
        -------
        Solution
            The wanted iterates and the reason for stopping.
        """
        return pcg(
            operator,
            b,
            x0,
            preconditioner,
            max_steps=self.max_steps,
            residual=self.residual,
            stops=() if self.progress is None else (self.progress,),
            store=store,
            keep=self.keep,
        )
