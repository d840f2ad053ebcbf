"""B, the product with G or H at one θ, and A, the same damped (sec. 6, 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rop.hf.curvature import Operator
from rop.hf.evaluation import Evaluator
from rop.hf.vectors import Vector, axpy
from rop.objective.linearization import Linearization


@dataclass(frozen=True, eq=False)
class CurvatureProduct:
    """B: v ↦ Gv + μSv, or v ↦ Hv; counts the products.

    Parameters
    ----------
    at : Linearization
        The objective at θ on the curvature's cases.
    curvature : str
        "ggn" for G, "hessian" for H.
    mu : float
        The strength of structural damping (sec. 8.4), with G only.
    evaluator : Evaluator
        Counts the products.
    """

    at: Linearization
    curvature: Literal["ggn", "hessian"]
    mu: float
    evaluator: Evaluator

    def __call__(self, v: Vector, lam: float = 0.0) -> Vector:
        """Return Bv + λv."""
        self.evaluator.products += 1
        if self.curvature == "ggn":
            return self.at.ggnvp(v, self.mu, lam)
        Hv = self.at.hvp(v)
        if lam:
            axpy(lam, v, Hv)
        return Hv


@dataclass(frozen=True, eq=False)
class Damped:
    """A: v ↦ Bv + dv for a diagonal d; it changes the results of ``product`` in place.

    Parameters
    ----------
    product : callable, (n,) -> (n,)
        v ↦ Bv.
    d : float or ndarray, shape (n,)
        The diagonal of λD; public, so that CG on the GPU can add it there.
    """

    product: Operator
    d: Vector | float

    def __call__(self, v: Vector) -> Vector:
        """Return Bv + dv."""
        if isinstance(self.d, float) and isinstance(self.product, CurvatureProduct):
            return self.product(v, self.d)
        Bv = self.product(v)
        axpy(1.0, self.d * v, Bv)
        return Bv
