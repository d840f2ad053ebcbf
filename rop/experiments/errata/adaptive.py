"""Errata of Motokawa & Tezuka (2020), Adaptive HF."""

import numpy as np

from rop.checking.museum.network import Network
from rop.experiments.errata.entry import Array, Errors, attempt, erratum, off, slip
from rop.experiments.errata.given import linearized, positive_definite, vector
from rop.hf.cg import pcg
from rop.hf.moments import Moments, conjugate_smoothness

n = 8
B, g = positive_definite(n), vector(n, 1)
delta = -np.linalg.solve(B, g)


def direction(moments: Moments, gradient: Array, step: Array, t: int = 1) -> Array:
    """The direction that θ moves in at iteration t, from m = v = 0."""
    found: Array = moments.advance(None, t, 0.0, gradient, step)[0]
    return found


slip(
    "H1",
    "everywhere",
    "‖g_t'‖ ≤ for all > 0; β1 = /( + 2σ)",
    "‖g_t'‖ ≤ ε for all ε > 0; β1 = ε/(ε + 2σ); ε_t in eqs. 11, 12, 18 and 19",
    "The text has lost every ε.",
)


@erratum(
    "H2",
    "S1",
    "algorithm 1, last line, and eq. 1",
    "rop.hf.moments.Moments.advance",
    printed="θ_{t+1} = θ_t + αm̂ / √(v̂ + μ)",
    corrected="θ_{t+1} = θ_t + αm̂ / (√v̂ + μ)",
    why="μ has the unit of δ, not of δ²; D in the proof has the root over v only.",
)
def h2() -> Errors:
    """The direction in other units, δ and μ times 1000, with the direction before."""
    mu, small, large = 0.5, delta, 1000 * delta
    truth = direction(Moments(xi=mu), g, small)
    other = direction(Moments(xi=1000 * mu), g, large)
    return off(large / np.sqrt(large**2 + 1000 * mu), small / np.sqrt(small**2 + mu)), off(
        other, truth
    )


@erratum(
    "H3",
    "S1",
    "eq. 1",
    "rop.hf.moments.Moments.advance",
    printed="θ_{t+1} = θ_t + αm̂ / (√v̂ + μ) with moments of the gradient",
    corrected="minus with moments of the gradient; plus with those of δ",
    why="Adam descends, and δ is a descent direction already.",
)
def h3() -> Errors:
    """The rise of f = ½‖θ‖² by a step of α = 0.01, relative to α‖θ‖_1."""
    theta, alpha, moments = vector(n), 0.01, Moments(of="gradient")
    printed, corrected = (
        theta + alpha * sign * direction(moments, theta, -theta) for sign in (-1, 1)
    )
    scale = alpha * np.abs(theta).sum()
    rise = [float(x @ x - theta @ theta) / 2 / scale for x in (printed, corrected)]
    return max(0.0, rise[0]), max(0.0, rise[1])


@erratum(
    "H4",
    "S2",
    "sec. 3.1, and appendix A",
    "rop.hf.moments.Moments",
    printed="moments of the Hessian-vector product Hδ (text), or of g (proof)",
    corrected="moments of δ, CG's solution (algorithm 1)",
    why="Hδ is -∇f again, and the curvature would be lost.",
)
def h4() -> Errors:
    """The direction for μ ≫ |δ| with that of the Newton step, both of length 1."""
    moments, truth = Moments(xi=1e9), delta / np.linalg.norm(delta)
    printed, corrected = (direction(moments, g, step) for step in (B @ delta, pcg(B, -g).x))
    return off(printed / np.linalg.norm(printed), truth), off(
        corrected / np.linalg.norm(corrected), truth
    )


@erratum(
    "H5",
    "S1",
    "algorithm 1, call of CG",
    "rop.hf.cg.pcg",
    printed="A = (H(θ_t) + λI)δ_t; δ_t = CG(b, A)",
    corrected="A: v ↦ (H(θ_t) + λI)v",
    why="The product is a vector; CG needs the operator.",
)
def h5() -> Errors:
    """CG's solution with that of LAPACK, λ = 3."""
    A = B + 3 * np.eye(n)
    truth = np.linalg.solve(A, -g)
    return attempt(lambda: pcg(A @ delta, -g).x, truth), off(pcg(lambda v: A @ v, -g).x, truth)


