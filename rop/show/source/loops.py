"""Nests of loops as NumPy expressions: views of the operands, and products and sums of them.

An axis has a letter: n for the cases, and one for each loop of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from rop.ops.kernels import Loops, Walk, contiguous
from rop.ops.rules import Value

# The cases have the letter n; loops have these.
_LETTERS = "ijklmabcdefghopqrstuvwxyzABCDEFGHIJKLM"

WALK = '''
def walk(array, cases, offset, extents, strides):
    """The elements offset + sum of i * stride of an array, or of each case of an array."""
    flat = array.reshape(len(array) if cases else 1, -1)
    steps = (flat.strides[0], *(flat.itemsize * stride for stride in strides))
    seen = np.lib.stride_tricks.as_strided(flat[:, offset:], (len(flat), *extents), steps)
    return seen if cases else seen[0]
'''


@dataclass(frozen=True)
class View:
    """An expression and the letters of its axes.

    Attributes
    ----------
    text : str
        The expression.
    letters : str
        A letter for each axis.
    how : {"all", "reshaped", "part", "walk"}
        Whether it is the array itself, the array in another shape, a part of it, or the elements
        that `walk` goes to.
    lengths : tuple of int
        The lengths of the axes but that of the cases, of an array in another shape.
    """

    text: str
    letters: str
    how: str
    lengths: tuple[int, ...] = ()


def view_of(name: str, value: Value, kernel: Loops, walk: Walk) -> View:
    """What a kernel reads or writes of a value.

    Parameters
    ----------
    name : str
        The value's name in the source.
    value : Value
        The value.
    kernel : Loops
        The kernel.
    walk : Walk
        How the kernel walks the value.

    Returns
    -------
    View
    """
    loops = [
        (letter, extent, stride)
        for letter, extent, stride in zip(
            _letters(kernel), kernel.extents, walk.strides, strict=True
        )
        if extent > 1 and stride
    ]
    n = "n" if value.per_case else ""
    keys = _keys(value, loops, walk.offset)
    if keys is not None:
        letters = n + "".join(letter for letter, _ in keys if letter)
        texts = [text for _, text in keys]
        if all(text == ":" for text in texts):
            return View(name, letters, "all")
        if all(text == ":" or extent == 1 for text, extent in zip(texts, value.shape, strict=True)):
            lengths = [length for length in value.shape if length > 1]
            return View(_reshaped(name, value, lengths), letters, "reshaped", tuple(lengths))
        return View(f"{name}[{', '.join([':'] * bool(n) + texts)}]", letters, "part")
    ordered = sorted(loops, key=lambda loop: -loop[2])
    lengths = [extent for _, extent, _ in ordered]
    strides = tuple(stride for _, _, stride in ordered)
    if walk.offset == 0 and strides == contiguous(tuple(lengths)) and prod(lengths) == value.size:
        letters = n + "".join(letter for letter, _, _ in ordered)
        return View(_reshaped(name, value, lengths), letters, "reshaped", tuple(lengths))
    extents, steps = tuple(loop[1] for loop in loops), tuple(loop[2] for loop in loops)
    text = f"walk({name}, {value.per_case}, {walk.offset}, {extents}, {steps})"
    return View(text, n + "".join(loop[0] for loop in loops), "walk")


def term(views: Sequence[View], target: str, coefficient: float) -> tuple[str, str, str]:
    """The sum over all letters that a target does not have.

    Parameters
    ----------
    views : sequence of View
        The operands, one or two.
    target : str
        The letters of the target.
    coefficient : float
        The factor.

    Returns
    -------
    str
        The expression, whose axes broadcast to the target's.
    str
        "+" or "-".
    str
        The letters of its axes.
    """
    given = set("".join(view.letters for view in views))
    letters = "".join(letter for letter in target if letter in given)
    if len(views) == 1:
        text = _summed(views[0], letters)
    elif given <= set(target):
        text = " * ".join(_aligned(view.text, view.letters, letters) for view in views)
    else:
        text = _product(views[0], views[1], letters)
    sign, size = "-" if coefficient < 0 else "+", abs(coefficient)
    text = text if size == 1.0 else f"{size!r} * {text}"
    if letters != target and not target.endswith(letters):
        text = f"({text})" if " " in text else text
        text = _with_axes(text, letters, target)
    return text, sign, letters


def _letters(kernel: Loops) -> str:
    return _LETTERS[: len(kernel.extents)]


def _reshaped(name: str, value: Value, lengths: Sequence[int]) -> str:
    shape = [*([-1] if value.per_case else []), *lengths]
    return f"{name}.reshape({', '.join(map(str, shape)) or '()'})"


def _keys(
    value: Value, loops: Sequence[tuple[str, int, int]], offset: int
) -> list[tuple[str, str]] | None:
    """For each axis the loop along it and the index; None if a loop goes along no axis."""
    strides = contiguous(value.shape)
    starts = [offset // s % n for s, n in zip(strides, value.shape, strict=True)]
    keys = [("", str(start)) for start in starts]
    for letter, extent, stride in loops:
        for axis, (step, length) in enumerate(zip(strides, value.shape, strict=True)):
            many, start = stride // step, starts[axis]
            last = start + many * (extent - 1)
            if stride % step == 0 and many and 0 <= last < length and not keys[axis][0]:
                keys[axis] = letter, _slice(start, many, extent, length)
                break
        else:
            return None
    return keys


def _slice(start: int, step: int, extent: int, length: int) -> str:
    if step == 1:
        end = start + extent
        return f"{start or ''}:{'' if end == length else end}"
    end = start + step * extent
    bounds = f"{'' if (start == length - 1 and step < 0) or start == 0 else start}"
    beyond = end < 0 if step < 0 else end >= length
    return f"{bounds}:{'' if beyond else end}:{step}"


def _summed(view: View, letters: str) -> str:
    """One operand, summed over what the target has not, with its axes in the target's order."""
    over = [i for i, letter in enumerate(view.letters) if letter not in letters]
    text = view.text
    if over:
        which = "" if len(over) == len(view.letters) else f"axis={tuple(over)}"
        if which and len(over) == 1:
            which = f"axis={over[0]}"
        text = f"{text}.sum({which})"
    kept = "".join(letter for letter in view.letters if letter in letters)
    return _aligned(text, kept, letters)


