"""Mistakes in conjugate gradients, and what its iterates must fulfil whoever computes them."""

import time
from collections.abc import Callable

import numpy as np

from rop.checking import Report
from rop.checking.lines import Array
from rop.checking.museum.exhibit import Exhibit
from rop.checking.museum.relations import relation, report_on

Product = Callable[[Array], Array]

# Residuals that are smaller, relative to the first one, have lost their orthogonality to rounding.
READABLE = 1e-5
ORTHOGONAL = "orthogonal residuals"
SOLVED = "A x = -∇f after n steps"
ONE_PRODUCT = "one product with A for each step"


class ConjugateGradient:
    """Algorithm 2, corrected: A x = b = -∇f with a diagonal preconditioner P."""

    def __init__(self, A: Product, diagonal: Array) -> None:
        self.A, self.P = A, self.preconditioner(diagonal)

    def preconditioner(self, diagonal: Array) -> Product | None:
        """r -> P⁻¹ r, or None for P = I."""
        return lambda r: r / diagonal

    def right_hand_side(self, gradient: Array) -> Array:
        """b = -∇f."""
        return -gradient

    def alpha(self, r: Array, y: Array, p: Array, Ap: Array) -> float:
        """rᵀy / pᵀAp, where y = P⁻¹r."""
        return float(r @ y / (p @ Ap))

    def beta(self, r: Array, y: Array, r_next: Array, y_next: Array) -> float:
        """The next rᵀy / rᵀy."""
        return float(r_next @ y_next / (r @ y))

    def residual(self, x: Array, b: Array, r: Array, alpha: float, Ap: Array) -> Array:
        """Ax - b, from the product at hand."""
        return r + alpha * Ap

    def solve(self, gradient: Array, steps: int) -> list[Array]:
        """The iterates x_0 = 0, x_1, ..."""
        P = self.P or (lambda r: r)
        b, x = self.right_hand_side(gradient), np.zeros_like(gradient)
        r = -b
        y = P(r)
        p, iterates = -y, [x]
        for _ in range(steps):
            Ap = self.A(p)
            alpha = self.alpha(r, y, p, Ap)
            x = x + alpha * p
            r_next = self.residual(x, b, r, alpha, Ap)
            y_next = P(r_next)
            p = -y_next + self.beta(r, y, r_next, y_next) * p
            r, y = r_next, y_next
            iterates.append(x)
        return iterates


class PlainAlpha(ConjugateGradient):
    """The step length of CG without a preconditioner."""

    def alpha(self, r: Array, y: Array, p: Array, Ap: Array) -> float:
        """rᵀr / pᵀAp."""
        return float(r @ r / (p @ Ap))


class PlainAlphaAndBeta(PlainAlpha):
    """Both coefficients of CG without a preconditioner."""

    def beta(self, r: Array, y: Array, r_next: Array, y_next: Array) -> float:
        """The next rᵀr / rᵀr."""
        return float(r_next @ r_next / (r @ r))


class NeverReturned(ConjugateGradient):
    """A preconditioner that is built and forgotten."""

    def preconditioner(self, diagonal: Array) -> Product | None:
        """There is no return."""

        def P(r: Array) -> Array:
            return r / diagonal

        P(diagonal)
        return None


class SecondProduct(ConjugateGradient):
    """Residuals from their definition, at the cost of another product."""

    def residual(self, x: Array, b: Array, r: Array, alpha: float, Ap: Array) -> Array:
        """Ax - b."""
        return self.A(x) - b


class PlusGradient(ConjugateGradient):
    """The right-hand side with the sign of the paper's text."""

    def right_hand_side(self, gradient: Array) -> Array:
        """b = ∇f."""
        return gradient


