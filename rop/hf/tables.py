"""Records as a flat table: one row for each iteration, plain numbers and strings in its cells."""

from collections.abc import Iterable
from typing import Any

from rop.hf.record import Iteration, only_iterations
from rop.hf.storage import encode
from rop.support.arguments import checked


@checked
def table(records: Iterable[Iteration]) -> list[dict[str, Any]]:
    """Flatten records for ``pandas.DataFrame``, ``csv.DictWriter`` and the like.

    Parameters
    ----------
    records : iterable of Iteration
        The iterations, as in ``result.records``.

    Returns
    -------
    list of dict
        A row for each iteration. A field of a field is called ``cg.steps``; of a sequence, such
        as CG's q at all steps, a row has the length, ``cg.q.length``, and the last element,
        ``cg.q.last``.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, iterations=5)
    >>> rows = rop.hf.table(run.records)  # pandas.DataFrame(rows) is a data frame
    >>> len(rows), rows[0]["f_before"], rows[0]["cg.steps"]
    (5, 24.2000..., 2)
    """
    return [dict(_cells("", encode(record))) for record in only_iterations("records", records)]


@checked
def columns(records: Iterable[Iteration]) -> dict[str, list[Any]]:
    """Flatten records column by column.

    Parameters
    ----------
    records : iterable of Iteration
        The iterations.

    Returns
    -------
    dict of str to list
        The columns of `table` by name; None where an iteration has no such cell.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, iterations=5)
    >>> rop.hf.columns(run.records)["cg.steps"]
    [2, 2, 3, 2, 2]
    """
    rows = table(records)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _cells(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value.get("class") == "float":
        return [(name, float(value["value"]))]
    if isinstance(value, dict):
        items = [(key, element) for key, element in value.items() if key != "class"]
        return [cell for key, element in items for cell in _cells(_join(name, key), element)]
    if isinstance(value, list):
        last = _cells(_join(name, "last"), value[-1]) if value else []
        return [(_join(name, "length"), len(value)), *last]
    return [(name, value)]


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
