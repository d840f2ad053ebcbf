"""Words of messages, in every layer."""

from __future__ import annotations


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
