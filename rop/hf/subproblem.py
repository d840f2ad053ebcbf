"""The quadratic model that an update minimises, and what minimises it."""

from __future__ import annotations

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

    Every solver needs A and b; the rest is for some solvers and stopping rules.

    Parameters
    ----------
    A : callable, (n,) -> (n,), or matrix or LinearOperator, shape (n, n)
        The (damped) curvature, symmetric: G, H, a matrix, ``at.G`` or your own function.
    b : ndarray, shape (n,)
        -∇f (erratum M11).
    x0 : ndarray, shape (n,), optional
        Where to start; 0 by default. Krylov subspace descent adds it to its subspace.
    preconditioner : callable, (n,) -> (n,), optional
        r ↦ P⁻¹r.
    radius : float
        r of the trust region {‖x‖_P <= r}.
    semidefinite : bool
        Whether A is known to be positive semidefinite; then no solver looks for negative curvature
        orthogonal to the Krylov subspace.
    max_steps : int, optional
        The largest number of steps; the solver's own by default.
    store : container of int
        The step numbers, from 1 on, whose iterates are wanted.
    f : float
        f(θ) on the cases of ``watch``.
    watch : callable, Iterate -> float, optional
        x ↦ f(θ + x) on the curvature's cases, for stopping rules.
    objective : callable, (n,) -> (float, (n,)), optional
        x ↦ f(θ + x), ∇f(θ + x), for Krylov subspace descent.
    b_norm_before : float
        ‖b‖ of the problem before, for forcing terms; NaN for the first one.
    pairs : int
        How many pairs (p, Ap) of CG's directions are wanted.

    Examples
    --------
    >>> problem = rop.hf.Subproblem(np.diag([1.0, 2.0]), np.ones(2))
    >>> rop.hf.ConjugateGradient().solve(problem).iterates[-1].x
    array([1. , 0.5])
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
    b_norm_before: float = nan
    pairs: int = 0

    def q(self, x: Vector) -> float:
        """Return q(x), at the cost of one product."""
        return dot(x, as_operator(self.A, x.size)(x)) / 2 - dot(self.b, x)


class Solver(Protocol):
    """Minimises the quadratic model approximately, such as `ConjugateGradient`."""

    @property
    def max_steps(self) -> int | Ramp:
        """The largest number of steps."""

    @property
    def region(self) -> TrustRegion | None:
        """The trust region, if there is one."""

    @property
    def warm(self) -> bool:
        """Whether it uses x_0, an iterate of the run before (sec. 10)."""

    @property
    def preconditioned(self) -> bool:
        """Whether it uses the preconditioner P (sec. 11); if not, HF computes none."""

    def solve(self, problem: Subproblem, /) -> Solution:
        """Return the wanted iterates and the reason for stopping."""
