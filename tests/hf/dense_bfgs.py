"""The BFGS matrix as dense matrices, against which the recursion is tested."""

import numpy as np


def bfgs(H, pairs):
    """H after the BFGS updates of all pairs, dense (Nocedal & Wright, eq. 6.17)."""
    for s, y in pairs:
        V = np.eye(len(s)) - np.outer(y, s) / (s @ y)
        H = V.T @ H @ V + np.outer(s, s) / (s @ y)
    return H


def started(inverse, pairs):
    """H from γ P⁻¹, given as a dense matrix: γ gives it the scale of the latest pair."""
    s, y = pairs[-1]
    return bfgs((s @ y) / (y @ inverse @ y) * inverse, pairs)
