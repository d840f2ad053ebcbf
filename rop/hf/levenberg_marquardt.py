"""The reduction ratio ρ and the Levenberg-Marquardt rule that adapts λ by it (sec. 8.5)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Annotated, Literal

from rop.errors import RopValueError
from rop.hf.policy import Policy
from rop.support.constraints import Fraction, NotNegative, Real

# Multiples of the curvature along the update.
_LEAST, _MOST = 1e-10, 1e6


def reduction_ratio(f_before: float, f_after: float, q: float) -> float:
    """Return ρ = Δf / q(δ), the reduction of f over the predicted one (sec. 8.5, erratum M1).

    Parameters
    ----------
    f_before, f_after : float
        f(θ) and f(θ + δ) on the same data.
    q : float
        q(δ) = ∇fᵀδ + ½δᵀBδ, with q(0) = 0.

    Returns
    -------
    float
        ρ; -inf if f rose or is not a number, where with q > 0 the quotient would be positive
        (erratum M48), and if q = 0.

    Examples
    --------
    >>> rop.hf.reduction_ratio(f_before=2.0, f_after=1.5, q=-1.0)
    0.5
    >>> rop.hf.reduction_ratio(f_before=2.0, f_after=2.5, q=-1.0)
    -inf
    """
    if not f_after <= f_before or q == 0:
        return -inf
    return (f_after - f_before) / q


@dataclass(frozen=True)
class LevenbergMarquardt(Policy):
    """The rule that lowers λ if the model predicts f well, and raises it if not (sec. 8.5).

    Parameters
    ----------
    poor, good : float
        λ rises if ρ < poor and falls if ρ > good.
    raise_by, lower_by : float
        The factors; the paper lowers by 2/3, which keeps λ higher for longer.
    lowest, highest : float
        λ stays within these bounds. It also stays below 1e6 times the curvature along the update,
        δᵀBδ / δᵀDδ, above which θ hardly moves, and, if ``lowest`` is 0, above 1e-10 times it,
        below which λ has no effect.
    model : str
        The denominator of ρ: the "undamped" q of equation 10, or the "damped" one, which favours
        slightly lower λ.

    Examples
    --------
    >>> rule = rop.hf.LevenbergMarquardt()
    >>> [rule.update(1.0, rho) for rho in (0.1, 0.5, 0.9)]
    [1.5, 1.0, 0.3333...]
    """

    poor: float = 1 / 4
    good: float = 3 / 4
    raise_by: Annotated[float, Real(at_least=1)] = 3 / 2
    lower_by: Fraction = 1 / 3
    lowest: NotNegative = 0.0
    highest: Annotated[float, Real(at_least=0, infinite=True)] = 1e30
    model: Literal["undamped", "damped"] = "undamped"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.poor < self.good and self.lowest <= self.highest):
            raise RopValueError(
                "LevenbergMarquardt: expected poor < good and lowest <= highest, got "
                f"poor={self.poor}, good={self.good}, lowest={self.lowest}, highest={self.highest}"
            )

    def update(self, lam: float, rho: float) -> float:
        """Return λ · lower_by, λ · raise_by or λ, within the bounds; a ρ of NaN counts as poor."""
        if rho > self.good:
            lam *= self.lower_by
        elif not rho >= self.poor:
            lam *= self.raise_by
        return min(max(lam, self.lowest), self.highest)

    def bounded(self, lam: float, curvature: float) -> float:
        """Return λ within its bounds, those by the curvature along the update included.

        Parameters
        ----------
        lam : float
            λ.
        curvature : float
            δᵀBδ / δᵀDδ; what is not positive bounds nothing.

        Returns
        -------
        float
            λ.
        """
        if 0 < curvature < inf:
            least = 0.0 if self.lowest else _LEAST * curvature
            lam = min(max(lam, least), _MOST * curvature)
        return min(max(lam, self.lowest), self.highest)
