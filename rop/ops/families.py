"""Three families of ops, for the three rules of sec. 5: linearity (eq. 4), product (5), chain (6).

| family      | value   | R rule              | reverse rule           | curvature rule           |
|-------------|---------|---------------------|------------------------|--------------------------|
| Linear      | A z     | A Rz                | Aᵀ da                  | 0                        |
| Bilinear    | B(x, y) | B(Rx, y) + B(x, Ry) | B*₁(da, y), B*₂(x, da) | B*₁(da, Ry), B*₂(Rx, da) |
| Elementwise | s(z)    | s'(z) · Rz          | s'(z) · da             | s''(z) · Rz · da         |

The terms that rules are written in are those of `rop.ops.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from typing import Any, ClassVar, TypeVar

from rop.errors import RopTypeError
from rop.graph import Shape
from rop.ops.kernels import Array, Call, Kernel, Map, product
from rop.ops.op import Op
from rop.ops.rules import Emit, Target, Targets, Value, Values

T = TypeVar("T")


class Linear(Op):
    """a = Σ A_i z_i:  Ra = Σ A_i Rz_i,  dz_i = A_iᵀ da,  no curvature (eq. 4).

    A subclass of a user's own supplies `output_shape` and two functions of arrays with the cases as
    axis 0: ``A(self, z)``, (N, *shape of z) to (N, *shape of a), and ``AT(self, da)``, back. An op
    of the catalogue sets `maps` and `adjoints` to kernels.

    >>> class Differences(rop.ops.Linear):
    ...     def output_shape(self, z):
    ...         return (z[0] - 1,)
    ...     def A(self, z):
    ...         return np.diff(z)
    ...     def AT(self, da):
    ...         return -np.diff(da, prepend=0.0, append=0.0)
    >>> x = rop.param("x", 3)
    >>> rop.Objective(rop.sum(rop.square(Differences.of(x)))).value_and_gradient([1.0, 4.0, 9.0])
    (34.0, array([-6., -4., 10.]))
    """

    A: Callable[[Array], Array]
    AT: Callable[[Array], Array]
    maps: Sequence[Kernel]
    adjoints: Sequence[Kernel]

    supplied = ("A(self, z)", "AT(self, da)")

    def __init__(self, *shapes: Shape) -> None:
        super().__init__(*shapes)
        self.maps = [Call(self.A, f"{self.name}({{0}})")]
        self.adjoints = [Call(self.AT, f"{self.name}ᵀ({{0}})")]

    def value(self, emit: Emit, a: Target, z: Values) -> None:
        for A, z_i in zip(self.maps, z, strict=True):
            emit(a, A, z_i)

    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        for A, Rz_i in zip(self.maps, Rz, strict=True):
            emit(Ra, A, Rz_i)

    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        for AT, dz_i in zip(self.adjoints, dz, strict=True):
            emit(dz_i, AT, da)

    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        """Zero: R(Aᵀ da) = Aᵀ Rda."""


class Bilinear(Op):
    """a = B(x, y):  Ra = B(Rx, y) + B(x, Ry),  dx = B*₁(da, y),  dy = B*₂(x, da) (eq. 5).

    A subclass of a user's own supplies `output_shape` and three functions of arrays with the cases
    as axis 0: ``B(self, x, y)``, linear in x and in y; ``B1(self, da, y)``, of x's shape, with
    <B(x, y), da> = <x, B*₁(da, y)>; and ``B2(self, x, da)``, of y's shape, with <B(x, y), da> =
    <y, B*₂(x, da)>. An op of the catalogue sets `maps` to three kernels.

    >>> class Product(rop.ops.Bilinear):
    ...     def output_shape(self, x, y):
    ...         return x
    ...     def B(self, x, y):
    ...         return x * y
    ...     def B1(self, da, y):
    ...         return da * y
    ...     def B2(self, x, da):
    ...         return x * da
    >>> x, y = rop.param("x"), rop.param("y")
    >>> rop.Objective(Product.of(x, y)).value_and_gradient([2.0, 3.0])
    (6.0, array([3., 2.]))
    """

    B: Callable[[Array, Array], Array]
    B1: Callable[[Array, Array], Array]
    B2: Callable[[Array, Array], Array]
    operands: ClassVar[int | None] = 2
    supplied = ("B(self, x, y)", "B1(self, da, y)", "B2(self, x, da)")
    maps: tuple[Kernel, Kernel, Kernel]

    def __init__(self, *shapes: Shape) -> None:
        super().__init__(*shapes)
        name = self.name
        self.maps = (
            Call(self.B, f"{name}({{0}}, {{1}})"),
            Call(self.B1, f"{name}*₁({{0}}, {{1}})"),
            Call(self.B2, f"{name}*₂({{0}}, {{1}})"),
        )

    def value(self, emit: Emit, a: Target, z: Values) -> None:
        B, (x, y) = self.maps[0], z
        emit(a, B, x, y)

    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        B, (x, y), (Rx, Ry) = self.maps[0], z, Rz
        emit(Ra, B, Rx, y)
        emit(Ra, B, x, Ry)

    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        (_, B1, B2), (x, y), (dx, dy) = self.maps, z, dz
        emit(dx, B1, da, y)
        emit(dy, B2, x, da)

    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        (_, B1, B2), (Rx, Ry), (Rdx, Rdy) = self.maps, Rz, Rdz
        emit(Rdx, B1, da, Ry)
        emit(Rdy, B2, Rx, da)


class Elementwise(Op):
    """a = s(z):  Ra = s'(z)·Rz,  dz = s'(z)·da,  Rdz = s'(z)·Rda + s''(z)·Rz·da (eq. 6).

    A subclass supplies the scalar functions `s`, `ds` and `d2s`, once for all engines, each written
    with NumPy functions, float literals, and those of the arguments ``z``, ``a`` (= s(z)) and
    ``ds`` (= s'(z)) that it needs. ``ds = None`` and ``d2s = None`` say that s', s'' are zero.

    >>> class Cube(rop.ops.Elementwise):
    ...     @staticmethod
    ...     def s(z):
    ...         return z * z * z
    ...     @staticmethod
    ...     def ds(z):
    ...         return 3.0 * z * z
    ...     @staticmethod
    ...     def d2s(z):
    ...         return 6.0 * z
    >>> x = rop.param("x")
    >>> rop.Objective(Cube.of(x)).value_and_gradient([2.0])
    (8.0, array([12.]))
    """

    s: Any
    ds: Any
    d2s: Any

    supplied = ("s", "ds", "d2s")

    def __init__(self, *shapes: Shape) -> None:
        super().__init__(*shapes)
        for rule in self.supplied:
            function = getattr(self, rule)
            unknown = set() if function is None else set(_arguments(function)) - {"z", "a", "ds"}
            if unknown:
                raise RopTypeError(
                    f"{type(self).__name__}.{rule} takes {sorted(unknown)}; a scalar function is a "
                    "staticmethod of some of z, a and ds"
                )
        self.times = product(self.shape)

    def slope(self, emit: Emit, a: Value, z: Values) -> Value:
        """s'(z), computed once per θ."""
        kernel = Map(self.ds, f"{self.name}'({{0}})")
        return emit.once("s'", kernel, *taken(self.ds, z=z[0], a=a))

    def bend(self, emit: Emit, da: Value, a: Value, z: Values) -> Value:
        """s''(z)·da, computed once per θ, and only where Hv is asked for."""
        ds, kernel = self.slope(emit, a, z), Map(self.d2s, f"{self.name}''({{0}})")
        d2s = emit.once("s''", kernel, *taken(self.d2s, z=z[0], a=a, ds=ds))
        return emit.once("s''·da", self.times, d2s, da)

    def value(self, emit: Emit, a: Target, z: Values) -> None:
        emit(a, Map(self.s, f"{self.name}({{0}})"), z[0])

    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        if self.ds is not None:
            emit(Ra, self.times, self.slope(emit, a, z), Rz[0])

    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        if self.ds is not None:
            emit(dz[0], self.times, self.slope(emit, a, z), da)

    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        if self.d2s is not None and Rz[0] is not None:
            emit(Rdz[0], self.times, self.bend(emit, da, a, z), Rz[0])


def taken(function: Callable[..., Array], **given: T) -> list[T]:
    """Those of z, a and ds that a scalar function takes, in its order."""
    return [given[name] for name in _arguments(function)]


@cache
def _arguments(function: Callable[..., Array]) -> tuple[str, ...]:
    return tuple(signature(function).parameters)
