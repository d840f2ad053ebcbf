"""Constraints: what the value of an argument or a field must be, in words and as a test.

They are declared in annotations; `rop.support.arguments` checks them where values come in.
"""

from __future__ import annotations

import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from inspect import signature
from math import inf, isfinite
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_origin,
)

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.support.words import alternatives, counted, either

Fault: TypeAlias = type[RopValueError] | type[RopTypeError]


class Constraint(ABC):
    """What a value must be; ``str`` gives the words after "must be"."""

    @abstractmethod
    def fault(self, value: Any) -> Fault | None:
        """Return the class of error that a value deserves; None if the value fits."""

    def remedy(self, value: Any) -> str:
        """Return the likely fix for a value that does not fit; "" if none is known."""
        return ""


@dataclass(frozen=True, kw_only=True)
class Real(Constraint):
    """A number within bounds, finite unless ``infinite`` is true; NaN never fits."""

    above: float = -inf
    at_least: float = -inf
    below: float = inf
    at_most: float = inf
    infinite: bool = False

    def fault(self, value: Any) -> Fault | None:  # noqa: D102
        if not self._is_number(value):
            return RopTypeError
        finite = self.infinite or _is_finite(value)
        above = value > self.above or self.above == -inf
        below = value < self.below or self.below == inf
        fits = finite and above and below and self.at_least <= value <= self.at_most
        return None if fits else RopValueError

    def _is_number(self, value: Any) -> bool:
        return isinstance(value, self._types) and not isinstance(value, _NO_NUMBERS)

    def remedy(self, value: Any) -> str:  # noqa: D102
        if isinstance(value, bool | np.bool_):
            return f"for the number write {int(value)}"
        if isinstance(value, str):
            return "give a number, not text"
        single = isinstance(value, np.ndarray) and value.size == 1
        return "take the element out of the array with .item()" if single else ""

    def __str__(self) -> str:
        bounds = {">": self.above, ">=": self.at_least, "<": self.below, "<=": self.at_most}
        written = " and ".join(f"{sign} {x}" for sign, x in bounds.items() if abs(x) < inf)
        return f"{self._noun} {written}".rstrip()

    @property
    def _noun(self) -> str:
        return "a number" if self.infinite else "a finite number"

    _types: ClassVar[tuple[type, ...]] = int, float, np.integer, np.floating


@dataclass(frozen=True, kw_only=True)
class Whole(Real):
    """An integer within bounds."""

    infinite: bool = True

    def remedy(self, value: Any) -> str:  # noqa: D102
        if isinstance(value, float | np.floating) and isfinite(value):
            return f"write {round(float(value))}"
        return super().remedy(value)

    _noun = "an int"
    _types = int, np.integer


@dataclass(frozen=True)
class OneOf(Constraint):
    """One of the given values."""

    values: tuple[Any, ...]

    def fault(self, value: Any) -> Fault | None:  # noqa: D102
        value = value.item() if isinstance(value, np.generic) else value
        alike = [each for each in self.values if type(each) is type(value)]
        return None if value in alike else RopValueError if alike else RopTypeError

    def remedy(self, value: Any) -> str:  # noqa: D102
        names = {each.lower(): each for each in self.values if isinstance(each, str)}
        near = get_close_matches(value.lower(), names, 1) if isinstance(value, str) else []
        return f"did you mean {names[near[0]]!r}?" if near else ""

    def __str__(self) -> str:
        return either(self.values)


@dataclass(frozen=True)
class Either(Constraint):
    """What fits one of several constraints."""

    choices: tuple[Constraint, ...]

    def fault(self, value: Any) -> Fault | None:  # noqa: D102
        faults = [choice.fault(value) for choice in self.choices]
        if None in faults:
            return None
        return RopValueError if RopValueError in faults else RopTypeError

    def remedy(self, value: Any) -> str:  # noqa: D102
        return next(filter(None, (choice.remedy(value) for choice in self.choices)), "")

    def __str__(self) -> str:
        return alternatives(map(str, self.choices))


