"""Adaptive HF: moments of CG's δ, and step sizes from theory (Motokawa & Tezuka 2020).

Equations, algorithm 1, theorem 1 and definition 1 are those of that paper, with its errata H1-H16.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import Annotated, Literal

import numpy as np

from rop.hf.policy import Policy
from rop.hf.vectors import Vector, dot, norm
from rop.support.arguments import checked
from rop.support.constraints import NotNegative, Positive, Real


@dataclass(frozen=True, eq=False)
class Averages:
    """What the next iteration needs: m_t and v_t, σ_t, and f(θ_2), where eq. 26 begins."""

    m: Vector
    v: Vector
    sigma: float
    f_second: float


@dataclass(frozen=True)
class AdaptiveStep:
    """The quantities of algorithm 1 at one iteration.

    Attributes
    ----------
    t : int
        The iteration's number, from 1 (erratum H14).
    beta1 : float
        β₁ = ε/(ε + 2σ), eq. 3 (erratum H7).
    g_norm : float
        ‖g_t‖, that of ∇f or of δ.
    sigma_t : float
        σ_t, the largest ‖g_k‖ so far.
    alpha_hat, alpha_tilde, alpha_proof : float
        α̂, α̃ and α: eq. 3 and 31, eq. 30, eq. 28.
    alpha_star : float
        α* of eq. 27, the minimum of the bound (7) along the direction that θ moves in. It costs two
        scalar products, as D is diagonal.
    L : float
        L used in these.
    m_norm : float
        ‖m̂‖.
    root_v_range : tuple of (float, float)
        The least and the largest entry of √v̂.
    g_bound : float
        The bound of eq. 26 on the least ‖g_k‖, k = 2, ..., t, for an f that is never negative;
        infinite at t = 1.
    """

    t: int
    beta1: float
    g_norm: float
    sigma_t: float
    alpha_hat: float
    alpha_tilde: float
    alpha_proof: float
    alpha_star: float
    L: float
    m_norm: float
    root_v_range: tuple[float, float]
    g_bound: float


@dataclass(frozen=True)
class Moments(Policy):
    """Move along m̂/(√v̂ + ξ) instead of δ; m and v are averages of δ and of δ² (algorithm 1).

    The update has the root over v̂ only and a plus sign, as δ descends (errata H2, H3). The names
    of the choices are those that text, proof and released code make in different ways.

    Parameters
    ----------
    epsilon : float
        ε, the ‖g‖ at which the theorem is content; it enters by β₁ = ε/(ε + 2σ) only.
    sigma : float
        σ, a bound of ‖g‖ that must be known beforehand (erratum H13); `rop.hf.prerun` estimates it.
    L : float
        The constant of definition 1; `rop.hf.prerun` estimates it.
    beta2 : float
        β₂.
    xi : float
        ξ of the proof, μ of algorithm 1 (erratum H9): 1e-8 in the released code; the proof's step
        sizes need 2σ.
    of : str
        What m and v are moments of: "delta" as in algorithm 1, or minus the "gradient" as in the
        proof (erratum H4).
    g : str
        What "conjugate gradient vector" g means in ‖g_t‖: the "gradient", which definition 1 forces
        it to be (erratum H8), or "delta".
    size : str or None
        The first α to try: "alpha_hat" (eq. 3), "alpha_tilde" (eq. 30), "alpha_proof" (eq. 28) or
        "alpha_star" (eq. 27), at least 0; or None for the recipe's learning rate.
    correction : str
        m̂ = m_t/(1 - β₁ᵗ) and v̂ alike at "each" iteration; "none" as in the proof (erratum H9); or
        the "first" one's at all iterations, with m̂ and v̂ kept for m and v, as in the released code.

    Examples
    --------
    >>> recipe = rop.hf.Recipe(moments=rop.hf.Moments())
    >>> print(rop.hf.Recipe().diff(recipe))
    moments: None -> Moments()
    """

    epsilon: Positive = 1e-3
    sigma: Positive = 50.0
    L: Positive = 100.0
    beta2: Annotated[float, Real(at_least=0, below=1)] = 1e-8
    xi: NotNegative = 1e-8
    of: Literal["delta", "gradient"] = "delta"
    g: Literal["gradient", "delta"] = "gradient"
    size: Literal["alpha_hat", "alpha_tilde", "alpha_proof", "alpha_star"] | None = "alpha_hat"
    correction: Literal["each", "none", "first"] = "each"

    @property
    def beta1(self) -> float:
        """β₁ = ε/(ε + 2σ), eq. 3: with algorithm 1's ε/(ε + σ) no ξ is admissible (erratum H7)."""
        return self.epsilon / (self.epsilon + 2 * self.sigma)

    @property
    def C(self) -> float:  # noqa: N802
        """C of eq. 24, ‖g_t‖² times which is the least decrease of f at each t >= 2."""
        beta1, sigma, xi = self.beta1, self.sigma, self.xi
        theta = (1 - beta1) * self.epsilon / (beta1 * sigma) - 1
        return ((beta1 - beta1**2) * theta * xi / (xi + sigma)) ** 2 / (2 * self.L)

    def advance(
        self, before: Averages | None, t: int, f: float, gradient: Vector, delta: Vector
    ) -> tuple[Vector, Averages, AdaptiveStep]:
        """Do algorithm 1's lines from m_t to m̂ and v̂, and compute the step sizes.

        Parameters
        ----------
        before : Averages or None
            Those of t - 1; None for m_0 = v_0 = 0.
        t : int
            The iteration's number, from 1.
        f : float
            f(θ_t).
        gradient, delta : ndarray, shape (n,)
            ∇f(θ_t), and δ of CG.

        Returns
        -------
        ndarray, shape (n,)
            The direction m̂/(√v̂ + ξ).
        Averages
            Those of t.
        AdaptiveStep
            The record.
        """
        before = before or Averages(np.zeros_like(delta), np.zeros_like(delta), 0.0, nan)
        # Python's numbers, as NumPy's would turn float32 into float64.
        beta1, beta2, xi = float(self.beta1), float(self.beta2), float(self.xi)
        new = delta if self.of == "delta" else -gradient
        m = beta1 * before.m + (1 - beta1) * new
        v = beta2 * before.v + (1 - beta2) * new * new
        power = {"each": t, "first": 1, "none": 0}[self.correction]
        m_hat = m / (1 - beta1**power) if power else m
        v_hat = v / (1 - beta2**power) if power else v
        root_v = np.sqrt(v_hat)
        # 0/0 where δ and ξ are 0, as for a unit that is never active.
        below = root_v + xi
        direction = np.divide(m_hat, below, out=np.zeros_like(m_hat), where=m_hat != 0)
        kept = (m_hat, v_hat) if self.correction == "first" else (m, v)
        g_norm = norm(gradient if self.g == "gradient" else delta)
        sigma_t = max(before.sigma, g_norm)
        f_second = f if t == 2 else before.f_second
        squared, slope = dot(direction, direction), dot(gradient, direction)
        least = self.C * (t - 1)
        step = AdaptiveStep(
            t=t,
            beta1=beta1,
            g_norm=g_norm,
            sigma_t=sigma_t,
            alpha_hat=self._alpha(t, g_norm, self.sigma, self.sigma, 2 * self.sigma, 0.0),
            alpha_tilde=self._alpha(t, g_norm, sigma_t, before.sigma, xi, 0.0),
            alpha_proof=self._alpha(t, g_norm, sigma_t, before.sigma, xi, beta2),
            alpha_star=-slope / (self.L * squared) if squared else 0.0,
            L=self.L,
            m_norm=norm(m_hat),
            root_v_range=(float(root_v.min()), float(root_v.max())),
            g_bound=sqrt(f_second / least) if least and f_second >= 0 else inf,
        )
        return direction, Averages(*kept, sigma_t, f_second), step

    def _alpha(
        self, t: int, g_norm: float, sigma: float, previous: float, xi: float, beta2: float
    ) -> float:
        """Return α of eq. 28; β₂ = 0 gives eq. 30, and σ = σ_t, ξ = 2σ eq. 31 (erratum H12)."""
        if not g_norm:
            return 0.0
        beta1 = self.beta1
        factor = xi**2 / (self.L * (1 - beta1**t) ** 2 * sigma**2)
        bracket = (1 - beta1) * g_norm**2 - (beta1 - beta1**t) * g_norm * previous
        return factor * bracket / (xi + sqrt(1 - beta2**t) * sigma)


@checked
def conjugate_smoothness(f_x: float, f_y: float, slope: float, distance: NotNegative) -> float:
    """Return the least L with f(y) <= f(x) + ⟨g, y - x⟩ + L/2 ‖y - x‖² (definition 1, appendix B).

    Only g = ∇f(x) keeps it bounded as y approaches x (erratum H8).

    Parameters
    ----------
    f_x, f_y : float
        f(x) and f(y) on the same cases.
    slope : float
        ⟨g, y - x⟩.
    distance : float
        ‖y - x‖.

    Returns
    -------
    float
        2 (f(y) - f(x) - ⟨g, y - x⟩) / ‖y - x‖²; NaN if y = x.

    Examples
    --------
    >>> rop.hf.conjugate_smoothness(f_x=0.0, f_y=1.5, slope=0.0, distance=1.0)  # f(x) = 1.5 x²
    3.0
    """
    return 2 * (f_y - f_x - slope) / distance**2 if distance else nan
