"""Ways to know the true L''w, Gv and Hv."""

import numpy as np

from rop.checking.calls import CallFailed, Fault
from rop.checking.directions import Direction
from rop.checking.lines import Array, Line, norm
from rop.checking.point import Point
from rop.checking.truths import SAME, Contraction, Exact, Shifted, Sides, scalar

# Norm of the gradient, beside that of Gv, at which the residual counts as zero.
ZERO_RESIDUAL = 1e-6


def loss_hvp(point: Point, d: Direction) -> Sides:
    """L''w = d/dt ∇L(z + t w)."""
    line = point.line(
        "loss gradient", point.grad_loss, ("loss_gradient",), d.vector, origin=point.outputs
    )
    return lambda: point.product("loss_hvp", d.vector).ravel(), line


def ggnvp_chain(point: Point, d: Direction) -> Sides:
    """Gv = Jᵀ d/dt ∇L(z + t Jv) + l2 v, with J and Jᵀ as given."""
    regularizer = point.l2 * d.vector
    Jv = point.product("jvp", d.vector)
    if not Jv.any():
        return lambda: point.product("ggnvp", d.vector), Exact(regularizer, norm(regularizer), SAME)

    def pulled_back(z: Array) -> Array:
        # Along z + t Jv, the derivative of this is Jᵀ L'' Jv with J frozen at θ: Gv, not Hv.
        return point.product("vjp", point.grad_loss(z))

    line = point.line(
        "pulled back loss gradient",
        pulled_back,
        ("vjp", "loss_gradient"),
        Jv,
        origin=point.outputs,
    )
    return lambda: point.product("ggnvp", d.vector), Shifted(line, regularizer)


def ggnvp_outputs(point: Point, d: Direction) -> Sides:
    """Gv = Jᵀ d/dt ∇L(F(θ + t v)) + l2 v, with Jᵀ as given."""

    def pulled_back(theta: Array) -> Array:
        return point.product("vjp", point.grad_loss(point.functions["outputs"](theta)))

    line = point.line(
        "pulled back along outputs", pulled_back, ("outputs", "vjp", "loss_gradient"), d.vector
    )
    return lambda: point.product("ggnvp", d.vector), Shifted(line, point.l2 * d.vector)


def ggnvp_contracted(point: Point, d: Direction) -> Sides:
    """uᵀGv = <d/dt F(θ + t u), d/dt ∇L(F(θ + t v))> + l2 uᵀv, from F and ∇L alone."""
    u = np.zeros(point.n)
    support = slice(None) if not d.block else d.vector != 0
    u[support] = (point.scale * point.rng.standard_normal(point.n))[support]

    def through_loss(theta: Array) -> Array:
        return point.grad_loss(point.functions["outputs"](theta))

    first = point.line("outputs", point.functions["outputs"], ("outputs",), u)
    second = point.line(
        "loss gradient of outputs", through_loss, ("outputs", "loss_gradient"), d.vector
    )
    regularizer = scalar(point.l2 * u, d.vector)
    return lambda: scalar(u, point.product("ggnvp", d.vector)), Shifted(
        Contraction(first, second), regularizer
    )


def ggnvp_zero_residual(point: Point, d: Direction) -> Sides:
    """Gv = Hv where the residual is zero."""
    gradient = point.zero_residual_gradient
    product = point.product("ggnvp", d.vector)
    rest = norm(gradient(point.theta) - point.l2 * point.theta)
    if rest > ZERO_RESIDUAL * norm(product):
        message = f"leaves a gradient of {rest:.1e} at its own theta, where it must vanish"
        raise CallFailed(Fault("zero_residual", "residual", message))
    line = point.line("zero residual", gradient, ("zero_residual",), d.vector)
    return lambda: product, line


def ggnvp_composed(point: Point, d: Direction) -> Sides:
    """Gv = Jᵀ L'' J v + l2 v, all three as given."""
    w = point.product("loss_hvp", point.product("jvp", d.vector))
    composed = point.product("vjp", w) + point.l2 * d.vector
    return lambda: point.product("ggnvp", d.vector), Exact(composed, norm(composed), SAME)


def hvp_gradient(point: Point, d: Direction) -> Sides:
    """Hv = d/dt ∇f(θ + t v)."""
    return lambda: point.product("hvp", d.vector), _gradient_line(point, d)


def ggnvp_affine(point: Point, d: Direction) -> Sides:
    """Gv = Hv where F is affine in θ."""
    return lambda: point.product("ggnvp", d.vector), _gradient_line(point, d)


def _gradient_line(point: Point, d: Direction) -> Line:
    def gradient(theta: Array) -> Array:
        return point.functions["gradient"](theta, shape=theta.shape)

    return point.line("gradient", gradient, ("gradient",), d.vector)
