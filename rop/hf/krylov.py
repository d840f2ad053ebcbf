"""Krylov subspace descent: f itself minimised over a Krylov subspace (Vinyals & Povey 2012)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from rop.errors import RopValueError
from rop.hf.curvature import Operator, as_operator
from rop.hf.lanczos import Lanczos, Numbers
from rop.hf.policy import Policy
from rop.hf.schedules import Steps, value_at
from rop.hf.solution import Iterate, Reason, Solution
from rop.hf.subproblem import Subproblem
from rop.hf.vectors import Vector, dot, norm
from rop.support.constraints import Count, Positive

# λ relative to the largest curvature: points on the path of Tikhonov's updates.
_LAMS = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)


@dataclass(frozen=True)
class KrylovDescent(Policy):
    """Minimise f over the Krylov subspace of the curvature and ∇f, and the previous update.

    The subspace contains the updates of CG from 0, undamped or with any λ of Tikhonov damping, if
    P = I (sec. 8.1, erratum M38). The search tries a few of these and continues from the best with
    BFGS, in the metric of the curvature. f ends no higher than at any of them, so no λ is needed.
    Use it with ``Undamped()`` and `LastIterate`.

    Parameters
    ----------
    max_steps : int or Ramp
        The dimension of the Krylov subspace: one product each, and a basis of n numbers each.
    evaluations : int
        The largest number of evaluations of f and ∇f, on the selection's cases.
    floor : float
        The smallest curvature in BFGS's metric, as a fraction of the largest one.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> cg, damping = rop.hf.KrylovDescent(), rop.hf.Undamped()
    >>> recipe = rop.hf.Recipe(cg=cg, damping=damping, curvature="hessian")
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, recipe, dtype=np.float64)
    >>> run.theta.round(6)
    array([1., 1.])
    """

    warm = True
    preconditioned = False
    region = None
    max_steps: Steps = 20
    evaluations: Count = 30
    floor: Positive = 1e-4

    @np.errstate(over="ignore", invalid="ignore")  # it stops if a number is not finite
    def solve(self, problem: Subproblem, /) -> Solution:
        """Search the subspace; see `Solver`. The preconditioner is ignored.

        The steps of the solution are the points where f was evaluated, up to the best one, which
        is the last iterate.

        Raises
        ------
        RopValueError
            If the problem has no ``objective``.
        """
        if problem.objective is None:
            raise RopValueError(
                "KrylovDescent: the problem needs objective=, a function x ↦ f(θ + x), ∇f(θ + x)"
            )
        space = _Subspace(problem, problem.max_steps or int(value_at(self.max_steps, 0)))
        if space.reason is not None:
            nothing = Iterate(0, np.zeros_like(problem.b), 0.0)
            return Solution([nothing], space.reason, [0.0], norm(problem.b), space.products)
        search = _Search(space, problem.objective, self.floor)
        search.walk(self.evaluations)
        search.descend(self.evaluations)
        best = search.best
        residual = norm(as_operator(problem.A, problem.b.size)(search.x) - problem.b)
        return Solution(
            [Iterate(best, search.x, search.q[best])],
            "subspace",
            search.q[: best + 1],
            residual,
            space.products + 1,
        )


class _Subspace:
    """The subspace in the eigenbasis of the curvature within it: x = U a, UᵀAU = diag(values)."""

    def __init__(self, problem: Subproblem, dimension: int) -> None:
        product = as_operator(problem.A, problem.b.size)
        self.reason: Reason | None = "residual" if not problem.b.any() else None
        self.products = 0
        if self.reason is not None:
            return
        self._lanczos = lanczos = Lanczos(product, problem.b, None, dimension)
        while self.reason is None and lanczos.k < min(dimension, problem.b.size):
            if not lanczos.extend():
                self.reason = "not finite"
            if lanczos.closed:
                break
        self.products = lanczos.k
        if self.reason is None:
            self._complete(product, problem.b, problem.x0)

    def _complete(self, product: Operator, b: Vector, previous: Vector | None) -> None:
        k = self._lanczos.k
        self._extra = self._beside(previous)
        T = np.diag(self._lanczos.diagonal)
        T[range(k - 1), range(1, k)] = T[range(1, k), range(k - 1)] = self._lanczos.beside[:-1]
        c = np.zeros(k)
        c[0] = self._lanczos.start
        if self._extra is not None:
            Au = product(self._extra)
            self.products += 1
            column = np.append(self._lanczos.coordinates(Au), dot(self._extra, Au))
            T = np.pad(T, (0, 1))
            T[k], T[:, k] = column, column
            c = np.append(c, dot(self._extra, b))
        self.values, self._V = np.linalg.eigh(T)
        self.c = self._V.T @ c

    def _beside(self, previous: Vector | None) -> Vector | None:
        if previous is None:
            return None
        u, _ = self._lanczos.orthogonal(previous, previous)
        size = norm(u)
        # A vector within the subspace leaves rounding errors, which are no direction.
        within = size <= 1e3 * float(np.finfo(u.dtype).eps) * norm(previous)
        return None if within else u / u.dtype.type(size)

    def vector(self, a: Numbers) -> Vector:
        """Return x = U a."""
        h = self._V @ a
        if self._extra is None:
            return self._lanczos.vector(h)
        x: Vector = self._lanczos.vector(h[:-1]) + self._extra.dtype.type(h[-1]) * self._extra
        return x

    def coordinates(self, u: Vector) -> Numbers:
        """Return Uᵀu."""
        h: Numbers = self._lanczos.coordinates(u)
        if self._extra is not None:
            h = np.concatenate([h, [dot(self._extra, u)]])
        found: Numbers = self._V.T @ h
        return found


class _Search:
    """f over the subspace: every point tried, and the best of them."""

    def __init__(
        self,
        space: _Subspace,
        objective: Callable[[Vector], tuple[float, Vector]],
        floor: float,
    ) -> None:
        self._space, self._objective = space, objective
        top = float(abs(space.values).max())
        self._top = top if top > 0 else 1.0
        self._metric = np.sqrt(np.maximum(abs(space.values), floor * self._top))
        self.q = [0.0]
        self.best = 0
        self._a: Numbers = np.zeros(space.c.size)
        self.x = space.vector(self._a)
        f, _ = objective(self.x)
        self._lowest = f if isfinite(f) else inf

    def _try(self, a: Numbers) -> tuple[float, Numbers]:
        x = self._space.vector(a)
        f, gradient = self._objective(x)
        self.q.append(float(a @ (self._space.values * a / 2 - self._space.c)))
        if isfinite(f) and f < self._lowest:
            self.best, self._a, self._lowest, self.x = len(self.q) - 1, a, f, x
        return f, self._space.coordinates(gradient)

    def walk(self, evaluations: int) -> None:
        """Try Tikhonov's updates from large λ to small until f rises."""
        values = abs(self._space.values)
        for lam in _LAMS[: evaluations - 1]:
            self._try(self._space.c / (values + lam * self._top))
            if self.best < len(self.q) - 1:
                return

    def descend(self, evaluations: int) -> None:
        """Continue from the best point with BFGS in coordinates of unit curvature."""
        from scipy.optimize import minimize  # takes longer to load than rop

        left = evaluations - len(self.q)
        if left < 1 or self._lowest == inf:
            return

        def f(z: Any) -> tuple[float, Any]:
            if len(self.q) == evaluations:
                raise _Spent
            if not np.isfinite(z).all():  # L-BFGS-B proposes NaN where a number overflows
                return inf, np.zeros_like(z)
            value, slope = self._try(z / self._metric)
            if not (isfinite(value) and np.isfinite(slope).all()):
                return 1e10 * (1 + abs(self._lowest)), np.zeros_like(z)
            return value, slope / self._metric

        # With as many pairs as steps L-BFGS is BFGS itself.
        options: Any = {"maxiter": left, "maxcor": left, "ftol": 0.0, "gtol": 0.0}
        with suppress(_Spent):
            minimize(f, self._a * self._metric, jac=True, method="L-BFGS-B", options=options)


class _Spent(Exception):
    """All evaluations are used up."""
