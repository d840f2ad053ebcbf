"""What users see of an objective and of a linearization: the names that the documentation has."""

import inspect

import rop

OBJECTIVE = {
    *("z", "loss", "l2", "hidden", "distance", "n", "parameters", "shapes", "slices"),
    *("data_shapes", "output_shape", "init", "pack", "unpack", "linearize", "value", "gradient"),
    "value_and_gradient",
    *("outputs", "predict", "save", "scipy", "by_itself", "penalty"),
}
LINEARIZATION = {
    *("objective", "theta", "batch", "cases", "engine", "dtype", "n", "checkpoints"),
    *("value", "outputs", "gradient", "jvp", "vjp", "loss_gradient", "loss_hvp", "ggnvp", "hvp"),
    *("G", "H", "J", "diagonal", "per_case_gradients", "memory", "predicted_memory"),
    "trace",
}


def public(thing):
    return {name for name, _ in inspect.getmembers(thing) if not name.startswith("_")}


def test_public_names():
    x, z = rop.nets.mlp([2, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)))
    at = objective.linearize([0.0] * 6, {"x": [[1.0, 2.0]], "t": [[0.0, 1.0]]})
    assert public(objective) <= OBJECTIVE
    assert public(at) <= LINEARIZATION
