"""The reduction ratio ρ and the Levenberg-Marquardt rule that adapts λ by it (sec. 8.5)."""

from dataclasses import dataclass
from math import inf
from typing import Literal

from rop.errors import RopValueError


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
        ρ; -inf where f rose or is not a number, which a positive q would turn into praise
        (erratum M48), and where q = 0.
    """
    if not f_after <= f_before or q == 0:
        return -inf
    return (f_after - f_before) / q


@dataclass(frozen=True)
class LevenbergMarquardt:
    """The rule that adapts λ: down where the model predicts f well, up where badly (sec. 8.5).

    Parameters
    ----------
    poor, good : float
        λ rises if ρ < poor and falls if ρ > good.
    raise_by, lower_by : float
        The factors.
    lowest, highest : float
        λ stays within these bounds.
    model : str
        The denominator of ρ: the "undamped" q of equation 10, or the "damped" one, which favours
        slightly lower λ.
    """

    poor: float = 1 / 4
    good: float = 3 / 4
    raise_by: float = 3 / 2
    lower_by: float = 2 / 3
    lowest: float = 1e-10
    highest: float = 1e10
    model: Literal["undamped", "damped"] = "undamped"

    def __post_init__(self) -> None:
        if not (self.poor < self.good and self.raise_by >= 1 >= self.lower_by > 0):
            raise RopValueError(
                "LevenbergMarquardt: expected poor < good and raise_by >= 1 >= lower_by > 0, got "
                f"poor={self.poor}, good={self.good}, raise_by={self.raise_by}, "
                f"lower_by={self.lower_by}"
            )
        if not 0 <= self.lowest <= self.highest:
            raise RopValueError(
                "LevenbergMarquardt: expected 0 <= lowest <= highest, got "
                f"lowest={self.lowest}, highest={self.highest}"
            )
        if self.model not in ("undamped", "damped"):
            raise RopValueError(
                f'LevenbergMarquardt: model must be "undamped" or "damped", got {self.model!r}'
            )

    def update(self, lam: float, rho: float) -> float:
        """Return the next λ.

        Parameters
        ----------
        lam : float
            The present λ.
        rho : float
            The reduction ratio; NaN counts as poor.

        Returns
        -------
        float
            λ · lower_by, λ · raise_by or λ, within the bounds.
        """
        if rho > self.good:
            lam *= self.lower_by
        elif not rho >= self.poor:
            lam *= self.raise_by
        return min(max(lam, self.lowest), self.highest)
