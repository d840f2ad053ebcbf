"""A study from several seeds, as medians and ranges; its numbers beside an earlier run's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

from rop.errors import RopFileError, RopValueError
from rop.experiments.registry import Findings, Row
from rop.support.words import counted

LEAST, MOST, MISSING = " (least)", " (most)", " (missing)"
"""The columns beside another: its range over the seeds, and how many seeds have no number there."""

# Longer tables, such as curves, are not in the text.
_TOLD = 20
# Without a range, numbers that agree to this share are called equal.
_SHARE = 0.01


def repeated(run: Callable[[int], Findings], seeds: Sequence[int]) -> Findings:
    """Run a study once for each seed, and put medians and ranges in its tables.

    Tables whose rows differ between the seeds in number or in text, such as curves, are those of
    the first seed, as the pictures are.

    Parameters
    ----------
    run : callable
        seed -> Findings.
    seeds : sequence of int
        The seeds.

    Returns
    -------
    Findings
        Each number column of a table has its median, and two columns beside it the range. Where
        some seeds have no number, such as the work to a target that they did not reach, a third
        column has their count, and they are above all others in the median, which is None if it is
        one of them.
    """
    found = [run(seed) for seed in seeds]
    tables = {
        name: _summary([one.tables[name] for one in found]) or rows
        for name, rows in found[0].tables.items()
    }
    summed = [
        name
        for name, rows in tables.items()
        if rows is not found[0].tables[name] and len(rows) <= _TOLD
    ]
    text = [f"medians and ranges over {len(seeds)} seeds, {seeds[0]} to {seeds[-1]}:"]
    text += [f"  {line}" for name in summed for line in map(_told, tables[name])]
    return Findings(tables, found[0].pictures, "\n".join(text))


def compared(tables: Mapping[str, Sequence[Row]], path: Path) -> str:
    """Set the numbers of a study beside those of an earlier one.

    A number differs if it lies outside the range that the earlier study has for it, or, where that
    has none, by more than 1 %. Seconds are not compared.

    Parameters
    ----------
    tables : mapping of str to sequence of mappings
        The tables of a study.
    path : Path
        ``numbers.json`` of the earlier one.

    Returns
    -------
    str
        A line for each number that differs, and a count.

    Raises
    ------
    RopFileError
        If the file cannot be read.
    RopValueError
        If it is no file of a study, or has other tables.
    """
    earlier = _read(path)
    lines, count = [], 0
    for name, rows in tables.items():
        before = earlier.get(name)
        if before is None or not _alike(rows, before):
            continue
        for row, old in zip(rows, before, strict=True):
            for column, value in _numbers(row):
                if not isinstance(old.get(column), int | float):
                    continue
                count += 1
                least, most = _range(old, column)
                if not least <= value <= most:
                    said = f"{_range_text(old, column)} then, {_range_text(row, column)} now"
                    lines.append(f"  {_texts(row)}, {column}: {said}")
    if not count:
        raise RopValueError(f"{path}: it has no table of this study with the same rows")
    return "\n".join([f"{len(lines)} of {count} numbers differ from those of {path}", *lines])


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RopFileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise RopValueError(f"{path}: expected the numbers.json of a study, got {error}") from error
    if not isinstance(found, dict):
        raise RopValueError(f"{path}: expected the numbers.json of a study")
    return found


def _summary(tables: Sequence[Sequence[Row]]) -> list[dict[str, Any]] | None:
    """Return one table of medians and ranges, or None if the tables do not correspond."""
    first = tables[0]
    if any(not _alike(first, other) for other in tables):
        return None
    rows = []
    for i, row in enumerate(first):
        summary: dict[str, Any] = {}
        for column in row:
            values = [table[i].get(column) for table in tables]
            known: list[Any] = [value for value in values if _is_number(value)]
            missing = len(values) - len(known)
            middle = median([*known, *[inf] * missing])
            if not known:
                middle = row[column]
            summary[column] = None if middle == inf else middle
            if len(known) > 1:
                summary |= {column + LEAST: min(known), column + MOST: max(known)}
            if known and missing:
                summary[column + MISSING] = missing
        rows.append(summary)
    return rows


def _alike(one: Sequence[Row], other: Sequence[Row]) -> bool:
    return [_texts(row) for row in one] == [_texts(row) for row in other]


def _texts(row: Row) -> str:
    return ", ".join(value for value in row.values() if isinstance(value, str))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(row: Row) -> Iterator[tuple[str, float]]:
    for column, value in row.items():
        beside = column.endswith((LEAST, MOST, MISSING))
        if _is_number(value) and not beside and "second" not in column:
            yield column, value


def _range(row: Row, column: str) -> tuple[float, float]:
    value = row[column]
    margin = _SHARE * abs(value)
    return row.get(column + LEAST, value - margin), row.get(column + MOST, value + margin)


def _range_text(row: Row, column: str) -> str:
    said = "-" if row[column] is None else f"{row[column]:.4g}"
    beside = []
    if column + LEAST in row:
        beside.append(f"{row[column + LEAST]:.4g} to {row[column + MOST]:.4g}")
    if column + MISSING in row:
        beside.append(f"none from {counted(row[column + MISSING], 'seed')}")
    return f"{said} ({', '.join(beside)})" if beside else said


def _told(row: Row) -> str:
    told = {column for column, _ in _numbers(row)}
    told |= {column.removesuffix(MISSING) for column in row if column.endswith(MISSING)}
    numbers = [f"{column} {_range_text(row, column)}" for column in row if column in told]
    return ": ".join(part for part in (_texts(row), ", ".join(numbers)) if part)
