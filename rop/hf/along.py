"""f along the iterates of one run of CG."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Literal

import numpy as np

from rop.hf.batches import Cases
from rop.hf.evaluation import Evaluator
from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.solution import Iterate
from rop.hf.vectors import Vector, dot


class Along:
    """f(θ) and f(θ + x) on chosen cases for CG's iterates x, each computed once (sec. 8.7).

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates f.
    theta : ndarray, shape (n,)
        θ.
    before : dict of Cases to float
        The known values of f(θ).
    """

    def __init__(self, evaluator: Evaluator, theta: Vector, before: dict[Cases, float]) -> None:
        self.evaluator = evaluator
        self._theta, self._before = theta, before
        self._after: dict[tuple[Cases, int], float] = {}
        self._gradients: dict[Cases, Vector] = {}

    def know(self, cases: Cases, f: float, gradient: Vector | None = None) -> None:
        """Take over f(θ), and ∇f(θ) for `ratio`."""
        self._before[cases] = f
        if gradient is not None:
            self._gradients[cases] = gradient

    def before(self, cases: Cases) -> float:
        """Return f(θ)."""
        if cases not in self._before:
            self._before[cases] = self.evaluator.value(self._theta, cases)
        return self._before[cases]

    def after(self, cases: Cases, iterate: Iterate) -> float:
        """Return f(θ + x), NaN if θ + x overflows; the number of steps identifies the iterate."""
        key = cases, iterate.steps
        if key not in self._after:
            point = self._theta + iterate.x
            finite = np.isfinite(point).all()
            self._after[key] = self.evaluator.value(point, cases) if finite else nan
        return self._after[key]

    def change(self, cases: Cases, iterate: Iterate) -> tuple[float, float]:
        """Return f(θ) and f(θ + x)."""
        return self.before(cases), self.after(cases, iterate)

    def ratio(self, cases: Cases, iterate: Iterate, b: Vector) -> float:
        """Return ρ = (f(θ + x) - f(θ)) / q(x), by the damped q, with f's linear part that of q.

        q has the gradient of all cases. Near a minimum it is small beside the gradient of a few,
        and without this ρ on these says nothing about the curvature.

        Parameters
        ----------
        cases : Cases
            Cases whose ∇f(θ) is known.
        iterate : Iterate
            x.
        b : ndarray, shape (n,)
            q's linear part is -bᵀx.

        Returns
        -------
        float
        """
        beyond = dot(self._gradients[cases], iterate.x) + dot(b, iterate.x)
        return reduction_ratio(self.before(cases), self.after(cases, iterate) - beyond, iterate.q)

    def with_gradient(self, cases: Cases, iterate: Iterate) -> None:
        """Compute f(θ + x) with ∇f, kept for the next iteration, where that saves a sweep."""
        if self.evaluator.keeps(cases):
            return
        key, point = (cases, iterate.steps), self._theta + iterate.x
        if key not in self._after and np.isfinite(point).all():
            self.evaluator.losses += 1
            self._after[key] = self.evaluator.ahead(point, cases)[0]

    def computed(self, cases: Cases) -> tuple[tuple[int, float], ...]:
        """Return the steps and f(θ + x) of all iterates evaluated on these cases, by steps."""
        return tuple(sorted((steps, f) for (on, steps), f in self._after.items() if on == cases))

    def model(
        self, cases: Cases, curvature: Literal["ggn", "hessian"]
    ) -> Callable[[Iterate], float]:
        """Return x ↦ q(x) = gᵀx + ½xᵀBx, the undamped model with g and B on these cases.

        Parameters
        ----------
        cases : Cases
            The cases.
        curvature : str
            "ggn" or "hessian".

        Returns
        -------
        callable, Iterate -> float
            The model; each value costs one product.
        """
        _, gradient, _ = self.evaluator.gradient(self._theta, cases)
        B = self.evaluator.product(self._theta, cases, curvature)

        def q(iterate: Iterate) -> float:
            return dot(gradient, iterate.x) + dot(iterate.x, B(iterate.x)) / 2

        return q
