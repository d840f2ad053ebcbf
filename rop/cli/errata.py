"""`rop errata`: the papers' errata, with proofs that are computed."""

from __future__ import annotations

import argparse
from pathlib import Path

from rop.cli import PASS
from rop.experiments.errata import ERRATA, in_order, named
from rop.experiments.errata.page import markdown, table, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop errata`."""
    parser.add_argument("number", nargs="?", help="one erratum, such as M21; default: all")
    parser.add_argument(
        "--markdown",
        nargs="?",
        const=Path("docs", "errata.md"),
        metavar="FILE",
        type=Path,
        help="write the page of all (default: docs/errata.md)",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    if given.markdown is not None:
        given.markdown.write_text(markdown(), encoding="utf-8")
        print(f"{len(ERRATA)} errata: {given.markdown}")
    elif given.number is None:
        print(table(in_order()))
    else:
        print(whole(named(given.number)))
    return PASS
