"""Errata of Martens & Sutskever (2012), sections 9 to 13: CG, preconditioning, minibatches."""

from itertools import product

import numpy as np

from rop.checking.museum.network import Network, softmax
from rop.experiments.errata.entry import Array, Errors, attempt, erratum, off, slip
from rop.experiments.errata.given import differences, linearized, matrix, positive_definite, vector
from rop.experiments.figure5 import ritz_values
from rop.graph import data, param
from rop.hf.cg import pcg
from rop.hf.damping_matrices import DiagonalMatrix
from rop.hf.preconditioners import GivenDiagonal
from rop.hf.recipe import Recipe
from rop.losses import SoftmaxCrossEntropy, SquaredError
from rop.objective.objective import Objective

n = 8
B, g = positive_definite(n), vector(n, 1)
lam = np.geomspace(0.5, 20.0, n)
eta = vector(n)


@erratum(
    "M54",
    "S1",
    "sec. 9, eq. 12",
    "rop.experiments.figure5.figure5",
    printed="‖x_i - x*‖²_A = Σ λ_j p(λ_j)² ξ_j², with ‖z‖²_A = ½ zᵀAz",
    corrected="½ zᵀAz = Σ ½ λ_j p(λ_j)² ξ_j²",
    why="The norm of sec. 9 has a ½ that the sum lacks.",
)
def m54() -> Errors:
    """The sum, with p from the Ritz values, with ½ zᵀAz at CG's third iterate."""
    z = pcg(np.diag(lam), eta, max_steps=3).x - eta / lam
    p = np.prod(1 - lam[:, None] / ritz_values(lam, eta, 3), axis=1)
    total = np.sum(lam * p**2 * (eta / lam) ** 2)
    return off(total, z @ (lam * z) / 2), off(total / 2, z @ (lam * z) / 2)


@erratum(
    "M55",
    "S1",
    "sec. 9, definition of ω_j",
    "rop.experiments.figure5.figure5",
    printed="ω_j = η_j² / λ_j",
    corrected="ω_j = ½ η_j² / λ_j",
    why="ω_j is the decrease of q along v_j, as the lines before and after say.",
)
def m55() -> Errors:
    """Σ ω_j p(λ_j)² with q(x_3) - q(x*) of CG."""
    truth = pcg(np.diag(lam), eta, max_steps=3).q[-1] - pcg(np.diag(lam), eta).q[-1]
    p = np.prod(1 - lam[:, None] / ritz_values(lam, eta, 3), axis=1)
    printed, corrected = (np.sum(c * eta**2 / lam * p**2) for c in (1.0, 0.5))
    return off(printed, truth), off(corrected, truth)


slip(
    "M56",
    "sec. 9",
    "polynomials of degree i; ν_k ∈ ℂ; the size of v_j in direction r_0",
    "of degree at most i; CG's own roots are real and positive; the component of r_0 along v_j",
    "CG may converge early, and its roots are Ritz values of A.",
)


@erratum(
    "M57",
    "S1",
    "sec. 11.1, transformed residual",
    "rop.hf.cg.pcg",
    printed="C⁻ᵀ(B̂x_0 - ∇f)",
    corrected="C⁻ᵀ(B̂x_0 + ∇f)",
    why="r = B̂x - b with b = -∇f.",
)
def m57() -> Errors:
    """The residual in γ = Cx with central differences of γ ↦ q(C⁻¹γ)."""
    C, x_0 = matrix(n, n, 2) + 4 * np.eye(n), vector(n, 3)
    inverse = np.linalg.inv(C)

    def q(gamma: Array) -> float:
        x = inverse @ gamma
        return float(g @ x + x @ B @ x / 2)

    truth = differences(q, C @ x_0, 1e-3)
    return off(inverse.T @ (B @ x_0 - g), truth), off(inverse.T @ (B @ x_0 + g), truth)


