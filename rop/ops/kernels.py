"""Kernels: the few kinds of computation that rules are made of and that every engine can run.

A linear or bilinear map is one nest of loops, `Loops`; its adjoints are the same nest with target
and operand exchanged. A function of single elements is a `Map`; anything else is a `Call` into
Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopValueError
from rop.graph import Shape
from rop.ops.walks import overlapping, reached

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Walk:
    """How one array is walked by a nest of loops: first element, and stride of each loop."""

    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Loops:
    """target[...] += coefficient · Π operands[...] over a nest of loops.

    Covers every map of the families `Linear` (one operand) and `Bilinear` (two): a matrix product,
    a slice, a sum, a broadcast differ only in their strides. A loop with target stride 0 sums; a
    loop with operand stride 0 broadcasts.

    Attributes
    ----------
    extents : tuple of int
        Length of each loop.
    walks : tuple of Walk
        Of the target, then of each operand; strides in elements.
    text : str
        The right-hand side, with ``{0}`` and ``{1}`` for the operands.
    coefficient : float
        Factor of every term.
    whole : bool
        Whether the loops reach every element of the target, and none of them twice, sums aside.
    disjoint : bool
        Whether the target is put together from several kernels that never meet (concatenate).
    part : str
        What is appended to the target's name when only a part of it is reached, as ``[2:5]``.
    """

    extents: tuple[int, ...]
    walks: tuple[Walk, ...]
    text: str
    coefficient: float = 1.0
    whole: bool = True
    disjoint: bool = False
    part: str = ""

    @cached_property
    def _hash(self) -> int:
        return hash((self.extents, self.walks, self.coefficient))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def plain(self) -> tuple[bool, ...]:
        """For the target and each operand, whether the loops take one element after the other."""
        return tuple(walk.strides == contiguous(self.extents) for walk in self.walks)

    @cached_property
    def overlapping(self) -> tuple[int, ...]:
        """Loops to run one after another, lest others reach an element of the target twice."""
        return overlapping(self.extents, self.walks[0].strides)

    @cached_property
    def identity(self) -> bool:
        """Whether the kernel is a plain copy of its one operand."""
        return (
            len(self.walks) == 2
            and self.coefficient == 1.0
            and self.walks[0] == self.walks[1]
            and self.whole
            and not self.disjoint
        )

    def adjoint(self, operand: int, text: str, size: int) -> Loops:
        """Exchange the target with one operand: A becomes Aᵀ, B becomes B*₁ or B*₂.

        Parameters
        ----------
        operand, size : int
            Which operand becomes the target, and how many elements it has.
        text : str
            The adjoint's right-hand side.
        """
        walks = list(self.walks)
        walks[0], walks[operand + 1] = walks[operand + 1], walks[0]
        steps = prod(e for e, s in zip(self.extents, walks[0].strides, strict=True) if s)
        whole = reached(self.extents, walks[0].strides) == steps == size
        return replace(self, walks=tuple(walks), text=text, whole=whole, disjoint=False, part="")


@dataclass(frozen=True, eq=False)
class Map:
    """target = function(operands), element by element; runs once per θ, never per product."""

    function: Callable[..., Array]
    text: str


@dataclass(frozen=True, eq=False)
class Call:
    """target += function(operands), any Python function of arrays with the cases as axis 0."""

    function: Callable[..., Array]
    text: str


Kernel: TypeAlias = Loops | Map | Call


def contiguous(shape: Shape) -> tuple[int, ...]:
    """Strides in elements of a C-contiguous array."""
    strides, stride = [], 1
    for axis in reversed(shape):
        strides.append(stride)
        stride *= axis
    return tuple(reversed(strides))


def einsum(subscripts: str, shapes: tuple[Shape, ...], text: str) -> Loops:
    """Make the kernel of a product of operands in Einstein's notation, such as ``"ij,j->i"``.

    An axis of length 1 broadcasts against a longer one of the same letter.
    """
    operands, target = subscripts.split("->")
    terms = operands.split(",")
    sizes: dict[str, int] = {}
    for letters, shape in zip(terms, shapes, strict=True):
        for letter, extent in zip(letters, shape, strict=True):
            sizes[letter] = max(extent, sizes.get(letter, 1))
    letters = "".join(sorted(sizes, key=lambda c: (c not in target, target.find(c))))

    def walk(term: str, shape: Shape) -> Walk:
        strides = dict.fromkeys(letters, 0)
        for letter, extent, stride in zip(term, shape, contiguous(shape), strict=True):
            strides[letter] += stride if extent > 1 else 0
        return Walk(0, tuple(strides[c] for c in letters))

    result = tuple(sizes[c] for c in target)
    walks = (walk(target, result), *map(walk, terms, shapes))
    return Loops(tuple(sizes[c] for c in letters), walks, text)


def einsum_shape(subscripts: str, kernel: Loops) -> Shape:
    """Shape of what a kernel of `einsum` makes: its first loops are those of the target."""
    return kernel.extents[: len(subscripts.partition("->")[2])]


def view(shape: Shape, select: Callable[[Array], Array], text: str) -> tuple[Loops, Shape]:
    """Make the kernel that copies a view of its operand; NumPy itself works out the strides.

    Parameters
    ----------
    shape : tuple of int
        Shape of the operand.
    select : callable
        Any function of an array that returns a view of it: indexing, transposing, broadcasting.
    text : str
        The right-hand side.

    Returns
    -------
    Loops, tuple of int
        The kernel, and the shape of the view.
    """
    # One byte an element, so that byte strides are element strides.
    probe = np.empty(shape, np.int8)
    seen = select(probe)
    if not (isinstance(seen, np.ndarray) and np.may_share_memory(seen, probe)):
        raise RopValueError("the function given to view() must return a view of its argument")
    offset = seen.__array_interface__["data"][0] - probe.__array_interface__["data"][0]

    def walk(first: int, strides: tuple[int, ...]) -> Walk:
        moving = zip(seen.shape, strides, strict=True)
        return Walk(first, tuple(0 if extent == 1 else stride for extent, stride in moving))

    walks = walk(0, contiguous(seen.shape)), walk(int(offset), seen.strides)
    return Loops(seen.shape, walks, text), seen.shape


def scaled(kernel: Loops, coefficient: float) -> Loops:
    """Return the kernel with its coefficient multiplied."""
    return replace(kernel, coefficient=kernel.coefficient * coefficient)


def letters(shape: Shape) -> str:
    """One letter for each axis, to write the subscripts of `einsum` with."""
    return "abcdefghijklmnopqrstuvwxyz"[: len(shape)]


def product(shape: Shape, text: str = "{0} * {1}") -> Loops:
    """Make the kernel of the elementwise product of two operands of one shape."""
    axes = letters(shape)
    return einsum(f"{axes},{axes}->{axes}", (shape, shape), text)