@erratum(
    "H6",
    "S2",
    "algorithm 1, the curvature H",
    "rop.objective.linearization.Linearization.ggnvp",
    "rop.hf.recipes.adaptive_hf",
    printed="CG on H + λI",
    corrected="CG on G + λI, or CG that stops where pᵀAp <= 0",
    why="H may be indefinite, and CG is defined for positive definite matrices.",
)
def h6() -> Errors:
    """How far the lowest eigenvalue lies below 0, relative to the largest, for a small network."""
    at = linearized(Network())
    values = [np.linalg.eigvalsh(A.matrix()) for A in (at.H, at.G)]
    printed, corrected = (max(0.0, -v[0]) / v[-1] for v in values)
    return printed, corrected


@erratum(
    "H7",
    "S1",
    "algorithm 1, theorem 1 and eq. 3",
    "rop.hf.moments.Moments.beta1",
    printed="β1 = ε/(ε + σ)",
    corrected="β1 = ε/(ε + 2σ)",
    why="The theorem's condition on ξ has the denominator ε(1 - β1) - β1σ, which is 0 as printed.",
)
def h7() -> Errors:
    """The least ξ, σ²β1 / (ε(1 - β1) - β1σ), with σ; ε = σ = 1."""
    moments = Moments(epsilon=1.0, sigma=1.0)

    def least(beta1: float) -> float:
        return beta1 / ((1 - beta1) - beta1)

    return attempt(lambda: least(1 / 2), 1.0), attempt(lambda: least(moments.beta1), 1.0)


@erratum(
    "H8",
    "S1",
    "definition 1 and theorem 1",
    "rop.hf.moments.conjugate_smoothness",
    printed="f(y) <= f(x) + ⟨g, y - x⟩ + L/2 ‖y - x‖² with the conjugate gradient vector g",
    corrected="g = ∇f(x): the theorem is about an Adam-like method on gradients",
    why="For any other g the L that is needed grows without bound as y approaches x.",
)
def h8() -> Errors:
    """How far the L of a step of 1e-4 exceeds f's largest curvature, g = -δ of CG; relative."""
    x, top = vector(n), float(np.linalg.eigvalsh(B)[-1])
    gradient = B @ x
    found = []
    for g_x in (-pcg(B, -gradient).x, gradient):
        step = 1e-4 * (gradient - g_x + vector(n, 3))
        y = x + step
        rise = float(gradient @ step + step @ B @ step / 2)  # f(y) - f(x), without cancellation
        distance = float(np.linalg.norm(y - x))
        L = conjugate_smoothness(0.0, rise, float(g_x @ step), distance)
        found.append(max(0.0, L / top - 1))
    return found[0], found[1]


def step_size(moments: Moments, g_norm: float, t: int, xi: float) -> float:
    """α of eq. 30 with σ_t = σ_{t-1} = σ."""
    beta1, sigma, L = moments.beta1, moments.sigma, moments.L
    bracket = (1 - beta1) * g_norm**2 - (beta1 - beta1**t) * g_norm * sigma
    return float(xi**2 / (L * (1 - beta1**t) ** 2 * sigma**2) * bracket / (xi + sigma))


@erratum(
    "H9",
    "S2",
    "theorem 1 against algorithm 1",
    "rop.hf.moments.Moments",
    "rop.hf.recipes.adaptive_hf",
    printed="μ of algorithm 1 is free (1e-8 in the released code) while α = α̂",
    corrected="μ is the proof's ξ, and α̂ needs ξ = 2σ; the proof has no bias correction",
    why="α̂ is derived from eq. 30 with ξ = 2σ.",
)
def h9() -> Errors:
    """α of eq. 30 at ξ = μ, relative to α̂, with 1; t = 5."""
    moments = Moments(epsilon=0.1, sigma=3.0)
    alpha = _alpha_hat(moments, 2.0, 5)
    printed, corrected = (step_size(moments, 2.0, 5, xi) / alpha for xi in (1e-8, 6.0))
    return off(printed, 1.0), off(corrected, 1.0)


def _alpha_hat(moments: Moments, g_norm: float, t: int) -> float:
    """The library's α̂ for a gradient of this norm."""
    gradient = np.array([g_norm, 0.0])
    return float(moments.advance(None, t, 0.0, gradient, -gradient)[2].alpha_hat)


