"""Every product, on smooth random graphs, against derivatives from function values."""

import numpy as np
import pytest
from differentiation import Unresolved, derivative
from hypothesis import given, reject
from random_graphs import examples, models


def test_the_differentiator():
    """On functions whose derivatives are known, and where it must give up."""
    for f, slope in [
        (lambda t: np.array([np.sin(3 * t + 1), np.exp(t)]), [3 * np.cos(1), 1.0]),
        (lambda t: np.array([1 / (1 + 10 * t), 0.0]), [-10.0, 0.0]),
        (lambda t: np.array([5.0, t**7 - 2 * t]), [0.0, -2.0]),
    ]:
        found, bound = derivative(f)
        error = np.linalg.norm(found - slope)
        assert error <= bound <= 1e-8
    with pytest.raises(Unresolved):
        derivative(lambda t: np.array([abs(t)]))
    with pytest.raises(Unresolved):
        derivative(lambda t: np.array([np.sin(1e5 * t)]))


# What numbers of order one leave behind when they cancel.
ROUNDING = 64 * np.finfo(np.float64).eps


def _check(found, f, relative, what):
    """A product against the derivative of f, relative to its norm."""
    expected, bound = derivative(f)
    assert found.shape == expected.shape, what
    error = np.linalg.norm(found - expected)
    allowed = relative * np.linalg.norm(expected) + bound + ROUNDING
    assert error <= allowed, f"{what}: error {error:.3g}, allowed {allowed:.3g}"
    return expected


def _check_products(model, engine):
    """J and ∇f from values, Jᵀ from J, H from ∇f, L'' from ∇L, and G from J, Jᵀ and ∇L."""
    objective, theta, batch = model.objective, model.theta, model.batch
    at = objective.linearize(theta, batch, engine)
    v, u = model.vectors()

    def moved(t, direction=v):
        return objective.linearize(theta + t * direction, batch, engine)

    Jv = _check(at.jvp(v), lambda t: moved(t).outputs, 1e-9, "jvp")
    for number in range(1, 4):
        w, _ = model.vectors(number)
        Jw, bound = derivative(lambda t, w=w: moved(t, w).outputs)
        error = abs(np.vdot(u, Jw) - at.vjp(u) @ w)
        assert error <= 1e-9 * np.linalg.norm(Jw) + bound + ROUNDING, "vjp"
        slope, bound = derivative(lambda t, w=w: np.array(moved(t, w).value))
        error = abs(slope - at.gradient() @ w)
        allowed = 1e-9 * np.linalg.norm(at.gradient()) + bound + ROUNDING
        assert error <= allowed, "gradient"
    _check(at.hvp(v), lambda t: moved(t).gradient(), 1e-8, "hvp")
    loss = _loss_gradient(model)
    if loss is not None:
        z = at.outputs
        np.testing.assert_allclose(at.loss_gradient(), loss(z), rtol=1e-12, atol=1e-14)
        _check(at.loss_hvp(u), lambda t: loss(z + t * u), 1e-8, "loss_hvp")
        penalty = objective.l2 * v
        _check(at.ggnvp(v), lambda t: at.vjp(loss(z + t * Jv)) + t * penalty, 1e-8, "ggnvp")


def _loss_gradient(model):
    """∇L of a loss of table 2 as a function of the outputs; None for any other loss."""
    loss, batch = model.objective.loss, model.batch
    if loss.name == "LossGraph":
        return None
    rank = len(model.objective.output_shape)
    t, weight = _given(loss.t, batch), np.ones(1)
    if loss.weight is not None:
        weight = _given(loss.weight, batch)
        classes = loss.name == "SoftmaxCrossEntropy"
        missing = rank - classes - (weight.ndim - 1)
        shape = (len(weight), *(1,) * missing, *weight.shape[1:], *(1,) * classes)
        weight = weight.reshape(shape)

    def gradient(z):
        if loss.name == "SquaredError":
            p = z
        elif loss.name == "SigmoidCrossEntropy":
            p = 1.0 / (1.0 + np.exp(-z))
        else:
            p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
        return weight * (p - t) / model.cases

    return gradient


def _given(node, batch):
    return node.constant[None] if node.constant is not None else batch[node.name]


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@examples(150)
@given(model=models(smooth=True, largest=10))
def test_products(engine, model):
    try:
        _check_products(model, engine)
    except Unresolved:
        reject()


@pytest.mark.slow
@examples(1500)
@given(model=models(smooth=True, largest=20))
def test_products_of_many_graphs(model):
    try:
        _check_products(model, "numba")
    except Unresolved:
        reject()
