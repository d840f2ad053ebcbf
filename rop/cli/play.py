"""`rop play`: a product of the user's own objective, step by step in a page for the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from rop.cli import PASS, arguments, loading
from rop.cli.options import add_seed
from rop.programs.catalogue import PRODUCTS
from rop.show.player.playing import play


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop play`."""
    parser.add_argument("factory", metavar="MODULE:FACTORY", help=loading.HELP)
    parser.add_argument(
        "--product",
        choices=list(PRODUCTS),
        default="ggnvp",
        help="the product that the page opens with (default: ggnvp)",
    )
    add_seed(parser, "the vector")
    parser.add_argument(
        "--out",
        type=arguments.output_file,
        default=Path("player.html"),
        metavar="FILE",
        help="the page (default: player.html)",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    at = loading.linearization_made_by(given.factory)
    direction = loading.direction(at, given.product, given.seed)
    play(at, given.product, direction, path=given.out)
    print(given.out)
    return PASS