@erratum(
    "M58",
    "S1",
    "sec. 11.2",
    "rop.hf.preconditioners.DiagonalPower",
    printed="d = diag(B) + λD",
    corrected="d = diag(B) + λ diag(D)",
    why="It adds a vector and a matrix.",
)
def m58() -> Errors:
    """P = d (ξ = 1) with the diagonal of B + λD."""
    D = np.arange(1.0, n + 1)
    policy = GivenDiagonal(exponent=1.0, estimate=np.asarray)
    inverse = policy.inverse(np.diag(B), DiagonalMatrix(D).diagonal(3.0))
    assert inverse is not None
    truth = np.diag(B + 3 * np.diag(D))
    return attempt(lambda: np.diag(B) + 3 * np.diag(D), truth), off(1 / inverse(np.ones(n)), truth)


@erratum(
    "M59",
    "S1",
    "sec. 11.3, empirical Fisher",
    "rop.objective.diagonals.diagonal",
    "rop.hf.preconditioners.EmpiricalFisher",
    printed="F = Σ_i ∇f_i ∇f_iᵀ",
    corrected="F = (1/N) Σ_i ∇f_i ∇f_iᵀ",
    why="f is a mean over cases (secs. 2 and 4), so d, κ and λ are on the scale of a mean.",
)
def m59() -> Errors:
    """diag(F) with the mean of squared central differences of every case's loss."""
    net = Network()
    net_losses = differences(lambda theta: _losses(net, theta), net.theta)
    truth = np.mean(net_losses**2, axis=1)
    found = linearized(net).diagonal("empirical-fisher")
    return off(np.sum(net_losses**2, axis=1), truth), off(found, truth)


def _losses(net: Network, theta: Array) -> Array:
    each: Array = -np.sum(net.t * np.log(softmax(net.outputs(theta))), axis=1)
    return each


@erratum(
    "M60",
    "S1",
    "algorithm 6, line 10",
    "rop.programs.per_case.squares",
    printed="diag(F) of b_i: sq(dx_{i+1}) 1_Bᵀ",
    corrected="sq(dx_{i+1}) 1_B, the sum over cases",
    why="dx has one column for each case, and 1_Bᵀ one row.",
)
def m60() -> Errors:
    """Σ_i sq(∇f_i) of the last biases with squared central differences of every case's loss."""
    net = Network()
    at, block = linearized(net), net.blocks["b3"]
    truth = np.sum(differences(lambda theta: _losses(net, theta), net.theta)[block] ** 2, axis=1)
    dx = (softmax(net.outputs(net.theta)) - net.t).T
    found = at.cases * at.diagonal("empirical-fisher")[block]
    return attempt(lambda: dx**2 @ np.ones((1, at.cases)), truth), off(found, truth)


@erratum(
    "M61",
    "S2",
    "algorithm 7, and sec. 11.4",
    "rop.objective.diagonals.root",
    "rop.losses.SoftmaxCrossEntropy.root",
    "rop.hf.preconditioners.ChapelleErhan",
    printed="sq(Jᵀ L''^½ v), v uniformly from -1, 1",
    corrected="sq(Jᵀ S v) for any S with SSᵀ = L'', v from the two values {-1, +1}",
    why="S need not be symmetric (softmax: S = diag(√p) - p√pᵀ), and a uniform v between -1 and 1 "
    "has the variance 1/3.",
)
def m61() -> Errors:
    """The mean over v with diag(JᵀL''J): all signs, and all nodes of Gauss's rule on [-1, 1]."""
    J, p = matrix(3, 5), softmax(vector(3))
    truth = np.diag(J.T @ (np.diag(p) - np.outer(p, p)) @ J)
    loss, found = SoftmaxCrossEntropy(data("t", 3)), []
    for nodes, weights in (np.polynomial.legendre.leggauss(3), ([-1.0, 1.0], [1.0, 1.0])):
        v = np.array(list(product(nodes, repeat=3)))
        weight = np.prod(list(product(weights, repeat=3)), axis=1) / 8
        found.append(off(weight @ (loss.root(p, v) @ J) ** 2, truth))
    return found[0], found[1]


