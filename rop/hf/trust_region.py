"""The trust region, the rule that adapts its radius, and the ball along CG (sec. 8.6)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from rop.errors import RopValueError
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.policy import Policy
from rop.support.constraints import Positive


@dataclass(frozen=True)
class TrustRegion(Policy):
    """The region {‖δ‖_P <= r}: a ball without a preconditioner P, an ellipsoid with one.

    For every r there is a λ whose damped model has the same minimiser: (B + λP)δ = -∇f with
    λ >= 0 (erratum M50). Unlike λ, r does not depend on the scale of f, if there is no P.
    The estimates of diag(B) grow with f, and so does ‖δ‖_P.

    Parameters
    ----------
    radius : float
        r at the first iteration.
    rule : LevenbergMarquardt
        Adapts 1/r as it would λ, but r grows only after an update that ended on the boundary.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> cg = rop.hf.ConjugateGradient(region=rop.hf.TrustRegion(radius=0.5))
    >>> recipe = rop.hf.Recipe(cg=cg, damping=rop.hf.Undamped(), curvature="hessian")
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, recipe, dtype=np.float64)
    >>> run.records[0].radius_before, run.theta.round(6)
    (0.5, array([1., 1.]))
    """

    radius: Positive = 1.0
    rule: LevenbergMarquardt = LevenbergMarquardt(lower_by=2 / 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rule.lowest <= 1 / self.radius <= self.rule.highest:
            raise RopValueError(
                f"TrustRegion: radius={self.radius}, but 1/radius must be within the bounds of its "
                f"rule, {self.rule.lowest} to {self.rule.highest}"
            )

    def adapt(self, radius: float, rho: float, boundary: bool) -> float:
        """Return the next radius, by ρ and whether the update ended on the boundary."""
        if rho > self.rule.good and not boundary:
            return radius
        return 1 / self.rule.update(1 / radius, rho)


class Ball:
    """‖x‖²_P, xᵀPp and pᵀPp along CG from 0, by recursions that do not need P.

    CG from 0 has r ⟂ p and r ⟂ x. With y = P⁻¹r that is yᵀPp = 0 and xᵀPy = 0, from which the
    recursions follow (Conn, Gould & Toint 2000, 7.5.1).

    Parameters
    ----------
    radius : float
        r.
    ry : float
        rᵀP⁻¹r at x = 0, which is pᵀPp.
    """

    def __init__(self, radius: float, ry: float) -> None:
        self.radius = radius
        self._xx, self._xp, self._pp = 0.0, 0.0, ry

    def holds(self, alpha: float) -> bool:
        """Return whether ‖x + αp‖_P < r; False for α = ∞."""
        return self._xx + alpha * (2 * self._xp + alpha * self._pp) < self.radius**2

    def exit(self) -> float:
        """Return the root τ >= 0 of ‖x + τp‖²_P = r², in the form without cancellation.

        It is 0 if p is 0 to rounding, which leads nowhere.
        """
        gap = max(self.radius**2 - self._xx, 0.0)
        speed = self._xp + sqrt(self._xp**2 + self._pp * gap)
        return gap / speed if speed else 0.0

    def advance(self, alpha: float, beta: float, ry: float) -> None:
        """Go on from x to x + αp and from p to βp - P⁻¹r, where rᵀP⁻¹r = ry at the new x."""
        self._xx += alpha * (2 * self._xp + alpha * self._pp)
        self._xp = beta * (self._xp + alpha * self._pp)
        self._pp = ry + beta**2 * self._pp
