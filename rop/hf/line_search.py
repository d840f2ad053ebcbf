"""The step length α: the backtracking line search of sec. 8.8, or none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal

from rop.hf.policy import Policy
from rop.support.constraints import Count, Real


@dataclass(frozen=True)
class Step:
    """The outcome of a line search.

    Attributes
    ----------
    alpha : float
        The step length; 0 if the update is rejected.
    f : float
        f(θ + αδ).
    slope : float
        ∇fᵀδ.
    trials : tuple of (float, float)
        Every α tried with its f, in order.
    outcome : str
        "accepted", "rejected", "not a descent direction", where only the first α was tried, or
        "unchecked", where it was taken whatever f did.
    c : float
        The constant of the condition f(θ + αδ) <= f(θ) + cα∇fᵀδ.
    """

    alpha: float
    f: float
    slope: float
    trials: tuple[tuple[float, float], ...]
    outcome: Literal["accepted", "rejected", "not a descent direction", "unchecked"]
    c: float = 0.0


@dataclass(frozen=True)
class Armijo(Policy):
    """Shrink α from 1, or the learning rate, until f(θ + αδ) <= f(θ) + cα∇fᵀδ (sec. 8.8).

    If ∇fᵀδ >= 0, even a small α need not lower f: then only the first α is tried, and the update
    is rejected if f does not fall. With c = 0 any decrease is enough, as in the authors' code for
    recurrent nets.

    Parameters
    ----------
    c : float
        The share of the linear prediction that f must fall by.
    shrink : float
        The factor of α between trials; 0.8 in the authors' code, with 60 trials.
    trials : int
        The largest number of values of α to try; then the update is rejected, α = 0.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(line_search=rop.hf.Armijo(shrink=0.8))
    >>> print(rop.hf.Recipe().diff(recipe))
    line_search.shrink: 0.5 -> 0.8
    """

    c: Annotated[float, Real(at_least=0, below=1)] = 1e-2
    shrink: Annotated[float, Real(above=0, below=1)] = 0.5
    trials: Count = 20

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


@dataclass(frozen=True)
class NoLineSearch(Policy):
    """Take the learning rate as α, also if f rises; only where f is not finite θ stays.

    >>> recipe = rop.hf.Recipe(line_search=rop.hf.NoLineSearch())
    >>> print(rop.hf.Recipe().diff(recipe))
    line_search: Armijo() -> NoLineSearch()
    """

    def search(
        self,
        f: Callable[[float], float],
        f_before: float,
        slope: float,
        f_full: float | None = None,
        first: float = 1.0,
    ) -> Step:
        """Take the first α; see `Armijo.search`."""
        value = f(first) if f_full is None else f_full
        if not isfinite(value):
            return Step(0.0, f_before, slope, ((first, value),), "rejected")
        return Step(first, value, slope, ((first, value),), "unchecked")
