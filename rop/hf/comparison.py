"""Where two runs part: the first iteration, and in it the first decision or number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from math import isclose, isnan
from typing import Any

from rop.hf.record import Iteration, only_iterations
from rop.hf.storage import encode
from rop.support.arguments import checked
from rop.support.constraints import NotNegative

# The order of the algorithm, where it is not that of the record's fields.
_FIRST = (
    *("number", "cases", "settings", "thresholds", "f_before", "gradient_norm"),
    *("lam_before", "mu_before", "radius_before", "cg.warm", "cg.q["),
)


@dataclass(frozen=True)
class Difference:
    """The first place where two runs part.

    Attributes
    ----------
    iteration : int
        The iteration's number; that of the first missing one where a run is shorter.
    field : str
        The place in the record, such as "cg.q[3]"; "number" where a run is shorter.
    first, second : object
        What stands there in the one and in the other run; None where nothing does.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> runs = [rop.hf.minimize(f, [-1.2, y], {}, iterations=5) for y in (1.0, 1.1)]
    >>> found = rop.hf.compare(runs[0].records, runs[1].records)
    >>> found.iteration, found.field
    (0, 'f_before')
    """

    iteration: int
    field: str
    first: Any
    second: Any

    def __str__(self) -> str:
        return f"iteration {self.iteration}, {self.field}: {self.first!r} against {self.second!r}"


@checked
def compare(
    first: Iterable[Iteration], second: Iterable[Iteration], *, rtol: NotNegative = 0.0
) -> Difference | None:
    """Find the first iteration and in it the first field, by the algorithm's order, that differ.

    Times are not compared.

    Parameters
    ----------
    first, second : iterable of Iteration
        The records of two runs, as in ``result.records`` or ``rop.hf.read_log(path).records``.
    rtol : float
        Relative difference up to which two floats count as equal; 0 wants the same bits.

    Returns
    -------
    Difference or None
        None if the runs are the same.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> first = rop.hf.minimize(f, [-1.2, 1.0], {}, iterations=5)
    >>> second = rop.hf.minimize(f, [-1.2, 1.1], {}, iterations=5)
    >>> rop.hf.compare(first.records, first.records)
    >>> print(rop.hf.compare(first.records, second.records))
    iteration 0, f_before: 24.2000... against 16.4000...
    """
    pairs = zip_longest(only_iterations("first", first), only_iterations("second", second))
    for position, (a, b) in enumerate(pairs):
        if a is None or b is None:
            numbers = [None if it is None else it.number for it in (a, b)]
            return Difference(position, "number", *numbers)
        found = first_difference(_decisions(a), _decisions(b), rtol)
        if found is not None:
            return Difference(a.number, *found)
    return None


def _decisions(record: Iteration) -> dict[str, Any]:
    encoded: dict[str, Any] = encode(record)
    del encoded["seconds"], encoded["thresholds"]  # neither is a decision
    return encoded


def first_difference(a: Any, b: Any, rtol: float = 0.0) -> tuple[str, Any, Any] | None:
    """Find the first difference of two encoded objects.

    Parameters
    ----------
    a, b : object
        What `encode` made.
    rtol : float
        Relative difference up to which two floats count as equal.

    Returns
    -------
    tuple or None
        The place and the two values there.
    """
    return min(_differences("", a, b, rtol), key=lambda found: _rank(found[0]), default=None)


def _rank(place: str) -> int:
    for rank, beginning in enumerate(_FIRST):
        if place.startswith(beginning):
            return rank
    return len(_FIRST) + place.partition(".")[0].endswith("_after")


def differences(a: Any, b: Any) -> list[tuple[str, Any, Any]]:
    """Return all places where two encoded objects differ, with the two values there."""
    return list(_differences("", a, b, 0.0))


def _differences(place: str, a: Any, b: Any, rtol: float) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict) and a.get("class") == b.get("class"):
        if a.get("class") == "float":
            yield from _differences(place, float(a["value"]), float(b["value"]), rtol)
            return
        for key in dict.fromkeys([*a, *b]):
            inner = f"{place}.{key}" if place else key
            yield from _differences(inner, a.get(key), b.get(key), rtol)
    elif isinstance(a, list) and isinstance(b, list):
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from _differences(f"{place}[{i}]", x, y, rtol)
        if len(a) != len(b):
            yield f"{place}.length", len(a), len(b)
    elif isinstance(a, float) and isinstance(b, float):
        if not (a == b or (isnan(a) and isnan(b)) or isclose(a, b, rel_tol=rtol)):
            yield place, a, b
    elif type(a) is not type(b) or a != b:
        yield place, a, b
