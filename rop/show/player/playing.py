"""`play`: a product in a page that a browser or a notebook shows."""

from __future__ import annotations

from functools import cached_property
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from rop.errors import RopTypeError
from rop.objective.linearization import Linearization
from rop.objective.recording import Trace
from rop.show.player.data import companions, data_of, encoded
from rop.support.words import counted

_SCRIPTS = ("numbers.js", "graph.js", "listing.js", "cuts.js", "player.js")


class Player:
    """A product that runs in a browser, step by step; see `play`.

    A notebook shows it in a frame of its own.

    Attributes
    ----------
    product : str
        The product that it opens with.
    data : dict
        Everything that it shows, as in the page's JSON.
    """

    def __init__(self, at: Linearization, product: str, traces: dict[str, Trace]) -> None:
        self.product = product
        self.data: dict[str, Any] = data_of(at, product, traces)

    @cached_property
    def html(self) -> str:
        """The page: one file that loads nothing else."""
        folder = files("rop.show.player")
        text = {
            name: (folder / name).read_text(encoding="utf-8")
            for name in ("player.html", "player.css", *_SCRIPTS)
        }
        page = text["player.html"].replace("/* style */", text["player.css"])
        page = page.replace("/* script */", "\n".join(text[name] for name in _SCRIPTS))
        return page.replace("/* data */", encoded(self.data))

    def save(self, path: str | Path) -> None:
        """Write the page to a file.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        Path(path).write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        return (
            '<iframe sandbox="allow-scripts" title="rop player" '
            'style="width: 100%; height: 900px; border: 0" '
            f'srcdoc="{escape(self.html)}"></iframe>'
        )

    def __repr__(self) -> str:
        products = self.data["products"]
        steps = counted(sum(len(product["steps"]) for product in products), "step")
        return f"<Player of {self.product}: {steps} of {counted(len(products), 'product')}>"


def play(
    at: Linearization,
    product: str = "ggnvp",
    vector: ArrayLike | None = None,
    path: str | Path | None = None,
) -> Player:
    """Make a page that plays a product: its graph, its listing and its numbers, step by step.

    The reader can switch to every product that takes the same vector: in Gv the lines that only Hv
    has are grey. Of each product the first 1,000 steps are there, and of each array the first 12
    rows and columns.

    Parameters
    ----------
    at : Linearization
        θ and the batch.
    product : {"gradient", "jvp", "vjp", "loss_hvp", "ggnvp", "hvp"}
        The product that it opens with.
    vector : array_like, (n,) or (N, *output shape)
        Its v, u or w; none for the gradient.
    path : str or Path, optional
        File to write the page to. It needs no network and no other file.

    Returns
    -------
    Player
        Notebooks show it.

    Raises
    ------
    RopTypeError, RopValueError
        If there is no such product, or the vector does not fit it.

    Examples
    --------
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> at = objective.linearize([3.0, 4.0, 0.0], {"x": np.eye(2), "t": [[1.0], [0.0]]})
    >>> player = rop.play(at, "ggnvp", [1.0, 0.0, 1.0], path="player.html")
    """
    if not isinstance(at, Linearization):
        raise RopTypeError(
            f"play: expected a Linearization, as objective.linearize makes it, got "
            f"{type(at).__name__}"
        )
    own = at.trace(product, vector)
    traces = {
        name: own if name == product else at.trace(name, None if name == "gradient" else own.vector)
        for name in companions(product)
    }
    player = Player(at, product, traces)
    if path is not None:
        player.save(path)
    return player
