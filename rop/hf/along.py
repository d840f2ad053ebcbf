"""f and the quadratic model on chosen cases, along the iterates of CG (sec. 8.7)."""

from collections.abc import Callable
from typing import Literal

from rop.hf.batches import Cases, Draw
from rop.hf.evaluation import Evaluator
from rop.hf.preconditioners import NoPreconditioner
from rop.hf.solution import Iterate
from rop.hf.vectors import Vector, dot
from rop.objective.linearization import Linearization


class Along:
    """f(θ + x) on chosen cases for CG's iterates x, each computed once.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates f.
    theta : ndarray, shape (n,)
        θ.
    """

    def __init__(self, evaluator: Evaluator, theta: Vector) -> None:
        self._evaluator, self._theta = evaluator, theta
        self._known: dict[tuple[Cases, int], float] = {}

    def f(self, cases: Cases, iterate: Iterate) -> float:
        """Return f(θ + x).

        Parameters
        ----------
        cases : Cases
            The cases.
        iterate : Iterate
            x, known by its number of steps.

        Returns
        -------
        float
            f there, on these cases.
        """
        key = cases, iterate.steps
        if key not in self._known:
            self._known[key] = self._evaluator.value(self._theta + iterate.x, cases)
        return self._known[key]

    def known(self, cases: Cases) -> tuple[tuple[int, float], ...]:
        """Return what has been computed.

        Parameters
        ----------
        cases : Cases
            The cases.

        Returns
        -------
        tuple of (int, float)
            Steps and f(θ + x) on these cases, in order of the steps.
        """
        return tuple(sorted((steps, f) for (at, steps), f in self._known.items() if at == cases))


def model(
    evaluator: Evaluator, theta: Vector, cases: Cases, curvature: Literal["ggn", "hessian"]
) -> Callable[[Iterate], float]:
    """Return x ↦ q(x) = gᵀx + ½xᵀBx, the undamped model on some cases, its gradient included.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates the gradient and the products.
    theta : ndarray, shape (n,)
        θ.
    cases : Cases
        The cases.
    curvature : str
        "ggn" or "hessian".

    Returns
    -------
    callable, Iterate -> float
        The model; each value costs a product.
    """
    _, gradient, _ = evaluator.gradient(theta, cases, NoPreconditioner())

    def product(v: Vector) -> Vector:
        total = 0.0 * v
        for piece in cases.pieces(evaluator.chunk):
            at = evaluator.linearize(theta, piece)
            share = v.dtype.type(piece.size / cases.size)
            total += share * (at.ggnvp(v) if curvature == "ggn" else at.hvp(v))
        return total

    counted = evaluator.counted(product)

    def q(iterate: Iterate) -> float:
        x = iterate.x
        return dot(gradient, x) + dot(x, counted(x)) / 2

    return q


def f_on_selection(
    evaluator: Evaluator, theta: Vector, cases: Draw, f: float, at: Linearization
) -> float:
    """Return f(θ) on the selection's cases, from what is known if that can be.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates f, ∇f and linearizations.
    theta : ndarray, shape (n,)
        θ.
    cases : Draw
        The cases of the iteration.
    f : float
        f(θ) on the gradient's cases.
    at : Linearization
        The objective at θ on the curvature's cases.

    Returns
    -------
    float
        f(θ).
    """
    if cases.selection == cases.gradient:
        return f
    return (
        at.value if cases.selection == cases.curvature else evaluator.value(theta, cases.selection)
    )


def f_on_held_out(
    evaluator: Evaluator, before: Vector, after: Vector, cases: Draw
) -> tuple[float, float] | None:
    """Return f before and after the update on held-out cases, if there are any (sec. 12.2).

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates f, ∇f and linearizations.
    before, after : ndarray, shape (n,)
        θ before and after the update.
    cases : Draw
        The cases of the iteration.

    Returns
    -------
    tuple of float, or None
        Both values.
    """
    if cases.held_out is None:
        return None
    return evaluator.value(before, cases.held_out), evaluator.value(after, cases.held_out)
