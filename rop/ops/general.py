"""Ops of no family, whose rules are Python functions of arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np

from rop.ops.kernels import Array, Call
from rop.ops.op import Op
from rop.ops.rules import Emit, Target, Targets, Value, Values


class General(Op):
    """a = s(z_1, ..., z_k), an op of no family: all four rules are Python functions of arrays.

    Allowed, and slower: every engine leaves its compiled code for each of the rules. A subclass
    supplies `output_shape` and, as functions of arrays with the cases as axis 0,

    - ``s(self, *z)``, the value a;
    - ``Rs(self, z, Rz)``, the R rule: Ra = Σ_i (∂s/∂z_i) Rz_i, where a zero direction comes as an
      array of zeros;
    - ``sT(self, z, da)``, the reverse rule: dz_i = (∂s/∂z_i)ᵀ da, one array for each operand;
    - ``RsT(self, z, Rz, da)``, the curvature rule: R((∂s/∂z_i)ᵀ da) with da held fixed, likewise.

    >>> class Ratio(rop.ops.General):
    ...     def output_shape(self, x, y):
    ...         return x
    ...     def s(self, x, y):
    ...         return x / y
    ...     def Rs(self, z, Rz):
    ...         (x, y), (Rx, Ry) = z, Rz
    ...         return Rx / y - x * Ry / y**2
    ...     def sT(self, z, da):
    ...         x, y = z
    ...         return da / y, -da * x / y**2
    ...     def RsT(self, z, Rz, da):
    ...         (x, y), (Rx, Ry) = z, Rz
    ...         return -da * Ry / y**2, da * (2 * x * Ry / y - Rx) / y**2
    >>> x, y = rop.param("x"), rop.param("y")
    >>> objective = rop.Objective(Ratio.of(x, y))
    >>> rop.check(objective, [1.0, 2.0], {}).verdict
    'pass'
    """

    s: Callable[..., Array]
    Rs: Callable[..., Array]
    sT: Callable[..., tuple[Array, ...]]
    RsT: Callable[..., tuple[Array, ...]]
    operands: ClassVar[int | None] = None

    supplied = ("s(self, *z)", "Rs(self, z, Rz)", "sT(self, z, da)", "RsT(self, z, Rz, da)")

    def value(self, emit: Emit, a: Target, z: Values) -> None:
        emit(a, Call(self.s, self._text("", len(z))), *z)

    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        given = _present(Rz)
        rule = partial(self._R, given)
        emit(Ra, Call(rule, self._text("R", len(z))), *z, *[Rz[i] for i in given])

    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        for i, dz_i in enumerate(dz):
            kernel = Call(partial(self._reverse, i), self._text(f"∂{i + 1}ᵀ", len(z)))
            emit(dz_i, kernel, *z, da)

    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        given = _present(Rz)
        for i, Rdz_i in enumerate(Rdz if given else ()):
            rule = partial(self._curvature, i, given)
            kernel = Call(rule, self._text(f"R∂{i + 1}ᵀ", len(z)))
            emit(Rdz_i, kernel, *z, *[Rz[j] for j in given], da)

    def _R(self, given: list[int], *arrays: Array) -> Array:
        k = len(arrays) - len(given)
        return self.Rs(arrays[:k], _with_zeros(arrays[:k], given, arrays[k:]))

    def _reverse(self, i: int, *arrays: Array) -> Array:
        return self.sT(arrays[:-1], arrays[-1])[i]

    def _curvature(self, i: int, given: list[int], *arrays: Array) -> Array:
        k = len(arrays) - len(given) - 1
        Rz = _with_zeros(arrays[:k], given, arrays[k:-1])
        return self.RsT(arrays[:k], Rz, arrays[-1])[i]

    def _text(self, rule: str, k: int) -> str:
        return f"{rule}{self.name}({', '.join(f'{{{i}}}' for i in range(k))})"


def _present(values: Values) -> list[int]:
    return [i for i, value in enumerate(values) if value is not None]


def _with_zeros(
    z: tuple[Array, ...], given: list[int], directions: tuple[Array, ...]
) -> tuple[Array, ...]:
    Rz = [np.zeros_like(z_i) for z_i in z]
    for i, direction in zip(given, directions, strict=True):
        Rz[i] = direction
    return tuple(Rz)
