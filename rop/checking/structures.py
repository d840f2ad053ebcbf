"""Arrays in nested containers as one vector: parameters of any shape, and outputs of any shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rop.checking.libraries import (
    Anything,
    Key,
    as_numpy,
    builder_of,
    coarsest,
    full_name,
    is_array_like,
    is_jax,
    is_torch,
    maker_of,
    parts_of,
)
from rop.checking.lines import Array
from rop.errors import RopError, RopTypeError, RopValueError


class Mismatch(RopError):
    """A function's result does not have the structure that it must have.

    Parameters
    ----------
    kind : {"shape", "dtype"}
    message : str
    """

    def __init__(self, kind: Literal["shape", "dtype"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Leaf:
    """One array of a structure.

    Attributes
    ----------
    path : str
        Where it lies, "" for a structure that is nothing but this array.
    shape : tuple of int
    dtype : numpy.dtype
        Its dtype, float32 for bfloat16.
    make : callable
        Float64 array -> array of the same library, dtype and device as the example.
    x64 : bool
        Whether it is a JAX array of 64 bits, which JAX makes in its 64-bit mode only.
    requires_grad : bool
        Whether it is a tensor with respect to which PyTorch differentiates.
    plain : bool
        Whether it is an array of NumPy's in float64, which needs no translation.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    make: Callable[[Array], Any]
    x64: bool = False
    requires_grad: bool = False
    plain: bool = False

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Branch:
    """A container of a structure.

    Attributes
    ----------
    path : str
    type : type
    parts : dict
        Key -> what lies there, a `Leaf` or a `Branch`.
    build : callable
        New contents, in order -> container of the same type.
    """

    path: str
    type: type
    parts: Mapping[Key, Leaf | Branch]
    build: Callable[[list[Any]], Any]


