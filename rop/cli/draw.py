"""`rop draw`: the graph of the user's own objective as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from rop import draw
from rop.cli import PASS, arguments, loading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop draw`."""
    parser.add_argument("factory", metavar="MODULE:FACTORY", help=loading.HELP)
    parser.add_argument(
        "--out",
        type=arguments.picture_file,
        default=Path("graph.png"),
        metavar="FILE",
        help="the picture, as .svg, .png or .pdf (default: graph.png)",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    draw(loading.objective_made_by(given.factory), path=given.out)
    print(given.out)
    return PASS
