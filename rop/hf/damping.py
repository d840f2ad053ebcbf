"""Damping of the quadratic model: Tikhonov's λI and the Levenberg-Marquardt rule for λ."""

from dataclasses import dataclass, field
from math import inf

from rop.errors import RopValueError
from rop.hf.cg import Operator
from rop.hf.vectors import Vector, axpy, dot


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
    """

    poor: float = 1 / 4
    good: float = 3 / 4
    raise_by: float = 3 / 2
    lower_by: float = 2 / 3
    lowest: float = 1e-10
    highest: float = 1e10

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


@dataclass(frozen=True)
class Tikhonov:
    """Tikhonov damping, B̂ = B + λI (sec. 8.1).

    λ is on the scale of f: where f is doubled, so must λ be.

    Parameters
    ----------
    lam : float
        λ at the first iteration; well chosen if the first ρ is between 0.75 and 0.95.
    rule : LevenbergMarquardt
        How λ is adapted.
    """

    lam: float = 1.0
    rule: LevenbergMarquardt = field(default_factory=LevenbergMarquardt)

    def __post_init__(self) -> None:
        if not self.rule.lowest <= self.lam <= self.rule.highest:
            raise RopValueError(
                f"Tikhonov: lam={self.lam} must lie within the bounds of its rule, "
                f"{self.rule.lowest} to {self.rule.highest}"
            )

    def damp(self, product: Operator, lam: float) -> Operator:
        """Return v ↦ Bv + λv.

        Parameters
        ----------
        product : callable, (n,) -> (n,)
            v ↦ Bv; its result is changed in place.
        lam : float
            λ.

        Returns
        -------
        callable, (n,) -> (n,)
            The damped operator.
        """

        def damped(v: Vector) -> Vector:
            Bv = product(v)
            axpy(lam, v, Bv)
            return Bv

        return damped

    def diagonal(self, lam: float) -> float:
        """Return the diagonal of λD, which is λ everywhere.

        Parameters
        ----------
        lam : float
            λ.

        Returns
        -------
        float
            λ.
        """
        return lam

    def penalty(self, delta: Vector, lam: float) -> float:
        """Return ½λ‖δ‖², by which the damped model exceeds the undamped one at δ.

        Parameters
        ----------
        delta : ndarray, shape (n,)
            The update δ.
        lam : float
            λ.

        Returns
        -------
        float
            The penalty.
        """
        return lam * dot(delta, delta) / 2
