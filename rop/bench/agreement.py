"""Checks that all contestants compute the same numbers, before any is timed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rop.bench.workloads import Workload

# About 5000 units of rounding in float64 and 80 in float32, where orders of summation differ over
# up to 12 layers or 100 steps: correct contestants of W1 to W6 stay below a fifth of this.
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
# After 100 steps in float32 CG's residual stands at rounding size relative to ∇f. The error of the
# solution is that residual over λ: larger by ‖∇f‖ / (λ ‖δ‖), which is 240 for W5.
CG_AMPLIFICATION = 240


def tolerance(workload: Workload, product: str) -> float:
    """Largest relative difference between two correct contestants.

    Parameters
    ----------
    workload : Workload
        Gives the dtype.
    product : str
        One of its products.

    Returns
    -------
    float
        A ratio of 2-norms.
    """
    return TOLERANCE[workload.dtype] * (CG_AMPLIFICATION if product == "CG" else 1)


def differences(results: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """The distance of every contestant from the first one.

    Parameters
    ----------
    results : mapping of str to ndarray
        Contestant -> its result as one vector.

    Returns
    -------
    dict of str to float
        Contestant -> ‖difference‖ / ‖first result‖; inf where the sizes differ or a number is
        not finite.
    """
    first = next(iter(results.values()))
    norm = float(np.linalg.norm(first))
    found = {}
    for name, result in results.items():
        if result.shape != first.shape or not np.isfinite(result).all():
            found[name] = float("inf")
        else:
            found[name] = float(np.linalg.norm(result - first)) / norm
    return found
