"""What each product is held against: one entry per independent way to know its true value."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rop.checking.directions import Direction
from rop.checking.lines import Array, Ladder, Line
from rop.checking.point import Point
from rop.checking.policy import Differences

# Relative rounding error of an inner product of length one in which nothing cancels.
DOT = 1e-13
# Relative difference between two float64 programs for one number.
SAME = 1e-9


@dataclass(frozen=True)
class Exact:
    """A true value that needs no differences.

    Attributes
    ----------
    value : (m,)
    scale : float
        Norm to which rounding errors of either side are relative.
    tolerance : float
        Such an error, in float64.
    """

    value: Array
    scale: float
    tolerance: float


# The user's numbers, computed when called, and what they should be.
Sides = tuple[Callable[[], Array], Differences | Exact]


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
    """

    product: str
    needs: tuple[str, ...]
    against: str
    space: str
    compare: Callable[[Point, Direction], Sides]


class Contraction:
    """<first, second> of two derivatives that are both known by differences only."""

    def __init__(self, first: Line, second: Line) -> None:
        self.first, self.second = first, second

    def ladder(self, steps: Sequence[float]) -> Ladder:
        """Ladder of the inner product, to first order in jumps and noise."""
        a, b = self.first.ladder(steps), self.second.ladder(steps)
        common, rows_a, rows_b = np.intersect1d(a.steps, b.steps, return_indices=True)
        order = np.argsort(-common)
        i, j = rows_a[order], rows_b[order]

        def inner(x: Array, y: Array) -> Array:
            return np.einsum("km,km->k", x, y)[:, None]

        return Ladder(
            common[order],
            inner(a.central[i], b.central[j]),
            inner(a.jumps[i], b.central[j]) + inner(a.central[i], b.jumps[j]),
            np.sqrt(
                inner(a.noise[i] ** 2, b.central[j] ** 2)
                + inner(a.central[i] ** 2, b.noise[j] ** 2)
            ),
            min(a.local, b.local),
        )


@dataclass(frozen=True)
class Shifted:
    """Differences plus the known derivative of the rest of the function."""

    differences: Differences
    offset: Array

    def ladder(self, steps: Sequence[float]) -> Ladder:
        """Ladder of the sum; the offset adds rounding errors of its own size only."""
        ladder = self.differences.ladder(steps)
        return dataclasses.replace(ladder, central=ladder.central + self.offset)


def _scalar(x: Array, y: Array) -> Array:
    return np.array([np.vdot(x, y)])


def _outputs(point: Point) -> Callable[[Array], Array]:
    return point.functions["outputs"]


def _composed_loss(point: Point) -> Callable[[Array], Array]:
    def value(theta: Array) -> Array:
        z = point.functions["outputs"](theta)
        return point.functions["loss"](z, shape=()) + point.l2 / 2 * (theta @ theta)

    return value


def _jvp(point: Point, d: Direction) -> Sides:
    line = point.line("outputs", _outputs(point), ("outputs",), d.vector)
    return lambda: point.jvp(d.vector).ravel(), line


def _vjp_adjoint(point: Point, d: Direction) -> Sides:
    Jv = point.jvp(d.vector)
    u = point.rng.standard_normal(Jv.shape)
    support = d.vector != 0
    v = d.vector[support]
    Jtu = point.vjp(u)[support]
    norm = np.linalg.norm
    scale = norm(u) * norm(Jv) + norm(Jtu) * norm(v)
    return lambda: _scalar(Jtu, v), Exact(_scalar(u, Jv), float(scale), DOT * np.sqrt(point.n))


def _vjp_outputs(point: Point, d: Direction) -> Sides:
    u = point.rng.standard_normal(point.outputs.shape)

    def projected(theta: Array) -> Array:
        return _scalar(u, point.functions["outputs"](theta))

    line = point.line("projected outputs", projected, ("outputs",), d.vector)
    return lambda: _scalar(point.vjp(u), d.vector), line


def _gradient_value(point: Point, d: Direction) -> Sides:
    def value(theta: Array) -> Array:
        return point.functions["value"](theta, shape=())

    line = point.line("value", value, ("value",), d.vector)
    return lambda: _scalar(point.gradient, d.vector), line


def _gradient_loss(point: Point, d: Direction) -> Sides:
    line = point.line("composed loss", _composed_loss(point), ("outputs", "loss"), d.vector)
    return lambda: _scalar(point.gradient, d.vector), line


def _gradient_composed(point: Point, d: Direction) -> Sides:
    composed = point.vjp(point.loss_gradient) + point.l2 * point.theta
    v = d.vector
    scale = np.linalg.norm(composed[v != 0]) * np.linalg.norm(v)
    return lambda: _scalar(point.gradient, v), Exact(_scalar(composed, v), float(scale), SAME)


