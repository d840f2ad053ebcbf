"""Errata of the introductory note: its conjugate gradients, and Newton's step."""

from typing import Any

import numpy as np

from rop.experiments.errata.entry import Array, Errors, attempt, erratum, off, slip
from rop.experiments.errata.given import positive_definite, vector
from rop.hf.cg import pcg
from rop.hf.gltr import gltr

FIRST_LINE_AS_PRINTED = """
def conjugate_gradient(Hv_func, g, max_iter=50, tol=1e-6):
    x = torch.zeros_like(g)
    return x
"""


def conjugate_gradient(A: Array, g: Array, max_iter: int = 50, tol: float = 1e-6) -> Array:
    """The note's loop in NumPy, with its guards of 1e-10."""
    x, r = np.zeros_like(g), -g
    p = r.copy()
    for _ in range(max_iter):
        Ap = A @ p
        alpha = r @ r / (p @ Ap + 1e-10)
        x = x + alpha * p
        r_new = r - alpha * Ap
        if np.linalg.norm(r_new) < tol:
            break
        p = r_new + r_new @ r_new / (r @ r + 1e-10) * p
        r = r_new
    return x


@erratum(
    "N1",
    "S1",
    "pseudo code",
    "rop.hf.cg.pcg",
    printed="import torch inside hessian_vector_product",
    corrected="import torch at the top",
    why="The name is local to the first function: conjugate_gradient raises NameError.",
)
def n1() -> Errors:
    """CG's solution, by the loop in NumPy, with that of LAPACK."""
    A, g, names = positive_definite(8), vector(8), dict[str, Any]()
    exec(FIRST_LINE_AS_PRINTED, names)
    truth = np.linalg.solve(A, -g)
    printed = attempt(lambda: names["conjugate_gradient"](lambda v: A @ v, g), truth)
    return printed, off(conjugate_gradient(A, g), truth)


@erratum(
    "N2",
    "S1",
    "pseudo code, conjugate_gradient",
    "rop.hf.cg.pcg",
    printed="α = rᵀr / (pᵀHp + 1e-10), β = ... / (rᵀr + 1e-10), stop if ‖r‖ < 1e-6",
    corrected="no guards; stop if ‖r‖ is small relative to ‖∇f‖",
    why="Near the solution the guard is larger than rᵀr, and an absolute tolerance ignores the "
    "scale of f.",
)
def n2() -> Errors:
    """The solution for a gradient of length 1e-5 with that of LAPACK."""
    A, g = positive_definite(30, 0.01, 10.0), 1e-5 * vector(30) / np.linalg.norm(vector(30))
    truth = np.linalg.solve(A, -g)
    return off(conjugate_gradient(A, g), truth), off(pcg(A, -g, residual=1e-10).x, truth)


@erratum(
    "N3",
    "S1",
    "pseudo code, conjugate_gradient",
    "rop.hf.cg.pcg",
    printed="no test of pᵀHp, no damping, and H",
    corrected="stop if pᵀAp <= 0; damp, or take G",
    why="On an indefinite H the loop ends at a saddle of q.",
)
def n3() -> Errors:
    """How far q lies above q(0) = 0 for H = diag(1, 2, -½), ∇f = (-1, -1, -1); absolute."""
    A, g = np.diag([1.0, 2.0, -0.5]), -np.ones(3)
    x = conjugate_gradient(A, g)
    return max(0.0, float(x @ A @ x / 2 + g @ x)), max(0.0, pcg(A, -g).q[-1])


slip(
    "N4",
    "Pearlmutter's trick",
    "Hv = ∇(∇fᵀv) is Pearlmutter's trick; a Jacobian J that is never used",
    "that is two reverse sweeps; the R-operator is a forward sweep over the reverse one",
    "The values are equal, the costs and the memory are not.",
    "rop.objective.linearization.Linearization.hvp",
)
slip(
    "N5",
    "example use case",
    "HF for pre-training; for Hinton's autoencoders",
    "HF made pre-training unnecessary (2010); those autoencoders were trained by nonlinear CG",
    "The history is told the other way round.",
)


@erratum(
    "N6",
    "S2",
    "Newton's method",
    "rop.hf.gltr.gltr",
    printed="x_{k+1} = x_k - H⁻¹∇f(x_k)",
    corrected="with a positive definite matrix, or within a trust region",
    why="Along negative curvature Newton's step ascends.",
)
def n6() -> Errors:
    """The rise of f = x⁴/4 - x²/2 + y²/2 from (0.3, 0.05), relative to |f|; r = ½."""
    x = np.array([0.3, 0.05])
    gradient, H = np.array([x[0] ** 3 - x[0], x[1]]), np.diag([3 * x[0] ** 2 - 1, 1.0])

    def rise(step: Array) -> float:
        before, after = (z[0] ** 4 / 4 - z[0] ** 2 / 2 + z[1] ** 2 / 2 for z in (x, x + step))
        return max(0.0, float(after - before)) / abs(float(before))

    return rise(-np.linalg.solve(H, gradient)), rise(gltr(H, -gradient, 0.5).x)
