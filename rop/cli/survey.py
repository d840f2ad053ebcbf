"""`rop survey`: the checker over a catalogue of functions of PyTorch, JAX or a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from rop.checking.survey import Survey, survey, worse
from rop.checking.survey.checks import MODES
from rop.checking.survey.run import DTYPES
from rop.checking.survey.table import findings, page, table
from rop.cli import arguments
from rop.show.waiting import waiting


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop survey`, and `run`, to a parser."""
    parser.add_argument(
        "sources",
        metavar="torch|jax|FILE",
        nargs="+",
        help="catalogues: of PyTorch, of JAX, or a file of Python that defines ENTRIES, a list of "
        "rop.checking.survey.Entry",
    )
    parser.add_argument(
        "--json",
        type=arguments.output_file,
        metavar="FILE",
        help="keep the outcomes there; a survey that was interrupted continues",
    )
    parser.add_argument(
        "--html", type=arguments.output_file, metavar="FILE", help="write the table as a page"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="compare with the --json of an earlier survey; exit code 1 if something got worse",
    )
    parser.add_argument("--only", default="", metavar="NAME", help="functions whose name has this")
    parser.add_argument("--dtype", choices=DTYPES, action="append", help="by default both")
    parser.add_argument(
        "--mode",
        choices=tuple(MODES),
        action="append",
        metavar="MODE",
        help=f"one of {', '.join(map(repr, MODES))}; may be given again; by default all",
    )
    parser.add_argument(
        "--processes", type=arguments.count, default=2, help="in parallel (default: 2)"
    )
    parser.add_argument(
        "--limit",
        type=arguments.seconds,
        default=60.0,
        metavar="SECONDS",
        help="for one mode of one function (default: 60)",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Survey, print, write.

    Parameters
    ----------
    given : argparse.Namespace
        The arguments of `add_arguments`.

    Returns
    -------
    int
        0 if every function passes or is unavailable, 1 if one fails, 2 if one is neither; with
        --against 1 if something got worse, else 0.

    Raises
    ------
    RopValueError
        If a catalogue or a file cannot be read.
    """
    before = None if given.against is None else Survey.load(given.against)
    said = [""]

    def progress(found: Survey, expected: int) -> None:
        said[0] = f"{len(found.outcomes)} of {expected}"

    with waiting(f"rop survey {' '.join(given.sources)}", detail=lambda: said[0]):
        found = survey(
            given.sources,
            given.json,
            dtypes=given.dtype or DTYPES,
            modes=given.mode or tuple(MODES),
            only=given.only,
            processes=given.processes,
            limit=given.limit,
            progress=progress,
        )
    print(table(found))
    if findings(found):
        print(f"\n{findings(found)}")
    if given.html is not None:
        given.html.write_text(page(found), encoding="utf-8")
    if before is None:
        return found.exit_code
    pairs = worse(found, before)
    for old, new in pairs:
        where = f"{new.library} {new.function}, {new.mode}, {new.dtype}"
        print(f"WORSE  {where}: {old.verdict}, now {new.verdict}")
    print(f"{len(pairs)} got worse than in {given.against}")
    return int(bool(pairs))
