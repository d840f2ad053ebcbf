"""Figures as slides: 16 : 9, letters for the back of a room, a caption and where it is from."""

from __future__ import annotations

from textwrap import fill
from typing import Any

from matplotlib.artist import Artist
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

# A canvas of 8 x 4.5 inches is 1920 x 1080 pixels at this density; 10.5 points on it are 17 on a
# projected slide of 13.3 inches.
SIZE, DPI = (8.0, 4.5), 240.0
_POINTS, _GROWTH, _FOOT = 10.5, 1.2, 0.13
_LETTERS = 88  # of a title across the slide
_PAPER = 0.09  # the grey of a dark slide


def slide(figure: Figure, caption: str, source: str, *, dark: bool = False) -> None:
    """Turn a figure into a slide, in place.

    Parameters
    ----------
    figure : Figure
        The figure.
    caption : str
        What it shows; printed below.
    source : str
        Where it is from, and its licence; printed below the caption.
    dark : bool
        Whether it is for a dark background.
    """
    figure.set_size_inches(*SIZE)
    panels = len(figure.axes)
    least = _POINTS * (1.0 if panels <= 2 else 0.8 if panels <= 4 else 0.65)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontsize(least if panels > 4 else max(least, _GROWTH * float(text.get_fontsize())))
    for axes in figure.axes:
        axes.tick_params(labelsize=least)
        place = axes.get_subplotspec()
        columns = 1 if place is None else place.get_gridspec().ncols
        title = fill(axes.get_title("left"), _LETTERS // columns)
        axes.set_title(title, loc="left", fontsize=least + 1)
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.set(rect=(0.0, _FOOT, 1.0, 1.0 - _FOOT))
    figure.text(0.012, 0.065, caption, fontsize=_POINTS, color="#222222")
    figure.text(0.012, 0.02, source, fontsize=0.8 * _POINTS, color="#555555")
    if dark:
        for artist in figure.findobj():
            _darken(artist)


def _darken(artist: Artist) -> None:
    """Exchange dark and light greys; colours stay."""
    if isinstance(artist, Text):
        artist.set_color(_opposite(artist.get_color()))
    elif isinstance(artist, Line2D):
        _exchange(artist, "color", "markerfacecolor", "markeredgecolor")
    elif isinstance(artist, Patch | Collection):
        _exchange(artist, "facecolor", "edgecolor")


def _exchange(artist: Any, *names: str) -> None:
    # All are read before one is set: a marker follows its line until it has a colour of its own.
    found = {name: getattr(artist, f"get_{name}")() for name in names}
    for name, colours in found.items():
        if isinstance(colours, str) and colours in ("none", "auto"):
            continue
        many = getattr(colours, "ndim", 1) == 2
        new = [_opposite(colour) for colour in colours] if many else _opposite(colours)
        getattr(artist, f"set_{name}")(new)


def _opposite(colour: Any) -> tuple[float, float, float, float]:
    red, green, blue, alpha = to_rgba(colour)
    if max(red, green, blue) - min(red, green, blue) > 0.05:
        return red, green, blue, alpha
    grey = 1.0 - (1.0 - _PAPER) * red
    return grey, grey, grey, alpha
