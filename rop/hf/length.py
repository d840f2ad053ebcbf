"""CG's length, adapted to how far along CG's path the model holds; and forcing terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import Annotated

from rop.hf.policy import Policy
from rop.support.constraints import Count, Positive, Real


@dataclass(frozen=True)
class Limit:
    """The limit of CG's next run, and what decides when it may rise from 1.

    Attributes
    ----------
    steps : int
        The limit.
    good : int
        How many runs of one step in a row the model held for.
    patience : int
        How many times the usual number of them comes before a longer run.

    Examples
    --------
    >>> rop.hf.Length().update(rop.hf.Limit(1), 250, rho=0.9, steps=1, chosen=1, cost=1.0)
    Limit(steps=1, good=1, patience=1)
    """

    steps: int
    good: int = 0
    patience: int = 1


@dataclass(frozen=True)
class Length(Policy):
    """Damp by CG's length: its limit rises where the model holds, and falls where it does not.

    CG's iterates leave θ in the order of their curvature, and ‖x‖ rises at each step (sec. 8.6):
    a short run is a small trust region that adapts to the curvature. It has no unit, and it needs
    no guess: the first run is one step along the preconditioned gradient. With quasi-Newton pairs,
    a run of one step is a step of L-BFGS, which needs no product (see `QuasiNewton`).

    With ρ of CG's *last* iterate, on the cases by which the update is selected, or on those of the
    recipe's ρ if there was nothing to select:

    - If ρ >= ``good`` and CG ended at the limit, the limit is multiplied by ``raise_by``.
    - If ρ < ``good``, it becomes ``beyond`` times the steps of the chosen iterate, rounded down,
      but no larger than before; if the last one was chosen all the same, it is divided by
      ``beyond``.

    From 1 the limit rises after so many good runs of one step that they are worth the products of
    two steps. Each time longer runs end with a limit of 1, twice as many good runs come before the
    next attempt, at most ``patience`` times as many. If a product costs as much as a gradient, it
    is always ``patience`` times as many, and a longer run must pay, unless it reaches the model's
    minimum: the limit becomes the number of steps with the largest predicted gain for its work.

    Parameters
    ----------
    first : int
        The limit at the first iteration.
    good : float
        The ρ from which on the model holds.
    raise_by, beyond : float
        The factors.
    patience : int
        The largest factor of the number of good runs of one step.

    Examples
    --------
    >>> rule = rop.hf.Length()
    >>> rule.update(rop.hf.Limit(8), 250, rho=0.9, steps=8, chosen=8).steps
    16
    >>> rule.update(rop.hf.Limit(8), 250, rho=0.1, steps=8, chosen=3).steps
    4
    """

    first: Count = 1
    good: Positive = 1 / 2
    raise_by: Annotated[float, Real(at_least=1)] = 2.0
    beyond: Annotated[float, Real(at_least=1)] = 3 / 2
    patience: Count = 8

    def update(
        self,
        limit: Limit,
        most: int,
        *,
        rho: float,
        steps: int,
        chosen: int,
        q: Sequence[float] = (),
        cost: float = 0.0,
        cut_off: bool = True,
        hidden: bool = False,
    ) -> Limit:
        """Return the limit of the next run.

        Parameters
        ----------
        limit : Limit
            The limit of this run.
        most : int
            The largest limit.
        rho : float
            ρ of CG's last iterate.
        steps, chosen : int
            The steps of the last iterate and of the chosen one.
        q : sequence of float
            q(x_0), ..., q(x_steps); without them any run is taken to pay.
        cost : float
            The work of a product, in gradients of the update's cases.
        cut_off : bool
            Whether the limit ended the run.
        hidden : bool
            Whether the predicted gain is below f's rounding error. If the limit ended such a run it
            says nothing about what there is to gain, and the next one is as long as can be.

        Returns
        -------
        Limit
            At least 1.
        """
        now = limit.steps
        if hidden and cut_off:
            return replace(limit, steps=most)
        if rho >= self.good:
            after = min(ceil(self.raise_by * now), most) if steps >= now else now
            if now > 1 and cost >= 1 and cut_off and q:
                after = min(after, _best(q, cost, after))
        elif chosen < steps:
            after = max(min(int(self.beyond * chosen), now), 1)
        else:
            after = max(int(now / self.beyond), 1)
        if now == 1:
            good = limit.good + 1 if after > 1 else 0
            # Where products are dear, steps of L-BFGS nearly always gain more for the work.
            patience = self.patience if cost >= 1 else limit.patience
            enough = good >= patience * max(ceil(2 * cost), 1)
            return Limit(after, 0, limit.patience) if enough else Limit(1, good, limit.patience)
        if after == 1:
            return Limit(1, 0, min(2 * limit.patience, self.patience))
        return Limit(after, 0, 1 if rho >= self.good else limit.patience)


def _best(q: Sequence[float], cost: float, longest: int) -> int:
    """Return the steps with the largest gain for a run's work, ``longest`` if it still rises.

    The work is a gradient and a product for each step; a run of one step needs none.
    """
    gains = [-gain / (1 + cost * steps if steps > 1 else 1) for steps, gain in enumerate(q)][1:]
    best = 1 + max(range(len(gains)), key=gains.__getitem__)
    return best if best < len(gains) else longest


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
