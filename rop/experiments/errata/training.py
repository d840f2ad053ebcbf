"""Errata of Martens & Sutskever (2012), table 1 and sections 1 to 4: networks, HF and CG."""

from itertools import count

import numpy as np

from rop.checking.museum.network import Network
from rop.checking.museum.solvers import ConjugateGradient
from rop.experiments.errata.entry import Array, Errors, attempt, erratum, off, slip
from rop.experiments.errata.given import differences, linearized, matrix, positive_definite, vector
from rop.graph import data, param
from rop.hf.batches import Batches
from rop.hf.cg import pcg
from rop.hf.levenberg_marquardt import reduction_ratio
from rop.hf.optimizer import HessianFree
from rop.hf.recipe import Recipe
from rop.hf.selection import LastIterate
from rop.hf.solution import Progress
from rop.hf.stopping import RelativeProgress
from rop.losses import SquaredError
from rop.nets import rnn
from rop.objective.objective import Objective
from rop.ops import softmax

B, g = positive_definite(8), vector(8, 1)


def q(x: Array) -> float:
    """gᵀx + ½ xᵀBx."""
    return float(g @ x + x @ B @ x / 2)


@erratum(
    "M1",
    "S1",
    "table 1 and eq. 10",
    "rop.hf.levenberg_marquardt.reduction_ratio",
    printed="ρ = (f(θ_k) - f(θ_{k-1})) / M_{k-1}(δ_k)",
    corrected="ρ = (f(θ_k) - f(θ_{k-1})) / (M_{k-1}(δ_k) - M_{k-1}(0))",
    why="Eq. 1 includes f(θ_{k-1}) in M, so M(0) is not 0.",
)
def m1() -> Errors:
    """ρ of a quadratic f, which its model predicts exactly, with 1."""
    f = 50.0
    delta = -np.linalg.solve(B + np.eye(8), g)
    rho = reduction_ratio(f, f + q(delta), q(delta))
    return off(q(delta) / (f + q(delta)), 1.0), off(rho, 1.0)


@erratum(
    "M2",
    "S1",
    "algorithms 1, 4, 5 and 6, input",
    "rop.objective.linearization.Linearization.outputs",
    printed="input: y_0;  Ry_0 ← 0",
    corrected="input: y_1 = x;  Ry_1 ← 0",
    why="The loops start at i = 1 and read y_1 and Ry_1, which nothing has set.",
)
def m2() -> Errors:
    """Algorithm 1's outputs with the library's."""
    net = Network()

    def forward(y: dict[int, Array]) -> Array:
        for i, (W, b) in enumerate(net.unpack(net.theta), 1):
            x = y[i] @ W.T + b
            y[i + 1] = np.tanh(x)
        return x

    truth = linearized(net).outputs
    return attempt(lambda: forward({0: net.x}), truth), off(forward({1: net.x}), truth)


slip(
    "M3",
    "sec. 2",
    "y_{i+1} = s_i(W_i y_i + b_i)",
    "y_{i+1} = s_{i+1}(W_i y_i + b_i)",
    "Algorithms 1 and 4 to 6 count the activations so, and the outputs' is then s_ℓ.",
)
slip(
    "M4",
    "sec. 2 and 4",
    "x is the input, the pre-activation x_i and CG's iterate; y_i is an activation and P⁻¹r_i",
    "one meaning for each letter",
    "A reader of algorithm 2 takes y for an activation.",
)


@erratum(
    "M5",
    "S2",
    "algorithm 1, backward loop",
    "rop.ops.softmax",
    printed="dx_{i+1} = dy_{i+1} s'(x_{i+1}), db_i = dx_{i+1}, for one case",
    corrected="dx_{i+1} = s'(x_{i+1})ᵀ dy_{i+1} with the Jacobian s' (the product element by "
    "element if s is one); for a batch dW_i and db_i are sums over cases, divided by |S| once",
    why="Softmax mixes the elements, so its Jacobian is no diagonal.",
)
def m5() -> Errors:
    """The gradient of ½ ‖softmax(x) - t‖² with central differences."""
    x, t = vector(4), np.array([0.0, 1.0, 0.0, 0.0])
    objective = Objective(softmax(param("x", 4)), SquaredError(t))
    truth = differences(lambda x: objective.value(x, engine="numpy"), x)
    p = np.exp(x) / np.exp(x).sum()
    gradient = objective.linearize(x, engine="numpy").gradient()
    return off((p - t) * p * (1 - p), truth), off(gradient, truth)


