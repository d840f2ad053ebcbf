"""How near two results must be, and how sensitive a result is to what it is made of."""

import numpy as np


def all_products(at, v, u) -> dict[str, np.ndarray]:
    """What a linearization offers, by the names of its methods."""
    return {
        "outputs": at.outputs,
        "value": np.asarray(at.value),
        "gradient": at.gradient(),
        "jvp": at.jvp(v),
        "vjp": at.vjp(u),
        "loss_gradient": at.loss_gradient(),
        "loss_hvp": at.loss_hvp(u),
        "ggnvp": at.ggnvp(v),
        "hvp": at.hvp(v),
    }


def compare(found, expected, relative, epsilon, sensitivity=None) -> None:
    """Assert that results agree relative to their norm.

    Numbers that are of order one leave rounding of 64 ``epsilon`` behind, whatever they cancel to;
    and a result that misses may still be as near as rounding of its inputs lets anyone come:
    ``sensitivity()`` gives, for each result, the norm of its change for a relative change of the
    inputs by 1.
    """
    granted = None
    for name, right in expected.items():
        assert found[name].shape == right.shape, name
        error = np.linalg.norm(found[name].astype(np.float64) - right)
        bound = relative * np.linalg.norm(right) + 64 * epsilon
        if not error <= bound and sensitivity is not None:
            granted = sensitivity() if granted is None else granted
            bound += 64 * epsilon * granted[name]
        assert error <= bound, f"{name}: error {error:.3g}, allowed {bound:.3g}"
