"""What Python's and NumPy's own notation does with a node.

Operators and indices build nodes; what has no meaning while a graph is built says what to write.
`rop.ops` fills in its functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike

from rop.errors import RopTypeError
from rop.support.user import user_line

OPERATORS: dict[str, Callable[..., Any]] = {}
"""What each operator builds."""

CATALOGUE: set[str] = set()
"""Names of the functions of `rop.ops`."""

_SIGNS = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.true_divide: "/",
    np.matmul: "@",
    np.power: "**",
    np.greater: ">",
    np.greater_equal: ">=",
    np.logical_and: "&",
    np.bitwise_and: "&",
    np.logical_or: "|",
    np.bitwise_or: "|",
    np.logical_not: "~",
    np.invert: "~",
}
_TURNED = {np.less: ">", np.less_equal: ">="}
_NAMES = {"absolute": "abs", "vecdot": "dot"}
_EQUALITY = {np.equal, np.not_equal}

_NO_VALUE = "a graph holds no values; objective.outputs(theta, batch) computes them"


class Notation:
    """Base of `Node`: its operators, methods and attributes that stand for ops."""

    __slots__ = ()
    shape: tuple[int, ...]

    def _built(self, operator: str, *operands: Any) -> Self:
        node: Self = OPERATORS[operator](*operands)
        return node

    def __add__(self, other: Self | ArrayLike) -> Self:
        return self._built("+", self, other)

    def __radd__(self, other: Self | ArrayLike) -> Self:
        return self._built("+", other, self)

    def __sub__(self, other: Self | ArrayLike) -> Self:
        return self._built("-", self, other)

    def __rsub__(self, other: Self | ArrayLike) -> Self:
        return self._built("-", other, self)

    def __mul__(self, other: Self | ArrayLike) -> Self:
        return self._built("*", self, other)

    def __rmul__(self, other: Self | ArrayLike) -> Self:
        return self._built("*", other, self)

    def __truediv__(self, other: Self | ArrayLike) -> Self:
        return self._built("/", self, other)

    def __rtruediv__(self, other: Self | ArrayLike) -> Self:
        return self._built("/", other, self)

    def __matmul__(self, other: Self | ArrayLike) -> Self:
        return self._built("@", self, other)

    def __rmatmul__(self, other: Self | ArrayLike) -> Self:
        return self._built("@", other, self)

    def __neg__(self) -> Self:
        return self._built("-x", self)

    def __pow__(self, exponent: Self | ArrayLike) -> Self:
        return self._built("**", self, exponent)

    def __rpow__(self, base: Self | ArrayLike) -> Self:
        return self._built("**", base, self)

    def __gt__(self, other: Self | ArrayLike) -> Self:
        return self._built(">", self, other)

    def __lt__(self, other: Self | ArrayLike) -> Self:
        return self._built(">", other, self)

    def __ge__(self, other: Self | ArrayLike) -> Self:
        return self._built(">=", self, other)

    def __le__(self, other: Self | ArrayLike) -> Self:
        return self._built(">=", other, self)

    def __and__(self, other: Self | ArrayLike) -> Self:
        return self._built("&", self, other)

    def __rand__(self, other: Self | ArrayLike) -> Self:
        return self._built("&", other, self)

    def __or__(self, other: Self | ArrayLike) -> Self:
        return self._built("|", self, other)

    def __ror__(self, other: Self | ArrayLike) -> Self:
        return self._built("|", other, self)

    def __invert__(self) -> Self:
        return self._built("~", self)

    def __abs__(self) -> Self:
        return self._built("abs", self)

    def __getitem__(self, key: Any) -> Self:
        return self._built("[]", self, key)

    def __array_ufunc__(
        self, function: np.ufunc, method: str, *operands: Any, **options: Any
    ) -> Self:
        in_place = len(options.get("out", ())) == 1 and options["out"][0] is operands[0]  # +=
        if method == "__call__" and (in_place or not options):
            if function in _SIGNS:
                return self._built(_SIGNS[function], *operands)
            if function in _TURNED:
                return self._built(_TURNED[function], *reversed(operands))
        raise _refusal(function)

    def __array_function__(self, function: Callable[..., Any], *call: Any) -> NoReturn:
        raise _refusal(function)

    def __array__(self, *dtype: Any, **options: Any) -> NoReturn:
        raise RopTypeError(f"{self!r} is no array: {_NO_VALUE}, rop.stack joins nodes")

    def __float__(self) -> NoReturn:
        raise RopTypeError(f"{self!r} is no number: {_NO_VALUE}, and rop.tanh, ... build functions")

    __int__ = __float__

    def __bool__(self) -> NoReturn:
        raise RopTypeError(
            f"{self!r} is neither true nor false while the graph is built; to choose case by case "
            "write rop.where(condition, a, b), and for a condition of several parts "
            f"(x > 0) & (x < 1) ({user_line()})"
        )

    if not TYPE_CHECKING:  # where it would hide misspelt attributes

        def __getattr__(self, name: str) -> NoReturn:
            remedy = f"; write rop.{name}(node, ...) ({user_line()})" if name in CATALOGUE else ""
            raise AttributeError(f"a node has no attribute {name!r}{remedy}")

    def __len__(self) -> int:
        if not self.shape:
            raise RopTypeError(f"len() of {self!r}, which is a scalar for one case")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> Self:
        """The node with its axes in reverse order."""
        return self._built(".T", self)


def _refusal(function: Callable[..., Any]) -> RopTypeError:
    """Return the error that says what to write in place of one of NumPy's functions."""
    name = function.__name__
    module = getattr(function, "__module__", None) or "numpy"  # ufuncs have none
    ours = _NAMES.get(name, name)
    if function in _EQUALITY:
        remedy = "compare by >, <, >= and <=, joined by & and |"
    elif ours in CATALOGUE:
        remedy = f"write rop.{ours}"
    else:
        remedy = "rop has no function of that name; build it from those of rop.ops"
    called = f"{module.replace('numpy', 'np')}.{name}"
    return RopTypeError(f"{called} computes with arrays, not with nodes; {remedy} ({user_line()})")
