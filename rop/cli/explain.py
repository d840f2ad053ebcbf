"""`rop explain`: the program of a product of the user's own objective."""

from __future__ import annotations

import argparse

from rop import explain
from rop.cli import PASS, loading
from rop.show.listing import TITLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop explain`."""
    parser.add_argument("factory", metavar="MODULE:FACTORY", help=loading.HELP)
    parser.add_argument(
        "--product",
        choices=list(TITLES),
        default="ggnvp",
        help="what the listed program computes (default: ggnvp)",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    print(explain(loading.objective_made_by(given.factory), given.product))
    return PASS
