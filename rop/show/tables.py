"""Tables as text and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows as lines whose columns are below each other.

    Parameters
    ----------
    rows : sequence of sequence of str
        The cells, as many in each row.

    Returns
    -------
    list of str
        A line for each row.
    """
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, wide)).rstrip() for row in rows]


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown.

    Parameters
    ----------
    heads : sequence of str
        The headings of the columns.
    rows : iterable of sequence of str
        The cells.

    Returns
    -------
    str
        A line for each row, and two for the headings.
    """
    table = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table
    )
