"""The trust-region subproblem in the eigenbasis, solved exactly by its secular equation (8.6)."""

from dataclasses import dataclass
from math import exp, log
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SecularSolution:
    """The minimiser of ½Σ θ_i h_i² - Σ c_i h_i over ‖h‖ <= r.

    Attributes
    ----------
    h : ndarray, shape (k,)
        The minimiser.
    multiplier : float
        λ >= 0 with (θ_i + λ) h_i = c_i; 0 inside the ball.
    hard : bool
        Whether it is the hard case: c is 0 in the lowest eigenvalue's direction, along which h
        then goes to the boundary, with either sign (erratum M50).
    """

    h: Numbers
    multiplier: float
    hard: bool


def solve_secular(values: Numbers, c: Numbers, radius: float) -> SecularSolution:
    """Solve the trust-region subproblem for a diagonal matrix.

    The secular equation ‖h(λ)‖ = r is solved for σ = λ + θ_min on a logarithmic scale, where it has
    one root and no cancellation, however small c is in the lowest direction.

    Parameters
    ----------
    values : ndarray, shape (k,)
        The eigenvalues θ_i, of any sign and in any order.
    c : ndarray, shape (k,)
        -∇f in the eigenbasis.
    radius : float
        r > 0.

    Returns
    -------
    SecularSolution
        The minimiser and the multiplier.
    """
    from scipy.optimize import brentq  # takes longer to load than rop

    lowest = int(values.argmin())
    bottom = float(values[lowest])
    above = values - bottom
    flat = above == 0

    def h(sigma: float) -> Numbers:
        found: Numbers = np.divide(c, above + sigma, out=np.zeros_like(c), where=c != 0)
        return found

    least = max(bottom, 0.0)  # σ where λ = 0, or where the lowest direction has no curvature left
    if least > 0 or not c[flat].any():
        inside = h(least)
        room = radius**2 - float(inside @ inside)
        if room >= 0:
            if bottom >= 0:
                return SecularSolution(inside, 0.0, hard=False)
            inside[lowest] = np.sqrt(room)
            return SecularSolution(inside, -bottom, hard=True)

    def excess(s: float) -> float:
        return log(float(np.linalg.norm(h(exp(s))))) - log(radius)

    # max|c_flat|/σ <= ‖h(σ)‖ <= ‖c‖/σ brackets the root; rounding may put it on an end.
    above_root = log(float(np.linalg.norm(c)) / radius)
    below_root = max(
        log(least) if least > 0 else -np.inf,
        log(float(np.abs(c[flat]).max())) - log(radius) if c[flat].any() else -np.inf,
    )
    if below_root == -np.inf:
        below_root = above_root
        while excess(below_root) <= 0:
            below_root -= 4.0
    if excess(below_root) <= 0:
        s = below_root
    elif excess(above_root) >= 0:
        s = above_root
    else:
        s = float(brentq(excess, below_root, above_root, xtol=1e-15, rtol=1e-15))
    return SecularSolution(h(exp(s)), max(exp(s) - bottom, 0.0), hard=False)