slip(
    "M62",
    "secs. 11.2 and 13",
    "the exponent is ξ, which is something else in sec. 9, and ψ in sec. 13",
    "one name: ξ",
    "Martens (2010) has α and adds λ inside, which equals this formula with κ = 0.",
    "rop.hf.preconditioners.DiagonalPower",
)


@erratum(
    "M63",
    "S1",
    "sec. 12.1, completed square",
    printed="M = ½(Jδ + ∇L)ᵀL''(Jδ + ∇L) + c, c = f(θ) - ∇LᵀL''⁻¹∇L",
    corrected="M = ½(Jδ + L''⁻¹∇L)ᵀL''(Jδ + L''⁻¹∇L) + c, c = f(θ) - ½ ∇LᵀL''⁻¹∇L",
    why="Completing the square adds and subtracts ½ ∇LᵀL''⁻¹∇L.",
)
def m63() -> Errors:
    """The greatest predicted decrease f(θ) - c with -q at CG's solution; J is 4 by 9."""
    J, L, dL = matrix(4, 9), positive_definite(4), vector(4)
    truth = -pcg(J.T @ L @ J, -J.T @ dL, residual=1e-12).q[-1]
    bound = dL @ np.linalg.solve(L, dL)
    return off(bound, truth), off(bound / 2, truth)


slip(
    "M64",
    "sec. 12.1",
    "B can be any λ dependent matrix; L''⁻¹",
    "θ-dependent; the pseudo-inverse for softmax",
    "B depends on θ, and L'' of softmax has the null vector (1, ..., 1).",
)


@erratum(
    "M65",
    "S2",
    "sec. 12.1, two minibatches",
    "rop.objective.linearization.Linearization.ggnvp",
    printed="∇f = Σ_i ∇f_i (sec. 11.3) over S, B over the smaller S'",
    corrected="both are means: over |S| and over |S'| cases",
    why="With sums the step is |S|/|S'| times too long.",
)
def m65() -> Errors:
    """The step of least squares, where S is four copies of S', with the solution on S'."""
    X, t = matrix(12, 3), matrix(12, 1, 1)
    objective = Objective(param("w", (1, 3)) @ data("x", 3), SquaredError(data("t", 1)))
    small = objective.linearize(np.zeros(3), {"x": X, "t": t}, engine="numpy")
    whole = {"x": np.tile(X, (4, 1)), "t": np.tile(t, (4, 1))}
    large = objective.linearize(np.zeros(3), whole, engine="numpy")
    truth = np.linalg.lstsq(X, t[:, 0])[0]
    printed = pcg(12 * small.G.matrix(), -48 * large.gradient()).x
    return off(printed, truth), off(pcg(small.G.matrix(), -large.gradient()).x, truth)


@erratum(
    "M66",
    "S1",
    "sec. 13, second recipe",
    "rop.hf.recipe.Recipe.next_start",
    "rop.hf.recipes.validated2012",
    printed="CG starts from the iterate with the highest objective on the curvature minibatch",
    corrected="from that with the lowest",
    why="The authors' code maximizes a log-likelihood; the paper minimises.",
)
def m66() -> Errors:
    """f at the start, as a share of the range of f along CG, with the least; absolute."""
    solution = pcg(B, -g, max_steps=6, store=range(7))
    f = {it.steps: float(np.sum(it.x**2) - it.x.sum()) for it in solution.iterates}
    start = Recipe(start="best").next_start(0, solution, solution.x, lambda it: f[it.steps])
    chosen = next(it.steps for it in solution.iterates if it.x is start)
    low, high = min(f.values()), max(f.values())
    printed, corrected = (
        (f[steps] - low) / (high - low) for steps in (max(f, key=f.__getitem__), chosen)
    )
    return printed, corrected


slip(
    "M67",
    "sec. 13",
    "structure damping; ψ; κ of 1e-2 times the mean of D's diagonal; CG ends before its maximum",
    "structural; ξ; of d = diag(B) + λ diag(D); at its maximum at the latest",
    "P = (d + κ)^ξ, so κ is compared with d.",
    "rop.hf.preconditioners.DiagonalPower",
)
