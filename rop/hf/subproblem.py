"""The quadratic model that an update minimises, as every solver takes it."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from math import inf, nan
from typing import Protocol

from rop.hf.curvature import Curvature, Operator, as_operator
from rop.hf.schedules import Ramp
from rop.hf.solution import Iterate, Solution
from rop.hf.trust_region import TrustRegion
from rop.hf.vectors import Vector, dot


@dataclass(frozen=True)
class Subproblem:
    """Minimise q(x) = ½xᵀAx - bᵀx, the model of f(θ + x) - f(θ), with q(0) = 0 (sec. 4).

    Only A and b are always needed; the rest is for solvers and stopping rules that use it.

    Parameters
    ----------
    A : callable, (n,) -> (n,), or matrix or LinearOperator, shape (n, n)
        The (damped) curvature, symmetric: G, H, a matrix, ``at.G``, a function of one's own.
    b : ndarray, shape (n,)
        -∇f (erratum M11).
    x0 : ndarray, shape (n,), optional
        Where to start; 0 by default. Krylov subspace descent adds it to its subspace.
    preconditioner : callable, (n,) -> (n,), optional
        r ↦ P⁻¹r.
    radius : float
        r of the trust region {‖x‖_P <= r}.
    semidefinite : bool
        Whether A is known to be positive semidefinite, as G is: then nobody looks for directions
        of negative curvature that b does not show.
    max_steps : int, optional
        The largest number of steps; the solver's own by default.
    store : container of int
        The step numbers whose iterates are wanted.
    f : float
        f(θ) on the cases of ``watch``.
    watch : callable, Iterate -> float, optional
        x ↦ f(θ + x) on the curvature's cases, for stopping rules.
    objective : callable, (n,) -> (float, (n,)), optional
        x ↦ f(θ + x), ∇f(θ + x), for Krylov subspace descent.
    """

    A: Curvature
    b: Vector
    x0: Vector | None = None
    preconditioner: Operator | None = None
    radius: float = inf
    semidefinite: bool = False
    max_steps: int | None = None
    store: Container[int] = ()
    f: float = nan
    watch: Callable[[Iterate], float] | None = None
    objective: Callable[[Vector], tuple[float, Vector]] | None = None

    def q(self, x: Vector) -> float:
        """Return q(x), at the cost of one product.

        Parameters
        ----------
        x : ndarray, shape (n,)
            x.

        Returns
        -------
        float
            ½xᵀAx - bᵀx.
        """
        return dot(x, as_operator(self.A, x.size)(x)) / 2 - dot(self.b, x)


class Solver(Protocol):
    """Minimises the quadratic model, more or less; `ConjugateGradient` and others."""

    @property
    def max_steps(self) -> int | Ramp:
        """The largest number of steps."""

    @property
    def region(self) -> TrustRegion | None:
        """The trust region, if there is one."""

    @property
    def warm(self) -> bool:
        """Whether it makes use of the update before (sec. 10)."""

    def solve(self, problem: Subproblem, /) -> Solution:
        """Return the iterates and the reason for stopping."""
