"""The trust-region subproblem by the Lanczos process: GLTR of Gould et al. (1999), sec. 8.6."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt

from rop.hf.cg import Radius
from rop.hf.curvature import Curvature, Operator, as_operator
from rop.hf.lanczos import Lanczos, Numbers
from rop.hf.policy import Policy
from rop.hf.schedules import Steps, value_at
from rop.hf.secular import SecularSolution, solve_secular
from rop.hf.solution import Iterate, Reason, Solution
from rop.hf.subproblem import Subproblem
from rop.hf.trust_region import TrustRegion
from rop.hf.vectors import Vector, dot, finite_vector
from rop.support.arguments import checked
from rop.support.constraints import Count, NotNegative, Seed


@checked
@np.errstate(over="ignore", invalid="ignore")  # it stops if a number is not finite
def gltr(
    operator: Curvature,
    b: npt.ArrayLike,
    radius: Radius,
    preconditioner: Curvature | None = None,
    *,
    max_steps: Count | None = None,
    tolerance: NotNegative = 1e-10,
    semidefinite: bool = False,
    store: Container[int] = (),
    seed: Seed = 0,
) -> Solution:
    """Minimise q(x) = ½xᵀAx - bᵀx over ‖x‖_P <= r, for any symmetric A.

    A is tridiagonal in the basis of the Lanczos process, where the subproblem is solved exactly
    after each step. If b is orthogonal to A's lowest eigenvector (the hard case), a second Lanczos
    process from a random vector finds it.

    Parameters
    ----------
    operator : callable, (n,) -> (n,), or matrix or LinearOperator, shape (n, n)
        v ↦ Av.
    b : ndarray, shape (n,)
        In HF -∇f. For b = 0 the answer is 0.
    radius : float
        r.
    preconditioner : callable, (n,) -> (n,), or matrix or LinearOperator, shape (n, n), optional
        r ↦ P⁻¹r for a symmetric positive definite P, which is the norm of the region as well.
    max_steps : int, optional
        The largest dimension of the subspace, whose basis is kept; n by default.
    tolerance : float
        Stop when ‖(A + λP)x - b‖ <= tolerance · ‖b‖, in the norm of P⁻¹.
    semidefinite : bool
        Whether A is known to have no negative eigenvalue; this saves the second process.
    store : container of int
        The step numbers, from 1 on, whose iterates are wanted.
    seed : int
        Of the random vector.

    Returns
    -------
    Solution
        The iterates, q at each dimension, and the multiplier λ. The reason is "boundary" if the
        region constrains x, "residual" if it does not, "steps" or "not finite".

    Raises
    ------
    RopValueError
        If a number is out of its bounds, b is not finite, or an operator returns a vector of
        another shape.
    RopTypeError
        If an argument has a wrong type or dtype.

    Examples
    --------
    >>> solution = rop.hf.gltr(np.diag([1.0, 2.0, -4.0]), np.ones(3), radius=1.0)
    >>> x = solution.iterates[-1].x
    >>> x.round(4), round(float(np.linalg.norm(x)), 6), solution.reason
    (array([0.166 , 0.1424, 0.9758]), 1.0, 'boundary')
    """
    b = finite_vector("gltr", "b", b)
    product = as_operator(operator, b.size, "operator")
    inverse = (
        None if preconditioner is None else as_operator(preconditioner, b.size, "preconditioner")
    )
    most = b.size if max_steps is None else min(max_steps, b.size)
    lanczos = Lanczos(product, b, inverse, most)
    found, h = SecularSolution(np.zeros(0), 0.0, hard=False), np.zeros(0)
    q, residual, iterates = [0.0], lanczos.start, list[Iterate]()
    reason: Reason | None = "residual" if lanczos.start == 0 else None
    while reason is None:
        if not lanczos.extend():
            reason = "not finite"
            break
        values, V = lanczos.eigen()
        found = solve_secular(values, lanczos.start * V[0], radius)
        h = V @ found.h
        q.append(_q(values, lanczos.start * V[0], found.h))
        residual = lanczos.beside[-1] * abs(float(h[-1]))
        if residual <= tolerance * lanczos.start:
            reason = "boundary" if found.multiplier > 0 else "residual"
        elif lanczos.k == most:
            reason = "steps"
        if lanczos.k in store or reason is not None:
            iterates.append(Iterate(lanczos.k, lanczos.vector(h), q[-1]))
    products = lanczos.k

    if reason in ("boundary", "residual") and 0 < lanczos.k < b.size and not semidefinite:
        lowest, u, Pu, extra = _lowest(product, inverse, b, most, seed)
        products += extra
        if lowest + found.multiplier < -tolerance * max(abs(values).max(), abs(lowest)):
            x, found, q_hard = _enlarged(lanczos, product, b, u, Pu, radius)
            products, reason = products + 1, "boundary"
            q.append(q_hard)
            iterates.append(Iterate(lanczos.k + 1, x, q_hard))
    if not iterates or iterates[-1].steps < len(q) - 1:
        x = lanczos.vector(h) if h.size else np.zeros_like(b)
        iterates.append(Iterate(len(q) - 1, x, q[-1]))
    return Solution(iterates, reason, q, residual, products, found.multiplier)


def _q(values: Numbers, c: Numbers, h: Numbers) -> float:
    return float(h @ (values * h / 2 - c))


def _lowest(
    product: Operator, preconditioner: Operator | None, b: Vector, most: int, seed: int
) -> tuple[float, Vector, Vector, int]:
    """Return the lowest eigenvalue of P⁻¹A, its eigenvector u, Pu, and the products they cost.

    A random vector has a component along every eigenvector. If a product is not finite, the
    returned eigenvalue is infinite: nothing lower was found.
    """
    start = np.random.default_rng(seed).standard_normal(b.size).astype(b.dtype)
    lanczos = Lanczos(product, start, preconditioner, most)
    while lanczos.extend():
        values, V = lanczos.eigen()
        error = lanczos.beside[-1] * abs(V[-1, 0])
        if lanczos.k == most or error <= 1e-13 * abs(values).max():
            return float(values[0]), lanczos.vector(V[:, 0]), lanczos.dual(V[:, 0]), lanczos.k
    return inf, start, start, lanczos.k


def _enlarged(
    lanczos: Lanczos, product: Operator, b: Vector, u: Vector, Pu: Vector, radius: float
) -> tuple[Vector, SecularSolution, float]:
    """Solve the subproblem in the Lanczos basis with one more direction."""
    u, Pu = lanczos.orthogonal(u, Pu)
    u = u / u.dtype.type(np.sqrt(dot(u, Pu)))
    Au = product(u)
    k = lanczos.k
    T = np.zeros((k + 1, k + 1))
    T[range(k), range(k)] = lanczos.diagonal
    T[range(k - 1), range(1, k)] = T[range(1, k), range(k - 1)] = lanczos.beside[:-1]
    T[:k, k] = T[k, :k] = lanczos.coordinates(Au)
    T[k, k] = dot(u, Au)
    values, V = np.linalg.eigh(T)
    c = lanczos.start * V[0] + dot(u, b) * V[k]
    found = solve_secular(values, c, radius)
    h = V @ found.h
    x: Vector = lanczos.vector(h[:k]) + u.dtype.type(h[k]) * u
    return x, found, _q(values, c, found.h)


@dataclass(frozen=True)
class LanczosTrustRegion(Policy):
    """GLTR as HF's solver: the best update within the trust region and the Krylov subspace.

    It keeps a basis of n numbers a step, and always starts from 0 (sec. 8.6).

    Parameters
    ----------
    region : TrustRegion
        The radius and its rule.
    max_steps : int or Ramp
        The largest dimension of the subspace.
    tolerance : float
        Stop when ‖(A + λP)x - b‖ <= tolerance · ‖b‖.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> cg, damping = rop.hf.LanczosTrustRegion(), rop.hf.Undamped()
    >>> recipe = rop.hf.Recipe(cg=cg, damping=damping, curvature="hessian")
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, recipe, dtype=np.float64)
    >>> run.message, run.theta.round(6)
    ('the norm of the gradient is small enough', array([1., 1.]))
    """

    warm = False
    preconditioned = True
    region: TrustRegion = field(default_factory=TrustRegion)
    max_steps: Steps = 50
    tolerance: NotNegative = 1e-4

    def solve(self, problem: Subproblem, /) -> Solution:
        """Minimise the model within the trust region; see `Solver`."""
        return gltr(
            problem.A,
            problem.b,
            problem.radius,
            problem.preconditioner,
            max_steps=problem.max_steps or int(value_at(self.max_steps, 0)),
            tolerance=self.tolerance,
            semidefinite=problem.semidefinite,
            store=problem.store,
        )