@dataclass(frozen=True)
class Instance(Constraint):
    """An object of a class, or one with the methods and attributes of a protocol.

    ``elements`` constrains what a collection contains.
    """

    kind: type
    elements: Constraint | None = None

    def fault(self, value: Any) -> Fault | None:  # noqa: D102
        if (isinstance(value, type) and self.kind is not type) or not self._is_kind(value):
            return RopTypeError
        if self.elements is None:
            return None
        if isinstance(value, str):  # a sequence, but hardly meant as one
            return RopTypeError
        contents = value.values() if isinstance(value, Mapping) else value
        faults = [self.elements.fault(each) for each in contents]
        return next((fault for fault in faults if fault is not None), None)

    def _is_kind(self, value: Any) -> bool:
        if members := _members(self.kind):
            return all(hasattr(value, name) for name in members)
        return isinstance(value, self.kind)

    def remedy(self, value: Any) -> str:  # noqa: D102
        if isinstance(value, type):
            return f"{value.__name__} is a class: write {value.__name__}()"
        lacks = [name for name in _members(self.kind) if not hasattr(value, name)]
        almost = 0 < len(lacks) < len(_members(self.kind))
        return f"it has no {alternatives(lacks)}" if almost else ""

    def __str__(self) -> str:
        name = self.kind.__name__
        each = "" if self.elements is None else f", each element {self.elements}"
        return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}{each}"


@dataclass(frozen=True)
class Function(Constraint):
    """A function that takes so many arguments; None is any number of them."""

    arguments: int | None = None

    def fault(self, value: Any) -> Fault | None:  # noqa: D102
        if not callable(value):
            return RopTypeError
        if self.arguments is None:
            return None
        try:
            signature(value).bind(*[None] * self.arguments)
        except TypeError:
            return RopTypeError
        except ValueError:
            return None  # a builtin does not tell what it takes
        return None

    def __str__(self) -> str:
        n = self.arguments
        return "a function" if n is None else f"a function of {counted(n, 'argument')}"


@dataclass(frozen=True)
class _WithFix(Constraint):
    """A constraint with the fix that its author knows."""

    wanted: Constraint
    fix: str

    def fault(self, value: Any) -> Fault | None:
        return self.wanted.fault(value)

    def remedy(self, value: Any) -> str:
        return self.fix

    def __str__(self) -> str:
        return str(self.wanted)


Positive: TypeAlias = Annotated[float, Real(above=0)]
NotNegative: TypeAlias = Annotated[float, Real(at_least=0)]
Fraction: TypeAlias = Annotated[float, Real(above=0, at_most=1)]
Count: TypeAlias = Annotated[int, Whole(at_least=1)]
Natural: TypeAlias = Annotated[int, Whole(at_least=0)]
Seed: TypeAlias = Natural


_NO_NUMBERS = bool, np.bool_, np.timedelta64


def _is_finite(value: Any) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


@cache
def constraint(hint: Any) -> Constraint | None:
    """Return the constraint that an annotation declares.

    Parameters
    ----------
    hint : type
        The annotation itself, not its text.

    Returns
    -------
    Constraint or None
        None if the annotation leaves all checks to the function.
    """
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin is Annotated:
        declared = [each for each in inner[1:] if isinstance(each, Constraint)]
        wanted = declared[0] if declared else constraint(inner[0])
        fix = next((each for each in inner[1:] if isinstance(each, str)), None)
        return wanted if wanted is None or fix is None else _WithFix(wanted, fix)
    if origin is Literal:
        return OneOf(inner)
    if origin in (Union, types.UnionType):
        choices = [constraint(each) for each in inner if each is not int or float not in inner]
        return None if None in choices else Either(tuple(filter(None, choices)))
    if origin is Callable:
        return Function(len(inner[0]) if isinstance(inner[0], list) else None)
    if origin in _PLAIN:
        return _PLAIN[origin]
    if (
        not isinstance(origin, type)
        or origin in _LEFT
        or origin.__module__.startswith("numpy._typing")
    ):
        return None
    if not inner or not issubclass(origin, Collection):
        return Instance(origin)
    of = {inner[1]} if issubclass(origin, Mapping) else {*inner} - {...}
    return Instance(origin, constraint(of.pop()) if len(of) == 1 else None)


_PLAIN: dict[Any, Constraint] = {
    None: OneOf((None,)),
    type(None): OneOf((None,)),
    bool: OneOf((True, False)),
    int: Whole(),
    float: Real(),
}


_LEFT = Any, object, complex, np.ndarray, np.dtype


@cache
def _members(kind: type) -> list[str]:
    """Return the names that a protocol asks for; none for other classes."""
    protocols = [base for base in kind.__mro__ if vars(base).get("_is_protocol")]
    names = [name for base in protocols for name in (*vars(base), *base.__annotations__)]
    return sorted({name for name in names if name[0] != "_" or name == "__call__"})
