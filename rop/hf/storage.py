"""Recipes and records as JSON and back, bit by bit: a class is its name and its fields."""

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.errors import RopTypeError, RopValueError

_CLASS = "class"  # the key that tells an object from a dict


def encode(value: Any) -> Any:
    """Turn a value into what ``json.dumps`` writes and `decode` turns back.

    Parameters
    ----------
    value : object
        None, a bool, number or string, an array, a tuple, a dict with strings as keys, or an
        instance of a dataclass of rop.hf, whose fields are such values.

    Returns
    -------
    object
        Made of dicts, lists, strings, numbers, bools and None. Floats that are not finite, which
        JSON does not have, are objects of the class "float".

    Raises
    ------
    RopTypeError
        If a value is of another type, with its place.
    """
    return _encode(value, "value")


def _encode(value: Any, place: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else {_CLASS: "float", "value": repr(value)}
    if isinstance(value, tuple):
        return [_encode(element, f"{place}[{i}]") for i, element in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _encode(element, f"{place}[{key!r}]") for key, element in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return {
            _CLASS: "ndarray",
            "dtype": value.dtype.str,
            "shape": list(value.shape),
            "base64": b64encode(np.ascontiguousarray(value).tobytes()).decode(),
        }
    name = type(value).__name__
    if is_dataclass(value) and _classes().get(name) is type(value):
        names = [field.name for field in fields(value) if field.init]
        content = {key: _encode(getattr(value, key), f"{place}.{key}") for key in names}
        return {_CLASS: name, **content}
    raise RopTypeError(
        f"{place}: expected numbers, strings, arrays, tuples, dicts or dataclasses of rop.hf, got "
        f"{name}, which cannot be stored"
    )


def decode(value: Any) -> Any:
    """Turn what `encode` made back into the value.

    Parameters
    ----------
    value : object
        What ``json.loads`` read.

    Returns
    -------
    object
        Equal to what was encoded; lists come back as tuples.

    Raises
    ------
    RopValueError
        If rop.hf has no dataclass of a name, or it has no such fields.
    """
    if isinstance(value, list):
        return tuple(decode(element) for element in value)
    if not isinstance(value, dict):
        return value
    name = value.get(_CLASS)
    content = {key: decode(element) for key, element in value.items() if key != _CLASS}
    if name is None:
        return content
    make = _MAKERS.get(name) or _classes().get(name) if isinstance(name, str) else None
    if make is None:
        raise RopValueError(f"this version of rop.hf has no {str(name)[:80]}, which the file has")
    try:
        return make(**content)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RopValueError(f"{name} of the file does not fit this version: {error}") from None


def _array(dtype: str, shape: tuple[int, ...], base64: str) -> npt.NDArray[Any]:
    kind = np.dtype(dtype)
    if kind.kind not in "fiub":
        raise ValueError(f"an array of {kind}")
    return np.frombuffer(b64decode(base64), kind).reshape(shape).copy()


_MAKERS: dict[str, Callable[..., Any]] = {"float": lambda value: float(value), "ndarray": _array}


@cache
def _classes() -> dict[str, type]:
    """The dataclasses of rop.hf, all of whose modules are loaded: nothing else is ever made."""
    found: dict[str, type] = {}
    for module in [name for name in sys.modules if name.startswith("rop.hf.")]:
        for name, member in vars(sys.modules[module]).items():
            if isinstance(member, type) and is_dataclass(member) and member.__module__ == module:
                assert name not in found, f"two classes of rop.hf are called {name}"
                found[name] = member
    return found
