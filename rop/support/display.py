"""How the objects of rop show themselves: classes ask here, and modules above them answer.

So classes of lower layers have pictures and words without importing what makes them.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from rop.errors import RopTypeError


@singledispatch
def html(thing: object) -> str | None:
    """Return HTML that shows an object, or None."""
    return None


@singledispatch
def svg(thing: object) -> str | None:
    """Return a picture of an object as SVG, or None."""
    return None


@singledispatch
def figure(thing: object) -> Any:
    """Return a matplotlib figure of an object.

    Raises
    ------
    RopTypeError
        If there is none of its class.
    """
    raise RopTypeError(f"there is no picture of a {type(thing).__name__}")


@singledispatch
def words(thing: object) -> str:
    """Return what an object says of itself in sentences.

    Raises
    ------
    RopTypeError
        If its class says nothing.
    """
    raise RopTypeError(f"there are no words for a {type(thing).__name__}")


class Displayed:
    """Base of the classes that notebooks show as more than a line of text."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        return html(self)

    def _repr_svg_(self) -> str | None:
        return svg(self)
