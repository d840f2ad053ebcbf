"""What the proofs compute with: random matrices, one small network, and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rop.checking.museum.network import Network
from rop.experiments.errata.entry import Array
from rop.graph import data
from rop.losses import SoftmaxCrossEntropy
from rop.nets import mlp
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective


def vector(n: int, seed: int = 0) -> Array:
    """n normal numbers."""
    return np.random.default_rng(seed).standard_normal(n)


def matrix(rows: int, columns: int, seed: int = 0) -> Array:
    """rows × columns normal numbers."""
    return vector(rows * columns, seed).reshape(rows, columns)


def positive_definite(n: int, low: float = 0.5, high: float = 20.0) -> Array:
    """A symmetric matrix with eigenvalues from low to high."""
    V, _ = np.linalg.qr(matrix(n, n))
    B: Array = (V * np.geomspace(low, high, n)) @ V.T
    return B


def central(f: Callable[[Array], float | Array], at: Array, v: Array, step: float = 1e-5) -> Array:
    """The derivative of f along v, by a central difference."""
    return np.asarray((np.asarray(f(at + step * v)) - f(at - step * v)) / (2 * step))


def differences(f: Callable[[Array], float | Array], at: Array, step: float = 1e-5) -> Array:
    """The derivative of f with respect to every element: (n, *shape of f)."""
    return np.stack([central(f, at, e, step) for e in np.eye(at.size)])


def linearized(net: Network) -> Linearization:
    """The library's linearization of the same network, at the same θ and cases."""
    _, z = mlp(net.sizes)
    objective = Objective(z, SoftmaxCrossEntropy(data("t", net.sizes[-1])))
    return objective.linearize(net.theta, {"x": net.x, "t": net.t}, engine="numpy")
