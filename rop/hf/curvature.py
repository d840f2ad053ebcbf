"""The curvature as v ↦ Bv, from a function, a matrix or a SciPy LinearOperator."""

from collections.abc import Callable
from math import inf
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.hf.vectors import Vector
from rop.support.arguments import shown


class Matrix(Protocol):
    """An array, a SciPy sparse array or a LinearOperator."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, n)."""

    def dot(self, v: Any, /) -> Any:
        """Return the product with v."""


Operator: TypeAlias = Callable[[Vector], Vector]
Curvature: TypeAlias = Operator | Matrix


class Diagonal:
    """r ↦ dr for a diagonal d; every call returns the same buffer.

    Parameters
    ----------
    d : ndarray, shape (n,)
        The diagonal; its dtype is that of r.
    """

    def __init__(self, d: Vector) -> None:
        self.d = d
        self._dr = np.empty_like(d)

    def __call__(self, r: Vector) -> Vector:
        """Return dr."""
        return np.multiply(self.d, r, out=self._dr)

    @property
    def inverse_range(self) -> tuple[float, float]:
        """The least and the largest 1/d; infinite for an entry that is 0 in its dtype."""
        least, largest = float(self.d.min()), float(self.d.max())
        return 1 / largest if largest else inf, 1 / least if least else inf


def as_operator(B: Curvature, n: int, name: str = "B") -> Operator:
    """Return v ↦ Bv; a result that is no vector like v is refused before compiled code reads it.

    Parameters
    ----------
    B : callable, or ndarray, sparse array or LinearOperator, shape (n, n)
        The curvature or another matrix.
    n : int
        The length of v.
    name : str
        What an error calls it.

    Returns
    -------
    callable, (n,) -> (n,)
        The product, in the dtype of v; it may reuse the buffer of a function.

    Raises
    ------
    RopValueError
        If B has a shape, and that is not (n, n).
    """
    shape = getattr(B, "shape", (n, n))
    if shape != (n, n):
        raise RopValueError(
            f"{name}: expected shape ({n}, {n}) for vectors of length {n}, got {shape}"
        )
    if callable(B) and not hasattr(B, "matvec"):
        product: Operator = B
    else:
        from scipy.sparse.linalg import aslinearoperator  # SciPy takes longer to load than rop

        product = aslinearoperator(cast(Any, B)).matvec

    def call(v: Vector) -> Vector:
        Bv = product(v)
        if type(Bv) is np.ndarray and Bv.shape == v.shape and Bv.dtype == v.dtype:
            return Bv
        return _like(v, Bv, name)

    return call


def _like(v: Vector, Bv: Any, name: str) -> Vector:
    """Return a result in the dtype of v, or raise the error that says what is wrong with it."""
    array = np.asarray(Bv)
    wanted = f"{name}: expected a result of shape {v.shape}, as its argument has,"
    if array.shape != v.shape:
        raise RopValueError(f"{wanted} got {shown(Bv)}")
    if array.dtype.kind not in "fiub" or isinstance(Bv, np.ma.MaskedArray):
        raise RopTypeError(f"{wanted} of real numbers, got {shown(Bv)}")
    return array.astype(v.dtype)
