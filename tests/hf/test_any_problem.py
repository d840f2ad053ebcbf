"""Every recipe on random problems, most of them at a bad scale: no run ends by an exception."""

import numpy as np
import pytest

import rop
from rop.hf import Recipe, minimize

RECIPES = {"default": Recipe} | dict(rop.hf.recipes.MAKERS)
LOSSES = {
    "squares": rop.SquaredError,
    "softmax": rop.SoftmaxCrossEntropy,
    "sigmoids": rop.SigmoidCrossEntropy,
}


def problem(rng):
    """An objective, θ_0 and data; weights, inputs and targets from 1e-4 to 1e4, or saturated."""
    inputs, hidden, outputs = (int(k) for k in rng.integers(1, 9, 3))
    N = int(rng.choice([24, 60]))
    dtype = str(rng.choice(["float32", "float64"]))
    x, z = rop.nets.mlp(
        [inputs, hidden, outputs], str(rng.choice(["tanh", "relu", "sigmoid", "softplus"]))
    )
    loss = str(rng.choice(list(LOSSES)))
    t = {
        "squares": lambda: 10.0 ** rng.integers(-4, 5) * rng.standard_normal((N, outputs)),
        "softmax": lambda: np.eye(outputs)[rng.integers(0, outputs, N) * rng.integers(0, 2)],
        "sigmoids": lambda: rng.random((N, outputs)) < rng.choice([0, 0.5, 1]),
    }[loss]()
    l2 = float(rng.choice([0, 1e-8, 1e-4, 0.1]))
    objective = rop.Objective(z, LOSSES[loss](rop.data("t", outputs)), l2=l2)
    theta = (10.0 ** rng.integers(-2, 2) * rng.standard_normal(objective.n)).astype(dtype)
    inputs = 10.0 ** rng.integers(-4, 5) * rng.standard_normal((N, inputs))
    return objective, theta, {"x": inputs.astype(dtype), "t": t.astype(dtype)}


@pytest.mark.one_in(5)
@pytest.mark.parametrize("block", range(5))
@pytest.mark.parametrize("name", RECIPES)
def test_every_run_ends_with_a_result(name, block):
    for seed in range(12 * block, 12 * block + 12):
        objective, theta, data = problem(np.random.default_rng([len(name), seed]))
        result = minimize(objective, theta, data, RECIPES[name](), iterations=30, dtype=theta.dtype)
        assert np.isfinite(result.theta).all()
        if name in ("default", "damped", "newton"):
            # Up to the rounding error of f, which the optimizer cannot see.
            allowed = 1e-4 if theta.dtype == np.float32 else 1e-12
            assert result.fun <= objective.value(theta, data) * (1 + allowed)
