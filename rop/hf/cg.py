"""The preconditioned conjugate gradient method, algorithm 2, for any operator."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from math import inf, isfinite, sqrt
from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt

from rop.errors import RopValueError
from rop.hf.curvature import Curvature, Operator, as_operator
from rop.hf.pairs import Sample
from rop.hf.solution import Iterate, Progress, Reason, Solution, StopRule, ended
from rop.hf.trust_region import Ball
from rop.hf.vectors import Vector, descend, dot, finite_vector, norm, turn
from rop.support.arguments import checked
from rop.support.constraints import Count, Natural, NotNegative, Real

Radius: TypeAlias = Annotated[float, Real(above=0, infinite=True)]


@checked
@np.errstate(over="ignore", invalid="ignore")  # CG stops if a number is not finite
def pcg(
    operator: Curvature,
    b: npt.ArrayLike,
    x0: npt.ArrayLike | None = None,
    preconditioner: Curvature | None = None,
    *,
    max_steps: Count | None = None,
    residual: NotNegative = 0.0,
    forcing: NotNegative = 0.0,
    stops: Sequence[StopRule] = (),
    store: Container[int] = (),
    keep: Count | None = None,
    radius: Radius = inf,
    downhill: bool = False,
    pairs: Natural = 0,
) -> Solution:
    """Minimise q(x) = ½xᵀAx - bᵀx by algorithm 2, for a symmetric positive definite A.

    The residual is r = Ax - b, the gradient of q (errata M11, M14). CG also stops, before the
    step, if pᵀAp <= 0 or pᵀAp is not finite (erratum M14). With a radius it is the method of
    Steihaug and Toint (sec. 8.6): if a step leaves {‖x‖_P <= r}, or pᵀAp <= 0, it follows p to the
    boundary and stops there.

    Parameters
    ----------
    operator : callable, (n,) -> (n,), or matrix or LinearOperator, shape (n, n)
        v ↦ Av. It may return the same buffer each time.
    b : ndarray, shape (n,), float32 or float64
        The right-hand side; in HF -∇f. Its dtype is that of all vectors.
    x0 : ndarray, shape (n,), optional
        Where to start (sec. 10); 0 by default, which saves a product.
    preconditioner : callable, (n,) -> (n,), or matrix or LinearOperator, shape (n, n), optional
        r ↦ P⁻¹r for a symmetric positive definite P. It may return the same buffer each time.
    max_steps : int, optional
        The largest number of steps; 10 n by default.
    residual : float
        Stop when ‖r‖ <= residual · ‖b‖.
    forcing : float
        η: stop when rᵀP⁻¹r <= η² bᵀP⁻¹b.
    stops : sequence of callables
        Further stopping rules, called after each step.
    store : container of int
        The step numbers, from 1 on, whose iterates are wanted, such as ``range(10, 250, 10)``.
    keep : int, optional
        The largest number of iterates in memory; the earliest are dropped.
    radius : float
        r of the trust region, in the norm of the preconditioner P; only with a start from 0.
    downhill : bool
        If the first direction has pᵀAp <= 0, take one step along it, a steepest-descent step, as
        truncated Newton methods do (Nocedal & Wright 2006, alg. 7.1).
    pairs : int
        How many pairs (p, Ap) to return, spread evenly over the run.

    Returns
    -------
    Solution
        The wanted iterates with q at each, the reason for stopping, and the costs.

    Raises
    ------
    RopValueError
        If a number is out of its bounds; if b or x0 is not finite; if an operator returns a vector
        of another shape; if the preconditioner is not positive definite, that is rᵀP⁻¹r < 0; if
        there is a radius and a start.
    RopTypeError
        If an argument has a wrong type or dtype.

    Examples
    --------
    >>> A, b = np.diag([1.0, 2.0, 4.0]), np.ones(3)
    >>> solution = rop.hf.pcg(A, b, residual=1e-10)
    >>> solution.iterates[-1].x, solution.reason
    (array([1.  , 0.5 , 0.25]), 'residual')
    """
    if radius < inf and x0 is not None:
        raise RopValueError(
            "pcg: with a radius CG must start from 0, or the norm of x need not grow (sec. 8.6); "
            "leave x0 out"
        )
    b = finite_vector("pcg", "b", b)
    product = as_operator(operator, b.size, "operator")
    inverse = (
        None if preconditioner is None else as_operator(preconditioner, b.size, "preconditioner")
    )
    max_steps = 10 * b.size if max_steps is None else max_steps
    start = np.zeros_like(b) if x0 is None else _start(x0, b)
    x = start.copy()
    r = -b if x0 is None else product(x) - b
    y = r if inverse is None else inverse(r)
    p = -y
    ry = _squared_norm(r, y)
    progress = Progress(x, [(dot(r, x) - dot(b, x)) / 2], norm(r))
    enough = residual * norm(b)
    forced = forcing**2 * (ry if x0 is None else _from_zero(b, inverse)) if forcing else 0.0
    sample = Sample(pairs)
    ball = None if radius == inf else Ball(radius, ry)
    iterates: deque[Iterate] = deque(maxlen=keep)
    products = 0 if x0 is None else 1

    while True:
        reason = reason_to_stop(progress, ry, enough, forced, max_steps, stops)
        if reason is not None:
            break
        Ap = product(p)
        products += 1
        pAp = dot(p, Ap)
        if not isfinite(pAp):
            reason = "not finite"
            break
        if ball is not None and not (pAp > 0 and ball.holds(ry / pAp)):
            _finish(ball.exit(), p, Ap, ry, pAp, progress, r)
            reason = "boundary"
            break
        if pAp <= 0:
            if downhill and progress.steps == 0 and x0 is None:
                _finish(ry / -pAp if pAp else 1.0, p, Ap, ry, pAp, progress, r)
            reason = "negative curvature"
            break
        sample.add(p, Ap)
        alpha = ry / pAp
        rr = descend(alpha, p, Ap, x, r)
        # q(x + αp) = q(x) - ½α rᵀy, as pᵀr = -rᵀy: no product with x or b is needed.
        progress.q.append(progress.q[-1] - alpha * ry / 2)
        y = r if inverse is None else inverse(r)
        previous, ry = ry, rr if y is r else _squared_norm(r, y)
        progress.residual = sqrt(rr)
        turn(ry / previous, y, p)
        if ball is not None:
            ball.advance(alpha, ry / previous, ry)
        if progress.steps in store:
            iterates.append(Iterate(progress.steps, x.copy(), progress.q[-1]))

    return ended(progress, reason, list(iterates), start, products, tuple(sample.pairs))


def _start(x0: npt.ArrayLike, b: Vector) -> Vector:
    x = finite_vector("pcg", "x0", x0)
    if x.shape != b.shape:
        raise RopValueError(f"pcg: x0 must have the shape of b, {b.shape}, got {x.shape}")
    return x.astype(b.dtype)


def _finish(
    alpha: float, p: Vector, Ap: Vector, ry: float, pAp: float, progress: Progress, r: Vector
) -> None:
    """Take a last step along p whose length is not CG's own."""
    progress.residual = sqrt(descend(alpha, p, Ap, progress.x, r))
    progress.q.append(progress.q[-1] + alpha * (alpha * pAp / 2 - ry))


