"""`rop draw`: the graph of the user's own objective as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from rop import draw
from rop.cli import PASS, arguments, loading
from rop.cli.options import add_seed
from rop.objective.objective import Objective
from rop.programs.catalogue import PRODUCTS
from rop.show.pictures.values import Show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop draw`."""
    parser.add_argument("factory", metavar="MODULE:FACTORY", help=loading.HELP)
    parser.add_argument(
        "--out",
        type=arguments.graph_file,
        default=Path("graph.png"),
        metavar="FILE",
        help="the picture, as .svg, .png or .pdf; as .dot or .mmd the whole graph as text, for "
        "Graphviz or Mermaid (default: graph.png)",
    )
    parser.add_argument(
        "--show",
        choices=get_args(Show),
        default="shape",
        help="what to write into each node: its shape for one case (default), one of its four "
        "values for the first case, or the multiplications for a case",
    )
    parser.add_argument(
        "--product",
        choices=list(PRODUCTS),
        help="the product whose values or multiplications are shown (default: gradient for a and "
        "da, ggnvp for the others)",
    )
    add_seed(parser, "the product's vector")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    if given.show in ("shape", "flops"):
        objective = loading.objective_made_by(given.factory)
        draw(objective, given.out, show=given.show, product=given.product)
    else:
        at = loading.linearization_made_by(given.factory)
        product = given.product or ("gradient" if given.show in ("a", "da") else "ggnvp")
        assert isinstance(at.objective, Objective)
        vector = loading.direction(at, product, given.seed)
        draw(at.objective, given.out, at=at, v=vector, show=given.show, product=product)
    print(given.out)
    return PASS
