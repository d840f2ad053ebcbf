"""Damping policies: none, Tikhonov's, scale-sensitive and structural (sec. 8.1, 8.3, 8.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal, Protocol

import numpy as np

from rop.errors import RopValueError
from rop.hf.curvature import Operator
from rop.hf.damping_matrices import DampingMatrix, DiagonalMatrix, GramMatrix, Identity, Jacobian
from rop.hf.levenberg_marquardt import LevenbergMarquardt
from rop.hf.policy import Policy, UndefinedError
from rop.hf.vectors import Vector, dot
from rop.objective.linearization import Linearization
from rop.support.constraints import NotNegative, Real


class Damping(Protocol):
    """Makes the damping matrix D at each θ and adapts the strengths λ and μ."""

    @property
    def lam(self) -> float:
        """λ at the first iteration."""

    @property
    def mu(self) -> float:
        """μ at the first iteration (sec. 8.4)."""

    @property
    def rule(self) -> LevenbergMarquardt | None:
        """The rule that adapts λ; None leaves λ as it is."""

    def structural(self, lam: float, mu: float, /) -> float:
        """Return the strength of structural damping, an argument of Gv (sec. 8.4)."""

    def matrix(self, at: Linearization, mu: float, seed: int, /) -> DampingMatrix:
        """Return D at θ.

        Parameters
        ----------
        at : Linearization
            The objective at θ on the curvature's cases.
        mu : float
            μ.
        seed : int
            The seed of random estimates.

        Returns
        -------
        DampingMatrix
            D.
        """

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return the next λ and μ; ρ is -inf after a failed update."""


@dataclass(frozen=True)
class Undamped(Policy):
    """B̂ = B. λ stays 0; something else must keep the updates in bounds (sec. 8).

    >>> recipe = rop.hf.Recipe(damping=rop.hf.Undamped())
    >>> print(rop.hf.Recipe().diff(recipe))
    damping: Tikhonov() -> Undamped()
    """

    lam = 0.0
    mu = 0.0
    rule = None

    def structural(self, lam: float, mu: float, /) -> float:
        """Return 0; see `Damping`."""
        return 0.0

    def matrix(self, at: Linearization, mu: float, seed: int, /) -> DampingMatrix:
        """Return I, which λ = 0 takes out; see `Damping`."""
        return Identity()

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return λ and μ unchanged; see `Damping`."""
        return lam, mu


@dataclass(frozen=True)
class _Adapted(Policy):
    mu = 0.0
    lam: float = 1.0
    rule: LevenbergMarquardt = field(default_factory=LevenbergMarquardt)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rule.lowest <= self.lam <= self.rule.highest:
            raise RopValueError(
                f"{type(self).__name__}: lam={self.lam} must lie within the bounds of its rule, "
                f"{self.rule.lowest} to {self.rule.highest}"
            )

    def structural(self, lam: float, mu: float, /) -> float:
        """Return 0; see `Damping`."""
        return 0.0

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return the next λ by the rule, and μ unchanged; see `Damping`."""
        return self.rule.update(lam, rho), mu


@dataclass(frozen=True)
class Tikhonov(_Adapted, Identity):
    """Tikhonov damping, B̂ = B + λI (sec. 8.1).

    λ is on the scale of f: if f is doubled, so must λ be. λ = 0 stays 0: then something else must
    keep the updates in bounds, such as `Length`.

    Parameters
    ----------
    lam : float
        λ at the first iteration; well chosen if the first ρ is between 0.75 and 0.95. 0 by default.
    rule : LevenbergMarquardt
        How λ is adapted.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(damping=rop.hf.Tikhonov(lam=10.0))
    >>> print(rop.hf.Recipe().diff(recipe))
    damping.lam: 0.0 -> 10.0
    """

    lam: float = 0.0

    def matrix(self, at: Linearization, mu: float, seed: int, /) -> DampingMatrix:
        """Return I; see `Damping`."""
        return self


@dataclass(frozen=True)
class ScaleSensitive(_Adapted):
    """D = (diag(G) + κI)^p: diag(G) for Levenberg-Marquardt's classical D, milder otherwise.

    With p = 1 exact updates are invariant to rescaling of f, and with κ = 0 also to diagonal
    reparameterizations of θ. Both p < 1 and κ > 0 move D towards the identity, because diag(G)
    trusts G too much: where diag(G) is 0, nothing holds δ back (fig. 3, erratum M43).

    Parameters
    ----------
    lam : float
        λ at the first iteration; it has no unit if p = 1.
    rule : LevenbergMarquardt
        How λ is adapted.
    method : str
        "exact", "chapelle-erhan" or "empirical-fisher"; see `rop.Linearization.diagonal`.
    exponent : float
        p, from 0 (Tikhonov) to 1.
    relative_kappa : float
        κ as a multiple of the mean of diag(G).

    Examples
    --------
    >>> recipe = rop.hf.Recipe(damping=rop.hf.ScaleSensitive(lam=10.0))
    >>> print(rop.hf.Recipe().diff(recipe))
    damping: Tikhonov() -> ScaleSensitive(lam=10.0)
    """

    method: Literal["exact", "chapelle-erhan", "empirical-fisher"] = "exact"
    exponent: Annotated[float, Real(at_least=0, at_most=1)] = 1.0
    relative_kappa: NotNegative = 0.0

    def matrix(self, at: Linearization, mu: float, seed: int, /) -> DampingMatrix:
        """Return D; see `Damping`.

        Raises
        ------
        UndefinedError
            If diag(G) has a negative entry.
        """
        d = at.diagonal(self.method, seed)
        if not d.min() >= 0:
            raise UndefinedError(
                f"ScaleSensitive: diag(G) has the entry {d.min():.3g}, as L'' is not positive "
                'semidefinite; give the loss convexify="eigen", or use Tikhonov()'
            )
        kappa = self.relative_kappa * float(d.mean(dtype=np.float64))
        return DiagonalMatrix(((d + d.dtype.type(kappa)) ** self.exponent).astype(d.dtype))


