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
        "accepted", "rejected", or "not a descent direction", where only α = 1 was tried.
    """

    alpha: float
    f: float
    slope: float
    trials: tuple[tuple[float, float], ...]
    outcome: Literal["accepted", "rejected", "not a descent direction"]


@dataclass(frozen=True)
class Armijo:
    """Shrink α from 1 until f(θ + αδ) <= f(θ) + cα∇fᵀδ (sec. 8.8).

    Where ∇fᵀδ >= 0 no small α is sure to help and the condition means nothing: then α = 1 is
    taken if it lowers f, and the update is rejected if not.

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
            f(θ + δ), if it is known already.

        Returns
        -------
        Step
            α, f there, and every trial.
        """
        alpha, value = 1.0, f(1.0) if f_full is None else f_full
        tried = [(alpha, value)]
        if not slope < 0:
            if value < f_before:
                return Step(alpha, value, slope, tuple(tried), "not a descent direction")
            return Step(0.0, f_before, slope, tuple(tried), "not a descent direction")
        while not value <= f_before + self.c * alpha * slope:
            if len(tried) == self.trials:
                return Step(0.0, f_before, slope, tuple(tried), "rejected")
            alpha *= self.shrink
            value = f(alpha)
            tried.append((alpha, value))
        return Step(alpha, value, slope, tuple(tried), "accepted")
