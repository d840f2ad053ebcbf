"""Derivatives of smooth functions of one number to nearly full accuracy, from values alone.

The function is interpolated at Chebyshev points around 0 and the interpolant differentiated. Its
coefficients tell whether it is accurate: they fall to rounding, or a smaller radius is tried.
"""

from collections.abc import Callable

import numpy as np

POINTS = 24
_K = np.arange(POINTS)
_ANGLES = (2 * _K + 1) * np.pi / (2 * POINTS)
# cos(k angle), of angles that are reduced to one period while they are whole numbers.
_COSINES = np.cos((np.outer(_K, 2 * _K + 1) % (4 * POINTS)) * np.pi / (2 * POINTS))
# T_k'(0) = k U_{k-1}(0): 0, 1, 0, -3, 0, 5, ...
_SLOPES = _K * np.array([0, 1, 0, -1])[_K % 4]


class Unresolved(Exception):
    """The function varies too fast for any radius that was tried."""


def derivative(f: Callable[[float], np.ndarray]) -> tuple[np.ndarray, float]:
    """f'(0), and a bound of the norm of its error.

    Parameters
    ----------
    f : callable
        Of one number, with an array as its value; smooth around 0.

    Returns
    -------
    ndarray
        The derivative, of the shape of f's values.
    float
        What truncation and rounding of f's values may amount to, in norm.

    Raises
    ------
    Unresolved
        If no radius resolves the function.
    """
    for radius in (1.0, 0.3, 0.1, 0.03, 0.01):
        values = np.array([np.asarray(f(radius * np.cos(angle))) for angle in _ANGLES])
        flat = values.reshape(POINTS, -1)
        scale = np.linalg.norm(flat, axis=1).max()
        coefficients = 2.0 / POINTS * _COSINES @ flat
        rounding = 8.0 * np.finfo(np.float64).eps * scale
        sizes = np.linalg.norm(coefficients, axis=1)
        if sizes[-4:].max() <= rounding:
            bound = np.abs(_SLOPES).sum() * rounding / radius
            return (_SLOPES @ coefficients / radius).reshape(values.shape[1:]), bound
    raise Unresolved
