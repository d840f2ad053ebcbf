"""Products that keep the cases apart: rows of J, and sums of their squares (sec. 11.2-11.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.objective.products import Products, directions_first
from rop.ops.kernels import Array


def rows(products: Products, u: ArrayLike) -> NDArray[Any]:
    """J_iᵀ u_i for every case i apart, (N, K, n), from u: (N, *output shape, K)."""
    array, many = products.checked(u, "u", "outputs")
    K = many or 1
    result = np.empty((products.shapes["outputs"][0], K, products.objective.n), products.dtype)
    flat = directions_first(array, many)
    products.execution.product("rows", K, flat, result.reshape(-1))
    return result


def squares(products: Products, u: ArrayLike, signs: Sequence[Array] = ()) -> NDArray[Any]:
    """Sum over cases i and directions of the squared elements of J_iᵀ u_i: (n,) (alg. 6 and 7).

    u is (N, *output shape, K). The rows arise from it, and with K = 1 also from one array of signs
    (N, *shape of the unit) for each hidden unit.
    """
    array, many = products.checked(u, "u", "outputs")
    name = "structural squares" if signs else "squares"
    total = np.zeros(products.objective.n, products.dtype)
    with products.execution.lock:
        for i, given in enumerate(signs):
            products.execution.give(f"signs {i}", given)
        for start, stop in products.execution.chunks(name, many or 1):
            flat = directions_first(array[..., start:stop] if many else array, many)
            part = np.empty(products.objective.n, products.dtype)
            products.execution.product(name, stop - start, flat, part)
            total += part
    return total


def hidden_weights(products: Products) -> list[NDArray[Any]]:
    """Second derivatives of the distance that structural damping measures (erratum M47).

    For each hidden unit (N, *shape of the unit), with respect to that at which its term enters.
    """
    weights = []
    for node in products.objective.hidden:
        if products.objective.distance == "matching":
            weights.append(products.execution.values(products.programs.slope(node)))
        else:
            weights.append(np.ones((products.shapes["outputs"][0], *node.shape), products.dtype))
    return weights
