"""Errata of Martens & Sutskever (2012), section 8: damping."""

from typing import Literal

import numpy as np
from scipy.optimize import brentq

from rop.checking.museum.network import Network
from rop.experiments.errata.entry import Array, Errors, erratum, off, slip
from rop.experiments.errata.given import linearized, matrix, positive_definite, vector
from rop.graph import data
from rop.hf.cg import pcg
from rop.hf.damping import Reparameterized, Structural, Tikhonov
from rop.hf.damping_matrices import DiagonalMatrix, GramMatrix, Identity
from rop.hf.gltr import gltr
from rop.hf.levenberg_marquardt import LevenbergMarquardt, reduction_ratio
from rop.losses import SquaredError
from rop.nets import rnn
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective

n = 8
B, g, identity = positive_definite(n), vector(n, 1), np.eye(n)


def q(x: Array, A: Array = B) -> float:
    """gᵀx + ½ xᵀAx."""
    return float(g @ x + x @ A @ x / 2)


def recurrent(distance: Literal["squared", "matching"]) -> Linearization:
    """A small recurrent net of tanh units, whose states are damped."""
    _, z, hidden = rnn([2, 5, 1], 3, biases=False)
    objective = Objective(z, SquaredError(data("t", (3, 1))), hidden=hidden, distance=distance)
    batch = {"x": matrix(12, 2).reshape(4, 3, 2), "t": np.zeros((4, 3, 1))}
    return objective.linearize(0.7 * vector(objective.n), batch, engine="numpy")


@erratum(
    "M36",
    "S1",
    "sec. 8.1, limit of large λ",
    "rop.hf.damping.Tikhonov",
    printed="δ* → ∇f/λ",
    corrected="δ* → -∇f/λ",
    why="A small step of a minimisation goes against the gradient.",
)
def m36() -> Errors:
    """CG's solution of (B + λI)δ = -∇f at λ = 1e9 with the limit; B has eigenvalues up to 20."""
    lam = 1e9
    delta = pcg(Identity().damp(lambda v: B @ v, lam), -g).x
    return off(g / lam, delta), off(-g / lam, delta)


@erratum(
    "M37",
    "S1",
    "sec. 8.1, inverse of B̂",
    "rop.checking.museum.training",
    printed="B̂⁻¹ = Vᵀ(Σ + λI)⁻¹V",
    corrected="B̂⁻¹ = V(Σ + λI)⁻¹Vᵀ",
    why="The columns of V are the eigenvectors of B = VΣVᵀ.",
)
def m37() -> Errors:
    """The inverse of B + λI with that of LAPACK."""
    values, V = np.linalg.eigh(B)
    inverse = np.diag(1 / (values + 3))
    truth = np.linalg.inv(B + 3 * identity)
    return off(V.T @ inverse @ V, truth), off(V @ inverse @ V.T, truth)


@erratum(
    "M38",
    "S2",
    "sec. 8.1, Krylov subspace descent",
    "rop.hf.krylov",
    printed="the Krylov subspace does not depend on λ",
    corrected="it does not if x_0 = 0 and the preconditioner does not depend on λ",
    why="P = (diag(B) + λ)^0.75 turns the subspace.",
)
def m38() -> Errors:
    """Sine of the largest angle between CG's subspaces of 4 steps at λ = 0.1 and 10, with 0."""
    sines = []
    for exponent in (0.75, 0.0):
        V, W = (_subspace(lam, exponent) for lam in (0.1, 10.0))
        sines.append(float(np.linalg.norm(W - V @ (V.T @ W), 2)))
    return sines[0], sines[1]


def _subspace(lam: float, exponent: float) -> Array:
    P = (np.diag(B) + lam) ** exponent
    solution = pcg(
        B + lam * identity, -g, preconditioner=lambda r: r / P, max_steps=4, store=range(5)
    )
    basis, _ = np.linalg.qr(np.stack([iterate.x for iterate in solution.iterates], axis=1))
    return basis


