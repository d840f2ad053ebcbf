"""When CG stops: the relative progress on q, and a rise of f."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from rop.errors import RopValueError
from rop.hf.policy import Policy
from rop.hf.solution import Iterate, Progress, Reason, StopRule
from rop.support.constraints import Count, NotNegative, Real


@dataclass(frozen=True)
class RelativeProgress(Policy):
    """Stop when q hardly fell over the last k steps (sec. 4, eq. 2; erratum M13).

    With s_j = (q_j - q_{j-k}) / q_j and k = max(10, ⌈j/10⌉) CG stops at the first j > k with
    q_j < 0 and s_j < tolerance, times k if the tolerance is per step. q(0) = 0. The guard q_j < 0
    is for warm starts, where q may begin above 0: without it they look like stagnation.

    Parameters
    ----------
    tolerance : float
        5e-4 in Martens (2010), 1e-4 in the 2012 text.
    per_step : bool
        Whether the tolerance is that of the average step (2010) or of the whole window (2012).
    smallest_window : int
        10 in the formula for k.
    window_fraction : float
        1/10 in the formula for k.

    Examples
    --------
    >>> rule = rop.hf.RelativeProgress(tolerance=1e-3)
    >>> solution = rop.hf.pcg(np.diag(np.arange(1.0, 101.0)), np.ones(100), stops=[rule])
    >>> solution.reason, len(solution.q) - 1
    ('progress', 24)
    """

    tolerance: NotNegative = 5e-4
    per_step: bool = True
    smallest_window: Count = 10
    window_fraction: Annotated[float, Real(at_least=0, at_most=1)] = 0.1

    def __call__(self, progress: Progress, /) -> Reason | None:
        """Return "progress" if q stagnates."""
        j, q = progress.steps, progress.q
        k = max(self.smallest_window, ceil(self.window_fraction * j))
        if j <= k or not q[j] < 0:
            return None
        threshold = self.tolerance * (k if self.per_step else 1)
        return "progress" if (q[j] - q[j - k]) / q[j] < threshold else None


@dataclass(frozen=True)
class ObjectiveRise(Policy):
    """Stop when f on the curvature's cases is significantly worse than some steps ago (sec. 13).

    CG stops at step j if q_j < 0 and f_j exceeds f_{j-window} by more than ``tolerance`` times the
    reduction then, f(θ) - f_{j-window}, or 0 if f had risen. NaN exceeds every number.

    Parameters
    ----------
    every : int
        Evaluate f after every so many steps.
    window : int
        How many steps to look back, a multiple of ``every``.
    tolerance : float
        The significant rise, as a share of the reduction.

    Examples
    --------
    >>> cg = rop.hf.ConjugateGradient(rise=rop.hf.ObjectiveRise(every=2, window=4))
    >>> print(rop.hf.Recipe().diff(rop.hf.Recipe(cg=cg)))
    cg.rise: None -> ObjectiveRise(every=2, window=4)
    """

    every: Count = 5
    window: Count = 10
    tolerance: NotNegative = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % self.every:
            raise RopValueError(
                f"ObjectiveRise: window must be a multiple of every, got window={self.window} and "
                f"every={self.every}"
            )

    def rule(self, f: float, watch: Callable[[Iterate], float]) -> StopRule:
        """Return the rule for one run of CG.

        Parameters
        ----------
        f : float
            f(θ).
        watch : callable, Iterate -> float
            x ↦ f(θ + x) on the curvature's cases.

        Returns
        -------
        callable, Progress -> str or None
            Returns "f rose", or None to go on.
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