def check_conjugate_gradient(kind: type[ConjugateGradient], n: int = 12) -> Report:
    """Check the iterates of a solver of A x = -∇f on a random system.

    From the iterates alone: residuals of preconditioned CG are orthogonal in P⁻¹; x_n solves the
    system; and a step takes one product.

    Parameters
    ----------
    kind : type
        Built from A and a diagonal, with `solve(gradient, steps)`.
    n : int
        Size of the system.

    Returns
    -------
    Report
    """
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    scale = 10 ** rng.uniform(-0.5, 0.5, n)
    C = rng.standard_normal((n, n)) / 4
    matrix = np.outer(scale, scale) * (np.eye(n) + C @ C.T)
    diagonal, gradient, products = np.diag(matrix), rng.standard_normal(n), 0

    def A(x: Array) -> Array:
        nonlocal products
        products += 1
        product: Array = matrix @ x
        return product

    iterates = kind(A, diagonal).solve(gradient, n)
    residuals = np.array([matrix @ x + gradient for x in iterates])
    size = float(np.linalg.norm(gradient))
    crooked, plain = _cosine(residuals, diagonal), _cosine(residuals, np.ones(n))
    left = float(np.linalg.norm(residuals[-1])) / size
    remarks = []
    if crooked > 1e-6 >= plain:
        remarks.append("residuals are orthogonal in I, not in P⁻¹: the preconditioner is not used")
    if np.linalg.norm(matrix @ iterates[-1] - gradient) < 1e-6 * size:
        remarks.append("x solves A x = +∇f: the sign of b is wrong")
    return report_on(
        [
            relation(ORTHOGONAL, crooked, 1e-6),
            relation(SOLVED, left, 1e-6),
            relation(ONE_PRODUCT, products / n, 1.0),
        ],
        n,
        start,
        remarks,
    )


def _cosine(residuals: Array, diagonal: Array) -> float:
    """Largest |cos| between two residuals in the inner product rᵀP⁻¹r."""
    scaled = residuals / np.sqrt(diagonal)
    norms = np.linalg.norm(scaled, axis=1)
    units = (scaled / np.maximum(norms, 1e-300)[:, None])[norms > READABLE * norms[0]]
    cosines = np.abs(units @ units.T - np.eye(len(units)))
    return float(cosines.max())


EXHIBITS = (
    Exhibit(
        "rᵀr in the first coefficient of CG",
        "fmeirinhos/pytorch-hessianfree",
        "With a preconditioner, α is rᵀP⁻¹r / pᵀAp. With rᵀr it is no minimum along p: on a system "
        "of 60 equations 72 % of the error are left after 10 steps, where 1e-6 should be.",
        ORTHOGONAL,
        "A x = -∇f after n steps: FAIL",
        PlainAlpha,
        ConjugateGradient,
        check_conjugate_gradient,
    ),
    Exhibit(
        "rᵀr in both coefficients of CG",
        "mtkwT/adaptive-hessian-free-optimization",
        "α and β of plain CG, with preconditioned directions: 97 % of the error are left after 40 "
        "steps. The optimizer on top of it still makes progress, and hides it.",
        ORTHOGONAL,
        "A x = -∇f after n steps: FAIL",
        PlainAlphaAndBeta,
        ConjugateGradient,
        check_conjugate_gradient,
    ),
    Exhibit(
        "the preconditioner that nobody returned",
        "ltatzel/PyTorchHessianFree",
        "A function builds the preconditioner and does not return it, so that it is None, which "
        "means none. Nor did its test notice. CG converges, only more slowly.",
        ORTHOGONAL,
        "the preconditioner is not used",
        NeverReturned,
        ConjugateGradient,
        check_conjugate_gradient,
    ),
    Exhibit(
        "a second product in each step of CG",
        "fmeirinhos/pytorch-hessianfree",
        "The residual is computed from its definition, though CG has all it takes. Every number is "
        "right, and CG costs twice as much.",
        ONE_PRODUCT,
        "one product with A for each step: FAIL",
        SecondProduct,
        ConjugateGradient,
        check_conjugate_gradient,
    ),
    Exhibit(
        "b = ∇f",
        "Martens & Sutskever 2012, text before algorithm 2 (erratum M11)",
        "CG minimizes ½ xᵀAx - bᵀx; for the model of f around θ, b is -∇f. With the printed sign "
        "the step goes uphill, exactly as far as it should go downhill.",
        SOLVED,
        "the sign of b is wrong",
        PlusGradient,
        ConjugateGradient,
        check_conjugate_gradient,
    ),
)
