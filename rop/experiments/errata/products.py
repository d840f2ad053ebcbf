"""Errata of Martens & Sutskever (2012), sections 5 to 7: Hv, Gv, and their implementation."""

from functools import partial
from itertools import pairwise
from math import prod

import numpy as np

from rop.checking.museum.network import Network
from rop.checking.museum.paper import (
    Algorithm4AsPrinted,
    Algorithm5AsPrinted,
    BiasFromTheLayerBelow,
    InputsAsOutputs,
)
from rop.experiments.errata.entry import Array, Errors, erratum, off, slip
from rop.experiments.errata.given import central, differences, linearized, vector
from rop.graph import param
from rop.losses import LossGraph, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from rop.nets import autoencoder
from rop.objective.definition import programs_of
from rop.objective.objective import Objective
from rop.ops import square, tanh
from rop.ops.kernels import Loops
from rop.programs.steps import Program

CURVES = [784, 400, 200, 100, 50, 25, 6]


def hessian_product(net: Network, v: Array) -> Array:
    """Hv, as the central difference of the gradient."""
    return central(net.gradient, net.theta, v)


def gauss_newton_product(net: Network, v: Array) -> Array:
    """Gv = Jᵀ L'' J v, with J and L'' from central differences."""
    w = central(net.loss_gradient, net.outputs(net.theta), central(net.outputs, net.theta, v))
    Gv: Array = np.tensordot(differences(net.outputs, net.theta), w, 2)
    return Gv


slip(
    "M18",
    "sec. 5, eq. 6",
    "R(h(X)) = (RX) h'(X)",
    "R(h(X)) = h'(X) RX",
    "h' is a Jacobian, which stands on the left.",
    "rop.ops.families.Elementwise.R",
)


@erratum(
    "M19",
    "S1",
    "sec. 5, forward mode, step 3",
    "rop.programs.sweeps.r_forward",
    "rop.objective.linearization.Linearization.jvp",
    printed="read Jv from {Rz_i}, i ∈ O",
    corrected="read Jv from {Ra_i}, i ∈ O",
    why="z_i are the inputs of node i; its value is a_i.",
)
def m19() -> Errors:
    """Jv of F = tanh(Wy) with the central difference of F; Rz is that of Wy."""
    W, y, v = param("W", (3, 4)), vector(4), vector(12, 2)
    theta, z = vector(12, 4), W @ y
    inputs, outputs = (Objective(a, SquaredError(np.zeros(3))) for a in (z, tanh(z)))
    truth = central(lambda theta: np.tanh(theta.reshape(3, 4) @ y), theta, v)
    Rz, Ra = (o.linearize(theta, engine="numpy").jvp(v)[0] for o in (inputs, outputs))
    return off(Rz, truth), off(Ra, truth)


slip(
    "M20",
    "secs. 5, 8.3 and 11.3",
    "algorithm 5 gives Hv; lines of alg. 2; algorithm 11.3; fig. 8.3",
    "algorithm 4; algorithm 1; algorithm 6; figure 3",
    "The cross-references are those of another numbering.",
)


@erratum(
    "M21",
    "S1",
    "algorithm 4, line of Rdx",
    "rop.ops.families.Elementwise.curvature",
    "rop.objective.linearization.Linearization.hvp",
    printed="Rdx_{i+1} = dy_{i+1} s'(x_{i+1}) Rx_{i+1}",
    corrected="Rdx_{i+1} = Rdy_{i+1} s'(x_{i+1}) + dy_{i+1} s''(x_{i+1}) Rx_{i+1}",
    why="The product rule has two terms, and R{s'(x)} is s''(x) Rx.",
)
def m21() -> Errors:
    """Hv with the central difference of the gradient."""
    net = Algorithm4AsPrinted()
    v = vector(net.theta.size)
    truth = hessian_product(net, v)
    return off(net.hvp(net.theta, v), truth), off(linearized(net).hvp(v), truth)


@erratum(
    "M22",
    "S1",
    "algorithm 4, line of Rdb",
    "rop.programs.sweeps.r_reverse",
    "rop.objective.linearization.Linearization.hvp",
    printed="Rdb_i = Rdy_i",
    corrected="Rdb_i = Rdx_{i+1}, summed over cases",
    why="b_i belongs to layer i + 1, whose length Rdy_i does not have.",
)
def m22() -> Errors:
    """Hv with the central difference of the gradient; as printed it has another length."""
    net = BiasFromTheLayerBelow()
    v = vector(net.theta.size)
    truth = hessian_product(net, v)
    return off(net.hvp(net.theta, v), truth), off(linearized(net).hvp(v), truth)


