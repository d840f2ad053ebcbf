"""Mistakes around the products: damping, ρ, batches, statistics that optimizers keep, and cost."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from rop.checking import Report
from rop.checking.lines import Array
from rop.checking.museum.exhibit import Exhibit
from rop.checking.museum.network import Network
from rop.checking.museum.relations import relation, report_on


# ρ
def reduction_ratio(before: float, after: float, gradient: Array, B: Array, step: Array) -> float:
    """Δf / q(δ), with q(δ) = ∇fᵀδ + ½ δᵀBδ."""
    return float((after - before) / (gradient @ step + step @ B @ step / 2))


def reduction_ratio_as_printed(
    before: float, after: float, gradient: Array, B: Array, step: Array
) -> float:
    """Δf / M(δ), with M(δ) = f(θ) + ∇fᵀδ + ½ δᵀBδ."""
    return float((after - before) / (before + gradient @ step + step @ B @ step / 2))


def check_reduction_ratio(rho: Callable[..., float]) -> Report:
    """On a quadratic the model is exact: ρ = 1 for every step."""
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    C, g = rng.standard_normal((5, 5)), rng.standard_normal(5)
    B, level = C @ C.T, 10.0
    ratios = []
    for step in rng.standard_normal((4, 5)):
        after = level + g @ step + step @ B @ step / 2
        ratios.append(rho(level, float(after), g, B, step))
    error = float(np.abs(np.array(ratios) - 1).max())
    return report_on([relation("ρ = 1 on a quadratic", error, 1e-9)], 5, start)


# damping
def damped_step(eigenvalues: Array, V: Array, gradient: Array, lam: float) -> Array:
    """-(B + λI)⁻¹ ∇f for B = V Σ Vᵀ."""
    step: Array = -V @ ((V.T @ gradient) / (eigenvalues + lam))
    return step


def damped_step_transposed(eigenvalues: Array, V: Array, gradient: Array, lam: float) -> Array:
    """-Vᵀ (Σ + λI)⁻¹ V ∇f."""
    step: Array = -V.T @ ((V @ gradient) / (eigenvalues + lam))
    return step


def damped_step_uphill(eigenvalues: Array, V: Array, gradient: Array, lam: float) -> Array:
    """What tends to ∇f/λ."""
    return -damped_step(eigenvalues, V, gradient, lam)


def check_damped_step(step: Callable[..., Array]) -> Report:
    """(B + λI) δ = -∇f, and for large λ the step is -∇f/λ."""
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    V, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    eigenvalues, gradient = np.arange(1.0, 7.0), rng.standard_normal(6)
    B, norm = V @ np.diag(eigenvalues) @ V.T, np.linalg.norm
    left = norm((B + 2 * np.eye(6)) @ step(eigenvalues, V, gradient, 2.0) + gradient)
    limit = norm(1e9 * step(eigenvalues, V, gradient, 1e9) + gradient)
    return report_on(
        [
            relation("(B + λI) δ = -∇f", float(left / norm(gradient)), 1e-9),
            relation("δ → -∇f/λ for large λ", float(limit / norm(gradient)), 1e-7),
        ],
        6,
        start,
    )


# means over minibatches
Statistic = Callable[[Array, Sequence[int]], Array]


def mean_gradient(per_case: Array, sizes: Sequence[int]) -> Array:
    """Mean over minibatches, weighted by their sizes."""
    parts = np.split(per_case, np.cumsum(sizes)[:-1])
    total: Array = np.sum([len(part) * part.mean(axis=0) for part in parts], axis=0)
    return total / len(per_case)


def mean_gradient_without_sizes(per_case: Array, sizes: Sequence[int]) -> Array:
    """Mean over minibatches, each counted once."""
    parts = np.split(per_case, np.cumsum(sizes)[:-1])
    mean: Array = np.mean([part.mean(axis=0) for part in parts], axis=0)
    return mean


def fisher_diagonal(per_case: Array, sizes: Sequence[int]) -> Array:
    """Mean over cases of the squared gradient of a case."""
    parts = np.split(per_case, np.cumsum(sizes)[:-1])
    total: Array = np.sum([(part**2).sum(axis=0) for part in parts], axis=0)
    return total / len(per_case)


def fisher_diagonal_of_minibatches(per_case: Array, sizes: Sequence[int]) -> Array:
    """Weighted mean over minibatches of the squared gradient of a minibatch."""
    parts = np.split(per_case, np.cumsum(sizes)[:-1])
    total: Array = np.sum([len(part) * part.mean(axis=0) ** 2 for part in parts], axis=0)
    return total / len(per_case)


def check_mean(statistic: Statistic) -> Report:
    """A mean over cases does not depend on how they are divided into minibatches."""
    start = time.perf_counter()
    per_case = 1 + np.random.default_rng(0).standard_normal((20, 5))
    whole, norm = statistic(per_case, [20]), np.linalg.norm

    def change(sizes: Sequence[int]) -> float:
        return float(norm(statistic(per_case, sizes) - whole) / norm(whole))

    return report_on(
        [
            relation("equal minibatches", change([5] * 4), 1e-12),
            relation("a smaller last minibatch", change([8, 8, 4]), 1e-12),
        ],
        5,
        start,
    )


# Adaptive HF
Norms = Callable[[Sequence[Array]], float]


def square_of_norm_over_norm(parts: Sequence[Array]) -> float:
    """‖g‖² / ‖g‖ of a gradient that is kept in several tensors."""
    square = sum(float(np.vdot(part, part)) for part in parts)
    return square / float(np.sqrt(square))


def sums_of_norms(parts: Sequence[Array]) -> float:
    """Sums over tensors of 2-norms, not squared, and of 1-norms."""
    return sum(float(np.linalg.norm(part)) for part in parts) / sum(
        float(np.abs(part).sum()) for part in parts
    )


def check_norm(norm: Norms) -> Report:
    """A norm of θ scales with θ, and does not depend on how θ is divided into tensors."""
    start = time.perf_counter()
    g = np.random.default_rng(0).standard_normal(12)
    whole = norm([g])
    return report_on(
        [
            relation("the same in other tensors", abs(norm([g[:5], g[5:]]) / whole - 1), 1e-12),
            relation("twice as large for 2 g", abs(norm([2 * g]) / whole - 2), 1e-12),
        ],
        12,
        start,
    )


class CorrectedMean:
    """Exponential moving average m / (1 - βᵗ)."""

    beta = 0.9

    def __init__(self) -> None:
        self.m, self.t = 0.0, 0

    def __call__(self, value: float) -> float:
        """Take in a value; returns the corrected mean so far."""
        self.t += 1
        self.m = self.beta * self.m + (1 - self.beta) * value
        return self.m / (1 - self.beta**self.t)


class FrozenCounter(CorrectedMean):
    """The correction is built once, with the counter's value of that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.correction = 1 - self.beta ** (self.t + 1)

    def __call__(self, value: float) -> float:
        """Take in a value; returns the mean with the first step's correction."""
        self.t += 1
        self.m = self.beta * self.m + (1 - self.beta) * value
        return self.m / self.correction


