"""Structural damping of hidden units beside another damping, and its strength μ (sec. 8.4)."""

from dataclasses import dataclass, field

from rop.errors import RopValueError
from rop.hf.curvature import Operator
from rop.hf.damping import Damping, Penalty, Tikhonov
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.vectors import Vector, dot
from rop.objective.linearization import Linearization


@dataclass(frozen=True)
class Structural:
    """B̂ = G + λD + λμS, or G + λD + μS, S for the changes of the objective's ``hidden`` units.

    S is the Gauss-Newton matrix of a distance between the hidden units at θ + δ and at θ, whose
    value and gradient are 0 at δ = 0 (erratum M47). It comes with the product Gv at no extra pass;
    see `rop.Linearization.ggnvp`.

    Parameters
    ----------
    mu : float
        μ at the first iteration; 1/30 for recurrent nets, in the first convention.
    damping : Damping
        What λ and D are.
    relative : bool
        Whether the strength is λμ, as in the authors' code, where μ stays as it is and the rule
        for λ scales both; or μ alone, as in the text, and by the same rule (erratum M46).
    """

    mu: float = 1 / 30
    damping: Damping = field(default_factory=Tikhonov)
    relative: bool = True

    def __post_init__(self) -> None:
        if not self.mu >= 0:
            raise RopValueError(f"Structural: mu must not be negative, got {self.mu}")

    @property
    def lam(self) -> float:
        """λ at the first iteration."""
        return self.damping.lam

    @property
    def rule(self) -> LevenbergMarquardt | None:
        """The rule for λ, and for μ where it is not relative."""
        return self.damping.rule

    def structural(self, lam: float, mu: float, /) -> float:
        """Return the strength of S.

        Parameters
        ----------
        lam, mu : float
            The present strengths.

        Returns
        -------
        float
            λμ or μ.
        """
        return lam * mu if self.relative else mu

    def prepare(self, at: Linearization, mu: float, seed: int, /) -> Penalty:
        """Return the penalty at θ.

        Parameters
        ----------
        at : Linearization
            The objective at θ on the curvature's cases.
        mu : float
            The present μ.
        seed : int
            For estimates of diagonals.

        Returns
        -------
        Penalty
            (λ/2) δᵀDδ, and half the strength of S times δᵀSδ.
        """
        return _Both(self, self.damping.prepare(at, mu, seed), at, mu)

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return the next λ and μ by the rule.

        Parameters
        ----------
        lam, mu : float
            The present strengths.
        rho : float
            The reduction ratio; -inf after a failed update.

        Returns
        -------
        tuple of float
            λ and μ.
        """
        lam, _ = self.damping.adapt(lam, mu, rho)
        if self.relative or self.rule is None or mu == 0:
            return lam, mu
        return lam, self.rule.update(mu, rho)


class _Both:
    def __init__(self, damping: Structural, inner: Penalty, at: Linearization, mu: float) -> None:
        self._damping, self._inner, self._at, self._mu = damping, inner, at, mu

    def damp(self, product: Operator, lam: float, /) -> Operator:
        return self._inner.damp(product, lam)

    def diagonal(self, lam: float, /) -> Vector | float:
        return self._inner.diagonal(lam)

    def penalty(self, delta: Vector, lam: float, /) -> float:
        inner = self._inner.penalty(delta, lam)
        strength = self._damping.structural(lam, self._mu)
        if strength == 0:
            return inner
        Sdelta = self._at.ggnvp(delta, strength) - self._at.ggnvp(delta)
        return inner + dot(delta, Sdelta) / 2
