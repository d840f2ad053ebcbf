"""The product with G or H at one θ, as an operator that says which one it is."""

from dataclasses import dataclass
from typing import Literal

from rop.hf.evaluation import Evaluator
from rop.hf.vectors import Vector
from rop.linearization import Linearization


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

    def __call__(self, v: Vector) -> Vector:
        """Return the product, and count it."""
        self.evaluator.products += 1
        return self.at.hvp(v) if self.curvature == "hessian" else self.at.ggnvp(v, self.mu)
