"""The constraints that annotations declare: what is refused, with which error and which words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pytest

from rop.errors import RopTypeError, RopValueError
from rop.support.arguments import check, check_fields, checked
from rop.support.constraints import Count, Fraction, NotNegative, Positive, Real, Seed, Whole


class Solver(Protocol):
    @property
    def limit(self) -> int: ...

    def solve(self) -> float: ...


@dataclass(frozen=True)
class Mine:
    limit: int = 3

    def solve(self) -> float:
        return 1.0


class Half:
    limit = 3


@checked
def accept(
    number: float = 1.0,
    positive: Positive = 1.0,
    not_negative: NotNegative = 0.0,
    fraction: Fraction = 1.0,
    angle: Annotated[float, Real(at_least=-1, below=1)] = 0.0,
    radius: Annotated[float, Real(above=0, infinite=True)] = inf,
    either: int | float = 1,
    whole: int = 0,
    count: Count = 1,
    seed: Seed = 0,
    axis: Annotated[int, Whole(at_most=2)] = 0,
    flag: bool = False,
    by: Literal["f", "model"] = "f",
    maybe: Count | None = 5,
    sizes: Sequence[Count] = (),
    pair: tuple[int, int] = (1, 2),
    named: tuple[str, int] = ("a", 1),
    scales: Mapping[str, Positive] | None = None,
    path: str | Path = ".",
    call: Callable[[int, int], int] = max,
    any_call: Callable[..., int] = max,
    solver: Annotated[Solver, "such as Mine()"] = Mine(),  # noqa: B008
    plain: Solver = Mine(),  # noqa: B008
    array: npt.ArrayLike = 0,
    dtype: npt.DTypeLike = None,
    anything: object = None,
    **rest: Any,
) -> None:
    pass


@pytest.mark.parametrize(
    "name, value, error, words",
    [
        ("number", nan, RopValueError, "accept: number must be a finite number, got nan"),
        ("number", inf, RopValueError, "finite number, got inf"),
        ("number", 10**400, RopValueError, "finite number, got 1000"),
        ("number", np.float32(nan), RopValueError, "finite"),
        ("number", "1", RopTypeError, "got '1' (str); give a number, not text"),
        ("number", True, RopTypeError, "got True (bool); for the number write 1"),
        ("number", np.False_, RopTypeError, "for the number write 0"),
        ("number", 1j, RopTypeError, "(complex)"),
        ("number", None, RopTypeError, "got None; leave it out for the default"),
        ("number", np.ones(1), RopTypeError, "an array of shape (1,), dtype float64"),
        ("number", np.ones(1), RopTypeError, "with .item()"),
        ("number", np.timedelta64(1), RopTypeError, "timedelta64"),
        ("positive", 0, RopValueError, "> 0, got 0"),
        ("positive", -1e-300, RopValueError, "> 0"),
        ("not_negative", -1e-300, RopValueError, ">= 0"),
        ("fraction", 0, RopValueError, "a finite number > 0 and <= 1, got 0"),
        ("fraction", 1.01, RopValueError, "<= 1"),
        ("angle", 1, RopValueError, "a finite number >= -1 and < 1"),
        ("radius", nan, RopValueError, "a number > 0, got nan"),
        ("radius", -inf, RopValueError, "> 0"),
        ("either", nan, RopValueError, "must be a finite number, got nan"),
        ("whole", 2.5, RopTypeError, "an int, got 2.5 (float); write 2"),
        ("whole", nan, RopTypeError, "an int, got nan"),
        ("whole", True, RopTypeError, "an int"),
        ("count", 0, RopValueError, "an int >= 1, got 0"),
        ("count", 3.0, RopTypeError, "write 3"),
        ("seed", -1, RopValueError, "an int >= 0"),
        ("seed", "a", RopTypeError, "an int >= 0"),
        ("axis", 3, RopValueError, "an int <= 2"),
        ("flag", "yes", RopTypeError, "True or False, got 'yes'"),
        ("flag", 1, RopTypeError, "True or False"),
        ("by", "F", RopValueError, "must be 'f' or 'model', got 'F'; did you mean 'f'?"),
        ("by", "modell", RopValueError, "did you mean 'model'?"),
        ("by", 1, RopTypeError, "'f' or 'model'"),
        ("by", np.ones(2), RopTypeError, "'f' or 'model'"),
        ("maybe", 0, RopValueError, "an int >= 1 or None"),
        ("maybe", "1", RopTypeError, "an int >= 1 or None"),
        ("sizes", [1, 0], RopValueError, "a Sequence, each element an int >= 1, got [1, 0]"),
        ("sizes", [1, "a"], RopTypeError, "each element"),
        ("sizes", "12", RopTypeError, "a Sequence"),
        ("sizes", 5, RopTypeError, "a Sequence"),
        ("pair", [1, 2], RopTypeError, "a tuple"),
        ("pair", (1, 2.5), RopTypeError, "each element an int"),
        ("named", 5, RopTypeError, "a tuple"),
        ("scales", {"W": -1}, RopValueError, "each element a finite number > 0"),
        ("scales", 5, RopTypeError, "a Mapping"),
        ("path", 5, RopTypeError, "a str or a Path"),
        ("call", 5, RopTypeError, "a function of 2 arguments, got 5"),
        ("call", lambda: 0, RopTypeError, "of 2 arguments, got the function <lambda>"),
        ("any_call", 5, RopTypeError, "a function, got 5"),
        ("solver", 5, RopTypeError, "a Solver, got 5 (int); such as Mine()"),
        ("plain", Mine, RopTypeError, "Mine is a class: write Mine()"),
        ("plain", Half(), RopTypeError, "it has no solve"),
        ("plain", None, RopTypeError, "leave it out for the default"),
    ],
)
def test_wrong_values_are_refused(name, value, error, words):
    with pytest.raises(error) as caught:
        accept(**{name: value})
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"accept: {name} must be ")


@pytest.mark.parametrize(
    "name, value",
    [
        ("number", np.float32(2)),
        ("number", np.int8(2)),
        ("number", 10**300),
        ("positive", 5e-324),
        ("radius", inf),
        ("whole", np.uint8(3)),
        ("seed", 10**40),
        ("axis", -(10**40)),
        ("flag", np.True_),
        ("by", np.str_("model")),
        ("maybe", None),
        ("sizes", (1, np.int64(2))),
        ("named", ("b", 2)),
        ("scales", {"W": 2}),
        ("path", Path(".")),
        ("call", lambda a, b, c=1: 0),
        ("call", lambda *a: 0),
        ("call", np.add),
        ("any_call", lambda: 0),
        ("plain", Mine(4)),
        ("array", {}),
        ("dtype", "f4"),
        ("anything", Half),
        ("unknown", nan),
    ],
)
def test_right_values_pass(name, value):
    accept(**{name: value})


@dataclass(frozen=True)
class Base:
    lam: Positive = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.lam > 10:
            raise RopValueError("Base: lam is larger than 10")


@dataclass(frozen=True)
class Derived(Base):
    steps: Count = 1


def test_fields_are_checked_at_every_way_in():
    for make in (lambda: Derived(steps=0), lambda: replace(Derived(), steps=0)):
        with pytest.raises(RopValueError, match="Derived: steps must be an int >= 1, got 0"):
            make()
    with pytest.raises(RopValueError, match="Derived: lam must be a finite number > 0, got nan"):
        Derived(nan)
    with pytest.raises(RopValueError, match="larger than 10"):
        Derived(11.0)


def test_arguments_by_position_and_methods():
    class Thing:
        @checked
        def __init__(self, size: Count) -> None:
            self.size = size

        @checked
        def grow(self, by: Positive) -> float:
            """Grow."""
            return self.size + by

    with pytest.raises(RopTypeError, match=r"Thing: size must be an int >= 1, got 2\.5"):
        Thing(2.5)
    with pytest.raises(RopValueError, match="Thing.grow: by must be"):
        Thing(2).grow(-1)
    assert Thing(2).grow(1) == 3
    assert Thing.grow.__doc__ == "Grow."
    assert inspect.signature(Thing.grow).parameters["by"].annotation == "Positive"


def test_missing_and_unknown_arguments_are_left_to_python():
    @checked
    def half(x: float) -> float:
        return x / 2

    for call in (lambda: half(), lambda: half(1, 2), lambda: half(y=1)):
        with pytest.raises(TypeError, match="half"):
            call()


def test_one_value():
    check("ggnvp", "lam", 1.0, NotNegative)
    check("ggnvp", "lam", "free", object)
    with pytest.raises(RopValueError, match="ggnvp: lam must be a finite number >= 0, got -1"):
        check("ggnvp", "lam", -1, NotNegative)