slip(
    "M39",
    "sec. 8.2",
    "θ parameterizes 10⁴W_j, and f is 10⁴ times more sensitive to it",
    "W_j = 10⁴θ_j for a more sensitive f",
    "With W_j = 10⁻⁴θ_j f is less sensitive.",
    "rop.experiments.reparameterized",
)


@erratum(
    "M40",
    "S1",
    "sec. 8.2, transformed step",
    "rop.hf.damping.Reparameterized",
    printed="(CᵀBC)⁻¹Cᵀ∇f = C⁻ᵀB⁻¹∇f",
    corrected="-(CᵀBC)⁻¹Cᵀ∇f = -C⁻¹B⁻¹∇f",
    why="(CᵀBC)⁻¹ = C⁻¹B⁻¹C⁻ᵀ; C⁻ᵀ and C⁻¹ are equal for a diagonal C only.",
)
def m40() -> Errors:
    """The step in the new parameters with CG's solution of CᵀBCδ = -Cᵀ∇f."""
    C = matrix(n, n, 2) + 4 * identity
    newton, truth = np.linalg.solve(B, g), pcg(C.T @ B @ C, -C.T @ g).x
    return off(np.linalg.solve(C.T, newton), truth), off(-np.linalg.solve(C, newton), truth)


slip(
    "M41",
    "secs. 8.2 and 11",
    "C is the Jacobian of the old parameters, and δ = C⁻¹γ",
    "two letters, or one direction",
    "The second C is the inverse of the first.",
    "rop.hf.damping.Reparameterized",
)


@erratum(
    "M42",
    "S2",
    "sec. 8.3, penalty with D = CᵀC",
    "rop.hf.damping.Reparameterized",
    printed="½‖δ‖²_{CᵀC} is the Gauss-Newton approximation of (λ/2)‖φ(θ)‖²",
    corrected="(λ/2)‖δ‖²_{CᵀC} is that of (λ/2)‖φ(θ + δ) - φ(θ)‖²",
    why="λ is missing, and the penalty is on the change of φ; the other has a linear term.",
)
def m42() -> Errors:
    """The penalty with (λ/2)‖φ(θ + δ) - φ(θ)‖² for φ = exp, λ = 3 and δ of 1e-8."""
    at, lam = linearized(Network()), 3.0
    delta = 1e-8 * vector(at.n)
    truth = lam / 2 * np.sum((np.exp(at.theta) * np.expm1(delta)) ** 2)
    D = Reparameterized(jacobian=np.exp).matrix(at, 0.0, 0)
    return off(np.sum((np.exp(at.theta) * delta) ** 2) / 2, truth), off(
        D.penalty(delta, lam), truth
    )


slip(
    "M43",
    "sec. 8.3",
    "δ^{1*}; B̂ = (1 + λ)B scales the step by 1/(1 + δ)",
    "the minimiser of the damped model; by 1/(1 + λ)",
    "The symbols are damaged. D = diag(B) is Marquardt's choice, Levenberg's was I.",
    "rop.hf.damping.ScaleSensitive",
)


@erratum(
    "M44",
    "S2",
    "secs. 8.3 and 9, weighted norm",
    "rop.hf.damping_matrices.DampingMatrix.penalty",
    printed="‖z‖²_A = ½ zᵀAz (sec. 9)",
    corrected="‖z‖²_A = zᵀAz (secs. 8.3 and 12.1)",
    why="With the ½ of sec. 9 in (λ/2)‖δ‖²_D the damping is half of what λD adds to B.",
)
def m44() -> Errors:
    """(λ/2)‖δ‖²_D with the difference of the models with B + λD and with B."""
    lam, d, delta = 3.0, np.arange(1.0, n + 1), vector(n, 2)
    truth = q(delta, B + lam * np.diag(d)) - q(delta)
    penalty = DiagonalMatrix(d).penalty(delta, lam)
    return off(lam / 2 * (delta @ (d * delta) / 2), truth), off(penalty, truth)


