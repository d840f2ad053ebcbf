"""Words of messages, in every layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def counted(number: int, noun: str) -> str:
    """Write a number of things: 1 step, 2 steps, 1,000 steps.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        One of them; its plural has an s.

    Returns
    -------
    str
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def thirds(number: object, otherwise: str) -> str:
    """Write a number without endless decimals: 1/3, 2/3, or what `otherwise` says.

    Parameters
    ----------
    number : object
        The number.
    otherwise : str
        How any other number is written.

    Returns
    -------
    str
    """
    return "1/3" if number == 1 / 3 else "2/3" if number == 2 / 3 else otherwise


def listed(names: Iterable[object]) -> str:
    """Write names as messages quote them: 'x', 't'; "none" if there are none.

    Parameters
    ----------
    names : iterable
        The names.

    Returns
    -------
    str
    """
    return ", ".join(map(repr, names)) or "none"


def either(names: Iterable[object]) -> str:
    """Write the names that one can choose from: 'jvp', 'vjp' or 'hvp'.

    Parameters
    ----------
    names : iterable
        The names.

    Returns
    -------
    str
    """
    return alternatives(map(repr, names))


def alternatives(texts: Iterable[str]) -> str:
    """Join texts by commas and "or".

    Parameters
    ----------
    texts : iterable of str
        At least one.

    Returns
    -------
    str
    """
    *most, last = texts
    return f"{', '.join(most)} or {last}" if most else last


def misnamed(expected: Mapping[str, object], given: Mapping[str, object]) -> str:
    """Say which names are missing, and which nobody knows; "" if none is either.

    Parameters
    ----------
    expected, given : mapping
        By the names that there should be, and by those that there are.

    Returns
    -------
    str
        Such as "missing 't', unknown 'y'".
    """
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    parts = {"missing": missing, "unknown": unknown}
    return ", ".join(f"{what} {listed(names)}" for what, names in parts.items() if names)
