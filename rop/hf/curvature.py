"""Whatever has products with vectors as v ↦ Bv: a function, a matrix, a SciPy LinearOperator."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rop.errors import RopValueError
from rop.hf.vectors import Vector

if TYPE_CHECKING:
    from scipy.sparse import sparray, spmatrix
    from scipy.sparse.linalg import LinearOperator

Operator: TypeAlias = Callable[[Vector], Vector]
Curvature: TypeAlias = "Operator | npt.NDArray[Any] | spmatrix | sparray | LinearOperator"


class Diagonal:
    """r ↦ dr for a diagonal d, into a buffer that is used again.

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


def as_operator(B: Curvature, n: int) -> Operator:
    """Return v ↦ Bv.

    Parameters
    ----------
    B : callable, or ndarray, sparse array or LinearOperator, shape (n, n)
        The curvature; a function is returned as it is.
    n : int
        The length of v.

    Returns
    -------
    callable, (n,) -> (n,)
        The product.

    Raises
    ------
    RopValueError
        If B has a shape, and that is not (n, n).
    """
    shape = getattr(B, "shape", (n, n))
    if shape != (n, n):
        raise RopValueError(f"B: expected shape ({n}, {n}) for vectors of length {n}, got {shape}")
    if callable(B) and not hasattr(B, "matvec"):
        return B
    from scipy.sparse.linalg import aslinearoperator  # SciPy takes longer to load than rop

    product: Operator = aslinearoperator(B).matvec  # type: ignore[arg-type]
    return product
