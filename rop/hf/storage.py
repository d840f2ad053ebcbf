"""Recipes and records as JSON and back, bit by bit: a class is its name and its fields."""

import base64
import importlib
import pkgutil
from dataclasses import fields, is_dataclass
from functools import cache
from math import isfinite
from typing import Any

import numpy as np

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
            "base64": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode(),
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
    content = {key: decode(element) for key, element in value.items() if key != _CLASS}
    name = value.get(_CLASS)
    if name is None:
        return content
    if name == "float":
        return float(content["value"])
    if name == "ndarray":
        raw = base64.b64decode(content["base64"])
        return np.frombuffer(raw, np.dtype(content["dtype"])).reshape(content["shape"]).copy()
    if name not in _classes():
        raise RopValueError(f"this version of rop.hf has no {name}, which the file contains")
    try:
        return _classes()[name](**content)
    except TypeError as error:
        raise RopValueError(f"{name} of the file does not fit this version: {error}") from None


@cache
def _classes() -> dict[str, type]:
    """The dataclasses of rop.hf by name: nothing else is ever made from a file."""
    import rop.hf

    found: dict[str, type] = {}
    for info in pkgutil.iter_modules(rop.hf.__path__, "rop.hf."):
        module = importlib.import_module(info.name)
        for name, member in vars(module).items():
            if isinstance(member, type) and is_dataclass(member):
                if member.__module__ == info.name:
                    assert name not in found, f"two classes of rop.hf are called {name}"
                    found[name] = member
    return found