def check_corrected_mean(kind: type[CorrectedMean]) -> Report:
    """The corrected mean of a constant is that constant, from the first step on."""
    start = time.perf_counter()
    mean = kind()
    found = np.array([mean(3.0) for _ in range(10)])
    error = float(np.abs(found / 3 - 1).max())
    return report_on([relation("mean of a constant", error, 1e-12)], 1, start)


# cost
class Cached(Network):
    """Gv from activations that are kept for as long as θ stays."""

    def __init__(self) -> None:
        super().__init__()
        self.passes, self.kept_at = 0, b""

    def forward(self, theta: Array) -> tuple[list[Array], list[Array]]:
        """The forward pass, once for each θ."""
        if self.kept_at != theta.tobytes():
            self.passes += 1
            self.kept, self.kept_at = super().forward(theta), theta.tobytes()
        return self.kept


class Recomputed(Cached):
    """Gv that starts over for each v."""

    def forward(self, theta: Array) -> tuple[list[Array], list[Array]]:
        """The forward pass, whenever it is asked for."""
        self.passes += 1
        return Network.forward(self, theta)


def check_cost(kind: type[Cached]) -> Report:
    """Products at one θ share one forward pass."""
    start = time.perf_counter()
    net = kind()
    for v in np.eye(net.theta.size)[:5]:
        net.ggnvp(net.theta, v)
    return report_on(
        [relation("forward passes for five products", net.passes, 1)], net.theta.size, start
    )


