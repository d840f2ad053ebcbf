"""Reading at given positions: `Take` at fixed ones, `Lookup` at those of integer data."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from rop.errors import RopValueError
from rop.graph import Shape
from rop.ops.families import Linear
from rop.ops.kernels import Array, Call
from rop.ops.op import Op
from rop.ops.rules import Emit, Target, Targets, Value, Values


class Take(Linear):
    """a = z at fixed positions along an axis:  Ra = Rz there,  dz += da there."""

    def __init__(self, z: Shape, *, indices: tuple[int, ...], shape: Shape, axis: int) -> None:
        self.z = z
        self.indices, self.axis = np.array(indices), 1 + axis
        self.taken = shape
        super().__init__(z)

    def output_shape(self, *shapes: Shape) -> Shape:
        (z,) = shapes
        return (*z[: self.axis - 1], *self.taken, *z[self.axis :])

    def A(self, z: Array) -> Array:
        taken: Array = z.take(self.indices, self.axis)
        return taken.reshape(len(z), *self.shape)

    def AT(self, da: Array) -> Array:
        flat = da.reshape(len(da), *self.z[: self.axis - 1], -1, *self.z[self.axis :])
        dz = np.zeros((len(da), *self.z), da.dtype)
        where: Any = (slice(None),) * self.axis + (self.indices,)
        np.add.at(dz, where, flat)
        return dz


class Lookup(Op):
    """a = z at the positions i along an axis:  Ra = Rz there,  dz += da there.

    Linear, given the positions i, which are data and differ from case to case.
    """

    operands = 2
    fixed = (1,)

    def __init__(self, z: Shape, i: Shape, *, axis: int) -> None:
        self.axis, self.z, self.i = axis, z, i
        self.shape = (*z[:axis], *i, *z[axis + 1 :])
        self.read = Call(self._read, "{0}[{1}]")

    def value(self, emit: Emit, a: Target, z: Values) -> None:
        emit(a, self.read, *z)

    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        emit(Ra, self.read, Rz[0], z[1])

    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        apart = emit.case_by_case or (dz[0] is not None and dz[0].node.per_case)
        emit(dz[0], Call(partial(self._added, apart), "{0} added at [{1}]"), da, z[1])

    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        """Zero, as for every linear op."""

    def _read(self, z: Array, i: Array) -> Array:
        where = self._positions(i)
        cases = np.arange(len(where)).reshape(-1, *(1,) * len(self.i)) if len(z) > 1 else 0
        # Indices that a slice stands between put their axes first: (cases, *i, before, after).
        moved = np.moveaxis(z, 1 + self.axis, 1)
        taken: Array = moved[cases, where]
        first, last = 1 + len(self.i), 1 + len(self.i) + self.axis
        order = (0, *range(first, last), *range(1, first), *range(last, taken.ndim))
        return taken.transpose(order)

    def _added(self, apart: bool, da: Array, i: Array) -> Array:
        """dz, for each case apart or summed over the cases: (N or 1, *shape of z)."""
        cases = len(da) if apart else 1
        case = np.arange(cases).reshape(-1, *(1,) * len(self.i))
        before, own = 1 + self.axis, len(self.i)
        order = (0, *range(before, before + own), *range(1, before), *range(before + own, da.ndim))
        rest = (*self.z[: self.axis], *self.z[self.axis + 1 :])
        dz = np.zeros((cases, self.z[self.axis], *rest), da.dtype)
        np.add.at(dz, (case, self._positions(i)), da.transpose(order))
        return np.moveaxis(dz, 1, before)

    def _positions(self, i: Array) -> Array:
        where: Array = i.astype(np.intp)
        if where.size and not 0 <= where.min() <= where.max() < self.z[self.axis]:
            raise RopValueError(
                f"expected indices from 0 to {self.z[self.axis] - 1}, got {where.min()} to "
                f"{where.max()}"
            )
        return where
