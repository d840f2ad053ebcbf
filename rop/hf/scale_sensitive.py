"""Scale-sensitive damping: D from the diagonal of G, or from a reparameterization (sec. 8.3)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from rop.errors import RopValueError
from rop.hf.curvature import Operator
from rop.hf.damping import Adapted, Penalty
from rop.hf.products import Damped
from rop.hf.vectors import Vector, axpy, dot
from rop.objective.linearization import Linearization

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

# An ndarray, a sparse array or matrix, or a LinearOperator: SciPy's stubs have no common type.
Jacobian: TypeAlias = Any


class DiagonalPenalty:
    """(λ/2) Σ d_i δ_i², D = diag(d).

    Parameters
    ----------
    d : ndarray, shape (n,)
        The diagonal.
    """

    def __init__(self, d: Vector) -> None:
        self._d = d

    def damp(self, product: Operator, lam: float, /) -> Operator:
        """Return v ↦ Bv + λDv; see `Penalty`."""
        return Damped(product, self.diagonal(lam))

    def diagonal(self, lam: float, /) -> Vector:
        """Return λd; see `Penalty`."""
        return self._d * self._d.dtype.type(lam)

    def penalty(self, delta: Vector, lam: float, /) -> float:
        """Return (λ/2) Σ d_i δ_i²; see `Penalty`."""
        return lam * dot(delta, self._d * delta) / 2


@dataclass(frozen=True)
class ScaleSensitive(Adapted):
    """D = (diag(G) + κI)^p: diag(G) for Levenberg-Marquardt's classical D, milder otherwise.

    With p = 1 exact updates are invariant to rescaling of f, and with κ = 0 also to diagonal
    reparameterizations of θ. Both p < 1 and κ > 0 take D towards the identity, because diag(G)
    trusts G too much: where it vanishes nothing holds δ back (fig. 3, erratum M43).

    Parameters
    ----------
    lam : float
        λ at the first iteration; it has no unit where p = 1.
    rule : LevenbergMarquardt
        How λ is adapted.
    method : str
        "exact", "chapelle-erhan" or "empirical-fisher"; see `rop.Linearization.diagonal`.
    exponent : float
        p, from 0 (Tikhonov) to 1.
    relative_kappa : float
        κ as a multiple of the mean of diag(G).
    """

    method: Literal["exact", "chapelle-erhan", "empirical-fisher"] = "exact"
    exponent: float = 1.0
    relative_kappa: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.exponent <= 1 and self.relative_kappa >= 0):
            raise RopValueError(
                "ScaleSensitive: expected an exponent between 0 and 1 and relative_kappa >= 0, got "
                f"{self.exponent} and {self.relative_kappa}"
            )

    def prepare(self, at: Linearization, mu: float, seed: int, /) -> Penalty:
        """Return the penalty at θ.

        Parameters
        ----------
        at : Linearization
            The objective at θ on the curvature's cases.
        mu : float
            Not needed.
        seed : int
            Of the random signs of "chapelle-erhan".

        Returns
        -------
        Penalty
            (λ/2) δᵀDδ.
        """
        d = at.diagonal(self.method, seed)
        kappa = self.relative_kappa * float(d.mean(dtype=np.float64))
        return DiagonalPenalty(((d + d.dtype.type(kappa)) ** self.exponent).astype(d.dtype))


class FactoredPenalty:
    """(λ/2)‖Cδ‖², D = CᵀC.

    Parameters
    ----------
    C : ndarray, sparse array or LinearOperator, shape (m, n)
        The factor.
    seed : int
        For the estimate of D's diagonal where C is a LinearOperator.
    """

    # Of the estimate of a diagonal: its relative error is about sqrt(2 / probes).
    _PROBES = 32

    def __init__(self, C: Jacobian, seed: int) -> None:
        from scipy.sparse.linalg import aslinearoperator  # SciPy takes longer to load than rop

        self._C, self._seed = C, seed
        self._operator: LinearOperator[Any] = aslinearoperator(C)

    def damp(self, product: Operator, lam: float, /) -> Operator:
        """Return v ↦ Bv + λCᵀCv; see `Penalty`."""

        def damped(v: Vector) -> Vector:
            Bv = product(v)
            CtCv = self._operator.rmatvec(self._operator.matvec(v))
            axpy(lam, CtCv.astype(Bv.dtype, copy=False), Bv)
            return Bv

        return damped

    def diagonal(self, lam: float, /) -> Vector:
        """Return λ times the sums of squares of C's columns; see `Penalty`.

        Estimated without bias from random signs v as the mean of sq(Cᵀv) where C is known by its
        products only, as sec. 11.2 suggests and sec. 11.4 does for G.
        """
        from scipy.sparse import csc_array, issparse

        C: Any = self._C
        if isinstance(C, np.ndarray):
            squares = np.square(C).sum(0)
        elif bool(issparse(C)):
            squares = csc_array(C).power(2).sum(axis=0)
        else:
            rng = np.random.default_rng(self._seed)
            signs = rng.choice([-1.0, 1.0], size=(self._operator.shape[0], self._PROBES))
            squares = np.square(self._operator.rmatmat(signs)).mean(1)
        found: Vector = lam * squares
        return found

    def penalty(self, delta: Vector, lam: float, /) -> float:
        """Return (λ/2)‖Cδ‖²; see `Penalty`."""
        Cdelta = self._operator.matvec(delta)
        return lam * float(Cdelta @ Cdelta) / 2


@dataclass(frozen=True)
class Reparameterized(Adapted):
    """D = CᵀC: penalise the change of other parameters φ(θ), of which C is the Jacobian (sec. 8.3).

    For a net whose weights are φ(θ) = exp θ, C = diag(exp θ), and the update changes the weights
    as Tikhonov's would without the reparameterization. (λ/2)‖Cδ‖² is the Gauss-Newton
    approximation of (λ/2)‖φ(θ + δ) - φ(θ)‖² (errata M41, M42).

    Parameters
    ----------
    lam : float
        λ at the first iteration.
    rule : LevenbergMarquardt
        How λ is adapted.
    jacobian : callable, (n,) -> ndarray, sparse array or LinearOperator
        θ ↦ C, of shape (m, n); or its diagonal, of shape (n,). Being a function, it cannot be
        stored in a log.

    Raises
    ------
    RopValueError
        If there is no Jacobian.
    """

    jacobian: Callable[[Vector], Jacobian] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jacobian is None:
            raise RopValueError("Reparameterized: give jacobian=, a function θ ↦ C")

    def prepare(self, at: Linearization, mu: float, seed: int, /) -> Penalty:
        """Return the penalty at θ.

        Parameters
        ----------
        at : Linearization
            The objective at θ.
        mu : float
            Not needed.
        seed : int
            For the estimate of D's diagonal where C is a LinearOperator.

        Returns
        -------
        Penalty
            (λ/2)‖Cδ‖².
        """
        assert self.jacobian is not None
        C = self.jacobian(at.theta)
        if C.shape == (at.n,):
            return DiagonalPenalty(np.square(C).astype(at.dtype))
        if len(C.shape) != 2 or C.shape[1] != at.n:
            raise RopValueError(
                f"Reparameterized: jacobian must give a C of shape (m, {at.n}), or its diagonal of "
                f"shape ({at.n},), got {C.shape}"
            )
        return FactoredPenalty(C, seed)
