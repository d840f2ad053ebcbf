"""Kernels with a bug: the right kernel's result, changed in one of the ways people get it wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rop.checking.eager import evaluate
from rop.graph import Shape
from rop.ops.kernels import Array, Call, Kernel, Loops, Map, Walk, scaled

FACTORS = {
    "sign": -1.0,
    "x2": 2.0,
    "x(1+1e-2)": 1.01,
    "x1.0005": 1.0005,
    "x(1+1e-4)": 1.0001,
    "x(1+1e-6)": 1.000001,
}
# Of emitted terms; "stale cache" only of what is computed once per θ.
KERNEL_KINDS = (
    *FACTORS, "x1/N", "xN", "dropped term", "transposed", "off by one", "one case", "one entry",
    "float32", "stale cache",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One way to get a kernel wrong.

    Attributes
    ----------
    kind : str
        One of `KERNEL_KINDS`.
    cases : int
        N.
    memory : Stale
        Of the kind "stale cache".
    """

    kind: str
    cases: int
    memory: "Stale" = field(default_factory=lambda: Stale(), repr=False, compare=False)

    def __call__(self, kernel: Kernel, shape: Shape, operands: Sequence[Shape]) -> Kernel | None:
        """Change a kernel.

        Parameters
        ----------
        kernel : Loops, Map or Call
        shape : tuple of int
            Of its target for one case.
        operands : sequence of tuple of int
            Shapes of its operands.

        Returns
        -------
        Kernel or None
            None where there is no matrix to transpose.
        """
        factor = {"x1/N": 1.0 / self.cases, "xN": float(self.cases), "dropped term": 0.0} | FACTORS
        if self.kind in factor:
            return _times(kernel, factor[self.kind])
        if self.kind == "transposed":
            assert isinstance(kernel, Loops)
            return transposed(kernel, shape, operands)
        change: Callable[[Array], Array] = {
            "off by one": _rolled,
            "one case": _without_a_case,
            "one entry": _one_entry,
            "float32": rounded,
        }.get(self.kind, self.memory)

        def wrong(*arrays: Array) -> Array:
            return change(evaluate(kernel, shape, arrays))

        return Call(wrong, kernel.text)


class Stale:
    """Returns what it was first given of a shape, whatever it is given."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, ...], Array] = {}

    def __call__(self, result: Array) -> Array:
        """The first result of this shape."""
        return self._first.setdefault(result.shape, result.copy())


def transposed(kernel: Loops, shape: Shape, operands: Sequence[Shape]) -> Loops | None:
    """The kernel with one of its matrices read, or written, as if it lay transposed; or None."""
    for i, matrix in (*enumerate(operands, 1), (0, shape)):
        if len(matrix) != 2 or min(matrix) == 1 or kernel.disjoint:
            continue
        rows, columns = matrix
        walk = kernel.walks[i]
        if walk.offset or {columns, 1} - set(walk.strides) or max(walk.strides) > columns:
            continue
        other = {columns: 1, 1: rows, 0: 0}
        walks = list(kernel.walks)
        walks[i] = Walk(0, tuple(other[s] for s in walk.strides))
        return replace(kernel, walks=tuple(walks))
    return None


def rounded(result: Array) -> Array:
    """A float32 cast."""
    return np.asarray(result, np.float32).astype(np.float64)


def _times(kernel: Kernel, factor: float) -> Kernel:
    if isinstance(kernel, Loops):
        return scaled(kernel, factor)
    right: Callable[..., Any] = kernel.function
    if isinstance(kernel, Map):
        return Map(lambda *arrays: factor * right(*arrays), kernel.text)
    return Call(lambda *arrays: factor * np.asarray(right(*arrays)), kernel.text)


def _rolled(result: Array) -> Array:
    axes = [axis for axis in range(1, result.ndim) if result.shape[axis] > 1]
    return np.roll(result, 1, axis=axes[-1]) if axes else result


def _without_a_case(result: Array) -> Array:
    wrong = np.array(result)
    if len(wrong) > 1:
        wrong[0] = 0.0
    return wrong


def _one_entry(result: Array) -> Array:
    wrong = np.array(result).reshape(len(result), -1)
    wrong[:, wrong.shape[1] // 2] *= 1.5
    return wrong.reshape(result.shape)
