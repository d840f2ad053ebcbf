"""Arguments and fields are checked where values come in, by the constraints of their annotations.

A function takes a decorator, a dataclass one line in ``__post_init__``::

    @checked
    def shrink(v: Vector, factor: Positive, steps: Count | None = None) -> Vector: ...

    @dataclass(frozen=True)
    class Armijo:
        c: Annotated[float, Real(above=0, below=1)] = 1e-2
        by: Literal["f", "model"] = "f"

        def __post_init__(self) -> None:
            check_fields(self)

    shrink(v, float("nan"))   # shrink: factor must be a finite number > 0, got nan
    Armijo(by="F")            # Armijo: by must be 'f' or 'model', got 'F'; did you mean 'f'?

The annotation says what is checked:

- ``bool``, ``int`` and ``float``: a Boolean, an integer, a finite number. Booleans are no numbers;
  NumPy scalars are.
- ``Annotated[type, Whole(...)]`` and ``Annotated[type, Real(...)]``: a number within bounds.
  ``Positive``, ``NotNegative``, ``Fraction``, ``Count`` and ``Seed`` are the usual ones. Another
  `Constraint` goes in the same place; it replaces the check of the type. A string beside it tells
  the user how to mend a wrong value.
- ``Literal``, ``A | B``, ``None``, ``tuple[A, ...]``, ``Sequence[A]``, ``Mapping[str, A]``: as they
  read. ``Callable[[A, B], C]`` is a function that takes as many arguments.
- A class: an instance of it. A protocol: an object with the protocol's methods and attributes.
- Everything else, arrays above all, is left to the function that takes it.

With ``from __future__ import annotations`` in the module, ``help`` shows the names as written.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache, wraps
from inspect import Parameter, isroutine, signature
from typing import (
    Any,
    ParamSpec,
    TypeVar,
    get_type_hints,
)

import numpy as np

from rop.errors import RopTypeError
from rop.support.constraints import Constraint, constraint
from rop.support.user import call_it

P = ParamSpec("P")
R = TypeVar("R")


def named(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse calls of a constructor with too few or unknown arguments; a decorator.

    Python itself would name the base class that has the constructor.

    Parameters
    ----------
    function : callable
        An ``__init__``.

    Returns
    -------
    callable
        The function; it raises a RopTypeError that names the class of the object.
    """
    parameters = [*signature(function).parameters.values()][1:]
    names = [p.name for p in parameters]
    positional = [p.name for p in parameters if p.kind != Parameter.KEYWORD_ONLY]
    needed = [p.name for p in parameters if p.default is Parameter.empty]

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        owner, given = type(args[0]).__name__, positional[: len(args) - 1]
        for name in kwargs:
            if name not in names:
                raise RopTypeError(no_argument(owner, name, names))
        for name in needed:
            if name not in given and name not in kwargs:
                raise RopTypeError(f"{owner}: {name} is missing; it takes {', '.join(names)}")
        return function(*args, **kwargs)

    return call


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of each call against the function's annotations; a decorator.

    Parameters
    ----------
    function : callable
        A function or method; its default values are taken as they are.

    Returns
    -------
    callable
        The function; it raises RopTypeError or RopValueError before it does anything.
    """
    owner = function.__qualname__.removesuffix(".__init__")

    open_ended = any(
        p.kind == Parameter.VAR_KEYWORD for p in signature(function).parameters.values()
    )

    @cache  # at the first call, when every name in the annotations is defined
    def rules() -> tuple[list[str], dict[str, Constraint], dict[str, Any]]:
        hints = get_type_hints(function, include_extras=True)
        given = signature(function).parameters.values()
        single = [p for p in given if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        positional = [p.name for p in single if p.kind != Parameter.KEYWORD_ONLY]
        wanted = {p.name: constraint(hints.get(p.name, Any)) for p in single}
        constraints = {name: each for name, each in wanted.items() if each is not None}
        return positional, constraints, {p.name: p.default for p in single}

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        positional, constraints, defaults = rules()
        for name in () if open_ended else kwargs:
            if name not in defaults:
                raise RopTypeError(no_argument(owner, name, [*defaults]))
        for name, value in (*zip(positional, args, strict=False), *kwargs.items()):
            if name in constraints and value is not defaults[name]:
                _check(owner, name, value, constraints[name], defaults[name])
        return function(*args, **kwargs)

    call_it(call, function.__name__)
    return call


def check_fields(instance: Any) -> None:
    """Check the fields of a dataclass against their annotations, from its ``__post_init__``.

    Parameters
    ----------
    instance : dataclass instance
        The object; fields of its base classes are checked as well.
    """
    cls: Any = type(instance)
    for name, (wanted, default) in _field_constraints(cls).items():
        _check(cls.__name__, name, getattr(instance, name), wanted, default)


def misfit(instance: Any, name: str, value: Any) -> str | None:
    """Say what a field of a dataclass must be, if a value is not that.

    Parameters
    ----------
    instance : dataclass instance
        An object of the class.
    name : str
        The field.
    value : object
        The value.

    Returns
    -------
    str or None
        The words after "must be"; None if the value fits.
    """
    cls: Any = type(instance)
    wanted, _ = _field_constraints(cls).get(name, (None, None))
    return None if wanted is None or wanted.fault(value) is None else str(wanted)


def check(owner: str, name: str, value: Any, hint: Any) -> None:
    """Check one value, where there is no annotation to declare its constraint.

    Parameters
    ----------
    owner, name : str
        The function or class and its argument, for the message.
    value : object
        The value.
    hint : type
        What would be the annotation, such as ``Positive`` or ``int | None``.
    """
    wanted = constraint(hint)
    if wanted is not None:
        _check(owner, name, value, wanted)


def _check(
    owner: str, name: str, value: Any, wanted: Constraint, default: Any = Parameter.empty
) -> None:
    fault = wanted.fault(value)
    if fault is not None:
        got, remedy = shown(value), wanted.remedy(value)
        if fault is RopTypeError and value is not None:
            got += f" ({type(value).__name__})"
        if value is None and default is not Parameter.empty:
            remedy = "leave it out for the default"
        fix = f"; {remedy}" if remedy else ""
        raise fault(f"{owner}: {name} must be {wanted}, got {got}{fix}")


def no_argument(owner: str, name: str, known: list[str]) -> str:
    """Say that there is no argument of a name, and which there are.

    Parameters
    ----------
    owner, name : str
        The function or class, and the name.
    known : list of str
        Its arguments.

    Returns
    -------
    str
    """
    near = get_close_matches(name, known, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    if not near and ("recipe" in known or owner == "Recipe"):
        of = "recipe=" if "recipe" in known else ""
        remedy += f"; settings of HF are the recipe's: {of}rop.hf.Recipe().replace({name}=...)"
    return f"{owner}: no argument is called {name!r}; {remedy}"


def shown(value: Any) -> str:
    """Return how a message shows a value: an array by its shape, anything long cut short."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}, dtype {value.dtype}"
    if isroutine(value):
        return f"the function {value.__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@cache
def _field_constraints(cls: Any) -> dict[str, tuple[Constraint, Any]]:
    """Return the constraint and the default of each field that has a constraint."""
    hints = get_type_hints(cls, include_extras=True)
    found = {}
    # Not signature(cls), which is that of __new__ for a subclass without __init__ in Python 3.11.2.
    for name, parameter in signature(cls.__init__).parameters.items():
        wanted = constraint(hints[name]) if name in hints else None
        if wanted is not None:
            found[name] = wanted, parameter.default
    return found