EXHIBITS = (
    Exhibit(
        "the reduction ratio as printed",
        "Martens & Sutskever 2012, table 1 and eq. 10 (erratum M1)",
        "M(δ) contains f(θ), so the predicted change is M(δ) - M(0). Divided by M(δ), a perfectly "
        "modelled step has a ρ near 0, of either sign, and λ grows without end.",
        "ρ = 1 on a quadratic",
        "ρ = 1 on a quadratic: FAIL",
        reduction_ratio_as_printed,
        reduction_ratio,
        check_reduction_ratio,
    ),
    Exhibit(
        "Vᵀ and V exchanged",
        "Martens & Sutskever 2012, sec. 8.1 (erratum M37)",
        "B = V Σ Vᵀ has the damped inverse V (Σ + λI)⁻¹ Vᵀ. With the transpose on the other side "
        "the step is turned, though for large λ it looks right.",
        "(B + λI) δ = -∇f",
        "(B + λI) δ = -∇f: FAIL",
        damped_step_transposed,
        damped_step,
        check_damped_step,
    ),
    Exhibit(
        "a step that tends to ∇f/λ",
        "Martens & Sutskever 2012, sec. 8.1 (erratum M36)",
        "With strong damping a step becomes -∇f/λ. The printed limit climbs.",
        "δ → -∇f/λ for large λ",
        "δ → -∇f/λ for large λ: FAIL",
        damped_step_uphill,
        damped_step,
        check_damped_step,
    ),
    Exhibit(
        "minibatches averaged without their sizes",
        "hessian-eigenthings",
        "The mean over minibatches is the mean over cases only if all are equally large. The last "
        "one seldom is.",
        "a smaller last minibatch",
        "a smaller last minibatch: FAIL",
        mean_gradient_without_sizes,
        mean_gradient,
        check_mean,
    ),
    Exhibit(
        "squares of mean gradients",
        "boulanni/theano-hf",
        "The diagonal of the empirical Fisher matrix is the mean of squares over cases. Squares of "
        "minibatch means forget the spread within a minibatch, and shrink with its size.",
        "equal minibatches",
        "equal minibatches: FAIL",
        fisher_diagonal_of_minibatches,
        fisher_diagonal,
        check_mean,
    ),
    Exhibit(
        "norms that are not squared",
        "mtkwT/adaptive-hessian-free-optimization",
        "The learning rate needs ‖g‖² and ‖g‖ of the whole gradient. Sums over tensors of 2-norms "
        "and of 1-norms are neither, and change when a layer is split in two.",
        "the same in other tensors",
        "the same in other tensors: FAIL",
        sums_of_norms,
        square_of_norm_over_norm,
        check_norm,
    ),
    Exhibit(
        "the counter that stands still",
        "mtkwT/adaptive-hessian-free-optimization",
        "The iteration number is a Python integer when a static graph is built, so every later "
        "step uses the correction of the first: the mean of a constant grows sixfold.",
        "mean of a constant",
        "mean of a constant: FAIL",
        FrozenCounter,
        CorrectedMean,
        check_corrected_mean,
    ),
    Exhibit(
        "a forward pass for each product",
        "curvlinops",
        "The activations depend on θ only, and CG asks for a hundred products at one θ. Computing "
        "them each time costs about a third more (erratum M33).",
        "forward passes for five products",
        "forward passes for five products: FAIL",
        Recomputed,
        Cached,
        check_cost,
    ),
)
