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

    The basis is kept, at n numbers a step (twice that with a preconditioner), and every new vector
    is made orthogonal to all others: T then stays right to rounding.

    Parameters
    ----------
    product : callable, (n,) -> (n,)
        v ↦ Bv for a symmetric B.
    b : ndarray, shape (n,)
        Where the subspace starts; not 0.
    preconditioner : callable, (n,) -> (n,), or None
        r ↦ P⁻¹r; None is P = I.
    most : int
        The largest dimension.

    Attributes
    ----------
    start : float
        ‖b‖ in the norm of P⁻¹: b = start · P q_1.
    diagonal, beside : list of float
        T's diagonal, and beside it one more number than T has: the norm of what leads out of the
        subspace; 0 where nothing does.
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
        """Go one dimension further, at the cost of one product.

        Returns
        -------
        bool
            False if the product is not finite; then nothing has changed.
        """
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
        """Return the eigenvalues of T and its eigenvectors as columns.

        Returns
        -------
        tuple of ndarray, shapes (k,) and (k, k)
            The Ritz values in ascending order, and the vectors.
        """
        from scipy.linalg import eigh_tridiagonal  # SciPy takes longer to load than rop

        values, vectors = eigh_tridiagonal(np.array(self.diagonal), np.array(self.beside[:-1]))
        return values, vectors

    def vector(self, h: Numbers) -> Vector:
        """Return Qh.

        Parameters
        ----------
        h : ndarray, shape (k,) or shorter
            Coordinates in the basis; missing ones are 0.

        Returns
        -------
        ndarray, shape (n,)
            The vector.
        """
        result: Vector = h.astype(self._Q.dtype) @ self._Q[: h.size]
        return result

    def dual(self, h: Numbers) -> Vector:
        """Return PQh.

        Parameters
        ----------
        h : ndarray, shape (k,) or shorter
            Coordinates in the basis; missing ones are 0.

        Returns
        -------
        ndarray, shape (n,)
            P times the vector with these coordinates.
        """
        result: Vector = h.astype(self._W.dtype) @ self._W[: h.size]
        return result

    def orthogonal(self, v: Vector, Pv: Vector) -> tuple[Vector, Vector]:
        """Return the part of v that is P-orthogonal to the basis, and P times it.

        Parameters
        ----------
        v, Pv : ndarray, shape (n,)
            A vector, and P times it.

        Returns
        -------
        tuple of ndarray, shape (n,)
            u = v - QQᵀPv and Pu.
        """
        for _ in range(2):
            h = self._W[: self.k] @ v
            v, Pv = v - self.vector(h), Pv - self.dual(h)
        return v, Pv

    def coordinates(self, u: Vector) -> Numbers:
        """Return Qᵀu.

        Parameters
        ----------
        u : ndarray, shape (n,)
            A vector, such as b or a product with B.

        Returns
        -------
        ndarray of float64, shape (k,)
            Its scalar products with the basis.
        """
        found: Numbers = (self._Q[: self.k] @ u).astype(np.float64)
        return found

    def _append(self, t: Vector, floor: float = 0.0) -> float:
        """Make t the basis's next vector if there is room; returns its norm, 0 if it is noise."""
        y = t if self._preconditioner is None else self._preconditioner(t)
        size = sqrt(max(dot(t, y), 0.0))
        if size <= floor:
            return 0.0
        if self.k < len(self._Q):
            self._W[self.k] = t / t.dtype.type(size)
            if self._preconditioner is not None:
                self._Q[self.k] = y / y.dtype.type(size)
        return size