def _from_zero(b: Vector, inverse: Operator | None) -> float:
    """Return bᵀP⁻¹b, which is rᵀP⁻¹r at x = 0."""
    return _squared_norm(b, b if inverse is None else inverse(b))


def _squared_norm(r: Vector, y: Vector) -> float:
    """Return rᵀP⁻¹r, which a positive definite P keeps from being negative."""
    return not_negative(dot(r, y))


def not_negative(ry: float) -> float:
    """Return rᵀP⁻¹r, or raise RopValueError if it shows that P is not positive definite."""
    if ry < 0:
        raise RopValueError(
            f"pcg: preconditioner must be positive definite, but rᵀP⁻¹r = {ry:.3g}; "
            "check the sign of its diagonal, or add a κ > 0"
        )
    return ry


def reason_to_stop(
    progress: Progress,
    ry: float,
    enough: float,
    forced: float,
    max_steps: int,
    stops: Sequence[StopRule],
) -> Reason | None:
    """Return the reason to stop CG before its next step, or None to go on.

    Parameters
    ----------
    progress : Progress
        The run so far.
    ry : float
        rᵀP⁻¹r.
    enough : float
        The ‖r‖ that is small enough.
    forced : float
        The rᵀP⁻¹r that is small enough.
    max_steps : int
        The largest number of steps.
    stops : sequence of callables
        Further rules.

    Returns
    -------
    str or None
        The reason.
    """
    if not isfinite(ry):
        return "not finite"
    if progress.residual <= enough or ry <= forced:
        return "residual"
    for stop in stops if progress.steps else ():
        reason = stop(progress)
        if reason is not None:
            return reason
    return "steps" if progress.steps >= max_steps else None
