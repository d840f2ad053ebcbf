"""G, H and J as SciPy LinearOperators, and as matrices when they are small."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from rop.engines.room import refuse_if_too_large
from rop.errors import RopValueError
from rop.objective.diagonals import root
from rop.objective.inputs import numbers
from rop.objective.per_case import rows
from rop.objective.products import Products

Product: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]


class CurvatureOperator(LinearOperator):
    """A matrix that is known by its products; `matrix` forms it.

    Parameters
    ----------
    shape : (int, int)
        Its shape.
    dtype : dtype
        float32 or float64.
    product : callable
        Product with one vector, or with a block of columns.
    adjoint : callable
        The same for the transposed matrix.
    dense : callable
        Forms the matrix.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        product: Product,
        adjoint: Product,
        dense: Callable[[], NDArray[Any]],
    ) -> None:
        self._product, self._adjoint_product, self._dense = product, adjoint, dense
        super().__init__(dtype, shape)  # type: ignore[call-arg]

    def __matmul__(self, x: Any) -> Any:
        return self.dot(x)

    def dot(self, x: Any) -> Any:
        """Product with a vector, a block of columns, another operator or a number.

        Raises
        ------
        RopTypeError, RopValueError
            If it is none of these, or its length does not fit.
        """
        known = isinstance(x, LinearOperator | Real) or issparse(x)
        factor: Any = x if known else _fitting(x, self.shape[1])
        return super().dot(factor)

    def matvec(self, x: Any) -> Any:
        """Product with a vector."""
        return super().matvec(_fitting(x, self.shape[1], column=True))

    def rmatvec(self, x: Any) -> Any:
        """Product of the transposed matrix with a vector."""
        return super().rmatvec(_fitting(x, self.shape[0], column=True))

    def matmat(self, X: Any) -> Any:
        """Product with a block of columns."""
        return super().matmat(_fitting(X, self.shape[1]))

    def rmatmat(self, X: Any) -> Any:
        """Product of the transposed matrix with a block of columns."""
        return super().rmatmat(_fitting(X, self.shape[0]))

    def _matvec(self, x: NDArray[Any]) -> NDArray[Any]:
        return self._product(np.ravel(x))

    def _rmatvec(self, x: NDArray[Any]) -> NDArray[Any]:
        return self._adjoint_product(np.ravel(x))

    def _matmat(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._product(X)

    def _rmatmat(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._adjoint_product(X)

    def _adjoint(self) -> CurvatureOperator:
        rows, columns = self.shape
        return CurvatureOperator(
            (columns, rows),
            self.dtype,
            self._adjoint_product,
            self._product,
            lambda: self._dense().T,
        )

    _transpose = _adjoint

    def matrix(self) -> NDArray[Any]:
        """Form the matrix; for small problems.

        Returns
        -------
        ndarray
            Of the operator's shape.

        Raises
        ------
        RopMemoryError
            If it does not fit into memory.
        """
        rows, columns = self.shape
        refuse_if_too_large(
            {"matrix": rows * columns * self.dtype.itemsize},
            f"a matrix of {rows} x {columns}",
            "use products instead",
        )
        return self._dense()


def _fitting(x: Any, length: int, column: bool = False) -> NDArray[Any]:
    """Return a vector or a block of columns; raises RopError unless it has the length."""
    array = numbers("operand", x)
    fits = array.shape[:1] == (length,) and array.ndim <= 2
    if not fits or (column and array.shape[1:] not in ((), (1,))):
        expected = f"({length},) or ({length}, {1 if column else 'K'})"
        raise RopValueError(f"operand: expected shape {expected}, got {array.shape}")
    return array


def gauss_newton(at: Products, ggnvp: Product) -> CurvatureOperator:
    """G = Jᵀ L'' J + l2 I, (n, n)."""
    n = at.objective.n

    def dense() -> NDArray[Any]:
        shape = at.shapes["outputs"]
        if prod(shape) > n:
            return ggnvp(np.eye(n, dtype=at.dtype))
        # Fewer outputs than parameters: the rows SᵀJ, and one matrix product.
        S, signs = root(at)
        k = prod(shape[1:])
        unit = np.eye(k, dtype=at.dtype).reshape(*shape[1:], k)
        B = rows(at, S(np.broadcast_to(unit, (*shape, k))))
        left = B if (signs > 0.0).all() else B * signs[..., None]
        # Of BᵀB, NumPy computes one triangle.
        G: NDArray[Any] = left.reshape(-1, n).T @ B.reshape(-1, n)
        G[np.diag_indices(n)] += np.asarray(at.objective.penalty, at.dtype)
        return G

    return CurvatureOperator((n, n), at.dtype, ggnvp, ggnvp, dense)


def hessian(at: Products, hvp: Product) -> CurvatureOperator:
    """H = ∇²f, (n, n)."""
    n = at.objective.n
    return CurvatureOperator((n, n), at.dtype, hvp, hvp, lambda: hvp(np.eye(n, dtype=at.dtype)))


def jacobian(at: Products, jvp: Product, vjp: Product) -> CurvatureOperator:
    """J = ∂F/∂θ, (N·m, n): the outputs of all cases, one case after the other."""
    n, shape = at.objective.n, at.shapes["outputs"]
    m = prod(shape[1:])

    def product(v: NDArray[Any]) -> NDArray[Any]:
        return jvp(v).reshape(-1, *v.shape[1:])

    def adjoint(u: NDArray[Any]) -> NDArray[Any]:
        return vjp(u.reshape(*shape, *u.shape[1:]))

    def dense() -> NDArray[Any]:
        unit = np.eye(m, dtype=at.dtype).reshape(*shape[1:], m)
        return rows(at, np.broadcast_to(unit, (*shape, m))).reshape(-1, n)

    return CurvatureOperator((shape[0] * m, n), at.dtype, product, adjoint, dense)
