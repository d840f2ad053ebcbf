"""Roots of L'', and with them the diagonal of G and its estimates (sec. 11.2-11.4)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopValueError
from rop.losses import TableLoss
from rop.objective.per_case import hidden_weights, squares
from rop.objective.products import Products
from rop.support.arguments import check
from rop.support.constraints import Seed
from rop.support.words import either

Distribution: TypeAlias = Literal["rademacher", "gaussian"]

# So much of S is formed at once for the exact diagonal.
_COLUMNS_BYTES = 2**26


class IndefiniteError(RopValueError):
    """L'' has negative eigenvalues, and so no real root."""


def diagonal(
    at: Products, method: str, seed: int | np.random.Generator, mu: float, distribution: str
) -> NDArray[Any]:
    """See `Linearization.diagonal`."""
    if mu and distribution == "gaussian":
        raise RopValueError(
            f"diagonal: Gaussian v's leave structural damping out (mu={mu:g}); use "
            "distribution='rademacher', or mu=0"
        )
    if mu and method != "chapelle-erhan":
        raise RopValueError(
            f"diagonal: {method!r} leaves structural damping out (mu={mu:g}); use "
            "'chapelle-erhan', or mu=0"
        )
    check("diagonal", "seed", seed, Seed | np.random.Generator)
    check("diagonal", "distribution", distribution, Distribution)
    methods: dict[str, Callable[[], NDArray[Any]]] = {
        "exact": lambda: _exact(at),
        "chapelle-erhan": lambda: _chapelle_erhan(at, seed, mu, distribution),
        # ∇L has the 1/N of the mean: (1/N) Σ sq(∇f_i) = N Σ sq(∇f_i / N), erratum M59.
        "empirical-fisher": lambda: len(at.outputs) * squares(at, at.loss_gradient()[..., None]),
    }
    if method not in methods:
        raise RopValueError(f"diagonal: expected {either(methods)}, got {method!r}")
    result: NDArray[Any] = methods[method]() + np.asarray(at.objective.penalty, at.dtype)
    return result


def root(at: Products) -> tuple[Callable[[NDArray[Any]], NDArray[Any]], NDArray[Any]]:
    """A root S of L'' for every case: L'' = S diag(signs) Sᵀ (erratum M61).

    Parameters
    ----------
    at : Products
        The products at some θ and batch.

    Returns
    -------
    callable
        S v, for v of shape (N, *output shape, K).
    ndarray of ±1, (N, m)
        The signs: all 1 if L'' is positive semidefinite.
    """
    outputs, loss = at.outputs, at.objective.loss
    m = prod(outputs.shape[1:])
    if isinstance(loss, TableLoss):
        c = loss.aligned(loss_weight(at), outputs.ndim) / at.cases
        if (c >= 0.0).all():
            p, scale = loss.prediction(outputs), np.sqrt(c).astype(at.dtype)

            def table_root(v: NDArray[Any]) -> NDArray[Any]:
                first = v.transpose(-1, *range(v.ndim - 1))
                return (scale * loss.root(p, first)).transpose(*range(1, v.ndim), 0)

            return table_root, np.ones((1, m), at.dtype)
    values, vectors = np.linalg.eigh(at.loss_hessians())
    S = vectors * np.sqrt(np.abs(values))[:, None, :]

    def dense_root(v: NDArray[Any]) -> NDArray[Any]:
        flat: NDArray[Any] = S @ v.reshape(len(v), m, -1)
        return flat.reshape(v.shape)

    return dense_root, np.where(values < 0, -1.0, 1.0).astype(at.dtype)


def loss_weight(at: Products) -> NDArray[Any]:
    """Weights of the loss: (N or 1, *weight shape); ones where the loss has none."""
    weight = getattr(at.objective.loss, "weight", None)
    if weight is None:
        return np.ones(1, at.dtype)
    return at.execution.values(at.programs.a[weight])


def _exact(at: Products) -> NDArray[Any]:
    """One reverse sweep for each column of S."""
    S, signs = root(at)
    shape = at.outputs.shape
    m = prod(shape[1:])
    at_once = max(1, _COLUMNS_BYTES // at.outputs.nbytes)
    total = np.zeros(at.objective.n, at.dtype)
    for start in range(0, m, at_once):
        stop = min(start + at_once, m)
        unit = np.zeros((m, stop - start), at.dtype)
        unit[np.arange(start, stop), np.arange(stop - start)] = 1.0
        unit = unit.reshape(*shape[1:], stop - start)
        for sign in np.unique(signs):
            chosen = (signs[:, start:stop] == sign).reshape(
                -1, *(1,) * (len(shape) - 1), stop - start
            )
            total += sign * squares(at, S(np.broadcast_to(unit, (*shape, stop - start))) * chosen)
    return total


def _chapelle_erhan(
    at: Products, seed: int | np.random.Generator, mu: float, distribution: str
) -> NDArray[Any]:
    """One reverse sweep from S v for a random v, drawn for each case by itself (alg. 7).

    With structural damping the sweep starts from hidden units as well: as their signs are drawn by
    themselves, the mean is the diagonal of the sum.
    """
    S, signs = root(at)
    rng = np.random.default_rng(seed)
    if (signs < 0).any():
        raise IndefiniteError(
            "diagonal: 'chapelle-erhan' needs a positive semidefinite L''; use 'exact', or "
            "LossGraph(..., convexify='eigen')"
        )
    one = np.array([-1.0, 1.0], at.dtype)
    shape = (*at.outputs.shape, 1)
    if distribution == "gaussian":
        v = rng.standard_normal(shape).astype(at.dtype)
    else:
        v = rng.choice(one, size=shape)
    if not mu:
        return squares(at, S(v))
    scale = at.dtype.type(np.sqrt(mu / at.cases))
    hidden = [scale * np.sqrt(w) * rng.choice(one, size=w.shape) for w in hidden_weights(at)]
    return squares(at, S(v), hidden)
