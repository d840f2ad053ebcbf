"""What each product is held against: one entry per independent way to know its true value."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rop.checking.curvature_oracles import (
    ggnvp_affine,
    ggnvp_chain,
    ggnvp_composed,
    ggnvp_contracted,
    ggnvp_outputs,
    ggnvp_zero_residual,
    hvp_gradient,
    loss_hvp,
)
from rop.checking.directions import Direction
from rop.checking.lines import Array, inner, norm
from rop.checking.point import Point
from rop.checking.truths import DOT, SAME, Exact, Sides, scalar


@dataclass(frozen=True)
class Oracle:
    """One way to know a product.

    Attributes
    ----------
    product : str
        Argument name of the product.
    needs : tuple of str
        Functions that must be given and trusted.
    against : str
        What it is, for the report.
    space : {"theta", "outputs"}
        Where the directions live.
    compare : callable
        (Point, Direction) -> `Sides`, of arrays (m,).
    affine : bool
        Whether it holds only where F is affine in θ.
    """

    product: str
    needs: tuple[str, ...]
    against: str
    space: str
    compare: Callable[[Point, Direction], Sides]
    affine: bool = False


def _composed_loss(point: Point) -> Callable[[Array], Array]:
    def value(theta: Array) -> Array:
        z = point.functions["outputs"](theta)
        return point.functions["loss"](z, shape=()) + inner(point.l2 * theta, theta) / 2

    return value


def _jvp(point: Point, d: Direction) -> Sides:
    line = point.line("outputs", point.functions["outputs"], ("outputs",), d.vector)
    return lambda: point.product("jvp", d.vector).ravel(), line


def _vjp_adjoint(point: Point, d: Direction) -> Sides:
    Jv = point.product("jvp", d.vector)
    u = point.rng.standard_normal(Jv.shape)
    support = d.vector != 0
    v = d.vector[support]
    Jtu = point.product("vjp", u)[support]
    scale = norm(u) * norm(Jv) + norm(Jtu) * norm(v)
    return lambda: scalar(Jtu, v), Exact(scalar(u, Jv), scale, DOT * np.sqrt(point.n))


def _vjp_outputs(point: Point, d: Direction) -> Sides:
    u = point.rng.standard_normal(point.outputs.shape)

    def projected(theta: Array) -> Array:
        return scalar(u, point.functions["outputs"](theta))

    line = point.line("projected outputs", projected, ("outputs",), d.vector)
    return lambda: scalar(point.product("vjp", u), d.vector), line


def _gradient_value(point: Point, d: Direction) -> Sides:
    def value(theta: Array) -> Array:
        return point.functions["value"](theta, shape=())

    line = point.line("value", value, ("value",), d.vector)
    return lambda: scalar(point.gradient, d.vector), line


def _gradient_loss(point: Point, d: Direction) -> Sides:
    line = point.line("composed loss", _composed_loss(point), ("outputs", "loss"), d.vector)
    return lambda: scalar(point.gradient, d.vector), line


def _gradient_composed(point: Point, d: Direction) -> Sides:
    composed = point.product("vjp", point.loss_gradient) + point.l2 * point.theta
    v = d.vector
    scale = norm(composed[v != 0]) * norm(v)
    return lambda: scalar(point.gradient, v), Exact(scalar(composed, v), scale, SAME)


def _loss_gradient(point: Point, d: Direction) -> Sides:
    def loss(z: Array) -> Array:
        return point.functions["loss"](z, shape=())

    line = point.line("loss", loss, ("loss",), d.vector, origin=point.outputs)
    return lambda: scalar(point.loss_gradient, d.vector), line


def _value_loss(point: Point, d: Direction) -> Sides:
    composed = _composed_loss(point)(point.theta)
    return lambda: np.atleast_1d(point.value), Exact(
        np.atleast_1d(composed), float(abs(composed)), SAME
    )


# For each product, the best oracle first.
ORACLES: tuple[Oracle, ...] = (
    Oracle("value", ("loss", "outputs"), "L(F(θ)) + l2/2 |θ|²", "theta", _value_loss),
    Oracle("jvp", ("outputs",), "differences of outputs=", "theta", _jvp),
    Oracle("vjp", ("jvp",), "adjoint of jvp=", "theta", _vjp_adjoint),
    Oracle("vjp", ("outputs",), "differences of outputs=", "theta", _vjp_outputs),
    Oracle("loss_gradient", ("loss", "outputs"), "differences of loss=", "outputs", _loss_gradient),
    Oracle("gradient", ("value",), "differences of value=", "theta", _gradient_value),
    Oracle("gradient", ("loss", "outputs"), "differences of loss=", "theta", _gradient_loss),
    Oracle(
        "gradient",
        ("outputs", "vjp", "loss_gradient"),
        "Jᵀ∇L + l2 θ",
        "theta",
        _gradient_composed,
    ),
    Oracle(
        "loss_hvp",
        ("loss_gradient", "outputs"),
        "differences of loss_gradient=",
        "outputs",
        loss_hvp,
    ),
    Oracle(
        "ggnvp",
        ("jvp", "vjp", "loss_gradient", "outputs"),
        "Jᵀ (differences of ∇L along Jv)",
        "theta",
        ggnvp_chain,
    ),
    Oracle(
        "ggnvp",
        ("vjp", "loss_gradient", "outputs"),
        "Jᵀ (differences of ∇L along F)",
        "theta",
        ggnvp_outputs,
    ),
    Oracle(
        "ggnvp",
        ("loss_gradient", "outputs"),
        "<differences of F, differences of ∇L>",
        "theta",
        ggnvp_contracted,
    ),
    Oracle("ggnvp", ("jvp", "vjp", "loss_hvp", "outputs"), "Jᵀ L'' Jv", "theta", ggnvp_composed),
    Oracle(
        "ggnvp",
        ("zero_residual",),
        "differences of the gradient at zero residual",
        "theta",
        ggnvp_zero_residual,
    ),
    Oracle(
        "ggnvp",
        ("outputs", "gradient"),
        "differences of gradient= (F is affine, so G = H)",
        "theta",
        ggnvp_affine,
        affine=True,
    ),
    Oracle("hvp", ("gradient",), "differences of gradient=", "theta", hvp_gradient),
)
