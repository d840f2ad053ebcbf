"""Paints a layout: boxes of different forms for data, parameters, ops and the loss, and edges.

It imports matplotlib, so it is imported only when a picture is made.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from rop.show.pictures.boxes import Box
from rop.show.pictures.figures import BLUE, GREY, INK, VERMILLION, Picture
from rop.show.pictures.layout import Edge, Layout, Point

NAME, DETAIL, CAPTION = 8.5, 6.5, 7.5  # points
HEIGHT, PAD = 0.36, 0.1
MARGIN, HEAD, FOOT = 0.15, 0.5, 0.4

# Fill, line, width and style of the line.
_LOOKS = {
    "data": ("#D5ECF9", BLUE, 1.0, "-"),
    "param": ("#FCE9C2", "#A87400", 1.0, "-"),
    "constant": ("#FFFFFF", GREY, 0.8, "--"),
    "op": ("#FFFFFF", INK, 0.8, "-"),
    "loss": ("#F8D9C4", VERMILLION, 1.6, "-"),
    "folded": ("#EEEEEE", GREY, 0.8, ":"),
}
_WORDS = {"param": "parameter", "folded": "not shown"}


def box_size(box: Box) -> Point:
    """Width and height that a box needs for its label.

    Parameters
    ----------
    box : Box
        The box.

    Returns
    -------
    tuple of float
        In inches.
    """
    # Hinting makes text on the screen a little wider than its outlines.
    text = 1.06 * max(_width(box.name, NAME, bold=True), _width(box.line, DETAIL))
    return max(text + (3 if box.kind == "param" else 2) * PAD, 1.3 * HEIGHT), HEIGHT


def canvas(layout: Layout, caption: str) -> Axes:
    """Axes that fill a new figure of the right size.

    Parameters
    ----------
    layout : Layout
        The layout.
    caption : str
        The line above it.

    Returns
    -------
    matplotlib Axes
    """
    width, height = _extent(layout, caption)
    axes: Axes = Picture(width, height, layout=None).add_axes((0.0, 0.0, 1.0, 1.0))
    return axes


def paint(ax: Axes, layout: Layout, caption: str) -> None:
    """Paint a layout with its caption and the meaning of the forms.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes; everything is scaled to fit.
    layout : Layout
        The layout.
    caption : str
        The line above it.
    """
    width, height = _extent(layout, caption)
    area = ax.get_window_extent()
    dpi = ax.figure.dpi
    scale = min(area.width / dpi / width, area.height / dpi / height)
    ax.set(xlim=(-MARGIN, width - MARGIN), ylim=(height - HEAD, -HEAD), aspect="equal")
    ax.axis("off")

    def write(at: Point, text: str, size: float, **options: Any) -> None:
        font: dict[str, Any] = {
            "fontsize": size * scale,
            "va": "center",
            "ha": "center",
            "color": INK,
        }
        ax.text(*at, text, parse_math=False, **{**font, **options})

    write((0.0, 0.2 - HEAD), caption, CAPTION, ha="left")
    if layout.cut is not None:
        x, top, bottom = layout.cut
        ax.plot([x, x], [top - 0.05, bottom + 0.05], color=GREY, linestyle=(0, (4, 3)), lw=scale)
        for side, part in ((-0.09, "F"), (0.09, "L")):
            write((x + side, top - 0.08), part, NAME, color=GREY, style="italic")
    for edge in layout.edges:
        ax.add_patch(_arrow(edge, scale))
    for box, (x, y) in layout.centre.items():
        ax.add_patch(_form(box.kind, (x, y), box_size(box), scale))
        write((x, y - 0.025), box.name, NAME, weight="bold", va="baseline")
        write((x, y + 0.115), box.line, DETAIL, va="baseline")
    x = 0.0
    for kind in [kind for kind in _LOOKS if any(box.kind == kind for box in layout.centre)]:
        word, y = _WORDS.get(kind, kind), layout.height + 0.25
        ax.add_patch(_form(kind, (x + 0.13, y), (0.26, 0.13), scale))
        write((x + 0.32, y), word, DETAIL, ha="left")
        x += 0.55 + _width(word, DETAIL)


def _extent(layout: Layout, caption: str) -> Point:
    """Width and height of all, in inches."""
    width = max(layout.width, _width(caption, CAPTION), 3.6) + 2 * MARGIN
    return width, layout.height + HEAD + FOOT


@lru_cache(4096)
def _width(text: str, size: float, bold: bool = False) -> float:
    if not text:
        return 0.0
    font = FontProperties(weight="bold" if bold else "normal", size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def _form(kind: str, centre: Point, size: Point, scale: float) -> Patch:
    """A pill for data, a hexagon for parameters, a rectangle for ops."""
    (x, y), (width, height) = centre, size
    fill, line, thickness, style = _LOOKS[kind]
    look: dict[str, Any] = {
        "fc": fill,
        "ec": line,
        "lw": thickness * scale,
        "ls": style,
        "zorder": 3,
    }
    left, right, tip = x - width / 2, x + width / 2, PAD * height / HEIGHT
    top, bottom = y - height / 2, y + height / 2
    if kind == "param":
        corners = [(left, y), (left + tip, top), (right - tip, top), (right, y)]
        return Polygon([*corners, (right - tip, bottom), (left + tip, bottom)], **look)
    radius = height / 2 if kind in ("data", "constant") else 0.0
    rounded = f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0"
    return FancyBboxPatch((left, top), width, height, boxstyle=rounded, **look)


def _arrow(edge: Edge, scale: float) -> Patch:
    """The edge's points, joined by straight lines where it is level or upright, else by curves."""
    points, codes = [edge.points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(edge.points):
        if abs(x1 - x0) + abs(y1 - y0) < 1e-6:
            continue
        if abs(x1 - x0) < 1e-6 or abs(y1 - y0) < 1e-6:
            points.append((x1, y1))
            codes.append(Path.LINETO)
        else:
            middle = (x0 + x1) / 2
            points += [(middle, y0), (middle, y1), (x1, y1)]
            codes += [Path.CURVE4] * 3
    colour = _LOOKS[edge.source.kind][1]
    look: dict[str, Any] = {"color": colour, "lw": 0.8 * scale, "zorder": 2}
    if edge.target is None:
        return PathPatch(Path(points, codes), fill=False, **look)
    look |= {"arrowstyle": "-|>", "mutation_scale": 6 * scale}
    return FancyArrowPatch(path=Path(points, codes), **look)
