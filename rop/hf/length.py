"""CG's length, adapted to how far along CG's path the model holds; and forcing terms."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import Annotated

from rop.hf.policy import Policy
from rop.support.constraints import Count, Positive, Real


@dataclass(frozen=True)
class Length(Policy):
    """Damp by CG's length: its limit rises where the model holds, and falls where it does not.

    CG's iterates leave θ in the order of their curvature, and ‖x‖ rises at each step (sec. 8.6):
    a short run is a small trust region that adapts to the curvature. It has no unit, and it needs
    no guess: the first run is one step along the preconditioned gradient.

    With ρ of CG's *last* iterate, on the cases by which the update is selected:

    - If ρ >= ``good`` and CG ended at the limit, the limit is multiplied by ``raise_by``.
    - If ρ < ``good``, it becomes ``beyond`` times the steps of the chosen iterate, but no larger
      than before; if the last one was chosen all the same, it is divided by ``beyond``.

    Parameters
    ----------
    first : int
        The limit at the first iteration.
    good : float
        The ρ from which on the model holds.
    raise_by, beyond : float
        The factors.

    Examples
    --------
    >>> rule = rop.hf.Length()
    >>> rule.update(8, 250, rho=0.9, steps=8, chosen=8)
    16
    >>> rule.update(8, 250, rho=0.1, steps=8, chosen=3)
    5
    """

    first: Count = 1
    good: Positive = 1 / 2
    raise_by: Annotated[float, Real(at_least=1)] = 2.0
    beyond: Annotated[float, Real(at_least=1)] = 3 / 2

    def update(
        self, length: int, most: int, *, rho: float, steps: int, chosen: int, blind: bool = False
    ) -> int:
        """Return the limit of the next run.

        Parameters
        ----------
        length : int
            The limit of this run.
        most : int
            The largest limit.
        rho : float
            ρ of CG's last iterate.
        steps, chosen : int
            The steps of the last iterate and of the chosen one.
        blind : bool
            Whether the limit cut off a run whose predicted gain is below f's rounding error. It
            says nothing about what there is to gain, and the next run is as long as can be.

        Returns
        -------
        int
            The limit, at least 1.
        """
        if blind:
            return most
        if rho >= self.good:
            return min(ceil(self.raise_by * length), most) if steps >= length else length
        if chosen < steps:
            return max(min(ceil(self.beyond * chosen), length), 1)
        return max(int(length / self.beyond), 1)


@dataclass(frozen=True)
class Forcing(Policy):
    """Stop CG at a residual that falls with ‖∇f‖, for a superlinear end (Eisenstat & Walker 1996).

    CG stops when rᵀP⁻¹r <= η² bᵀP⁻¹b, with η = γ(‖∇f‖ / ‖∇f‖ of the iteration before)², their
    second choice, between ``least`` and ``most``, which is the first η.

    Parameters
    ----------
    gamma : float
        γ.
    most, least : float
        The bounds of η.

    Examples
    --------
    >>> rule = rop.hf.Forcing()
    >>> rule.eta(1e-3, before=1e-2), rule.eta(1e-3, before=1e-3)
    (0.009..., 0.2)
    """

    gamma: Annotated[float, Real(above=0, at_most=1)] = 0.9
    most: Annotated[float, Real(above=0, below=1)] = 0.2
    least: Annotated[float, Real(above=0, below=1)] = 1e-4

    def eta(self, norm: float, before: float) -> float:
        """Return η from ‖∇f‖ now and one iteration before; NaN before the first."""
        ratio = norm / before if isfinite(before) and before > 0 else 1.0
        return min(max(self.gamma * ratio**2, self.least), self.most)