@erratum(
    "M45",
    "S1",
    "sec. 8.4, ideal damped objective",
    "rop.hf.damping_matrices.Identity.penalty",
    printed="M + μS + λI",
    corrected="M + μS + (λ/2)‖δ‖²",
    why="It adds a matrix to a scalar.",
)
def m45() -> Errors:
    """The damped model (μ = 0) with ∇fᵀδ + ½δᵀ(B + λI)δ."""
    lam, delta = 3.0, vector(n, 2)
    truth = q(delta, B + lam * identity)
    return off(q(delta) + lam * identity, truth), off(
        q(delta) + Identity().penalty(delta, lam), truth
    )


@erratum(
    "M46",
    "S2",
    "sec. 8.4, strength of structural damping",
    "rop.hf.damping.Structural",
    printed="μ, a strength beside λ",
    corrected="λμ where values such as μ = 1/30 are used",
    why="The authors' code and their paper of 2011 penalise by λ(½‖δ‖² + μS), so the rule for λ "
    "scales both terms.",
)
def m46() -> Errors:
    """The penalty's growth, if the rule raises λ by 3/2, with 3/2."""
    at, found = recurrent("squared"), []
    for relative in (False, True):
        policy = Structural(20.0, Tikhonov(1.0, LevenbergMarquardt()), relative=relative)
        delta, D = vector(at.n), policy.matrix(at, 20.0, 0)
        found.append(off(D.penalty(delta, 1.5) / D.penalty(delta, 1.0), 1.5))
    return found[0], found[1]


@erratum(
    "M47",
    "S2",
    "sec. 8.4, the distance d",
    "rop.objective.objective.Objective",
    "rop.objective.per_case.hidden_weights",
    printed="one block d'' of L''_μ for (z, h), whichever d and h are meant; f(θ) + μS(θ)",
    corrected="for squared errors of activations μRh enters before the factor s'; for the loss "
    "that matches s, μ s' Rx after it; f(θ_{k-1} + δ) + μS(δ)",
    why="d'' belongs to the activations in one case and to their inputs in the other.",
)
def m47() -> Errors:
    """δᵀSδ with twice S(δ), the mean of Σ d for the loss that matches tanh; δ of 1e-4."""
    squared, matching = recurrent("squared"), recurrent("matching")
    delta = vector(matching.n)
    x, step = _inputs(matching, delta, 0.0), 1e-4
    change = sum(_matching(_inputs(matching, delta, s), x) for s in (step, -step)) / step**2
    S = [at.ggnvp(delta, 1.0) - at.ggnvp(delta) for at in (squared, matching)]
    return off(delta @ S[0], change), off(delta @ S[1], change)


def _inputs(at: Linearization, delta: Array, step: float) -> Array:
    """The inputs of the states at θ + step δ: (N, T, units)."""
    W = at.objective.unpack(at.theta + step * delta)
    h, xs = np.tile(W["h_0"], (at.cases, 1)), []
    for x in at.batch["x"].swapaxes(0, 1):
        xs.append(x @ W["W_xh"].T + h @ W["W_hh"].T)
        h = np.tanh(xs[-1])
    return np.stack(xs, axis=1)


def _matching(x: Array, old: Array) -> float:
    """Mean over cases of Σ d, where d' = tanh x - tanh x_old and d = 0 at x_old."""
    d = np.log(np.cosh(x) / np.cosh(old)) - np.tanh(old) * (x - old)
    return float(d.sum() / len(x))


@erratum(
    "M48",
    "S2",
    "sec. 8.5, failed updates",
    "rop.hf.levenberg_marquardt.reduction_ratio",
    printed="λ by ρ; special care for ρ < 0",
    corrected="ρ = -∞ whenever f rose or is not a number",
    why="If q(δ) > 0 and f rose, ρ is positive, and the rule lowers λ.",
)
def m48() -> Errors:
    """The factor of λ after f rose from 1 to 2 with q(δ) = 1, with 3/2."""
    rule = LevenbergMarquardt()
    printed, corrected = (rule.update(1.0, rho) for rho in (1.0, reduction_ratio(1.0, 2.0, 1.0)))
    return off(printed, 1.5), off(corrected, 1.5)


slip(
    "M49",
    "sec. 8.5",
    "CG lowers M monotonically; M_{k-1}(0) = 0",
    "CG lowers the damped model; M(0) = f(θ_{k-1}) by eq. 1",
    "CG minimises the model with B + λD.",
)


