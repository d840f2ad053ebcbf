"""Linear systems."""

from __future__ import annotations

import numpy as np

from rop.graph import Node, Operand, Shape, as_node
from rop.ops.general import General
from rop.ops.kernels import Array
from rop.ops.op import misfit


class Solve(General):
    """a = M⁻¹ b:  Ra = M⁻¹(Rb - RM a),  db = M⁻ᵀ da,  dM = -db aᵀ.

    Curvature, da held fixed:  Rdb = -M⁻ᵀ RMᵀ db,  RdM = -Rdb aᵀ - db Raᵀ.
    """

    operands = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        M, b = shapes
        if len(M) != 2 or M[0] != M[1] or len(b) not in (1, 2) or b[0] != M[0]:
            raise misfit("solve", "a square matrix, and a vector or matrix with as many rows", M, b)
        return b

    def s(self, M: Array, b: Array) -> Array:
        return self._solve(M, b)

    def Rs(self, z: tuple[Array, ...], Rz: tuple[Array, ...]) -> Array:
        (M, b), (RM, Rb) = z, Rz
        return self._solve(M, Rb - self._times(RM, self._solve(M, b)))

    def sT(self, z: tuple[Array, ...], da: Array) -> tuple[Array, ...]:
        M, b = z
        db = self._solve(_T(M), da)
        return -self._outer(db, self._solve(M, b)), db

    def RsT(self, z: tuple[Array, ...], Rz: tuple[Array, ...], da: Array) -> tuple[Array, ...]:
        M, b = z
        a, Ra = self._solve(M, b), self.Rs(z, Rz)
        db = self._solve(_T(M), da)
        Rdb = -self._solve(_T(M), self._times(_T(Rz[0]), db))
        return -self._outer(Rdb, a) - self._outer(db, Ra), Rdb

    def _columns(self, b: Array) -> Array:
        """A right-hand side as a matrix."""
        return b[..., None] if len(self.shape) == 1 else b

    def _solve(self, M: Array, b: Array) -> Array:
        return np.linalg.solve(M, self._columns(b)).reshape(-1, *self.shape)

    def _times(self, M: Array, a: Array) -> Array:
        return (M @ self._columns(a)).reshape(-1, *self.shape)

    def _outer(self, b: Array, a: Array) -> Array:
        return self._columns(b) @ _T(self._columns(a))


def _T(M: Array) -> Array:
    return np.swapaxes(M, -1, -2)


def solve(M: Operand, b: Operand) -> Node:
    """M⁻¹ b for a square matrix M and a vector or matrix b.

    Its rules are Python functions of NumPy, which every engine calls. A singular M raises
    ``numpy.linalg.LinAlgError`` when an objective is evaluated.

    >>> M, b = rop.param("M", (2, 2)), np.array([2.0, 3.0])
    >>> rop.Objective(rop.sum(rop.solve(M, b))).value_and_gradient([2.0, 0.0, 0.0, 1.0])
    (4.0, array([-0.5, -1.5, -1. , -3. ]))
    """
    return Solve.of(as_node(M), as_node(b))
