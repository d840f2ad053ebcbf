"""Damping of the quadratic model by penalties on δ: the interface, Tikhonov's λI, and none."""

from dataclasses import dataclass, field
from typing import Protocol

from rop.errors import RopValueError
from rop.hf.curvature import Operator
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.products import Damped
from rop.hf.vectors import Vector, dot
from rop.objective.linearization import Linearization


class Penalty(Protocol):
    """(λ/2) δᵀDδ at one θ, for a damping matrix D (sec. 8.3)."""

    def damp(self, product: Operator, lam: float, /) -> Operator:
        """Return v ↦ Bv + λDv; the results of ``product`` are changed in place."""

    def diagonal(self, lam: float, /) -> Vector | float:
        """Return the diagonal of λD, or an estimate of it."""

    def penalty(self, delta: Vector, lam: float, /) -> float:
        """Return (λ/2) δᵀDδ, by which the damped model exceeds the undamped one at δ."""


class Damping(Protocol):
    """Makes the penalty at each θ and adapts its strengths λ and μ."""

    @property
    def lam(self) -> float:
        """λ at the first iteration."""

    @property
    def mu(self) -> float:
        """μ at the first iteration (sec. 8.4)."""

    @property
    def rule(self) -> LevenbergMarquardt | None:
        """The rule by which λ is adapted; None leaves it as it is."""

    def structural(self, lam: float, mu: float, /) -> float:
        """Return the strength of structural damping, which the product Gv takes (sec. 8.4)."""

    def prepare(self, at: Linearization, mu: float, seed: int, /) -> Penalty:
        """Return the penalty at θ on the curvature's cases, with μ; seed is for estimates."""

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return the next λ and μ; ρ is -inf after a failed update."""


@dataclass(frozen=True)
class Undamped:
    """No penalty: B̂ = B. λ is 0 and stays so; other means must keep updates in bounds (sec. 8)."""

    lam = 0.0
    mu = 0.0
    rule = None

    def structural(self, lam: float, mu: float, /) -> float:
        """Return 0; see `Damping`."""
        return 0.0

    def prepare(self, at: Linearization, mu: float, seed: int, /) -> Penalty:
        """Return a penalty of nothing.

        Parameters
        ----------
        at : Linearization
            The objective at θ.
        mu : float
            0.
        seed : int
            Not needed.

        Returns
        -------
        Penalty
            λI, which λ = 0 makes nothing.
        """
        return Identity()

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return 0 and 0.

        Parameters
        ----------
        lam, mu : float
            0.
        rho : float
            The reduction ratio.

        Returns
        -------
        tuple of float
            λ and μ.
        """
        return lam, mu


@dataclass(frozen=True)
class Identity:
    """The penalty (λ/2)‖δ‖², D = I."""

    def damp(self, product: Operator, lam: float, /) -> Operator:
        """Return v ↦ Bv + λv; see `Penalty`."""
        return Damped(product, lam) if lam else product

    def diagonal(self, lam: float, /) -> float:
        """Return λ, the diagonal of λI; see `Penalty`."""
        return lam

    def penalty(self, delta: Vector, lam: float, /) -> float:
        """Return (λ/2)‖δ‖²; see `Penalty`."""
        return lam * dot(delta, delta) / 2


@dataclass(frozen=True)
class Adapted:
    """What dampings with a λ of their own have in common: λ, and the rule that adapts it.

    Parameters
    ----------
    lam : float
        λ at the first iteration; well chosen if the first ρ is between 0.75 and 0.95.
    rule : LevenbergMarquardt
        How λ is adapted.
    """

    mu = 0.0
    lam: float = 1.0
    rule: LevenbergMarquardt = field(default_factory=LevenbergMarquardt)

    def __post_init__(self) -> None:
        if not self.rule.lowest <= self.lam <= self.rule.highest:
            raise RopValueError(
                f"{type(self).__name__}: lam={self.lam} must lie within the bounds of its rule, "
                f"{self.rule.lowest} to {self.rule.highest}"
            )

    def structural(self, lam: float, mu: float, /) -> float:
        """Return 0; see `Damping`."""
        return 0.0

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return the next λ by the rule.

        Parameters
        ----------
        lam, mu : float
            The present strengths.
        rho : float
            The reduction ratio; -inf after a failed update.

        Returns
        -------
        tuple of float
            λ as adapted, μ as it was.
        """
        return self.rule.update(lam, rho), mu


@dataclass(frozen=True)
class Tikhonov(Adapted, Identity):
    """Tikhonov damping, B̂ = B + λI (sec. 8.1).

    λ is on the scale of f: where f is doubled, so must λ be.

    Parameters
    ----------
    lam : float
        λ at the first iteration; well chosen if the first ρ is between 0.75 and 0.95.
    rule : LevenbergMarquardt
        How λ is adapted.
    """

    def prepare(self, at: Linearization, mu: float, seed: int, /) -> Penalty:
        """Return the penalty, which is the same at every θ.

        Parameters
        ----------
        at : Linearization
            The objective at θ.
        mu : float
            Not needed.
        seed : int
            Not needed.

        Returns
        -------
        Penalty
            (λ/2)‖δ‖².
        """
        return self