slip(
    "M6",
    "sec. 3",
    "W_xh from x to h, but W_zh from h to z",
    "one order for all: W_xh, W_hh, W_hz",
    "The subscripts are from-to in one name and to-from in the other.",
    "rop.nets.rnn",
)


@erratum(
    "M7",
    "S2",
    "sec. 3",
    "rop.nets.rnn",
    printed="h_τ = s(W_xh x_τ + W_hh h_{τ-1}), z_τ = W_zh h_τ",
    corrected="h_τ = s(W_xh x_τ + W_hh h_{τ-1} + b_h), z_τ = W_hz h_τ + b_z",
    why="Without biases a net of zero inputs and states has outputs 0, whatever the targets' mean.",
)
def m7() -> Errors:
    """The outputs at h_0 = 0 and x = 0 with targets of 3, with b_z = 3 where there is one."""
    found = []
    for biases in (False, True):
        _, z, _ = rnn([2, 5, 1], 4, at=-1, biases=biases)
        objective = Objective(z, SquaredError(data("t", 1)))
        weights = {"W_xh": matrix(5, 2), "W_hh": matrix(5, 5), "W_hz": matrix(1, 5)}
        others = {"h_0": np.zeros(5), "b_h": np.zeros(5), "b_z": np.full(1, 3.0)}
        values = {name: (weights | others)[name] for name in objective.slices}
        theta = objective.pack(values)
        found.append(objective.outputs(theta, {"x": np.zeros((1, 4, 2))}, engine="numpy"))
    return off(found[0], [[3.0]]), off(found[1], [[3.0]])


slip(
    "M8",
    "sec. 3",
    "the loss is summed over time and averaged over sequences",
    "say which mean λ, μ and the weight decay belong to",
    "The authors' code divides by the number of supervised outputs, so its λ is on another scale.",
    "rop.experiments.sequences_problems",
)
slip(
    "M9",
    "table 1 and eq. 6",
    "∇h is the gradient, and h' the gradient or the Jacobian",
    "h' is the Jacobian; ∇h = h'ᵀ for a scalar h",
    "Table 1 and eq. 6 define h' differently.",
)


@erratum(
    "M10",
    "S1",
    "sec. 4, the Newton step",
    "rop.hf.optimizer.HessianFree",
    printed="δ*_k = θ_k - B⁻¹∇f(θ_{k-1})",
    corrected="δ*_k = -B⁻¹∇f(θ_{k-1})",
    why="δ is the step, not the point that it leads to.",
)
def m10() -> Errors:
    """θ + δ with the minimiser of a quadratic f."""
    theta, minimiser = vector(8, 2), vector(8, 3)
    gradient = B @ (theta - minimiser)
    step = pcg(B, -gradient).x
    return off(theta + theta + step, minimiser), off(theta + step, minimiser)


@erratum(
    "M11",
    "S1",
    "sec. 4, text before algorithm 2",
    "rop.hf.subproblem.Subproblem",
    "rop.hf.cg.pcg",
    printed="CG minimises ½xᵀAx - bᵀx with b = ∇f(θ_{k-1})",
    corrected="b = -∇f(θ_{k-1})",
    why="With b = ∇f the step goes uphill; algorithm 3 and sec. 9 have the sign right.",
)
def m11() -> Errors:
    """q(δ) = ∇fᵀδ + ½δᵀAδ at CG's solution with its least value, -½ ∇fᵀA⁻¹∇f."""
    least = -g @ np.linalg.inv(B) @ g / 2
    return off(q(pcg(B, g).x), least), off(q(pcg(B, -g).x), least)


slip(
    "M12",
    "sec. 4",
    "CG strictly outperforms any other gradient method",
    "CG is never outperformed by another gradient method",
    "For A = cI one gradient step does the same.",
)


