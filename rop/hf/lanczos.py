"""The Lanczos process: an orthonormal basis of the Krylov subspace, in which B is tridiagonal."""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.hf.curvature import Operator
from rop.hf.vectors import Vector, dot

Numbers = npt.NDArray[np.floating[Any]]


class Lanczos:
    """A basis Q of the Krylov subspace of P⁻¹B and P⁻¹b with QᵀPQ = I and T = QᵀBQ tridiagonal.

    The basis takes n numbers a step (2n with a preconditioner). Every new vector is orthogonalised
    against all others, so that T is right to rounding.

    Parameters
    ----------
    product : callable, (n,) -> (n,)
        v ↦ Bv for a symmetric B.
    b : ndarray, shape (n,)
        The start of the subspace; not 0.
    preconditioner : callable, (n,) -> (n,), or None
        r ↦ P⁻¹r; None is P = I.
    most : int
        The largest dimension.

    Attributes
    ----------
    start : float
        ‖b‖ in the norm of P⁻¹: b = start · P q_1.
    diagonal, beside : list of float
        The diagonals of T. The last number of ``beside`` is not T's: it is the norm of what leads
        out of the subspace, 0 if nothing does.
    """

    def __init__(
        self, product: Operator, b: Vector, preconditioner: Operator | None, most: int
    ) -> None:
        self._product, self._preconditioner = product, preconditioner
        self._Q = np.empty((min(most, b.size), b.size), b.dtype)
        # P q for every q; with P = I these are the same vectors.
        self._W = self._Q if preconditioner is None else np.empty_like(self._Q)
        self.diagonal: list[float] = []
        self.beside: list[float] = []
        self._next = b
        self.start = self._append(b)

    @property
    def k(self) -> int:
        """The dimension of the subspace in which T is known."""
        return len(self.diagonal)

    def extend(self) -> bool:
        """Add a dimension at one product; return False, unchanged, if it is not finite."""
        k = self.k
        Bq = self._product(self._Q[k])
        alpha = dot(self._Q[k], Bq)
        if not np.isfinite(alpha):
            return False
        t = Bq.astype(Bq.dtype)
        for _ in range(2):  # once is not enough where t is nearly in the span
            t -= self._W[: k + 1].T @ (self._Q[: k + 1] @ t)
        self.diagonal.append(alpha)
        scale = max(map(abs, self.diagonal)) + max(self.beside, default=0.0)
        floor = 10 * self._Q.shape[1] ** 0.5 * float(np.finfo(t.dtype).eps) * scale
        self.beside.append(self._append(t, floor))
        return True

    @property
    def closed(self) -> bool:
        """Whether nothing leads out of the subspace, so that it contains B times itself."""
        return bool(self.beside) and self.beside[-1] == 0

    def eigen(self) -> tuple[Numbers, Numbers]:
        """Return the eigenvalues of T, ascending (k,), and its eigenvectors as columns (k, k)."""
        from scipy.linalg import eigh_tridiagonal  # SciPy takes longer to load than rop

        values, vectors = eigh_tridiagonal(np.array(self.diagonal), np.array(self.beside[:-1]))
        return values, vectors

    def vector(self, h: Numbers) -> Vector:
        """Return Qh, shape (n,); missing coordinates are 0."""
        result: Vector = h.astype(self._Q.dtype) @ self._Q[: h.size]
        return result

    def dual(self, h: Numbers) -> Vector:
        """Return PQh, shape (n,); missing coordinates are 0."""
        result: Vector = h.astype(self._W.dtype) @ self._W[: h.size]
        return result

    def orthogonal(self, v: Vector, Pv: Vector) -> tuple[Vector, Vector]:
        """Return u = v - QQᵀPv, the part of v that is P-orthogonal to the basis, and Pu."""
        for _ in range(2):
            h = self._W[: self.k] @ v
            v, Pv = v - self.vector(h), Pv - self.dual(h)
        return v, Pv

    def coordinates(self, u: Vector) -> Numbers:
        """Return Qᵀu in float64, shape (k,)."""
        found: Numbers = (self._Q[: self.k] @ u).astype(np.float64)
        return found

    def _append(self, t: Vector, floor: float = 0.0) -> float:
        """Make t the basis's next vector if there is room; return its norm, 0 if it is noise."""
        y = t if self._preconditioner is None else self._preconditioner(t)
        size = sqrt(max(dot(t, y), 0.0))
        if size <= floor:
            return 0.0
        if self.k < len(self._Q):
            self._W[self.k] = t / t.dtype.type(size)
            if self._preconditioner is not None:
                self._Q[self.k] = y / y.dtype.type(size)
        return size