@dataclass(frozen=True)
class Reparameterized(_Adapted):
    """D = CᵀC: penalise the change of other parameters φ(θ), whose Jacobian is C (sec. 8.3).

    For a net whose weights are φ(θ) = exp θ, C = diag(exp θ), and the update changes the weights
    as Tikhonov damping would without the reparameterization. (λ/2)‖Cδ‖² is the Gauss-Newton
    approximation of (λ/2)‖φ(θ + δ) - φ(θ)‖² (errata M41, M42).

    Parameters
    ----------
    lam : float
        λ at the first iteration.
    rule : LevenbergMarquardt
        How λ is adapted.
    jacobian : callable, (n,) -> ndarray, sparse array or LinearOperator
        θ ↦ C, of shape (m, n); or its diagonal, of shape (n,). A log cannot store it, as it is a
        function.

    Raises
    ------
    RopValueError
        If there is no Jacobian.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(damping=rop.hf.Reparameterized(jacobian=np.exp))
    >>> print(rop.hf.Recipe().diff(recipe))
    damping: Tikhonov() -> Reparameterized(jacobian=<ufunc 'exp'>)
    """

    jacobian: Callable[[Vector], Jacobian] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jacobian is None:
            raise RopValueError("Reparameterized: give jacobian=, a function θ ↦ C")

    def matrix(self, at: Linearization, mu: float, seed: int, /) -> DampingMatrix:
        """Return D; see `Damping`.

        Raises
        ------
        RopValueError
            If C has another shape.
        """
        assert self.jacobian is not None
        C = self.jacobian(at.theta)
        if C.shape == (at.n,):
            return DiagonalMatrix(np.square(C).astype(at.dtype))
        if len(C.shape) != 2 or C.shape[1] != at.n:
            raise RopValueError(
                f"Reparameterized: jacobian must give a C of shape (m, {at.n}), or its diagonal of "
                f"shape ({at.n},), got {C.shape}"
            )
        return GramMatrix(C, seed)


@dataclass(frozen=True)
class Structural(Policy):
    """B̂ = G + λD + λμS, or G + λD + μS: S damps changes of the objective's ``hidden`` units.

    S is the Gauss-Newton matrix of a distance between the hidden units at θ + δ and at θ, whose
    gradient is 0 at δ = 0 (erratum M47). The product Gv includes it at no extra pass; see
    `rop.Linearization.ggnvp`.

    Parameters
    ----------
    mu : float
        μ at the first iteration; 1/30 for recurrent nets, in the first convention.
    damping : Damping
        λ, D and their rule.
    relative : bool
        Whether the strength is λμ, as in the authors' code, where μ is constant and the rule
        for λ scales both; or μ alone, as in the text, adapted by the same rule (erratum M46).

    Examples
    --------
    >>> recipe = rop.hf.Recipe(damping=rop.hf.Structural(mu=0.1))
    >>> print(rop.hf.Recipe().diff(recipe))
    damping: Tikhonov() -> Structural(mu=0.1)
    """

    mu: NotNegative = 1 / 30
    damping: Damping = field(default_factory=partial(Tikhonov, 1.0))
    relative: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.damping, Structural):
            raise RopValueError(
                "Structural: damping must be a damping of its own, such as Tikhonov(), not another "
                "Structural; give mu once"
            )

    @property
    def lam(self) -> float:
        """λ at the first iteration."""
        return self.damping.lam

    @property
    def rule(self) -> LevenbergMarquardt | None:
        """The rule for λ, and for μ if it is not relative."""
        return self.damping.rule

    def structural(self, lam: float, mu: float, /) -> float:
        """Return λμ or μ; see `Damping`."""
        return lam * mu if self.relative else mu

    def matrix(self, at: Linearization, mu: float, seed: int, /) -> DampingMatrix:
        """Return D; its penalty includes that of S; see `Damping`."""
        return _WithHiddenUnits(self, self.damping.matrix(at, mu, seed), at, mu)

    def adapt(self, lam: float, mu: float, rho: float, /) -> tuple[float, float]:
        """Return the next λ and μ by the rule; see `Damping`."""
        lam, _ = self.damping.adapt(lam, mu, rho)
        if self.relative or self.rule is None or mu == 0:
            return lam, mu
        return lam, self.rule.update(mu, rho)


@dataclass(frozen=True, eq=False)
class _WithHiddenUnits:
    """D beside structural damping, which B contains already: only the penalty is another."""

    policy: Structural
    D: DampingMatrix
    at: Linearization
    mu: float

    def damp(self, B: Operator, lam: float, /) -> Operator:
        return self.D.damp(B, lam)

    def diagonal(self, lam: float, /) -> Vector | float:
        return self.D.diagonal(lam)

    def penalty(self, delta: Vector, lam: float, /) -> float:
        penalty, strength = self.D.penalty(delta, lam), self.policy.structural(lam, self.mu)
        if strength == 0:
            return penalty
        Sdelta = self.at.ggnvp(delta, strength) - self.at.ggnvp(delta)
        return penalty + dot(delta, Sdelta) / 2
