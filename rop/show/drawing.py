"""Pictures of a graph (fig. 1): `draw`, and the same as text for Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from rop.graph import Node
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.show.pictures.boxes import Box, boxes_of, folded
from rop.show.pictures.layout import layered
from rop.show.pictures.values import Show, said_of
from rop.support.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DOT = {
    "data": 'shape=box, style="rounded,filled", fillcolor="#D5ECF9"',
    "param": 'shape=hexagon, style=filled, fillcolor="#FCE9C2"',
    "constant": 'shape=box, style="rounded,dashed"',
    "op": "shape=box",
    "loss": 'shape=box, style=filled, fillcolor="#F8D9C4"',
}
_MERMAID = {
    "data": '(["{}"])',
    "param": '{{{{"{}"}}}}',
    "constant": '("{}")',
    "op": '["{}"]',
    "loss": '[["{}"]]',
}


def draw(
    objective_or_node: Objective | Node,
    path: str | Path | None = None,
    ax: Axes | None = None,
    *,
    at: Linearization | None = None,
    v: ArrayLike | None = None,
    show: Show = "shape",
    product: str | None = None,
) -> Figure:
    """Draw the graph of an objective, or of a node and all that it depends on (sec. 5, fig. 1).

    Data flow from left to right, and from line to line where the graph is long. In a graph of more
    than 30 nodes, only the first and the last round of a recurrence are drawn; of more than 60
    nodes, also only the first and the last of equal layers; of more than 240 ops, the first and the
    last. The picture says how many are left out.

    Parameters
    ----------
    objective_or_node : Objective or Node
        What to draw; of an objective also the loss, and the cut between F and L (sec. 6).
    path : str or Path, optional
        File to save the picture to; its suffix, svg, png or pdf, gives the format. With the suffix
        dot or mmd, the whole graph is written as text, for Graphviz or Mermaid.
    ax : matplotlib Axes, optional
        Where to draw, scaled to fit; by default in a new figure of the right size.
    at : Linearization, optional
        Where the values are taken; needed for those that `show` names.
    v : array_like, (n,), optional
        The direction; needed for "Ra" and "Rda".
    show : {"shape", "a", "Ra", "da", "Rda", "flops"}
        What to write into each node: its shape for one case; one of its four values, of the first
        case, blank where the product computes none; or the multiplications for one case of all
        steps that are its rules.
    product : str, optional
        The product that computes them, as in `rop.explain`. By default "gradient" for da, "ggnvp"
        for all others.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    RopTypeError
        If it is neither an objective nor a node; if at or v is missing.
    RopValueError
        If the path has another suffix, there is no such thing to show, or at is of another
        objective.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> at = objective.linearize([3.0, 4.0, 0.0], {"x": np.eye(2), "t": [[1.0], [0.0]]})
    >>> figure = rop.draw(objective, "graph.svg")
    >>> figure = rop.draw(objective, at=at, v=[1.0, 0.0, 1.0], show="Rda", product="hvp")
    """
    from rop.show.pictures.figures import SUFFIXES, check_path, save
    from rop.show.pictures.painting import box_size, canvas, paint

    write = {".dot": to_dot, ".mmd": to_mermaid}
    if path is not None:
        check_path(path, (*SUFFIXES, *write))
    boxes = boxes_of(objective_or_node, said_of(objective_or_node, at, v, show, product))
    shown = folded(boxes)
    layout = layered(shown, {box: box_size(box) for box in shown})
    caption = _caption(objective_or_node, boxes, shown, show)
    if ax is None:
        ax = canvas(layout, caption)
    paint(ax, layout, caption)
    figure = ax.figure.canvas.figure
    if path is None or (suffix := Path(path).suffix.lower()) not in write:
        return save(figure, path)
    text = write[suffix](objective_or_node, at=at, v=v, show=show, product=product)
    Path(path).write_text(text, encoding="utf-8")
    return figure


def to_dot(
    objective_or_node: Objective | Node,
    *,
    at: Linearization | None = None,
    v: ArrayLike | None = None,
    show: Show = "shape",
    product: str | None = None,
) -> str:
    """Write the whole graph in the language of Graphviz.

    Parameters
    ----------
    objective_or_node : Objective or Node
        The graph; of an objective also the loss.
    at, v, show, product
        As in `draw`.

    Returns
    -------
    str
        A digraph with F and L as clusters, for ``dot -Tsvg``.

    Raises
    ------
    RopTypeError, RopValueError
        If it is neither an objective nor a node, or what is to be shown makes no sense.
    """
    boxes = boxes_of(objective_or_node, said_of(objective_or_node, at, v, show, product))
    lines = ["digraph rop {", "  rankdir=LR;"]
    for part, members in _parts(boxes):
        lines += [f"  subgraph cluster_{part} {{", f"    label={part};"]
        for number, box in members:
            lines.append(f'    n{number} [label="{box.name}\\n{box.line}", {_DOT[box.kind]}];')
        lines.append("  }")
    lines += [f"  n{parent} -> n{child};" for parent, child in _arrows(boxes)]
    return "\n".join([*lines, "}"]) + "\n"


def to_mermaid(
    objective_or_node: Objective | Node,
    *,
    at: Linearization | None = None,
    v: ArrayLike | None = None,
    show: Show = "shape",
    product: str | None = None,
) -> str:
    """Write the whole graph in the language of Mermaid, which Markdown pages show as a picture.

    Parameters
    ----------
    objective_or_node : Objective or Node
        The graph; of an objective also the loss.
    at, v, show, product
        As in `draw`.

    Returns
    -------
    str
        A flowchart with F and L as subgraphs.

    Raises
    ------
    RopTypeError, RopValueError
        If it is neither an objective nor a node, or what is to be shown makes no sense.
    """
    boxes = boxes_of(objective_or_node, said_of(objective_or_node, at, v, show, product))
    lines = ["flowchart LR"]
    for part, members in _parts(boxes):
        lines.append(f"  subgraph {part}")
        for number, box in members:
            lines.append(f"    n{number}" + _MERMAID[box.kind].format(f"{box.name}<br/>{box.line}"))
        lines.append("  end")
    lines += [f"  n{parent} --> n{child}" for parent, child in _arrows(boxes)]
    return "\n".join(lines) + "\n"


def _caption(what: Objective | Node, boxes: list[Box], shown: list[Box], show: Show) -> str:
    """What the picture shows, in a line."""
    if isinstance(what, Objective):
        # A scalar z is its own loss: the picture has no L then.
        f = "L(F(θ))" if any(box.beyond for box in boxes) else "F(θ)"
        mean = "mean over cases of " if what.data_shapes else ""
        strengths = {"θ": what.l2} if isinstance(what.l2, float) else what.l2
        penalty = "".join(f" + ½ {l2:g} |{name}|²" for name, l2 in strengths.items() if l2)
        said = [f"f(θ) = {mean}{f}{penalty}", f"{counted(what.n, 'parameter')}"]
        if show == "flops":
            said.append("multiplications for a case")
        elif show != "shape":
            said.append(f"{show}, of the first case" if what.data_shapes else show)
    else:
        said = [f"{boxes[-1].name} and all that it depends on"]
    hidden = len(boxes) - sum(box.kind != "folded" for box in shown)
    if hidden:
        said.append(f"{counted(hidden, 'node')} not shown")
    return "   ·   ".join(said)


def _parts(boxes: list[Box]) -> Iterator[tuple[str, list[tuple[int, Box]]]]:
    """F and L, each with the numbers of its boxes."""
    for part, beyond in (("F", False), ("L", True)):
        members = [(i, box) for i, box in enumerate(boxes) if box.beyond == beyond]
        if members:
            yield part, members


def _arrows(boxes: list[Box]) -> Iterator[tuple[int, int]]:
    number = {box: i for i, box in enumerate(boxes)}
    return ((number[parent], i) for i, box in enumerate(boxes) for parent in box.parents)
