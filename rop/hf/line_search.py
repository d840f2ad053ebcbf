"""The backtracking line search with the sufficient-decrease condition (sec. 8.8)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rop.errors import RopValueError


@dataclass(frozen=True)
class Step:
    """The outcome of a line search.

    Attributes
    ----------
    alpha : float
        The step length; 0 where the update is rejected.
    f : float
        f(θ + αδ).
    slope : float
        ∇fᵀδ.
    trials : tuple of (float, float)
        Every α tried with its f, in order.
    outcome : str
        "accepted", "rejected", or "not a descent direction", where only the first α was tried.
    c : float
        The constant of the condition f(θ + αδ) <= f(θ) + cα∇fᵀδ.
    """

    alpha: float
    f: float
    slope: float
    trials: tuple[tuple[float, float], ...]
    outcome: Literal["accepted", "rejected", "not a descent direction"]
    c: float = 0.0


@dataclass(frozen=True)
class Armijo:
    """Shrink α from 1, or the learning rate, until f(θ + αδ) <= f(θ) + cα∇fᵀδ (sec. 8.8).

    Where ∇fᵀδ >= 0 no small α is sure to help and the condition means nothing: then the first α is
    taken if it lowers f, and the update is rejected if not. With c = 0 any decrease will do, as in
    the authors' code for recurrent nets.

    Parameters
    ----------
    c : float
        The share of the linear prediction that f must fall by.
    shrink : float
        The factor of α between trials.
    trials : int
        The largest number of values of α; then the update is rejected, α = 0.
    """

    c: float = 1e-2
    shrink: float = 0.8
    trials: int = 60

    def __post_init__(self) -> None:
        if not (0 <= self.c < 1 and 0 < self.shrink < 1 and self.trials >= 1):
            raise RopValueError(
                "Armijo: expected 0 <= c < 1, 0 < shrink < 1 and trials >= 1, got "
                f"c={self.c}, shrink={self.shrink}, trials={self.trials}"
            )

    def search(
        self,
        f: Callable[[float], float],
        f_before: float,
        slope: float,
        f_full: float | None = None,
        first: float = 1.0,
    ) -> Step:
        """Choose α.

        Parameters
        ----------
        f : callable, float -> float
            α ↦ f(θ + αδ); NaN counts as too large.
        f_before : float
            f(θ) on the same data.
        slope : float
            ∇fᵀδ.
        f_full : float, optional
            f(θ + αδ) at the first α, if it is known already.
        first : float
            The first α: the learning rate (sec. 12.2), 1 by default.

        Returns
        -------
        Step
            α, f there, and every trial.
        """
        alpha, value = first, f(first) if f_full is None else f_full
        tried = [(alpha, value)]
        if not slope < 0:
            taken = value < f_before
            alpha, value = (alpha, value) if taken else (0.0, f_before)
            return Step(alpha, value, slope, tuple(tried), "not a descent direction", self.c)
        while not value <= f_before + self.c * alpha * slope:
            if len(tried) == self.trials:
                return Step(0.0, f_before, slope, tuple(tried), "rejected", self.c)
            alpha *= self.shrink
            value = f(alpha)
            tried.append((alpha, value))
        return Step(alpha, value, slope, tuple(tried), "accepted", self.c)