def _aligned(text: str, own: str, letters: str) -> str:
    """An expression with its axes in a given order, and axes of length 1 for other letters."""
    order = [own.index(letter) for letter in letters if letter in own]
    if order != sorted(order):
        text = f"{text}.T" if order == [1, 0] else f"{text}.transpose({tuple(order)})"
    kept = "".join(letter for letter in letters if letter in own)
    return text if letters.endswith(kept) else _with_axes(text, kept, letters)


def _with_axes(text: str, own: str, letters: str) -> str:
    keys = [":" if letter in own else "None" for letter in letters]
    while keys and keys[-1] == ":":
        keys.pop()
    first = next((i for i, key in enumerate(keys) if key == ":"), len(keys))
    return f"{text}[{', '.join(keys[first:])}]"


def _product(x: View, y: View, letters: str) -> str:
    """A product that is summed: with @ where it is one of matrices and vectors."""
    shared = [letter for letter in x.letters if letter in y.letters]
    if len(shared) == 1 and shared[0] not in letters:
        for left, right in ((x, y), (y, x)):
            rows = left.letters.replace(shared[0], "")
            columns = right.letters.replace(shared[0], "")
            if rows + columns == letters and len(rows) < 2 and len(columns) < 2:
                first = _aligned(left.text, left.letters, rows + shared[0])
                return f"{first} @ {_aligned(right.text, right.letters, shared[0] + columns)}"
    return f'np.einsum("{x.letters},{y.letters}->{letters}", {x.text}, {y.text})'
