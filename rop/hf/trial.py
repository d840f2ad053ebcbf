"""An update: its model, what that predicted, and what came true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rop.hf.curvature import Operator
from rop.hf.damping_matrices import DampingMatrix
from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.line_search import Step
from rop.hf.selection import Choice
from rop.hf.solution import Iterate, Solution, hidden
from rop.hf.subproblem import Subproblem
from rop.hf.vectors import Vector


class Model(NamedTuple):
    """What CG minimises, and its parts.

    Attributes
    ----------
    problem : Subproblem or None
        The subproblem; None for a step of L-BFGS.
    D : DampingMatrix
        D.
    P : callable, (n,) -> (n,), or None
        r ↦ P⁻¹r, before pairs correct it.
    diagonal : ndarray, shape (n,), or None
        The diagonal that P is made of.
    """

    problem: Subproblem | None
    D: DampingMatrix
    P: Operator | None
    diagonal: Vector | None


@dataclass(frozen=True)
class Trial:
    """An update, what the model predicted of it, and what came true.

    Attributes
    ----------
    b : ndarray, shape (n,)
        -∇f.
    model : Model
        The model that CG minimised.
    solution : Solution
        CG's run.
    choice : Choice
        δ, with the damped q(δ), and what it was compared with.
    q : float
        q(δ) without damping (erratum M17).
    f : float
        f(θ) on the cases of the gradient.
    reduction : tuple of (float, float)
        f(θ) and f(θ + δ) on the cases of ρ.
    last : tuple of (float, float) or None
        f(θ) and f(θ + x) at CG's last iterate, on the cases of the selection; None if the length is
        not adapted, or the selection does not compare f.
    step : Step
        The line search.
    cost : float
        The work of a product with B, in gradients (erratum M24).
    own : callable, () -> float
        ρ of CG's last iterate on the curvature's cases, by the damped q.
    """

    b: Vector
    model: Model
    solution: Solution
    choice: Choice
    q: float
    f: float
    reduction: tuple[float, float]
    last: tuple[float, float] | None
    step: Step
    cost: float
    own: Callable[[], float]

    @property
    def chosen(self) -> Iterate:
        """δ, with the damped q(δ)."""
        return self.choice.iterate

    @cached_property
    def rho(self) -> float:
        """ρ = Δf / q(δ), of the full δ and the undamped q (sec. 8.5)."""
        return reduction_ratio(*self.reduction, self.q)

    @cached_property
    def rho_damped(self) -> float:
        """ρ by the damped q."""
        return reduction_ratio(*self.reduction, self.chosen.q)

    @cached_property
    def rho_last(self) -> float:
        """ρ of CG's last iterate, by the damped q."""
        if self.last is None:
            return self.rho_damped
        return reduction_ratio(*self.last, self.solution.q[-1])

    @cached_property
    def hidden(self) -> bool:
        """Whether the predicted gain is below the rounding error of f."""
        return hidden(self.q, self.f, self.chosen.x)

    @cached_property
    def cut_off(self) -> bool:
        """Whether CG was stopped before it had minimised the model."""
        return self.solution.reason in ("steps", "pairs", "f rose")
