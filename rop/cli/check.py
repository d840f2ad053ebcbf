"""`rop check`: the checker on the objective or functions of the user's own file."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rop.checking import check, check_products
from rop.checking.report import Report
from rop.cli import arguments, loading
from rop.cli.options import add_seed
from rop.cli.recorded import recorded
from rop.errors import RopTypeError, RopValueError
from rop.show.waiting import waiting


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop check`, and `run`, to a parser."""
    parser.add_argument(
        "factory",
        metavar="MODULE:FACTORY",
        help=f"{loading.HELP}, or a dict of the arguments of rop.check or rop.check_products",
    )
    parser.add_argument("--full", action="store_true", help="every column of J, G, H (sec. 7.2)")
    parser.add_argument(
        "--power", action="store_true", help="count the injected bugs that the check would see"
    )
    add_seed(parser, "the directions")
    parser.add_argument(
        "--npz",
        type=Path,
        metavar="FILE",
        help="recorded arrays theta, directions, jvp, ggnvp, hvp, gradient for rop.check_products",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--plot",
        type=arguments.picture_file,
        metavar="FILE",
        help="draw the report, as .svg, .png or .pdf",
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Check, print, draw.

    Parameters
    ----------
    given : argparse.Namespace
        The arguments of `add_arguments`.

    Returns
    -------
    int
        0 pass, 1 fail, 2 inconclusive.

    Raises
    ------
    RopValueError, RopTypeError
        If the factory cannot be found or called, or returns something else.
    """
    with waiting(f"rop check {given.factory}"):
        report = _check(given)
    print(report.to_json() if given.json else report)
    if given.plot is not None:
        report.plot(given.plot)
    return report.exit_code


def _check(given: argparse.Namespace) -> Report:
    made = loading.arguments_made_by(given.factory)
    options: dict[str, Any] = {"seed": given.seed, "full": given.full}
    if given.npz is not None:
        if "objective" in made:
            raise RopValueError(
                "--npz goes with a factory that returns functions, not an objective"
            )
        made |= recorded(given.npz)
    if "objective" in made:
        report = _call(check, made, options | {"power": given.power})
    elif given.power:
        raise RopValueError("--power puts wrong rules into a graph: the factory has none")
    elif "theta" in made:
        report = _call(check_products, made, options)
    else:
        raise RopValueError(
            f"{given.factory} returns a dict with neither 'objective' nor 'theta', but "
            f"{', '.join(map(repr, made)) or 'nothing'}"
        )
    again = f"rop check {shlex.quote(given.factory)} --seed {given.seed}"
    again += f" --npz {shlex.quote(str(given.npz))}" if given.npz is not None else ""
    again += f"{' --full' if given.full else ''}{' --power' if given.power else ''}"
    return replace(report, reproduce=again)


def _call(function: Callable[..., Report], made: dict[str, Any], options: dict[str, Any]) -> Report:
    try:
        return function(**made | {name: option for name, option in options.items() if option})
    except TypeError as error:
        if isinstance(error, RopTypeError) or "argument" not in str(error):
            raise
        raise RopValueError(f"the factory's dict does not fit: {error}") from None
