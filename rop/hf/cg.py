"""The preconditioned conjugate gradient method, algorithm 2, for any operator."""

from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Literal, Protocol, TypeAlias

import numpy as np

from rop.errors import RopValueError
from rop.hf.vectors import Vector, axpy, dot, norm

Operator: TypeAlias = Callable[[Vector], Vector]
Reason: TypeAlias = Literal["progress", "residual", "steps", "negative curvature", "not finite"]


@dataclass(frozen=True)
class Iterate:
    """An iterate x of CG that was kept: its number of steps and q(x), with q(0) = 0."""

    steps: int
    x: Vector
    q: float


@dataclass
class Progress:
    """What a stopping rule sees after each step.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The present iterate; it changes in place, copy it to keep it.
    q : list of float
        q(x_0), ..., q(x_j).
    residual : float
        ‖Ax - b‖, from CG's recursion.
    """

    x: Vector
    q: list[float]
    residual: float

    @property
    def steps(self) -> int:
        """The number of steps done, j."""
        return len(self.q) - 1


class StopRule(Protocol):
    """Says after a step why CG should stop, or None to go on."""

    def __call__(self, progress: Progress, /) -> Reason | None:
        """Judge the run so far."""


@dataclass(frozen=True)
class Solution:
    """What a run of CG found.

    Attributes
    ----------
    iterates : list of Iterate
        The wanted iterates in order of their steps; the last iterate always ends the list.
    reason : str
        Why CG stopped: "progress", "residual", "steps", "negative curvature", "not finite",
        or what a stopping rule said.
    q : list of float
        q(x_0), ..., q(x_steps).
    residual : float
        ‖Ax - b‖ at the end, from CG's recursion.
    products : int
        Products with A that were computed.
    """

    iterates: list[Iterate]
    reason: Reason
    q: list[float] = field(repr=False)
    residual: float
    products: int

    @property
    def x(self) -> Vector:
        """The last iterate."""
        return self.iterates[-1].x

    @property
    def steps(self) -> int:
        """The number of steps of CG."""
        return self.iterates[-1].steps

    @property
    def usable(self) -> bool:
        """Whether the last iterate has q(x) < q(0) = 0, which a warm start does not ensure."""
        return self.reason != "not finite" and self.q[-1] < 0


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is a reason to stop
def pcg(
    operator: Operator,
    b: Vector,
    x0: Vector | None = None,
    preconditioner: Operator | None = None,
    *,
    max_steps: int | None = None,
    residual: float = 0.0,
    stops: Sequence[StopRule] = (),
    store: Container[int] = (),
    keep: int | None = None,
) -> Solution:
    """Minimise q(x) = ½xᵀAx - bᵀx by algorithm 2, for a symmetric positive definite A.

    The residual is r = Ax - b, the gradient of q (errata M11, M14). CG also stops, before the
    step, where pᵀAp <= 0 or where A yields NaN or infinity (erratum M14).

    Parameters
    ----------
    operator : callable, (n,) -> (n,)
        v ↦ Av. It may return the same buffer each time.
    b : ndarray, shape (n,), float32 or float64
        The right-hand side; in HF -∇f. Its dtype is that of all vectors.
    x0 : ndarray, shape (n,), optional
        Where to start (sec. 10); 0 by default, which saves a product.
    preconditioner : callable, (n,) -> (n,), optional
        r ↦ P⁻¹r for a symmetric positive definite P. It may return the same buffer each time.
    max_steps : int, optional
        The largest number of steps; 10 n by default.
    residual : float
        Stop when ‖r‖ <= residual · ‖b‖.
    stops : sequence of callables
        Further stopping rules, asked after each step.
    store : container of int
        The step numbers whose iterates are wanted, such as ``range(10, 250, 10)``.
    keep : int, optional
        The most iterates to hold in memory; the earliest are dropped.

    Returns
    -------
    Solution
        The wanted iterates with q at each, the reason for stopping, and the costs.

    Raises
    ------
    RopValueError
        If the preconditioner is not positive definite, that is rᵀP⁻¹r < 0.
    """
    max_steps = 10 * b.size if max_steps is None else max_steps
    x = np.zeros_like(b) if x0 is None else x0.astype(b.dtype)
    r = -b if x0 is None else operator(x) - b
    y = r if preconditioner is None else preconditioner(r)
    p = -y
    ry = _squared_norm(r, y)
    progress = Progress(x, [(dot(r, x) - dot(b, x)) / 2], norm(r))
    enough = residual * norm(b)
    iterates: deque[Iterate] = deque(maxlen=keep)
    products = 0 if x0 is None else 1

    while True:
        reason = _reason(progress, ry, enough, max_steps, stops)
        if reason is not None:
            break
        Ap = operator(p)
        products += 1
        pAp = dot(p, Ap)
        if not isfinite(pAp):
            reason = "not finite"
            break
        if pAp <= 0:
            reason = "negative curvature"
            break
        alpha = ry / pAp
        axpy(alpha, p, x)
        axpy(alpha, Ap, r)
        # q(x + αp) = q(x) - ½α rᵀy, as pᵀr = -rᵀy: no product with x or b is needed.
        progress.q.append(progress.q[-1] - alpha * ry / 2)
        y = r if preconditioner is None else preconditioner(r)
        previous, ry = ry, _squared_norm(r, y)
        progress.residual = sqrt(ry) if y is r else norm(r)
        p *= p.dtype.type(ry / previous)
        axpy(-1.0, y, p)
        if progress.steps in store:
            iterates.append(Iterate(progress.steps, x.copy(), progress.q[-1]))

    if not iterates or iterates[-1].steps < progress.steps:
        iterates.append(Iterate(progress.steps, x, progress.q[-1]))
    return Solution(list(iterates), reason, progress.q, progress.residual, products)


def _squared_norm(r: Vector, y: Vector) -> float:
    """Return rᵀP⁻¹r, which a positive definite P keeps from being negative."""
    ry = dot(r, y)
    if ry < 0:
        raise RopValueError(
            f"pcg: preconditioner must be positive definite, but rᵀP⁻¹r = {ry:.3g}; "
            "check the sign of its diagonal, or add a κ > 0"
        )
    return ry


def _reason(
    progress: Progress, ry: float, enough: float, max_steps: int, stops: Sequence[StopRule]
) -> Reason | None:
    if not isfinite(ry):
        return "not finite"
    if progress.residual <= enough or ry == 0:
        return "residual"
    for stop in stops if progress.steps else ():
        reason = stop(progress)
        if reason is not None:
            return reason
    return "steps" if progress.steps >= max_steps else None
