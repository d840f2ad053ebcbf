"""CG on the GPU: its vectors stay where the products are computed."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from rop.hf.cg import not_negative, reason_to_stop
from rop.hf.curvature import Diagonal
from rop.hf.products import CurvatureProduct, Damped
from rop.hf.solution import Iterate, Progress, Reason, Solution, StopRule, ended
from rop.hf.subproblem import Subproblem
from rop.hf.vectors import Vector, norm
from rop.objective.device_cg import cg_steps

if TYPE_CHECKING:
    from rop.engines.cuda.cg import Step


class _OnGPU(Progress):
    """A run of CG for stopping rules; x is copied to the host only if a rule reads it."""

    def __init__(self, start: "Step") -> None:
        self.q, self._step = [start.q], start
        self._x: Vector | None = None

    def add(self, step: "Step") -> None:
        """Go on to the next step."""
        self.q.append(step.q)
        self.stay(step)

    def stay(self, step: "Step") -> None:
        """Go on to a step that did not move x; the GPU no longer has the step before."""
        self._step, self._x = step, None

    @property
    def x(self) -> Vector:  # type: ignore[override]
        """The present iterate, a copy."""
        if self._x is None:
            self._x = self._step.fetch()
        return self._x

    @property
    def residual(self) -> float:  # type: ignore[override]
        """‖Ax - b‖, from CG's recursion."""
        return self._step.residual


def resident_pcg(
    problem: Subproblem,
    *,
    max_steps: int,
    residual: float,
    stops: Sequence[StopRule],
    keep: int,
) -> Solution | None:
    """Run `pcg` on the GPU, with the same iterates to rounding and the same stops.

    Only stored iterates, and those that a stopping rule reads, are copied to the host.

    Parameters
    ----------
    problem : Subproblem
        The model. Its A must be a product of a linearization, alone or with a diagonal damping,
        its preconditioner a diagonal or none.
    max_steps, residual, stops, keep
        As in `pcg`.

    Returns
    -------
    Solution or None
        None for any other model, or if the engine has no CG of its own.

    Raises
    ------
    RopValueError
        If the preconditioner is not positive definite.
    """
    A, P = problem.A, problem.preconditioner
    product, damping = (A.product, A.d) if isinstance(A, Damped) else (A, 0.0)
    if not isinstance(product, CurvatureProduct) or not isinstance(P, Diagonal | None):
        return None
    inverse = None if P is None else P.d
    run = partial(cg_steps, product.at, curvature=product.curvature, mu=product.mu)
    steps = run(problem.b, problem.x0, damping, inverse)
    if steps is None:
        return None
    start = next(steps)
    progress, ry = _OnGPU(start), not_negative(start.ry)
    enough = residual * norm(problem.b)
    iterates: deque[Iterate] = deque(maxlen=keep)
    products = 0 if problem.x0 is None else 1
    while (reason := reason_to_stop(progress, ry, enough, 0.0, max_steps, stops)) is None:
        step = next(steps)
        products += 1
        if not 0 < step.pAp < inf:
            reason = _without_curvature(step.pAp)
            progress.stay(step)
            break
        ry = not_negative(step.ry)
        progress.add(step)
        if progress.steps in problem.store:
            iterates.append(Iterate(progress.steps, progress.x, progress.q[-1]))
    product.evaluator.products += products
    start_x = np.zeros_like(problem.b) if problem.x0 is None else problem.x0
    return ended(progress, reason, list(iterates), start_x, products)


def _without_curvature(pAp: float) -> Reason:
    return "negative curvature" if isfinite(pAp) else "not finite"
