"""The radius of a trust region, and the rule that adapts it (sec. 8.6)."""

from dataclasses import dataclass, field

from rop.errors import RopValueError
from rop.hf.levenberg_marquardt import LevenbergMarquardt


@dataclass(frozen=True)
class TrustRegion:
    """The region {‖δ‖_P <= r}: a ball without a preconditioner P, an ellipsoid with one.

    Unlike λ, r is not on the scale of f. For every r there is a λ whose damped model has the same
    minimiser: (B + λP)δ = -∇f with λ >= 0 (erratum M50).

    Parameters
    ----------
    radius : float
        r at the first iteration.
    rule : LevenbergMarquardt
        Adapts 1/r as it would λ, but r grows only after an update that ended on the boundary.
    """

    radius: float = 1.0
    rule: LevenbergMarquardt = field(default_factory=LevenbergMarquardt)

    def __post_init__(self) -> None:
        if not (self.radius > 0 and self.rule.lowest <= 1 / self.radius <= self.rule.highest):
            raise RopValueError(
                f"TrustRegion: radius={self.radius} must be positive, and 1/radius within the "
                f"bounds of its rule, {self.rule.lowest} to {self.rule.highest}"
            )

    def adapt(self, radius: float, rho: float, boundary: bool) -> float:
        """Return the next r.

        Parameters
        ----------
        radius : float
            The present r.
        rho : float
            The reduction ratio; -inf after a failed update.
        boundary : bool
            Whether the update ended on the boundary.

        Returns
        -------
        float
            The next r.
        """
        if rho > self.rule.good and not boundary:
            return radius
        return 1 / self.rule.update(1 / radius, rho)
