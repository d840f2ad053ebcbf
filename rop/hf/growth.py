"""More cases for the curvature when they no longer stand for the gradient's (sec. 12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from rop.hf.policy import Policy
from rop.support.constraints import Count, Positive, Real


@dataclass(frozen=True)
class Grown:
    """How much the curvature's cases have grown.

    Attributes
    ----------
    times : float
        The factor of the numbers of cases of curvature and selection.
    doubts : int
        How many runs of CG in a row had a model that holds on the curvature's cases alone.

    Examples
    --------
    >>> rop.hf.Growth().update(rop.hf.Grown(), rho=0.1, own=lambda: 0.9)
    Grown(times=1.0, doubts=1)
    """

    times: float = 1.0
    doubts: int = 0


@dataclass(frozen=True)
class Growth(Policy):
    """Give the curvature more cases when its model holds on them but not on the gradient's.

    If the model fails on its own cases too, f is far from quadratic: a shorter step helps, more
    cases do not. If it holds on them alone, the update overfits them (sec. 12.2). The selection's
    cases grow too. Near a minimum this leads to all cases, and so to the superlinear end of
    Newton's method; elsewhere products may cost more than they are worth. Byrd et al. (2012) let
    the variance of ∇f decide; here ρ does, as it does for λ.

    Parameters
    ----------
    by : float
        The factor of the numbers of cases.
    after : int
        Grow after so many runs of CG in a row of which the model holds on the curvature's cases
        alone.
    good : float
        The ρ of CG's last iterate from which on the model holds.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(growth=rop.hf.Growth())
    >>> print(rop.hf.Recipe().diff(recipe))
    growth: None -> Growth()
    """

    by: Annotated[float, Real(above=1)] = 2.0
    after: Count = 2
    good: Positive = 1 / 2

    def update(self, grown: Grown, rho: float, own: Callable[[], float]) -> Grown:
        """Return the growth for the next iteration.

        Parameters
        ----------
        grown : Grown
            The present growth.
        rho : float
            ρ of CG's last iterate, on the cases of the gradient or the selection.
        own : callable, () -> float
            The same on the curvature's own cases; it is called only if ρ is below ``good``.

        Returns
        -------
        Grown
        """
        if rho >= self.good or not own() >= self.good:
            return Grown(grown.times)
        doubts = grown.doubts + 1
        return Grown(grown.times * self.by) if doubts >= self.after else Grown(grown.times, doubts)
