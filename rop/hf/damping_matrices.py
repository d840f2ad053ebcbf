"""Damping matrices D at one θ: the identity, a diagonal, and CᵀC (sec. 8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from rop.hf.curvature import Operator
from rop.hf.products import Damped
from rop.hf.vectors import Vector, axpy, dot

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

# An ndarray, a sparse array or matrix, or a LinearOperator: SciPy's stubs have no common type.
Jacobian: TypeAlias = Any


class DampingMatrix(Protocol):
    """D at one θ, which penalises δ by (λ/2) δᵀDδ."""

    def damp(self, B: Operator, lam: float, /) -> Operator:
        """Return A, v ↦ Bv + λDv; it changes the results of B in place."""

    def diagonal(self, lam: float, /) -> Vector | float:
        """Return the diagonal of λD, or an estimate of it."""

    def penalty(self, delta: Vector, lam: float, /) -> float:
        """Return (λ/2) δᵀDδ, the damped model minus the undamped one at δ."""


@dataclass(frozen=True)
class Identity:
    """D = I."""

    def damp(self, B: Operator, lam: float, /) -> Operator:
        """Return v ↦ Bv + λv; see `DampingMatrix`."""
        return Damped(B, lam) if lam else B

    def diagonal(self, lam: float, /) -> float:
        """Return λ; see `DampingMatrix`."""
        return lam

    def penalty(self, delta: Vector, lam: float, /) -> float:
        """Return (λ/2)‖δ‖²; see `DampingMatrix`."""
        return lam * dot(delta, delta) / 2


class DiagonalMatrix:
    """D = diag(d).

    Parameters
    ----------
    d : ndarray, shape (n,)
        The diagonal.
    """

    def __init__(self, d: Vector) -> None:
        self._d = d

    def damp(self, B: Operator, lam: float, /) -> Operator:
        """Return v ↦ Bv + λDv; see `DampingMatrix`."""
        return Damped(B, self.diagonal(lam))

    def diagonal(self, lam: float, /) -> Vector:
        """Return λd; see `DampingMatrix`."""
        return self._d * self._d.dtype.type(lam)

    def penalty(self, delta: Vector, lam: float, /) -> float:
        """Return (λ/2) Σ d_i δ_i²; see `DampingMatrix`."""
        return lam * dot(delta, self._d * delta) / 2


class GramMatrix:
    """D = CᵀC.

    Parameters
    ----------
    C : ndarray, sparse array or LinearOperator, shape (m, n)
        The factor.
    seed : int
        For the estimate of D's diagonal where C is a LinearOperator.
    """

    # The relative error of the estimate of the diagonal is about sqrt(2 / probes).
    _PROBES = 32

    def __init__(self, C: Jacobian, seed: int) -> None:
        from scipy.sparse.linalg import aslinearoperator  # SciPy takes longer to load than rop

        self._C, self._seed = C, seed
        self._operator: LinearOperator[Any] = aslinearoperator(C)

    def damp(self, B: Operator, lam: float, /) -> Operator:
        """Return v ↦ Bv + λCᵀCv; see `DampingMatrix`."""

        def damped(v: Vector) -> Vector:
            Bv = B(v)
            CtCv = self._operator.rmatvec(self._operator.matvec(v))
            axpy(lam, CtCv.astype(Bv.dtype, copy=False), Bv)
            return Bv

        return damped

    def diagonal(self, lam: float, /) -> Vector:
        """Return λ times the sums of squares of C's columns; see `DampingMatrix`.

        Where only products with C are known it is the mean of sq(Cᵀv) over random signs v, which is
        unbiased (sec. 11.2; sec. 11.4 does the same for G).
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
        """Return (λ/2)‖Cδ‖²; see `DampingMatrix`."""
        Cdelta = self._operator.matvec(delta)
        return lam * float(Cdelta @ Cdelta) / 2