@erratum(
    "H10",
    "S1",
    "appendix A, definition of D",
    "rop.hf.moments.Moments.advance",
    printed="D = V_t^½ + diag(ξ1)⁻¹",
    corrected="D = (V_t^½ + diag(ξ1))⁻¹",
    why="The update divides by √v + ξ, and λ_max(D) <= 1/(ξ + min √v).",
)
def h10() -> Errors:
    """Dm with algorithm 1's direction at t = 1, where m̂ = δ and v̂ = δ²; ξ = 0.5."""
    xi, root_v = 0.5, np.abs(delta)
    truth = direction(Moments(xi=xi), g, delta)
    return off((root_v + 1 / xi) * delta, truth), off(delta / (root_v + xi), truth)


@erratum(
    "H11",
    "S2",
    "appendix A, eq. 19",
    printed="-a/(ξ + √((1 - β2ᵗ)ε_t)) + b/(ξ + √((1 - β2ᵗ)σ_t²)) >= (b - a)/(ξ + √((1 - β2ᵗ)σ_t²))",
    corrected="... >= -a/ξ + b/(ξ + √((1 - β2ᵗ)σ_t²))",
    why="A smaller factor in the negative term raises the bound; De et al. (2018), whom the proof "
    "follows, have 1/ξ there.",
)
def h11() -> Errors:
    """How far the second line lies above the first; relative, β2 = 0, ξ = ε_t = 0.1, σ_t = 1."""
    a, b, xi, root = 0.3, 0.2, 0.1, np.sqrt(0.1)
    first = -a / (xi + root) + b / (xi + 1)
    printed, corrected = (b - a) / (xi + 1), -a / xi + b / (xi + 1)
    return max(0.0, (printed - first) / abs(first)), max(0.0, (corrected - first) / abs(first))


@erratum(
    "H12",
    "S1",
    "eqs. 3 and 31",
    "rop.hf.moments.Moments.advance",
    printed="α̂ = (4‖g‖²(1 - β1) - ‖g‖(β1 - β1ᵗ)σ) / (3L(1 - β1ᵗ)²σ)",
    corrected="α̂ = 4(‖g‖²(1 - β1) - ‖g‖(β1 - β1ᵗ)σ) / (3L(1 - β1ᵗ)²σ)",
    why="The 4/3 comes from ξ²/(ξ + σ)/σ = 4/3 at ξ = 2σ, which multiplies the whole bracket.",
)
def h12() -> Errors:
    """α̂ with α of eq. 30 at ξ = 2σ; t = 5, ε = σ = 1 and ‖g‖ = 2."""
    moments, t, norm = Moments(epsilon=1.0, sigma=1.0), 5, 2.0
    beta1 = moments.beta1
    truth = step_size(moments, norm, t, 2.0)
    printed = (4 * norm**2 * (1 - beta1) - norm * (beta1 - beta1**t)) / (
        3 * moments.L * (1 - beta1**t) ** 2
    )
    return off(printed, truth), off(_alpha_hat(moments, norm, t), truth)


slip(
    "H13",
    "appendix A",
    "eq. 29's middle expression; θ_t for parameters and for a constant; h and f for the loss",
    "(ε + σ)(ε/(ε + σ) - β1) + β1ᵗσ; one letter for each",
    "σ must be known beforehand, although it is defined as a maximum over the run.",
    "rop.hf.constants.prerun",
)
slip(
    "H14",
    "algorithm 1, input",
    "θ_0 and δ_0 are inputs, and the loop starts at t = 1",
    "θ_1; δ_0 only where CG starts from ζδ_{t-1}, ζ = 0.95 in the released code",
    "Nothing computes θ_1 from θ_0.",
    "rop.hf.recipes.adaptive_hf",
)
slip(
    "H15",
    "appendix B, ranges of the search",
    "1.0⁻³, 1.0⁻¹⁰",
    "1e-3, 1e-10; so β1 <= 1.7e-3 and β2 <= 1e-4: almost nothing is averaged",
    "Powers of 1.0 are 1. The update is near α sign(δ) for a tiny μ, near (α/μ)δ for a large one.",
    "rop.hf.moments.Moments",
)
slip(
    "H16",
    "sec. 2.2, and appendix B",
    "product of the gradient and the Hessian; linear optimization; 50,000 and 10,000 images",
    "Hessian times a vector; first-order; 60,000 and 10,000 for Fashion-MNIST",
    "CG multiplies H by its directions, not by the gradient alone.",
)
