"""Figure 5 and section 9: CG as a polynomial whose roots sit on the eigenvalues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rop.experiments.registry import Findings, study
from rop.hf import pcg


@study("5", seconds=1)
def figure5(seconds: float, seed: int) -> Findings:
    """Figure 5: what a root near a small or a large eigenvalue does to the other (sec. 9).

    Parameters
    ----------
    seconds : float
        Not used.
    seed : int
        Seed of the right-hand side in the plot of CG's own polynomials.

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import panels
    from rop.show.pictures.figures import BLUE, GREY, ORANGE, VERMILLION, label

    small, large = 1.0, 5.0
    nu, nu2 = 1.25, 4.6
    z = np.linspace(0, 6, 121)
    figure, (left, right) = panels(2)
    for root, colour, name in ((nu, BLUE, "ν near λ₁"), (nu2, VERMILLION, "ν' near λ₂")):
        left.plot(z, 1 - z / root, color=colour, lw=1.4, label=f"1 - z/{root:g}: {name}")
        for eigenvalue in (small, large):
            factor = 1 - eigenvalue / root
            left.plot([eigenvalue] * 2, [0, factor], color=colour, lw=3, alpha=0.4)
    left.axhline(0, color=GREY, lw=0.8)
    left.plot([small, large], [0, 0], "k|", ms=12)
    left.set_ylim(-4.2, 1.3)
    left.legend(fontsize=7.5, frameon=False, loc="lower left")
    label(left, "the factor of each root at λ₁ = 1 and λ₂ = 5", "z", "1 - z/ν")

    rng = np.random.default_rng(seed)
    eigenvalues = np.array([0.5, 0.7, 3.0, 3.2, 9.0, 9.5, 10.0])
    eta = rng.standard_normal(len(eigenvalues))
    rows = []
    fine = np.linspace(0, 10.5, 400)
    for steps, colour in ((1, ORANGE), (2, BLUE), (3, VERMILLION)):
        roots = ritz_values(eigenvalues, eta, steps)
        p = np.prod(1 - fine[:, None] / roots, axis=1)
        right.plot(fine, p, color=colour, lw=1.2, label=f"after step {steps}")
        right.plot(roots, np.zeros(steps), "o", color=colour, ms=4)
        by_roots = 0.5 * eta**2 / eigenvalues * np.prod(1 - eigenvalues[:, None] / roots, 1) ** 2
        q = pcg(lambda v: eigenvalues * v, eta, max_steps=steps).q[-1]
        rows.append(
            {
                "steps": steps,
                "roots": " ".join(f"{root:.6g}" for root in roots),
                "Σ ω p(λ)²": float(by_roots.sum()),
                "q(x) - q(x*)": float(q + 0.5 * np.sum(eta**2 / eigenvalues)),
            }
        )
    right.plot(eigenvalues, np.zeros_like(eigenvalues), "k|", ms=10, label="eigenvalues")
    right.axhline(0, color=GREY, lw=0.8)
    right.set_ylim(-1.5, 1.5)
    right.legend(fontsize=7.5, frameon=False)
    label(right, "the polynomials of CG's first steps", "z", "p(z) = Π (1 - z/ν)")
    factors = [
        {"root": root, "eigenvalue": value, "factor": 1 - value / root}
        for root in (nu, nu2)
        for value in (small, large)
    ]
    text = (
        "A root near the small eigenvalue multiplies the error at the large one by "
        f"{1 - large / nu:.2g}, a root near the large one that at the small one by only "
        f"{1 - small / nu2:.2g}: CG prefers high curvature. Eq. 13 with ω = ½η²/λ, "
        "whose ½ the definition lacks (erratum M55), gives CG's own error."
    )
    return Findings({"factors": factors, "polynomials": rows}, {"figure5": figure}, text)


def ritz_values(
    eigenvalues: NDArray[np.float64], eta: NDArray[np.float64], steps: int
) -> NDArray[np.float64]:
    """Return the roots of CG's polynomial: A's eigenvalues seen from the Krylov space.

    Parameters
    ----------
    eigenvalues : ndarray, shape (n,)
        Those of A, which is diagonal.
    eta : ndarray, shape (n,)
        The residual at the start.
    steps : int
        The number of steps of CG.

    Returns
    -------
    ndarray, shape (steps,)
        The roots.
    """
    krylov = np.stack([eigenvalues**power * eta for power in range(steps)], axis=1)
    basis, _ = np.linalg.qr(krylov)
    roots: NDArray[np.float64] = np.linalg.eigvalsh(basis.T @ (eigenvalues[:, None] * basis))
    return roots
