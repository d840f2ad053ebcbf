"""Arrays and containers of NumPy, PyTorch, JAX: what they hold, and how to make others like them.

None of these libraries is imported here: what belongs to one exists only once it is.
"""

from __future__ import annotations

import dataclasses
import numbers
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.checking.lines import Array

Anything = npt.NDArray[Any]
Key = str | int


def as_numpy(array: Any) -> Anything | None:
    """A NumPy array of any library's array or number; None for anything else.

    bfloat16, which NumPy does not have, becomes float32.
    """
    if is_torch(array):
        tensor = array.detach()
        tensor = tensor.to_dense() if tensor.layout != sys.modules["torch"].strided else tensor
        if tensor.dtype == sys.modules["torch"].bfloat16:
            tensor = tensor.float()
        numpy: Anything = tensor.cpu().resolve_conj().numpy()
        return numpy
    if _is_number(array):
        return np.asarray(array, dtype=getattr(array, "dtype", np.float64))
    if not hasattr(array, "__array__"):
        return None
    found: Anything = np.asarray(array)
    return found.astype(np.float32) if found.dtype.name == "bfloat16" else found


def is_torch(thing: Any) -> bool:
    """Whether it is a tensor of PyTorch's."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.Tensor)


def is_jax(thing: Any) -> bool:
    """Whether it is an array of JAX's."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(thing, jax.Array)


def is_array_like(thing: Any) -> bool:
    """Whether it is a nested list of numbers, which NumPy reads as one array."""
    if isinstance(thing, list | tuple) and thing:
        return all(_is_number(part) or is_array_like(part) for part in thing)
    return False


def _is_number(thing: Any) -> bool:
    return isinstance(thing, numbers.Real) and not isinstance(thing, bool | np.bool_)


def parts_of(node: Any) -> list[tuple[Key, Any]] | None:
    """Keys and contents of a container; None for what is none."""
    if isinstance(node, Mapping):
        return list(node.items())
    if isinstance(node, list | tuple):
        return list(enumerate(node))
    if is_torch(node) or is_jax(node) or isinstance(node, np.ndarray):
        return None
    registered = _jax_parts(node)
    if registered is not None:
        return registered[0]
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        parts = [(field.name, getattr(node, field.name)) for field in dataclasses.fields(node)]
        return [(key, part) for key, part in parts if not _is_static(part)]
    return None


def _is_static(part: Any) -> bool:
    """Whether a dataclass's field holds a setting and no parameters."""
    return part is None or isinstance(part, str | bytes | bool | int) or callable(part)


def _jax_parts(node: Any) -> tuple[list[tuple[Key, Any]], Callable[[list[Any]], Any]] | None:
    """Contents of a container that is registered with JAX, and how to build another."""
    jax = sys.modules.get("jax")
    # JAX takes None for an empty container; here it is a result that is missing.
    if jax is None or node is None or isinstance(node, type):
        return None

    def is_leaf(part: Any) -> bool:
        return part is not node

    keyed, treedef = jax.tree_util.tree_flatten_with_path(node, is_leaf=is_leaf)
    if len(keyed) == 1 and keyed[0][1] is node:
        return None
    parts = [(jax.tree_util.keystr(path, simple=True), part) for path, part in keyed]

    def build(contents: list[Any]) -> Any:
        return jax.tree_util.tree_unflatten(treedef, contents)

    return parts, build


def builder_of(node: Any, keys: list[Key]) -> Callable[[list[Any]], Any]:
    """How to make another container like `node` from new contents, in the order of its keys."""
    if isinstance(node, Mapping):
        make: type = type(node) if isinstance(node, dict) else dict
        return lambda contents: make(dict.fromkeys(node) | dict(zip(keys, contents, strict=True)))
    if isinstance(node, list | tuple):
        sequence: type = type(node)

        def build(contents: list[Any]) -> Any:
            full = iter(contents)
            every = [None if part is None else next(full) for part in node]
            return sequence(*every) if hasattr(node, "_fields") else sequence(every)

        return build
    registered = _jax_parts(node)
    if registered is not None:
        return registered[1]
    names = [str(key) for key in keys]
    return lambda contents: dataclasses.replace(node, **dict(zip(names, contents, strict=True)))


def maker_of(example: Any) -> Callable[[Array], Any]:
    """How to make another array like an example."""
    if is_torch(example):
        torch, dtype, device = sys.modules["torch"], example.dtype, example.device
        return lambda values: torch.from_numpy(values).to(dtype=dtype, device=device)
    if is_jax(example):
        dtype = example.dtype
        # A copy: JAX would otherwise share the memory, and what changes there breaks its arrays.
        return lambda values: sys.modules["jax"].numpy.array(values, dtype=dtype)
    if isinstance(example, np.ndarray | np.generic):
        dtype = np.asarray(example).dtype
        return lambda values: values.astype(dtype, copy=False)
    if isinstance(example, numbers.Real):
        return float
    return np.array


def coarsest(dtypes: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The dtype of fewest bits, float64 for none."""
    return min(dtypes, key=lambda dtype: dtype.itemsize, default=np.dtype(np.float64))


def full_name(thing: Any) -> str:
    """The name of a thing's type, with its module."""
    kind = type(thing)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
