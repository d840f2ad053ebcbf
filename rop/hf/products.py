"""The product with G or H at one θ, as an operator that says which one it is, and damped."""

from dataclasses import dataclass
from typing import Literal

from rop.hf.curvature import Operator
from rop.hf.evaluation import Evaluator
from rop.hf.vectors import Vector, axpy
from rop.objective.linearization import Linearization


@dataclass(frozen=True, eq=False)
class CurvatureProduct:
    """v ↦ Gv + μSv, or v ↦ Hv, counted among the work.

    Parameters
    ----------
    at : Linearization
        The objective at θ on the curvature's cases.
    curvature : str
        "ggn" for G, "hessian" for H.
    mu : float
        The strength of structural damping (sec. 8.4), with G only.
    evaluator : Evaluator
        Counts.
    """

    at: Linearization
    curvature: Literal["ggn", "hessian"]
    mu: float
    evaluator: Evaluator

    def __call__(self, v: Vector, lam: float = 0.0) -> Vector:
        """Return the product, plus λv, and count it."""
        self.evaluator.products += 1
        if self.curvature == "ggn":
            return self.at.ggnvp(v, self.mu, lam)
        Hv = self.at.hvp(v)
        if lam:
            axpy(lam, v, Hv)
        return Hv


@dataclass(frozen=True, eq=False)
class Damped:
    """v ↦ Bv + dv for a diagonal d; the results of ``product`` are changed in place.

    Parameters
    ----------
    product : callable, (n,) -> (n,)
        v ↦ Bv.
    d : float or ndarray, shape (n,)
        The diagonal, as data: who keeps the vectors elsewhere adds it there.
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