@erratum(
    "M13",
    "S1",
    "sec. 4, eq. 2 and the line above it",
    "rop.hf.stopping.RelativeProgress",
    printed="stop if s_j = (M(x_j) - M(x_{j-k})) / M(x_j) < 0.0001, k = max(10, j/10)",
    corrected="stop if q(x_j) < 0 and (q(x_j) - q(x_{j-k})) / q(x_j) < 0.0005 k, j > k, with "
    "q = M - M(0) and k = max(10, ⌈j/10⌉)",
    why="M includes f(θ_{k-1}) > 0, so s_j is negative and CG stops at the first test; a warm "
    "start with q > 0 does the same; and an average over the window has to be divided by k.",
)
def m13() -> Errors:
    """The step of the stop, for q_j = 3 · 0.9ʲ - 1, with the step solved from the inequality."""
    values, k, limit = 3 * 0.9 ** np.arange(200) - 1, 10, 0.0005 * 10
    # 3 · 0.9ʲ (0.9⁻ᵏ - 1) < limit (1 - 3 · 0.9ʲ)
    truth = np.ceil(np.log(limit / (3 * (0.9**-k - 1 + limit))) / np.log(0.9))
    M = values + 50
    printed = next(j for j in count(k + 1) if (M[j] - M[j - k]) / M[j] < 0.0001)
    rule = RelativeProgress()
    q_until = (values[: j + 1].tolist() for j in count(1))
    stopped = next(len(q) - 1 for q in q_until if rule(Progress(np.zeros(1), q, 1.0)))
    return off(printed, truth), off(stopped, truth)


@erratum(
    "M14",
    "S2",
    "algorithm 2",
    "rop.hf.cg.pcg",
    "rop.hf.cg.reason_to_stop",
    printed="no test of pᵀAp, of ‖r‖, or of the number of steps",
    corrected="stop if pᵀAp <= 0, if ‖r‖ is small, and after a number of steps",
    why="Along a direction of negative curvature the step leads to a saddle, or to a maximum.",
)
def m14() -> Errors:
    """How far q lies above q(0) = 0 after CG on diag(1, 2, -½), b = (1, 1, 1); absolute."""
    A, b = np.diag([1.0, 2.0, -0.5]), np.ones(3)
    saddle = ConjugateGradient(lambda v: A @ v, np.ones(3)).solve(-b, 3)[-1]
    return max(0.0, float(saddle @ A @ saddle / 2 - b @ saddle)), max(0.0, pcg(A, b).q[-1])


slip(
    "M15",
    "algorithm 3",
    "a preconditioner at θ_k, and D_k",
    "at θ_{k-1}, and D_{k-1}",
    "Everything in the iteration belongs to θ_{k-1}.",
    "rop.hf.optimizer.HessianFree",
)


@erratum(
    "M16",
    "S2",
    "algorithm 3, x_0 = ζδ_{k-1}",
    "rop.hf.recipe.Recipe.next_start",
    printed="δ_{k-1}, the update",
    corrected="the last iterate of CG in the run before",
    why="CG-backtracking and the line search shorten the update, and CG would do the steps again.",
)
def m16() -> Errors:
    """q at the next x_0 (ζ = 1, same A and b) with the q that CG had reached; the update is x_3."""
    solution = pcg(B, -g, max_steps=6, store=(3,))
    update = solution.iterates[0].x
    start = Recipe().next_start(0, solution, update, lambda iterate: iterate.q)
    assert start is not None
    return off(q(update), solution.q[-1]), off(q(start), solution.q[-1])


@erratum(
    "M17",
    "S2",
    "algorithm 3, order of its last lines",
    "rop.hf.optimizer.HessianFree",
    "rop.hf.recipe.Recipe",
    printed="a step size α, then λ by ρ",
    corrected="ρ of the full δ, after CG-backtracking and before α; Δf on the curvature's cases, "
    "or on those of the gradient",
    why="ρ judges the model at δ, and the model did not predict f(θ + αδ).",
)
def m17() -> Errors:
    """ρ of linear least squares, which its model predicts exactly, with 1; α = ½."""
    objective = _least_squares()
    recipe = Recipe(Batches(), learning_rate=0.5, selection=LastIterate()).replace(lam=0.1)
    batch = {"x": matrix(20, 8), "t": matrix(20, 1, 1)}
    it = next(HessianFree(objective, vector(8), batch, recipe, engine="numpy", dtype=np.float64))
    return off((it.f_after - it.f_before) / it.q, 1.0), off(it.rho, 1.0)


def _least_squares() -> Objective:
    return Objective(param("W", (1, 8)) @ data("x", 8), SquaredError(data("t", 1)))
