"""Misprints of Martens & Sutskever (2012), typed in as printed."""

import numpy as np

from rop.checking.lines import Array
from rop.checking.museum.exhibit import Exhibit
from rop.checking.museum.network import Network, check_network, slope, softmax


class Algorithm4AsPrinted(Network):
    """Algorithm 4 with the continuation line in place of the whole sum."""

    def Rdx(self, dy: Array, Rdy: Array, x: Array, Rx: Array) -> Array:
        """Rdx_i = dy_i s'(x_i) Rx_i."""
        return dy * slope(x) * Rx


class FirstForSecondDerivative(Network):
    """Algorithm 4 with both terms, but s' in both."""

    def Rdx(self, dy: Array, Rdy: Array, x: Array, Rx: Array) -> Array:
        """Rdx_i = Rdy_i s'(x_i) + dy_i s'(x_i) Rx_i."""
        return Rdy * slope(x) + dy * slope(x) * Rx


class BiasFromTheLayerBelow(Network):
    """Algorithm 4 with Rdb_i ← Rdy_i."""

    def Rdb(self, Rdx: Array, Rdy: Array) -> Array:
        """Rdb_i = Rdy_i."""
        total: Array = Rdy.sum(axis=0)
        return total


class Algorithm5AsPrinted(Network):
    """Algorithm 5 with its last backward line as printed."""

    def Rdy(self, W: Array, RW: Array, dx: Array, Rdx: Array) -> Array:
        """Rdy_i = RW_iᵀ dx_{i+1}."""
        return dx @ RW


class InputsAsOutputs(Network):
    """Algorithm 5 with Rb_i in the list of outputs."""

    def output_b(self, Rb: Array, Rdb: Array) -> Array:
        """What goes in comes out."""
        return Rb


class Table2Sign(Network):
    """Table 2's gradients, those of the log-likelihood."""

    def loss_gradient(self, z: Array) -> Array:
        """-(p - t)/N."""
        return -super().loss_gradient(z)


class TwoLabels(Network):
    """Softmax cross-entropy with targets that sum to T, not to 1: T p - t, T (diag(p) - p pᵀ)."""

    def targets(self, rng: np.random.Generator) -> Array:
        """Two labels for each case."""
        return 1.0 - super().targets(rng)

    def loss_gradient(self, z: Array) -> Array:
        """(T p - t)/N."""
        gradient: Array = (self.t.sum(axis=1, keepdims=True) * softmax(z) - self.t) / len(z)
        return gradient

    def loss_hvp(self, z: Array, w: Array) -> Array:
        """T (diag(p) - p pᵀ) w / N."""
        product: Array = self.t.sum(axis=1, keepdims=True) * super().loss_hvp(z, w)
        return product


class TwoLabelsByTable2(TwoLabels):
    """Table 2's L'' where the targets do not sum to 1."""

    def loss_hvp(self, z: Array, w: Array) -> Array:
        """(diag(p) - p pᵀ) w / N."""
        return Network.loss_hvp(self, z, w)


EXHIBITS = (
    Exhibit(
        "algorithm 4 as printed",
        "Martens & Sutskever 2012, algorithm 4, line of Rdx_i (erratum M21)",
        "The continuation of a long line replaces its beginning: of the product rule's two terms "
        "only the second is left, and its s'' is misprinted s'. Gv, which drops this term, is "
        "right, so training by Gauss-Newton would not show it.",
        "hvp",
        "others OK",
        Algorithm4AsPrinted,
        Network,
        check_network,
    ),
    Exhibit(
        "s' for s''",
        "Martens & Sutskever 2012, algorithm 4, line of Rdx_i (erratum M21)",
        "The curvature rule takes the first derivative of the activation. The last layer's blocks "
        "stay right, those below are wrong.",
        "hvp",
        "others OK",
        FirstForSecondDerivative,
        Network,
        check_network,
    ),
    Exhibit(
        "biases from the layer below",
        "Martens & Sutskever 2012, algorithm 4, line of Rdb_i (erratum M22)",
        "Rdb_i takes Rdy_i, as long as layer i, in place of Rdx_{i+1}, as long as layer i + 1. "
        "Unless all layers are equally wide, the product has another length than θ.",
        "hvp",
        "returns shape (81,), expected (79,)",
        BiasFromTheLayerBelow,
        Network,
        check_network,
    ),
    Exhibit(
        "algorithm 5 as printed",
        "Martens & Sutskever 2012, algorithm 5, last backward line (erratum M27)",
        "Rdy_i takes the term RW_iᵀ dx_{i+1}, the very one that Gauss-Newton drops, in place of "
        "W_iᵀ Rdx_{i+1}. The matrix is not even symmetric.",
        "ggnvp",
        "not symmetric",
        Algorithm5AsPrinted,
        Network,
        check_network,
    ),
    Exhibit(
        "inputs as outputs",
        "Martens & Sutskever 2012, algorithm 5, list of outputs (erratum M28)",
        "The result lists Rb_i, which came in as a part of v, in place of Rdb_i.",
        "ggnvp",
        "block b1: ratio",
        InputsAsOutputs,
        Network,
        check_network,
    ),
    Exhibit(
        "the sign of table 2",
        "Martens & Sutskever 2012, table 2, column of gradients (erratum M29)",
        "-(p - t) is the gradient of the log-likelihood, which is maximized. As that of a loss it "
        "turns every step uphill.",
        "loss_gradient",
        "-1 times the true product: the sign is wrong",
        Table2Sign,
        Network,
        check_network,
    ),
    Exhibit(
        "targets that do not sum to one",
        "Martens & Sutskever 2012, table 2, row of softmax (erratum M30)",
        "diag(p) - p pᵀ is L'' only if the targets of a case sum to 1; with two labels for each "
        "case the curvature is twice that.",
        "loss_hvp",
        "a factor 2 is missing",
        TwoLabelsByTable2,
        TwoLabels,
        check_network,
    ),
)
