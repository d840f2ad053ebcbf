"""A small problem that HF solves in milliseconds."""

import numpy as np
import pytest

import rop
from rop.nets import mlp


@pytest.fixture
def problem():
    """Objective, θ_0 and data: 60 cases of three classes, a tanh net."""
    rng = np.random.default_rng(0)
    _, z = mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    X = rng.standard_normal((60, 4))
    T = np.eye(3)[1 * (X[:, 0] * X[:, 1] > 0) + (X[:, 2] > 0)]
    return objective, objective.init("glorot", seed=0), {"x": X, "t": T}