slip(
    "M23",
    "algorithms 4 and 5",
    "inputs are v and θ; Ry_iᵀ",
    "x_i, y_i, dx_i and dy_i at θ are inputs as well; (Ry_i)ᵀ",
    "The lines read them, and R applies before the transpose.",
)
slip(
    "M24",
    "secs. 5 and 6",
    "a product costs about as much as a gradient",
    "in multiplications per case, P weights and P_1 in the first layer: gradient 3P - P_1, Gv "
    "4P - 2P_1, Hv 6P - 4P_1 with cached activations; P more without",
    "The paper's comparison holds for cached activations only.",
    "rop.bench.limit.gemms",
    "rop.experiments.metering",
)
slip(
    "M25",
    "secs. 6 and 6.3",
    "JᵀL''J is positive definite if L is convex",
    "positive semidefinite, of rank at most N m",
    "With fewer outputs than parameters there are directions that J annihilates.",
)
slip(
    "M26",
    "sec. 6",
    "∇f̂ = Jᵀ∇L = Jᵀ∇L; the R-operator applied to f",
    "∇f̂ = Jᵀ∇L at F(θ) + Jδ; the R-operator applied to F",
    "Both are Jᵀ∇L at F(θ) at δ = 0 only, and J is the Jacobian of F.",
)


@erratum(
    "M27",
    "S1",
    "algorithm 5, last backward line",
    "rop.programs.sweeps.r_reverse",
    "rop.objective.linearization.Linearization.ggnvp",
    printed="Rdy_i = RW_iᵀ dx_{i+1}",
    corrected="Rdy_i = W_iᵀ Rdx_{i+1}",
    why="The printed term is the very one that Gauss-Newton drops; the matrix is not symmetric.",
)
def m27() -> Errors:
    """Gv with JᵀL''Jv, where J and L'' are central differences."""
    net = Algorithm5AsPrinted()
    v = vector(net.theta.size)
    truth = gauss_newton_product(net, v)
    return off(net.ggnvp(net.theta, v), truth), off(linearized(net).ggnvp(v), truth)


@erratum(
    "M28",
    "S1",
    "algorithm 5, output",
    "rop.objective.linearization.Linearization.ggnvp",
    printed="output: RdW_1, ..., RdW_{ℓ-1}, Rb_1, ..., Rb_{ℓ-1}",
    corrected="output: RdW_1, ..., RdW_{ℓ-1}, Rdb_1, ..., Rdb_{ℓ-1}",
    why="Rb_i is a part of v, the input.",
)
def m28() -> Errors:
    """Gv with JᵀL''Jv, where J and L'' are central differences."""
    net = InputsAsOutputs()
    v = vector(net.theta.size)
    truth = gauss_newton_product(net, v)
    return off(net.ggnvp(net.theta, v), truth), off(linearized(net).ggnvp(v), truth)


@erratum(
    "M29",
    "S1",
    "table 2, column of gradients",
    "rop.losses.TableLoss.gradient",
    "rop.objective.linearization.Linearization.loss_gradient",
    printed="∇L = -(p - t), in all three rows",
    corrected="∇L = p - t",
    why="The minus sign belongs to the log-likelihood, which is maximized.",
)
def m29() -> Errors:
    """∇L of the three losses with central differences of L."""
    z, t = vector(4), np.array([0.0, 1.0, 0.0, 0.0])
    printed, corrected = [], []
    for loss in (SquaredError(t), SigmoidCrossEntropy(t), SoftmaxCrossEntropy(t)):
        objective = Objective(param("z", 4), loss)
        truth = differences(partial(objective.value, engine="numpy"), z)
        printed.append(off(-(loss.prediction(z) - t), truth))
        corrected.append(off(objective.linearize(z, engine="numpy").loss_gradient()[0], truth))
    return min(printed), max(corrected)


