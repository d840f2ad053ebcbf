"""Figure 3: damping with D = diag(B) restricts a narrow valley's direction as if it were steep."""

from __future__ import annotations

import numpy as np

from rop.experiments.registry import Findings, study


@study("3", seconds=1)
def figure3(seconds: float, seed: int, *, a: float = 15.0) -> Findings:
    """Figure 3: a model whose scale-sensitive damping is a circle, D = diag(B) (sec. 8.3).

    Parameters
    ----------
    seconds, seed : object
        Not used: nothing is random.
    a : float
        The curvature along (1, 1) over that along (-1, 1).

    Returns
    -------
    Findings
    """
    from rop.experiments.pictures import panels
    from rop.show.pictures.figures import BLUE, GREEN, ORANGE, VERMILLION, label, logarithmic

    u, v = np.array([-1.0, 1.0]), np.array([1.0, 1.0])
    B = np.outer(u, u) + a * np.outer(v, v)
    D = np.diag(np.diag(B))
    eigenvalues = np.linalg.eigvalsh(B)
    assert np.allclose(eigenvalues, [2, 2 * a]) and np.allclose(np.diag(B), a + 1)
    gradient = -B @ (2.0 * u / 2 + 0.1 * v)  # the minimum lies 2 along the valley

    lams = np.logspace(-4, 2, 61)
    rows = []
    for lam in lams:
        row = {"lam": float(lam)}
        for name, matrix in (("diag(B)", D), ("I", np.eye(2)), ("B", B)):
            step = np.linalg.solve(B + lam * matrix, -gradient)
            row[f"along the valley, D = {name}"] = float(step @ u / 2)
            row[f"across, D = {name}"] = float(step @ v / 2)
        rows.append(row)

    figure, (left, right) = panels(2)
    angle = np.linspace(0, 2 * np.pi, 400)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for name, matrix, colour in (
        ("δᵀBδ = 1", B, BLUE),
        ("δᵀdiag(B)δ = 1", D, VERMILLION),
        ("δᵀ(B + diag(B))δ = 1", B + D, ORANGE),
    ):
        values, vectors = np.linalg.eigh(matrix)
        ellipse = vectors @ (circle / np.sqrt(values)[:, None])
        left.plot(*ellipse, color=colour, lw=1.4, label=name)
    left.set_aspect("equal")
    left.legend(fontsize=7.5, frameon=False)
    label(left, f"B = uuᵀ + {a:g} vvᵀ: diag(B) leaves a circle", "δ₁", "δ₂")
    for name, colour in (("diag(B)", VERMILLION), ("I", GREEN), ("B", BLUE)):
        along = [row[f"along the valley, D = {name}"] for row in rows]
        right.plot(lams, along, color=colour, lw=1.4, label=f"D = {name}")
    logarithmic(right, "x")
    right.legend(fontsize=7.5, frameon=False)
    label(right, "step along the valley (undamped: 1)", "λ", "uᵀδ / 2")
    half = {
        name: float(lams[np.argmin([abs(r[f"along the valley, D = {name}"] - 0.5) for r in rows])])
        for name in ("diag(B)", "I", "B")
    }
    text = (
        f"diag(B) = ({a + 1:g}, {a + 1:g}) though the curvature along the valley is 2: "
        f"λ = {half['diag(B)']:.2g} halves the step along it; with D = B it takes "
        f"λ = {half['B']:.2g}."
    )
    return Findings({"steps": rows}, {"figure3": figure}, text)