class Structure:
    """Arrays in nested containers, and the way between them and one float64 vector.

    Containers are dicts, lists, tuples, dataclasses, and whatever is registered with JAX as a
    pytree. Arrays are NumPy's, PyTorch's or JAX's, or Python's numbers.

    Attributes
    ----------
    name : str
        What errors call it.
    root : Leaf or Branch
    leaves : list of Leaf
    n : int
        Number of entries of all leaves.
    dtype : numpy.dtype
        The coarsest dtype of its leaves.
    plain : bool
        Whether it is one array of NumPy's in float64, which needs no translation.
    x64 : bool
        Whether JAX has to be in its 64-bit mode to make these arrays.
    """

    def __init__(self, name: str, root: Leaf | Branch) -> None:
        self.name, self.root = name, root
        self.leaves = list(_leaves(root))
        self.n = sum(leaf.size for leaf in self.leaves)
        self.dtype = coarsest([leaf.dtype for leaf in self.leaves])
        self.plain = isinstance(root, Leaf) and root.plain
        self.x64 = any(leaf.x64 for leaf in self.leaves)

    @classmethod
    def of(cls, name: str, example: Any) -> Structure:
        """The structure of an example.

        Parameters
        ----------
        name : str
            What errors call it.
        example : nested containers of arrays

        Returns
        -------
        Structure

        Raises
        ------
        RopTypeError, RopValueError
            If something in it is not an array of real numbers; the message says where.
        """
        if is_array_like(example):
            example = _regular(name, example)
        if isinstance(example, np.ndarray) and example.dtype.kind in "iu":
            example = example.astype(np.float64)
        return cls(name, _grow(name, "", example))

    @property
    def is_array(self) -> bool:
        """Whether it is one array and no container."""
        return isinstance(self.root, Leaf)

    @property
    def blocks(self) -> dict[str, slice]:
        """Path -> the entries of that leaf in the vector."""
        blocks, start = {}, 0
        for leaf in self.leaves:
            if leaf.size:
                blocks[leaf.path or self.name] = slice(start, start + leaf.size)
            start += leaf.size
        return blocks

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Path -> shape."""
        return {leaf.path or self.name: leaf.shape for leaf in self.leaves}

    def unflatten(self, vector: Array, differentiable: bool = False) -> Any:
        """Containers of arrays that hold a vector's entries; those of float64 may be views of it.

        Parameters
        ----------
        vector : (n,)
        differentiable : bool
            Whether tensors require gradients where the example's did.
        """
        if self.plain:
            # The vector itself where it will do: some functions remember arrays by identity.
            shape = self.leaves[0].shape
            return vector if vector.shape == shape else vector.reshape(shape)
        start = 0

        def fill(node: Leaf | Branch) -> Any:
            nonlocal start
            if isinstance(node, Branch):
                return node.build([fill(part) for part in node.parts.values()])
            start += node.size
            whole = node is self.root and vector.shape == node.shape
            values = vector if whole else flat[start - node.size : start].reshape(node.shape)
            made = node.make(values)
            return made.requires_grad_() if differentiable and node.requires_grad else made

        flat = vector.reshape(-1)
        return fill(self.root)

    def flatten(self, tree: Any) -> Anything:
        """One vector (n,) of the entries, in the coarsest dtype found.

        Raises
        ------
        Mismatch
            If `tree` does not have this structure; the message says where, and what to write.
        """
        if self.plain and type(tree) is np.ndarray and tree.dtype == np.float64:
            if tree.shape == self.leaves[0].shape:
                return tree.ravel()
        arrays: list[Anything] = []

        def gather(node: Leaf | Branch, found: Any) -> None:
            if isinstance(node, Leaf):
                arrays.append(self._array(node, found))
                return
            parts = parts_of(found)
            if parts is None or isinstance(found, Mapping) != issubclass(node.type, Mapping):
                raise Mismatch("shape", self._not_a_container(node, found))
            keys = {key: part for key, part in parts if part is not None or key in node.parts}
            if keys.keys() != node.parts.keys():
                raise Mismatch("shape", self._other_keys(node, keys))
            for key, part in node.parts.items():
                gather(part, keys[key])

        gather(self.root, tree)
        floats = [array.dtype for array in arrays if array.dtype.kind == "f"]
        dtype = coarsest(floats) if floats or not arrays else None
        parts = [array.ravel() for array in arrays] or [np.empty(0)]
        return np.concatenate(parts, dtype=dtype)

    def changed(self, tree: Any, vector: Array) -> Anything | None:
        """What `tree` holds, if that is no longer what `unflatten(vector)` put there."""
        if self.plain or all(leaf.dtype == np.float64 for leaf in self.leaves):
            return None  # views of the vector, which shows it
        now = self.flatten(tree)
        return None if np.array_equal(now, self.flatten(self.unflatten(vector))) else now

    def _at(self, path: str) -> str:
        return f" at {path}" if path else ""

    def _array(self, leaf: Leaf, found: Any) -> Anything:
        where = self._at(leaf.path)
        if is_array_like(found):
            try:
                found = np.asarray(found, dtype=np.float64)
            except ValueError:
                message = f"returns a ragged list of numbers{where}, expected shape {leaf.shape}"
                raise Mismatch("dtype", message) from None
        if parts_of(found) is not None:
            message = f"returns a {type(found).__name__}{where}, expected one array of shape "
            message += f"{leaf.shape} like {self.name}"
            if isinstance(found, tuple) and len(found) == 1:
                message += "; write [0] behind the call, as for torch.autograd.grad(...)[0]"
            raise Mismatch("shape", message)
        array = as_numpy(found)
        # Whether integers will do is for the caller to judge.
        if array is None or array.dtype.kind not in "fiu":
            kind = full_name(found) if array is None else f"dtype {array.dtype}"
            message = f"returns {kind}{where}, expected real numbers like {self.name}"
            if found is None:
                message += "; a gradient that is None is one of zeros (materialize_grads=True)"
            raise Mismatch("dtype", message)
        if array.shape != leaf.shape and not array.size == leaf.size == 1:
            message = f"returns shape {array.shape}{where}, expected {leaf.shape}"
            if array.size == leaf.size:
                message += f" like {self.name}; write .reshape{leaf.shape}".replace(",)", ")")
            raise Mismatch("shape", message)
        return array

    def _not_a_container(self, node: Branch, found: Any) -> str:
        where, keys = self._at(node.path), list(node.parts)
        message = f"returns a {type(found).__name__}{where}, expected a {node.type.__name__} "
        message += f"like {self.name}, with {_listed(keys)}"
        if isinstance(found, list | tuple) and issubclass(node.type, Mapping):
            if len(found) == len(keys):
                message += f"; write dict(zip({self.name}, result))"
        elif hasattr(found, "shape"):
            message += f"; split it into parts of shapes {_listed(list(self.shapes.values()))}"
        return message

    def _other_keys(self, node: Branch, found: Mapping[Key, Any]) -> str:
        where = self._at(node.path)
        missing = [key for key in node.parts if key not in found]
        extra = [key for key in found if key not in node.parts]
        message = f"returns {len(found)} parts{where}, expected {len(node.parts)} "
        message += f"like {self.name}"
        message += f"; missing: {_listed(missing)}" if missing else ""
        return message + (f"; not in {self.name}: {_listed(extra)}" if extra else "")


def _regular(name: str, numbers_: Sequence[Any]) -> Array:
    try:
        return np.array(numbers_, dtype=np.float64)
    except ValueError:
        raise RopValueError(
            f"{name} is a ragged list of numbers; give a list of arrays, "
            f"[np.array(part) for part in {name}]"
        ) from None


def _grow(name: str, path: str, node: Any) -> Leaf | Branch:
    parts = parts_of(node)
    if parts is None:
        return _leaf(name, path, node)
    grown = {
        key: _grow(
            name, f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".strip("."), p
        )
        for key, p in parts
        if p is not None
    }
    return Branch(path, type(node), grown, builder_of(node, list(grown)))


def _leaf(name: str, path: str, node: Any) -> Leaf:
    where = f"{name}{' at ' + path if path else ''}"
    if hasattr(node, "toarray") or str(getattr(node, "layout", "")).startswith("torch.sparse"):
        dense = "toarray" if hasattr(node, "toarray") else "to_dense"
        raise RopTypeError(f"{where} is sparse; write .{dense}()")
    array = as_numpy(node)
    if array is None:
        raise RopTypeError(
            f"{where} is {full_name(node)}, expected an array of real numbers, or a dict, list, "
            "tuple or dataclass of them"
        )
    if array.dtype.kind == "c":
        raise RopTypeError(
            f"{where} is complex, dtype {array.dtype}; give real and imaginary part as two arrays"
        )
    if array.dtype.kind != "f":
        raise RopTypeError(
            f"{where} must be real numbers, got dtype {array.dtype}; what is no parameter belongs "
            f"into the functions, not into {name}"
        )
    x64 = is_jax(node) and array.dtype == np.float64
    requires_grad = is_torch(node) and node.requires_grad
    plain = type(node) is np.ndarray and array.dtype == np.float64
    return Leaf(path, array.shape, array.dtype, maker_of(node), x64, requires_grad, plain)


def _leaves(node: Leaf | Branch) -> Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    else:
        for part in node.parts.values():
            yield from _leaves(part)


def _listed(things: Sequence[Any], most: int = 6) -> str:
    return ", ".join(map(str, things[:most])) + (", ..." if len(things) > most else "")
