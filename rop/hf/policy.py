"""What all policies of a recipe share: checked fields, short printing, changes by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from difflib import get_close_matches
from inspect import signature
from typing import Any, Self, TypeVar

from rop.errors import RopTypeError, RopValueError
from rop.support.arguments import check_fields, misfit, no_argument
from rop.support.words import thirds

P = TypeVar("P", bound="Policy")


class UndefinedError(RopValueError):
    """A policy that is not defined at a θ, such as a damping matrix with negative entries."""


class Policy:
    """A frozen dataclass that settles one open choice of algorithm 3.

    Constraints on its fields are declared in their annotations; see `rop.support.arguments`.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse arguments that there are not, before Python does in fewer words."""
        known = [*signature(cls.__init__).parameters][1:]
        for name in kwargs:
            if name not in known:
                raise RopTypeError(no_argument(cls.__name__, name, known))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_fields(self)

    def __str__(self) -> str:
        """Return the call that makes this policy, without the arguments that are defaults."""
        return f"{type(self).__name__}({', '.join(arguments(self))})"


class Lines(str):
    """Text of several lines, which a notebook shows as they are."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def tree(policy: Any, usual: Any, indent: str = "    ") -> Iterator[str]:
    """List all values within a policy, with the usual ones beside those that differ.

    Parameters
    ----------
    policy : Policy
        The policy.
    usual : Policy
        What to compare with; inside a policy of another class, with that class's defaults.
    indent : str
        What each line begins with.

    Yields
    ------
    str
        A line for each value, such as "    lam: 45.0  # default 1.0".
    """
    for field in fields(policy):
        value = getattr(policy, field.name)
        default = getattr(usual, field.name) if type(usual) is type(policy) else _default(field)
        within = is_dataclass(value)
        same = type(value) is type(default) if within else value == default
        named = type(default).__name__ if is_dataclass(default) else _text(default)
        mark = "" if same else f"  # default {named}"
        said = type(value).__name__ if within else _text(value)
        yield f"{indent}{field.name}: {said}{mark}"
        if within:
            yield from tree(value, default, f"{indent}    ")


def arguments(policy: Any) -> list[str]:
    """Return the arguments that make a policy, without the defaults, such as "lam=45.0"."""
    return [
        f"{field.name}={_text(getattr(policy, field.name))}"
        for field in fields(policy)
        if getattr(policy, field.name) != _default(field)
    ]


def changed(policy: P, changes: Mapping[str, Any]) -> P:
    """Return the policy with some fields changed, wherever within it they are.

    Parameters
    ----------
    policy : Policy
        The policy.
    changes : mapping of str to object
        New values by the field's name, or by its dotted place such as "cg.rise.tolerance". Where
        several fields have the name, the value must fit one of them only.

    Returns
    -------
    Policy
        Another policy of the same class.

    Raises
    ------
    RopValueError
        If there is no such field, or more than one that the value fits.
    """
    # Policies first: numbers may be meant for the fields of a new policy.
    for whole in (True, False):
        found = {
            _place(policy, name, value): value
            for name, value in changes.items()
            if is_dataclass(value) == whole
        }
        policy = _rebuilt(policy, found)
    return policy


def differences(first: Policy, second: Policy, place: str = "") -> Iterator[str]:
    """List the fields in which two policies differ.

    Parameters
    ----------
    first, second : Policy
        The policies.
    place : str
        Where they are.

    Yields
    ------
    str
        A line for each field, such as "damping.lam: 1.0 -> 45.0".
    """
    here: Any = first
    for field in fields(here):
        name = f"{place}{field.name}"
        a, b = getattr(first, field.name), getattr(second, field.name)
        if type(a) is type(b) and isinstance(a, Policy):
            yield from differences(a, b, f"{name}.")
        elif a != b:
            yield f"{name}: {_text(a)} -> {_text(b)}"


def _place(policy: Policy, name: str, value: Any) -> str:
    places = dict(_places(policy))
    named = [place for place in places if name in (place, _last(place))]
    if not named:
        near = get_close_matches(name, map(_last, places), 1)
        raise RopValueError(
            f"replace: {type(policy).__name__} has no field {name!r}"
            + (f", did you mean {near[0]!r}?" if near else "")
            + f"; there are {', '.join(places)}"
        )
    wanted = {place: misfit(places[place], _last(place), value) for place in named}
    fitting = [place for place in named if wanted[place] is None]
    if len(fitting) == 1 or len(named) == 1:
        return (fitting or named)[0]
    if fitting:
        raise RopValueError(
            f"replace: {name} may be {' or '.join(fitting)}; say which, for example by "
            f'replace(**{{"{fitting[0]}": {value!r}}})'
        )
    raise RopValueError(
        f"replace: {name}={value!r} fits none of the fields of that name: "
        + "; ".join(f"{place} must be {what}" for place, what in wanted.items())
    )


def _last(place: str) -> str:
    return place.rpartition(".")[2]


def _places(policy: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Give the dotted place of every field within a policy, and the policy that has the field."""
    for field in fields(policy):
        yield f"{place}{field.name}", policy
        value = getattr(policy, field.name)
        if is_dataclass(value):
            yield from _places(value, f"{place}{field.name}.")


def _rebuilt(policy: Any, changes: Mapping[str, Any]) -> Any:
    direct = {place: value for place, value in changes.items() if "." not in place}
    inner: dict[str, dict[str, Any]] = {}
    for place, value in changes.items():
        name, dot, rest = place.partition(".")
        if dot:
            inner.setdefault(name, {})[rest] = value
    for name, within in inner.items():
        direct[name] = _rebuilt(direct.get(name, getattr(policy, name)), within)
    return replace(policy, **direct) if direct else policy


def _text(value: Any) -> str:
    return thirds(value, str(value) if isinstance(value, Policy) else repr(value))


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