@erratum(
    "M50",
    "S1",
    "sec. 8.6, footnote 6",
    "rop.hf.trust_region.TrustRegion",
    "rop.hf.gltr.gltr",
    "rop.hf.secular.solve_secular",
    printed="maximise gᵀδ - ½δᵀBδ + λ(r - ½δᵀQδ): (B + λQ)δ = g",
    corrected="minimise gᵀδ + ½δᵀBδ + (λ/2)(δᵀQδ - r²): (B + λQ)δ = -g, λ >= 0, "
    "B + λQ positive semidefinite",
    why="The footnote maximizes while the paper minimises, and the radius is not squared.",
)
def m50() -> Errors:
    """The point with the least q on the circle of radius ½, by a search over its angle."""
    A, c, r = np.array([[2.0, 1.0], [1.0, -1.0]]), np.array([1.0, 2.0]), 0.5

    def on_circle(angle: float) -> Array:
        return r * np.array([np.cos(angle), np.sin(angle)])

    def slope(angle: float) -> float:
        x = on_circle(angle)
        return float((c + A @ x) @ np.array([-x[1], x[0]]))

    angles = np.linspace(0, 2 * np.pi, 100)
    near = min(angles, key=lambda a: c @ on_circle(a) + on_circle(a) @ A @ on_circle(a) / 2)
    truth = on_circle(brentq(slope, near - 0.1, near + 0.1))
    solution = gltr(A, -c, r)
    assert solution.multiplier is not None
    return off(np.linalg.solve(A + solution.multiplier * np.eye(2), c), truth), off(
        solution.x, truth
    )


@erratum(
    "M51",
    "S2",
    "secs. 8.6 and 8.7, Steihaug and Toint's ½",
    "rop.hf.cg.pcg",
    printed="M(δ†) is at least half as good as M(δ*)",
    corrected="M(δ†) - M(0) <= ½ (M(δ*) - M(0)), for a positive semidefinite B and x_0 = 0",
    why="An indefinite B may have its best direction where the gradient hardly points.",
)
def m51() -> Errors:
    """How much of the half is missing, at worst: diag(1, -1), and 50 semidefinite matrices."""
    indefinite = _missing(np.diag([1.0, -1.0]), np.array([1.0, 0.0]), 10.0)
    factors = [matrix(6, 5, seed) for seed in range(50)]
    worst = max(_missing(C @ C.T, vector(6, seed), 0.5) for seed, C in enumerate(factors))
    return indefinite, worst


def _missing(A: Array, b: Array, radius: float) -> float:
    truncated, best = pcg(A, b, radius=radius).q[-1], gltr(A, b, radius).q[-1]
    return max(0.0, 0.5 - truncated / best) / 0.5


@erratum(
    "M52",
    "S2",
    "sec. 8.8, line search as damping",
    "rop.hf.recipe.Recipe",
    "rop.hf.damping_matrices.GramMatrix",
    printed="α adds the penalty (1/2α) δᵀBδ",
    corrected="α adds ½ (1/α - 1) δᵀBδ: B is replaced by B/α",
    why="αδ* = -(B/α)⁻¹∇f, and B/α = B + (1/α - 1)B.",
)
def m52() -> Errors:
    """The damped model's minimiser with αδ*, for α = 0.4."""
    alpha, C = 0.4, np.linalg.cholesky(B).T
    truth = -alpha * np.linalg.solve(B, g)
    printed, corrected = (
        pcg(GramMatrix(C, 0).damp(lambda v: B @ v, lam), -g).x for lam in (1 / alpha, 1 / alpha - 1)
    )
    return off(printed, truth), off(corrected, truth)


slip(
    "M53",
    "sec. 8.8",
    "M(δ) < 0; the factor of the line search is left open",
    "M̂(δ) < M̂(0), that is q(δ) < 0; 0.8 in the authors' code, then the step is rejected",
    "M includes f(θ), and CG minimises the damped model.",
    "rop.hf.line_search.Armijo",
)
