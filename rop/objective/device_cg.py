"""CG whose vectors stay on the GPU, at a linearization; `rop.hf` uses it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from rop.errors import RopValueError
from rop.objective.linearization import Linearization, products_of, refuse_strength
from rop.objective.products import Products
from rop.ops.kernels import Array

if TYPE_CHECKING:
    from rop.engines.cuda.cg import Step


def cg_steps(
    at: Linearization,
    b: Array,
    x0: Array | None = None,
    damping: Array | float = 0.0,
    inverse: Array | None = None,
    *,
    curvature: Literal["ggn", "hessian"] = "ggn",
    mu: float = 0.0,
) -> Iterator[Step] | None:
    """Start CG on (B + diag(d)) x = b with all of its vectors on the GPU (alg. 2).

    B is G + μD or H, l2 included, as in `ggnvp` and `hvp`. `rop.hf` uses it.

    Parameters
    ----------
    at : Linearization
        The linearization.
    b : ndarray, (n,)
        The right-hand side.
    x0 : ndarray, (n,), optional
        Where to start; 0 by default.
    damping : float or ndarray, (n,)
        d.
    inverse : ndarray, (n,), optional
        The diagonal of P⁻¹; 1 by default.
    curvature : {"ggn", "hessian"}
        B.
    mu : float
        Strength of structural damping, with "ggn".

    Returns
    -------
    iterator of Step, or None
        The start, and then one step after the other without end, unless one has a direction
        without positive curvature. None where products take their vectors from the host: with
        the engines of the CPU, where batch or vectors are too large for the GPU, and where other
        processes compute.

    Raises
    ------
    RopTypeError, RopValueError
        If a vector does not fit, or there is a μ but no hidden units.
    """
    if mu:
        refuse_strength(at.objective, mu)
    if not at._local:
        return None
    products = products_of(at)
    execution, n = products.execution, at.n
    b = _vector(products, "b", b, n)
    x0 = None if x0 is None else _vector(products, "x0", x0, n)
    inverse = None if inverse is None else _vector(products, "inverse", inverse, n)
    name = {"ggn": "structural" if mu else "ggnvp", "hessian": "hvp"}[curvature]
    if name == "hvp" and at.checkpoints:
        return None
    products.prepare(name)
    solver = execution.conjugate_gradient(name)
    if solver is None:
        return None
    ready = partial(execution.set_strength, mu) if mu else None
    diagonal = damping + at.objective.penalty
    diagonal = _vector(products, "damping", diagonal, n) if np.ndim(diagonal) else diagonal
    return _held(at, solver.steps(b, x0, diagonal, inverse, ready))


def _vector(products: Products, what: str, values: ArrayLike, n: int) -> Array:
    """Return a vector like θ, of the engine's dtype."""
    array, many = products.shaped(values, what, "theta")
    if many is not None:
        raise RopValueError(f"{what}: expected shape ({n},), got {array.shape}")
    return array


def _held(at: Linearization, steps: Iterator[Step]) -> Iterator[Step]:
    """As long as somebody asks for steps, the memory does not serve another linearization."""
    yield from steps
