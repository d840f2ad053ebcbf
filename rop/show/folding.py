"""Folds repeated lines of a listing into a loop: the steps of an unrolled recurrence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+")
_LONGEST = 64
_FEWEST = 3


@dataclass(frozen=True)
class Loop:
    """Lines that repeat, with k counting the rounds from 0.

    Attributes
    ----------
    rounds : int
        The number of repetitions.
    rows : tuple of tuple of str
        The columns of each line, their numbers written in terms of k where these change.
    """

    rounds: int
    rows: tuple[tuple[str, ...], ...]


def folded(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...] | Loop]:
    """Fold a listing.

    Parameters
    ----------
    rows : sequence of tuple of str
        The columns of each line.

    Returns
    -------
    list of tuple of str, or Loop
        The same lines; those that repeat at least three times as loops. From round to round, their
        numbers may grow or fall by a constant.
    """
    parts = [_split(row) for row in rows]
    found: list[tuple[str, ...] | Loop] = []
    for start, length, rounds in _runs(parts):
        if rounds == 1:
            found.append(rows[start])
            continue
        first, second = (parts[i : i + length] for i in (start, start + length))
        lines = [_in_terms_of_k(a, b) for a, b in zip(first, second, strict=True)]
        found.append(Loop(rounds, tuple(lines)))
    return found


def repetitions(rows: Sequence[tuple[str, ...]]) -> list[tuple[int, int, int]]:
    """Find what repeats in a listing.

    Parameters
    ----------
    rows : sequence of tuple of str
        The columns of each line.

    Returns
    -------
    list of (start, length, rounds)
        The first line of each loop that `folded` would make, the lines of a round, and the rounds.
    """
    return [run for run in _runs([_split(row) for row in rows]) if run[2] > 1]


@dataclass(frozen=True)
class _Parts:
    """A line's columns with their numbers taken out, and the numbers."""

    columns: tuple[str, ...]
    numbers: tuple[int, ...]


def _split(row: tuple[str, ...]) -> _Parts:
    numbers = [int(number) for column in row for number in _NUMBER.findall(column)]
    return _Parts(tuple(_NUMBER.sub("\0", column) for column in row), tuple(numbers))


def _runs(parts: Sequence[_Parts]) -> Iterator[tuple[int, int, int]]:
    """Start, length and number of rounds of each loop; a single line is one round."""
    i = 0
    while i < len(parts):
        length, rounds = _repetition(parts, i)
        yield i, length, rounds
        i += length * rounds


def _repetition(parts: Sequence[_Parts], i: int) -> tuple[int, int]:
    """Length and number of the rounds that begin at a line: the shortest that repeat."""
    for length in range(1, min(_LONGEST, (len(parts) - i) // _FEWEST) + 1):
        rounds = 1
        steps = _steps(parts, i, i + length, length)
        while steps is not None:
            rounds += 1
            start = i + rounds * length
            if _steps(parts, start - length, start, length) != steps:
                break
        if rounds >= _FEWEST:
            return length, rounds
    return 1, 1


def _steps(
    parts: Sequence[_Parts], earlier: int, later: int, length: int
) -> tuple[tuple[int, ...], ...] | None:
    """The differences of the numbers between two rounds; None if anything else differs."""
    if later + length > len(parts):
        return None
    steps = []
    for a, b in zip(parts[earlier:later], parts[later : later + length], strict=True):
        if a.columns != b.columns:
            return None
        steps.append(tuple(n - m for m, n in zip(a.numbers, b.numbers, strict=True)))
    return tuple(steps)


def _in_terms_of_k(first: _Parts, second: _Parts) -> tuple[str, ...]:
    pairs = iter(zip(first.numbers, second.numbers, strict=True))
    columns = []
    for column in first.columns:
        text = ""
        for piece in re.split("(\0)", column):
            if piece != "\0":
                text += piece
                continue
            start, then = next(pairs)
            step = then - start
            if step == 0:
                text += str(start)
            else:
                times = {1: "k", -1: "-k"}.get(step, f"{step}k")
                text += f"{{{start}{'' if step < 0 else '+'}{times}}}" if start else f"{{{times}}}"
        columns.append(text)
    return tuple(columns)
