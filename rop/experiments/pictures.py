"""Line plots of what the experiments measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = tuple[Sequence[float], Sequence[float]]


def lines(
    series: Mapping[str, Line],
    title: str,
    x: str,
    y: str,
    *,
    log: str = "",
    marker: str = "",
) -> Figure:
    """Plot lines in one picture.

    Parameters
    ----------
    series : mapping of str to (xs, ys)
        The lines by their labels.
    title, x, y : str
        Title, and labels of the axes, with units.
    log : str
        The axes with a log scale: "", "x", "y" or "xy".
    marker : str
        Marker of the points.

    Returns
    -------
    Figure
    """
    from rop.show.pictures.figures import Picture

    figure = Picture(7.0, 4.2)
    draw(figure.subplots(), series, title, x, y, log=log, marker=marker)
    return figure


def panels(count: int, columns: int = 2) -> tuple[Figure, list[Axes]]:
    """Make a picture of several plots.

    Parameters
    ----------
    count, columns : int
        The number of plots, and how many in a row.

    Returns
    -------
    Figure
        The picture.
    list of Axes
        The plots, row by row.
    """
    from rop.show.pictures.figures import Picture

    rows = -(-count // columns)
    figure = Picture(4.6 * columns, 3.6 * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def draw(
    ax: Axes,
    series: Mapping[str, Line],
    title: str,
    x: str,
    y: str,
    *,
    log: str = "",
    marker: str = "",
) -> None:
    """Plot lines into axes; see `lines`.

    Parameters
    ----------
    ax : Axes
        The axes to draw into.
    series : mapping of str to (xs, ys)
        The lines by their labels.
    title, x, y : str
        Title, and labels of the axes, with units.
    log : str
        The axes with a log scale.
    marker : str
        Marker of the points.
    """
    from rop.show.pictures.figures import (
        BLACK,
        BLUE,
        GREEN,
        GREY,
        ORANGE,
        SKY,
        VERMILLION,
        label,
        logarithmic,
        marks,
    )

    colours = (BLUE, VERMILLION, GREEN, ORANGE, SKY, BLACK, GREY)
    styles = ("-", "--", ":", "-.")
    for i, (name, (xs, ys)) in enumerate(series.items()):
        colour, style = colours[i % len(colours)], styles[i // len(colours) % len(styles)]
        ax.plot(xs, ys, style, color=colour, lw=1.2, label=name, **marks(xs, marker))
    if len(series) > 1:
        ax.legend(fontsize=7.5, frameon=False)
    label(ax, title, x, y)
    logarithmic(ax, log)
