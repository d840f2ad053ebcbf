"""Figures without pyplot: they need no backend and leak nothing, and notebooks show them.

This module imports matplotlib, so it is imported only where a figure is made.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import floor, isfinite, log10
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, Formatter, FuncFormatter, LogLocator, MaxNLocator

from rop.errors import RopValueError

# Okabe & Ito's colours, which people tell apart whatever their colour vision.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00",
)  # fmt: skip
GREY, INK = "#777777", "#222222"

SUFFIXES = (".svg", ".png", ".pdf")
_MARKERS = 60  # most on a line
_FLATTENS = 50.0  # a value so many times the median leaves nothing to see of the others
_PIXELS = 20_000  # most in either direction; FreeType and browsers give up not far beyond


class Picture(Figure):
    """A figure that notebooks show without pyplot, and that pyplot does not keep."""

    def __init__(
        self, width: float, height: float, layout: Literal["constrained"] | None = "constrained"
    ) -> None:
        super().__init__(figsize=(width, height), layout=layout)
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=min(100.0, _PIXELS / max(self.get_size_inches())))
        return buffer.getvalue()


def save(figure: Figure, path: str | Path | None, dpi: float = 150.0) -> Figure:
    """Write a figure to a file, if a path is given.

    Parameters
    ----------
    figure : Figure
        The figure.
    path : str or Path, optional
        The file; its suffix, svg, png or pdf, gives the format.
    dpi : float
        Pixels per inch of a png; fewer if it would have more than 20,000 on a side.

    Returns
    -------
    Figure
        The figure itself.

    Raises
    ------
    RopValueError
        If the suffix is another one, or the folder is not there.
    """
    if path is not None:
        check_path(path, SUFFIXES)
        figure.savefig(path, dpi=min(dpi, _PIXELS / max(figure.get_size_inches())))
    return figure


def check_path(path: str | Path, suffixes: Sequence[str]) -> None:
    """Refuse a file that is not to be written.

    Parameters
    ----------
    path : str or Path
        The file.
    suffixes : sequence of str
        How its name may end.

    Raises
    ------
    RopValueError
        If it ends in something else, or the folder is not there.
    """
    if Path(path).suffix.lower() not in suffixes:
        raise RopValueError(
            f"path: expected a file name that ends in {', '.join(suffixes)}, got {str(path)!r}"
        )
    if not Path(path).parent.is_dir():
        raise RopValueError(f"path: there is no folder {Path(path).parent}; make it first")


def label(ax: Axes, title: str, x: str, y: str) -> None:
    """Give axes a title, labels and a quiet look; whole numbers where the lines' x are whole.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    title : str
        The title.
    x, y : str
        The labels of the axes, with units.
    """
    ax.set_title(title, fontsize=9.5, loc="left", color=INK)
    ax.set_xlabel(x, fontsize=8.5, color=INK)
    ax.set_ylabel(y, fontsize=8.5, color=INK)
    ax.tick_params(labelsize=8, colors=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    along = [np.asarray(line.get_xdata(), dtype=float) for line in ax.lines]
    own = type(ax.xaxis.get_major_locator()) is AutoLocator
    if own and along and all(np.array_equal(x, np.round(x)) for x in along):
        whole(ax.xaxis)


def whole(axis: Axis) -> None:
    """Give an axis ticks at whole numbers alone.

    Parameters
    ----------
    axis : matplotlib Axis
        The axis.
    """
    axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))


def series(
    ax: Axes, x: Sequence[int], y: Sequence[float], colour: str, name: str | None = None
) -> None:
    """Plot a line; on a log scale if all values are positive and span more than a factor of 5.

    If some are negative and the largest would flatten the rest, the scale is linear up to their
    median size, and logarithmic beyond.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    x, y : sequence of float
        The points.
    colour : str
        Colour of the line.
    name : str, optional
        Its name in the legend.
    """
    ax.plot(x, y, color=colour, lw=1, label=name, **marks(x))
    finite = [value for value in y if isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > 5 * min(finite):
        logarithmic(ax, "y")
        return
    sizes = sorted(map(abs, finite)) or [0.0]
    middle = sizes[len(sizes) // 2]
    if finite and min(finite) < 0 and sizes[-1] > _FLATTENS * middle > 0:
        symlogarithmic(ax, middle)


def marks(points: Sequence[float], marker: str = "o") -> dict[str, Any]:
    """Markers for a line of points, few enough to tell them apart.

    Parameters
    ----------
    points : sequence
        The points.
    marker : str
        The form of the markers.

    Returns
    -------
    dict
        Arguments of ``ax.plot``.
    """
    return {"marker": marker, "ms": 3, "markevery": -(-len(points) // _MARKERS) or 1}


def logarithmic(ax: Axes, axes: str) -> None:
    """Give axes a log scale with readable numbers, such as 0.2, 5 and 10⁻⁶.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    axes : str
        "x", "y" or "xy".
    """
    for name in axes:
        ax.set(**{f"{name}scale": "log"})
        axis = {"x": ax.xaxis, "y": ax.yaxis}[name]
        axis.set_major_formatter(_LogNumbers())
        axis.set_minor_locator(LogLocator(subs=range(2, 10)))
        axis.set_minor_formatter(_LogNumbers())
    ax.tick_params(which="minor", labelsize=7, colors=INK)


def symlogarithmic(ax: Axes, linear: float, size: float = 1.0) -> None:
    """Give the y axis a log scale on both sides of 0, with the numbers of `logarithmic`.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    linear : float
        The scale is linear up to this size.
    size : float
        Decades that the linear part is as long as, on each side.
    """
    ax.set_yscale("symlog", linthresh=linear, linscale=size)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _signed(y)))


def _signed(number: float) -> str:
    if not number:
        return "0"
    exponent = floor(log10(abs(number)) + 1e-9)
    return ("\N{MINUS SIGN}" if number < 0 else "") + _power(abs(number), exponent)


def _power(number: float, exponent: int) -> str:
    """A number as tick labels have it; its power of ten is given."""
    if 1e-3 <= number < 1e5:
        return f"{number:g}"
    digits = number / 10**exponent
    first = round(digits, 6)
    return f"$10^{{{exponent}}}$" if first == 1 else f"${digits:g}·10^{{{exponent}}}$"


class _LogNumbers(Formatter):
    """Writes powers of ten, and if these are few also 2 and 5."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        assert self.axis is not None
        low, high = sorted(self.axis.get_view_interval())
        if not 0 < low < high or x <= 0:
            return ""
        exponent = floor(log10(x) + 1e-9)
        decades = log10(high / low)
        first = round(x / 10**exponent, 6)
        if first not in (1.0, 2.0, 5.0)[: 1 if decades > 2.5 else 3] and decades > 0.8:
            return ""
        return _power(x, exponent)


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits that show all values below 0, and as much above 0: a warm start's q is huge.

    Parameters
    ----------
    values : sequence of float
        The values to show.

    Returns
    -------
    tuple of float
        Bottom and top, with a margin.
    """
    finite = [value for value in values if isfinite(value)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    high = min(high, -low) if low else high
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