def _loss_gradient(point: Point, d: Direction) -> Sides:
    def loss(z: Array) -> Array:
        return point.functions["loss"](z, shape=())

    line = point.line("loss", loss, ("loss",), d.vector, origin=point.outputs)
    return lambda: _scalar(point.loss_gradient, d.vector), line


def _loss_hvp(point: Point, d: Direction) -> Sides:
    line = point.line(
        "loss gradient", point.grad_loss, ("loss_gradient",), d.vector, origin=point.outputs
    )
    return lambda: point.loss_hvp(d.vector).ravel(), line


def _ggnvp_chain(point: Point, d: Direction) -> Sides:
    regularizer = point.l2 * d.vector
    Jv = point.jvp(d.vector)
    if not Jv.any():
        return lambda: point.ggnvp(d.vector), Exact(regularizer, float(np.linalg.norm(regularizer)), SAME)

    def pulled_back(z: Array) -> Array:
        # Along z + t Jv, the derivative of this is Jᵀ L'' Jv with J frozen at θ: Gv, not Hv.
        return point.vjp(point.grad_loss(z))

    line = point.line(
        "pulled back loss gradient",
        pulled_back,
        ("vjp", "loss_gradient"),
        Jv,
        origin=point.outputs,
    )
    return lambda: point.ggnvp(d.vector), Shifted(line, regularizer)


def _ggnvp_outputs(point: Point, d: Direction) -> Sides:
    def pulled_back(theta: Array) -> Array:
        return point.vjp(point.grad_loss(point.functions["outputs"](theta)))

    line = point.line(
        "pulled back along outputs", pulled_back, ("outputs", "vjp", "loss_gradient"), d.vector
    )
    return lambda: point.ggnvp(d.vector), Shifted(line, point.l2 * d.vector)


def _ggnvp_contracted(point: Point, d: Direction) -> Sides:
    u = np.zeros(point.n)
    support = slice(None) if not d.block else d.vector != 0
    u[support] = point.rng.standard_normal(point.n)[support]

    def through_loss(theta: Array) -> Array:
        return point.grad_loss(point.functions["outputs"](theta))

    first = point.line("outputs", _outputs(point), ("outputs",), u)
    second = point.line(
        "loss gradient of outputs", through_loss, ("outputs", "loss_gradient"), d.vector
    )
    regularizer = point.l2 * _scalar(u, d.vector)
    return lambda: _scalar(u, point.ggnvp(d.vector)), Shifted(Contraction(first, second), regularizer)


def _ggnvp_zero_residual(point: Point, d: Direction) -> Sides:
    # Where the targets equal the predictions, ∇L = 0 and H = G (plus the regulariser) exactly.
    gradient = point.zero_residual_gradient
    line = point.line("zero residual", gradient, ("zero_residual",), d.vector)
    return lambda: point.ggnvp(d.vector), line


def _ggnvp_composed(point: Point, d: Direction) -> Sides:
    w = point.loss_hvp(point.jvp(d.vector))
    composed = point.vjp(w) + point.l2 * d.vector
    return lambda: point.ggnvp(d.vector), Exact(composed, float(np.linalg.norm(composed)), SAME)


def _hvp_gradient(point: Point, d: Direction) -> Sides:
    def gradient(theta: Array) -> Array:
        return point.functions["gradient"](theta, shape=theta.shape)

    return lambda: point.hvp(d.vector), point.line("gradient", gradient, ("gradient",), d.vector)


def _value_loss(point: Point, d: Direction) -> Sides:
    composed = _composed_loss(point)(point.theta)
    return lambda: np.atleast_1d(point.value), Exact(np.atleast_1d(composed), float(abs(composed)), SAME)


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
        _loss_hvp,
    ),
    Oracle(
        "ggnvp",
        ("jvp", "vjp", "loss_gradient", "outputs"),
        "Jᵀ (differences of ∇L along Jv)",
        "theta",
        _ggnvp_chain,
    ),
    Oracle(
        "ggnvp",
        ("vjp", "loss_gradient", "outputs"),
        "Jᵀ (differences of ∇L along F)",
        "theta",
        _ggnvp_outputs,
    ),
    Oracle(
        "ggnvp",
        ("loss_gradient", "outputs"),
        "<differences of F, differences of ∇L>",
        "theta",
        _ggnvp_contracted,
    ),
    Oracle("ggnvp", ("jvp", "vjp", "loss_hvp", "outputs"), "Jᵀ L'' Jv", "theta", _ggnvp_composed),
    Oracle(
        "ggnvp",
        ("zero_residual",),
        "differences of the gradient at zero residual",
        "theta",
        _ggnvp_zero_residual,
    ),
    Oracle("hvp", ("gradient",), "differences of gradient=", "theta", _hvp_gradient),
)