@erratum(
    "M30",
    "S2",
    "table 2, rows 2 and 3",
    "rop.losses.SoftmaxCrossEntropy",
    printed="L'' = diag(p) - ppᵀ for softmax, whatever t; row 2 for one unit",
    corrected="∇L = Tp - t and L'' = T (diag(p) - ppᵀ) with T = Σt; row 2 is summed over units",
    why="∇ Σ t log p has the factor Σt, which is 1 only for distributions.",
)
def m30() -> Errors:
    """wᵀL''w for targets with Σt = 2 (t/2 with weight 2) with the second difference of L."""
    z, t, w, step = vector(4), np.array([1.0, 1.0, 0.0, 0.0]), vector(4, 1), 1e-4
    objective = Objective(param("z", 4), SoftmaxCrossEntropy(t / 2, weight=np.array(2.0)))
    p = np.exp(z) / np.exp(z).sum()
    values = [-(t @ np.log(np.exp(a) / np.exp(a).sum())) for a in (z + step * w, z, z - step * w)]
    truth = (values[0] - 2 * values[1] + values[2]) / step**2
    product = objective.linearize(z, engine="numpy").loss_hvp(w[None])[0]
    return off(w @ (p * w) - (p @ w) ** 2, truth), off(w @ product, truth)


slip(
    "M31",
    "secs. 6.3 and 8.4",
    "L's argument is z, or y; F gives predictions (table 1)",
    "F gives outputs z, and L takes them",
    "Predictions p come out of z inside the loss.",
)


@erratum(
    "M32",
    "S2",
    "sec. 6.3",
    "rop.losses.LossGraph",
    printed="add a multiple of diag(L'') to make L'' positive semidefinite",
    corrected="add a multiple of I, or drop negative eigenvalues",
    why="Where the diagonal is negative, more of it makes L'' more indefinite.",
)
def m32() -> Errors:
    """How far the lowest eigenvalue lies below 0, relative to the largest; 3 diag(L'') is added."""
    z, t = param("z", 2), np.array([1.0, 2.0])
    theta, node = np.array([-0.8, 1.2]), square(tanh(z) - t)
    exact, shifted = (
        Objective(z, LossGraph(node, convexify=c)).linearize(theta, engine="numpy").G.matrix()
        for c in (None, "shift")
    )
    return _negative(exact + 3 * np.diag(np.diag(exact))), _negative(shifted)


def _negative(L: Array) -> float:
    values = np.linalg.eigvalsh(L)
    return float(max(0.0, -values[0]) / np.abs(values).max())


@erratum(
    "M33",
    "S2",
    "sec. 7.1",
    "rop.objective.linearization.Linearization",
    printed="cached activations save 50 %: 3 passes become 2",
    corrected="(5P - 2P_1) / (4P - 2P_1) in multiplications, 1.27 to 1.31 for the autoencoders",
    why="The passes do not cost the same: two matrix products in R-forward, one in forward.",
)
def m33() -> Errors:
    """The speed-up with the multiplications in the library's programs, autoencoder of CURVES."""
    _, z = autoencoder(CURVES)
    programs = programs_of(Objective(z, SquaredError(np.zeros(784))))
    cached = _multiplications(programs.product("ggnvp"))
    truth = 1 + _multiplications(programs.forward) / cached
    weights = [a * b for a, b in pairwise(CURVES + CURVES[-2::-1])]
    P, P_1 = sum(weights), weights[0]
    return off(1.5, truth), off((5 * P - 2 * P_1) / (4 * P - 2 * P_1), truth)


def _multiplications(program: Program) -> int:
    """Those of matrix products, for one case."""
    kernels = [step.kernel for step in program.steps if isinstance(step.kernel, Loops)]
    return sum(prod(kernel.extents) for kernel in kernels if len(kernel.extents) == 2)


slip(
    "M34",
    "sec. 7.1, fig. 2",
    "√T states are kept",
    "about 2√T: √T checkpoints, and the √T states of one segment",
    "The segment that is recomputed needs memory as well.",
    "rop.programs.checkpointing",
)
slip(
    "M35",
    "sec. 7.2",
    "a relative error of about 1e-6 at ε = 1e-4",
    "1e-8 to 1e-7 with central differences in float64; 1e-4 with one-sided ones",
    "1e-6 is a threshold that central differences keep, and one-sided ones do not.",
    "rop.experiments.finite_differences",
)
