"""Mistakes of other projects in the products themselves."""

import numpy as np

from rop.checking.lines import Array
from rop.checking.museum.exhibit import Exhibit
from rop.checking.museum.network import Network, check_network, softmax


class CutAtTheProbabilities(Network):
    """Gv with the softmax in F and -Σ t log p alone as L."""

    def ggnvp(self, theta: Array, v: Array) -> Array:
        """J_pᵀ diag(t/p²) J_p v."""
        p = softmax(self.outputs(theta))
        Rz = self.jvp(theta, v)
        Rp = p * (Rz - (p * Rz).sum(axis=1, keepdims=True))
        w = self.t / p**2 * Rp / len(p)
        return self.vjp(theta, p * (w - (p * w).sum(axis=1, keepdims=True)))


class DifferencedJv(Network):
    """Gv with Jv by finite differences."""

    epsilon = 1e-6

    def ggnvp(self, theta: Array, v: Array) -> Array:
        """Jᵀ L'' (F(θ + εv) - F(θ))/ε."""
        z = self.outputs(theta)
        Jv = (self.outputs(theta + self.epsilon * v) - z) / self.epsilon
        return self.vjp(theta, self.loss_hvp(z, Jv))


class CoarseDifferences(Network):
    """Hv by differences with ε = 1e-2."""

    def hvp(self, theta: Array, v: Array) -> Array:
        """(∇f(θ + εv) - ∇f(θ - εv))/2ε."""
        product: Array = self.gradient(theta + 1e-2 * v) - self.gradient(theta - 1e-2 * v)
        return product / 2e-2


class SinglePrecisionDifferences(Network):
    """Hv by differences with ε = 1e-6, in float32."""

    def hvp(self, theta: Array, v: Array) -> Array:
        """(∇f(θ + εv) - ∇f(θ))/ε."""
        there = self.gradient(theta + 1e-6 * v).astype(np.float32)
        change = there - self.gradient(theta).astype(np.float32)
        product: Array = (change / np.float32(1e-6)).astype(np.float64)
        return product


class MeanOverOutputs(Network):
    """Gv whose loss is a mean over outputs too."""

    def ggnvp(self, theta: Array, v: Array) -> Array:
        """1/(N C) in L'', where ∇L has 1/N."""
        return super().ggnvp(theta, v) / self.sizes[-1]


EXHIBITS = (
    Exhibit(
        "softmax cut at the probabilities",
        "drasmuss/hessianfree",
        "With softmax as a part of F, L is -Σ t log p and its L'' is t/p². At the logits that is "
        "(t - p)(t - p)ᵀ, of rank one: the empirical Fisher matrix, and not diag(p) - p pᵀ.",
        "ggnvp",
        "this is the empirical Fisher matrix times v, not Gv",
        CutAtTheProbabilities,
        Network,
        check_network,
    ),
    Exhibit(
        "Jv by finite differences",
        "hessian-eigenthings",
        "Differences leave a few digits, lose them to kinks, and make a product that is not quite "
        "linear nor symmetric: CG loses its orthogonality.",
        "ggnvp",
        "finite differences, inside?",
        DifferencedJv,
        Network,
        check_network,
    ),
    Exhibit(
        "differences with a step of 1e-2",
        "sussillo/hfopt-matlab",
        "A check compared with differences whose own error is of the order of ε², as large as many "
        "a mistake; it was given up. Here they are passed off as Hv.",
        "hvp",
        "not linear",
        CoarseDifferences,
        Network,
        check_network,
    ),
    Exhibit(
        "differences with a step of 1e-6 in float32",
        "Martens' MATLAB demo, as mirrored in pseudotensor/GeoAcc, in a check commented out",
        "float32 has seven digits and a step of 1e-6 uses up six: what is left is noise.",
        "hvp",
        "not linear",
        SinglePrecisionDifferences,
        Network,
        check_network,
    ),
    Exhibit(
        "off by the number of outputs",
        "curvlinops, issue 111",
        "A mean over cases and outputs in the curvature, over cases only in the gradient. Every "
        "property of a Gauss-Newton matrix holds, and the tests that compare numbers were skipped "
        "in continuous integration for what they cost.",
        "ggnvp",
        "= 1/C for 3 outputs",
        MeanOverOutputs,
        Network,
        check_network,
    ),
)
