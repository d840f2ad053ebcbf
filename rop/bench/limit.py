"""The limit: the bare GEMMs that a product needs when every activation is cached (erratum M24)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from rop.bench.contestants import Contestant
from rop.bench.workloads import CG_STEPS, Convolutional, FeedForward, Model, Workload

FORWARD, BACKWARD, WEIGHT = 0, 1, 2


class Gemm(NamedTuple):
    """One matrix product of a dense map W: (above, below) over a number of rows (cases).

    Attributes
    ----------
    kind : int
        `FORWARD` is Y Wᵀ, `BACKWARD` is D W, `WEIGHT` is Dᵀ Y.
    rows, below, above : int
        Y is (rows, below), D is (rows, above).
    """

    kind: int
    rows: int
    below: int
    above: int


class Needs(NamedTuple):
    """How many GEMMs of each kind a product needs for one weight matrix."""

    forward: int
    weight: int
    backward: int


# A map whose inputs depend on θ, and one whose inputs are data (Rx = 0 and no dx).
_INNER = {
    "gradient": Needs(1, 1, 1),
    "Jv": Needs(2, 0, 0),
    "Jᵀu": Needs(0, 1, 1),
    "Gv": Needs(2, 1, 1),
    "Hv": Needs(2, 2, 2),
}
_FIRST = {
    "gradient": Needs(1, 1, 0),
    "Jv": Needs(1, 0, 0),
    "Jᵀu": Needs(0, 1, 0),
    "Gv": Needs(1, 1, 0),
    "Hv": Needs(1, 1, 0),
}


def _repeat(needs: Needs, rows: int, below: int, above: int) -> list[Gemm]:
    kinds = [FORWARD] * needs.forward + [WEIGHT] * needs.weight + [BACKWARD] * needs.backward
    return [Gemm(kind, rows, below, above) for kind in kinds]


def gemms(model: Model, cases: int, product: str) -> list[Gemm]:
    """List the GEMMs of one product with J, H or G, or of ∇f.

    A convolution is one GEMM over all windows of all cases. In a recurrent network only
    W_hh h_{t-1}, W_hh Rh_{t-1} and their transposes must wait for the step before; everything else
    is one GEMM over all steps.

    Parameters
    ----------
    model : FeedForward, Recurrent or Convolutional
        The network.
    cases : int
        Batch size N.
    product : str
        "Gv", "Hv", "Jv", "Jᵀu" or "gradient".

    Returns
    -------
    list of Gemm
        In no particular order: they are timed, not used.
    """
    inner, first = _INNER[product], _FIRST[product]
    if isinstance(model, FeedForward):
        (below, above), *rest = model.layers
        table = _repeat(first, cases, below, above)
        for below, above in rest:
            table += _repeat(inner, cases, below, above)
        return table

    if isinstance(model, Convolutional):
        table = []
        for i, (windows, below, above) in enumerate(model.layers):
            table += _repeat(inner if i else first, cases * windows, below, above)
        return table

    everywhere = cases * model.steps
    table = _repeat(first, everywhere, model.inputs, model.hidden)
    table += _repeat(inner, everywhere, model.hidden, model.outputs)
    # h_0 = 0 takes part in nothing, hence one step less.
    steps, hidden = model.steps - 1, model.hidden
    waiting = Needs(forward=min(1, inner.forward), weight=0, backward=min(1, inner.backward))
    at_once = Needs(
        inner.forward - waiting.forward, inner.weight, inner.backward - waiting.backward
    )
    table += _repeat(waiting, cases, hidden, hidden) * steps
    return table + _repeat(at_once, cases * steps, hidden, hidden)


def flops(table: list[Gemm]) -> int:
    """Floating-point operations of some GEMMs, a multiplication and an addition counted as 2."""
    return sum(2 * gemm.rows * gemm.below * gemm.above for gemm in table)


@numba.njit(cache=True)
def _run(
    table: NDArray[np.int64],
    Ys: NDArray[np.floating],
    Ds: NDArray[np.floating],
    Ws: NDArray[np.floating],
    out: NDArray[np.floating],
) -> None:
    for i in range(table.shape[0]):
        kind, rows, below, above = table[i]
        Y = Ys[: rows * below].reshape((rows, below))
        D = Ds[: rows * above].reshape((rows, above))
        W = Ws[: above * below].reshape((above, below))
        if kind == FORWARD:
            np.dot(Y, W.T, out[: rows * above].reshape((rows, above)))
        elif kind == BACKWARD:
            np.dot(D, W, out[: rows * below].reshape((rows, below)))
        else:
            np.dot(D.T, Y, out[: above * below].reshape((above, below)))


def run_gemms(table: list[Gemm], dtype: str, seed: int = 0) -> Callable[[], None]:
    """Prepare a call that runs some GEMMs through SciPy's BLAS, from one compiled loop.

    Parameters
    ----------
    table : list of Gemm
        The GEMMs; they share their buffers, so the caches are as warm as they can be.
    dtype : {"float32", "float64"}
        Of all operands.
    seed : int
        Seed of the operands.

    Returns
    -------
    callable
        Runs all GEMMs once.
    """
    rng = np.random.default_rng(seed)

    def operand(sizes: list[int]) -> NDArray[np.floating]:
        return rng.standard_normal(max(sizes)).astype(dtype)

    Y = operand([gemm.rows * gemm.below for gemm in table])
    D = operand([gemm.rows * gemm.above for gemm in table])
    W = operand([gemm.above * gemm.below for gemm in table])
    out = np.empty(max(Y.size, D.size, W.size), dtype)
    integers = np.array(table, dtype=np.int64)
    return lambda: _run(integers, Y, D, W, out)


def contestant(workload: Workload) -> Contestant:
    """Prepare the limit of a workload: it computes nothing useful, and is timed only.

    Parameters
    ----------
    workload : Workload
        What is timed.

    Returns
    -------
    Contestant
        Named "limit"; empty for the matrix G, whose columns share their GEMMs in many ways.
    """
    calls: dict[str, Callable[[], None]] = {}
    for product in workload.products:
        if product == "CG":
            table = gemms(workload.model, workload.cases, "Gv") * CG_STEPS
        elif product == "G":
            continue
        else:
            table = gemms(workload.model, workload.cases, product)
        calls[product] = run_gemms(table, workload.dtype)
    return Contestant("limit", "limit", calls, to_numpy=lambda product, result: result)
