"""What kind of stationary point a run ended at: Lanczos steps with H (sec. 4)."""

from __future__ import annotations

import numpy as np

from rop.hf.batches import Cases
from rop.hf.evaluation import Evaluator
from rop.hf.lanczos import Lanczos
from rop.hf.vectors import Vector, norm


def negative_curvature(
    evaluator: Evaluator, theta: Vector, steps: int, seed: int = 0
) -> tuple[float, Vector] | None:
    """Look for a direction in which f has negative curvature.

    The lowest Ritz value of the Lanczos process from a random vector is vᵀHv for a unit vector v,
    and so no lower than the lowest eigenvalue. With n steps it is that eigenvalue.

    Parameters
    ----------
    evaluator : Evaluator
        Computes Hv on all its cases.
    theta : ndarray, shape (n,)
        θ.
    steps : int
        The largest number of products with H; at most n are used.
    seed : int
        The seed of the random vector.

    Returns
    -------
    tuple of (float, ndarray of shape (n,)), or None
        vᵀHv and the unit vector v; None if vᵀHv is not below zero by more than rounding errors.
    """
    cases = Cases(0, evaluator.cases, evaluator.cases)
    start = np.random.default_rng(seed).standard_normal(theta.size).astype(theta.dtype)
    most = min(steps, theta.size)
    lanczos = Lanczos(evaluator.product(theta, cases, "hessian"), start, None, most)
    while lanczos.k < most and not lanczos.closed:
        if not lanczos.extend():
            return None
    values, V = lanczos.eigen()
    if not values[0] < -(float(np.finfo(theta.dtype).eps) ** 0.5) * abs(values).max():
        return None
    v = lanczos.vector(V[:, 0])
    return float(values[0]), v / v.dtype.type(norm(v))
