"""Three families of ops, for the three rules of sec. 5: linearity (eq. 4), product (5), chain (6).

| family      | value   | R rule              | reverse rule           | curvature rule           |
|-------------|---------|---------------------|------------------------|--------------------------|
| Linear      | A z     | A Rz                | Aᵀ da                  | 0                        |
| Bilinear    | B(x, y) | B(Rx, y) + B(x, Ry) | B*₁(da, y), B*₂(x, da) | B*₁(da, Ry), B*₂(Rx, da) |
| Elementwise | s(z)    | s'(z) · Rz          | s'(z) · da             | s''(z) · Rz · da         |

The terms that rules are written in are those of `rop.ops.rules`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Operand, Shape, as_node
from rop.ops.kernels import Array, Call, Kernel, Map, product, wanted
from rop.ops.rules import Emit, Target, Targets, Value, Values
from rop.support.user import user_line


class Op(ABC):
    """What a node does, for given operand shapes: its value and its three derivative rules.

    Subclass `Linear`, `Bilinear` or `Elementwise` to add an op, or `General` for an op of none of
    these families, and build nodes with ``MyOp.of(x)``.

    Parameters
    ----------
    shapes : tuple of int
        Shapes of the operands for one case.

    Examples
    --------
    >>> y = rop.tanh(rop.data("x", 3))
    >>> isinstance(y.op, rop.ops.Op), y.op.name
    (True, 'tanh')
    """

    operands: ClassVar[int | None] = 1
    fixed: ClassVar[tuple[int, ...]] = ()  # operands that no derivative passes through
    shape: Shape
    _made_of: tuple[type[Op], tuple[Shape, ...], dict[str, Any]] | None = None

    def __init__(self, *shapes: Shape) -> None:
        if not shapes or any(isinstance(shape, Node) for shape in shapes):
            name, got = type(self).__name__, "a node" if shapes else "nothing"
            raise RopTypeError(
                f"{name}: expected shapes, got {got}; to apply the op write {name}.of(...) "
                f"({user_line()})"
            )
        self.shape = self.output_shape(*shapes)

    @property
    def name(self) -> str:
        """The op's name in listings and errors."""
        return type(self).__name__.lower()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: shape {self.shape}>"

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of the result for one case; raises RopValueError where the operands do not fit."""
        return shapes[0]

    def literal(self, parents: Sequence[str]) -> str:
        """The op's value as a formula of its parents' names."""
        return f"{self.name}({', '.join(parents)})"

    @classmethod
    def of(cls, *parents: Operand, **options: Any) -> Node:
        """Build the node that applies the op to its parents.

        Parameters
        ----------
        *parents : Node or array_like
            The operands; numbers and arrays become constants.
        **options
            Further arguments of the op's constructor, hashable.

        Returns
        -------
        Node

        Raises
        ------
        RopTypeError
            If the number of operands is wrong.
        RopValueError
            If the operands' shapes do not fit.
        """
        nodes = tuple(as_node(parent) for parent in parents)
        if cls.operands is not None and len(nodes) != cls.operands:
            raise RopTypeError(
                f"{cls.__name__.lower()} takes {cls.operands} operand(s), got {len(nodes)} "
                f"({user_line()})"
            )
        op = _op(cls, tuple(node.shape for node in nodes), options)
        return Node(op, nodes, op.shape)

    def __copy__(self) -> Op:
        """Make an op that can be changed without changing this one."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._made_of = None
        return copy

    def __reduce__(self) -> Any:
        """Pickle what the op was made of: its functions and kernels are made anew from that."""
        return (_op, self._made_of) if self._made_of else super().__reduce__()

    def _refuse_without(self, *rules: str) -> None:
        """Raise RopTypeError if the op lacks one of the rules that its family asks for."""
        for rule in rules:
            if not hasattr(self, rule.partition("(")[0]):
                raise RopTypeError(f"{type(self).__name__} must define {rule} ({user_line()})")

    @abstractmethod
    def value(self, emit: Emit, a: Target, z: Values) -> None:
        """a = s(z)."""

    @abstractmethod
    def R(self, emit: Emit, Ra: Target, a: Value, z: Values, Rz: Values) -> None:
        """Ra, from Rz."""

    @abstractmethod
    def reverse(self, emit: Emit, da: Value, a: Value, z: Values, dz: Targets) -> None:
        """dz, from da; R{reverse} is the same rule from Rda, plus the curvature rule."""

    @abstractmethod
    def curvature(
        self, emit: Emit, da: Value, a: Value, z: Values, Rz: Values, Rdz: Targets
    ) -> None:
        """What R{reverse} has besides the reverse rule: the terms that Gauss-Newton drops."""


def _op(cls: type[Op], shapes: tuple[Shape, ...], options: dict[str, Any]) -> Op:
    """The op of a class for given shapes: the many equal nodes of an unrolled network share one."""
    key = (cls, shapes, *options.items())
    found = _made.get(key)
    if found is None:
        found = _made.setdefault(key, cls(*shapes, **options))
        found._made_of = cls, shapes, options
    return found


_made: dict[tuple[Any, ...], Op] = {}


def misfit(op: str, expected: str, *shapes: Shape) -> RopValueError:
    """Make the error of operands that do not fit together, which points at the user's line."""
    got = " and ".join(str(shape) for shape in shapes)
    return RopValueError(f"{op}: expected {expected}, got shapes {got} ({user_line()})")


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

    def __init__(self, *shapes: Shape) -> None:
        super().__init__(*shapes)
        self._refuse_without("A(self, z)", "AT(self, da)")
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
    maps: tuple[Kernel, Kernel, Kernel]

    def __init__(self, *shapes: Shape) -> None:
        super().__init__(*shapes)
        self._refuse_without("B(self, x, y)", "B1(self, da, y)", "B2(self, x, da)")
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

    def __init__(self, *shapes: Shape) -> None:
        super().__init__(*shapes)
        self._refuse_without("s", "ds", "d2s")
        for rule in ("s", "ds", "d2s"):
            function = getattr(self, rule)
            unknown = set() if function is None else set(wanted(function)) - {"z", "a", "ds"}
            if unknown:
                raise RopTypeError(
                    f"{type(self).__name__}.{rule} takes {sorted(unknown)}; a scalar function is a "
                    "staticmethod of some of z, a and ds"
                )
        self.times = product(self.shape)

    def slope(self, emit: Emit, a: Value, z: Values) -> Value:
        """s'(z), computed once per θ."""
        given = {"z": z[0], "a": a}
        text = f"{self.name}'({{0}})"
        return emit.once("s'", Map(self.ds, text), *[given[name] for name in wanted(self.ds)])

    def bend(self, emit: Emit, da: Value, a: Value, z: Values) -> Value:
        """s''(z)·da, computed once per θ, and only where Hv is asked for."""
        given = {"z": z[0], "a": a, "ds": self.slope(emit, a, z)}
        kernel = Map(self.d2s, f"{self.name}''({{0}})")
        d2s = emit.once("s''", kernel, *[given[name] for name in wanted(self.d2s)])
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
