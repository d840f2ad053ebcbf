"""`rop check`: the checker on what a function in the user's own file returns."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from rop.checking.report import Report
from rop.errors import RopTypeError, RopValueError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop check`, and `run`, to a parser."""
    parser.add_argument(
        "factory",
        metavar="MODULE:FACTORY",
        help="a function without arguments, such as model.py:build, that returns (objective, "
        "theta, batch), or a dict of the arguments of rop.check or rop.check_products",
    )
    parser.add_argument("--full", action="store_true", help="every column of J, G, H (sec. 7.2)")
    parser.add_argument(
        "--power", action="store_true", help="count the injected bugs that the check would see"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the directions (default: 0)")
    parser.add_argument(
        "--npz",
        type=Path,
        metavar="FILE",
        help="recorded arrays theta, directions, jvp, ggnvp, hvp, gradient for rop.check_products",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the report, as .png or .svg"
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
    report = _check(given)
    print(report.to_json() if given.json else report)
    if given.plot is not None:
        report.plot(given.plot)
    return report.exit_code


def _check(given: argparse.Namespace) -> Report:
    from rop.checking import check, check_products

    made = _made_by(given.factory)
    options: dict[str, Any] = {"seed": given.seed, "full": given.full}
    if given.npz is not None:
        if "objective" in made:
            raise RopValueError(
                "--npz goes with a factory that returns functions, not an objective"
            )
        made |= _recorded(given.npz)
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
    again = f"rop check {given.factory} --seed {given.seed}"
    again += f" --npz {given.npz}" if given.npz is not None else ""
    again += f"{' --full' if given.full else ''}{' --power' if given.power else ''}"
    return replace(report, reproduce=again)


def _call(function: Callable[..., Report], made: dict[str, Any], options: dict[str, Any]) -> Report:
    try:
        return function(**made | {name: option for name, option in options.items() if option})
    except TypeError as error:
        if isinstance(error, RopTypeError) or "argument" not in str(error):
            raise
        raise RopValueError(f"the factory's dict does not fit: {error}") from None


def _recorded(path: Path) -> dict[str, Any]:
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except (OSError, ValueError) as error:
        raise RopValueError(f"--npz {path}: cannot be read as an .npz file: {error}") from None


def _made_by(name: str) -> dict[str, Any]:
    """Call the factory that a command line names; returns arguments of a check."""
    source, colon, function = name.rpartition(":")
    if not colon:
        raise RopValueError(f"expected MODULE:FACTORY, such as model.py:build, got {name!r}")
    factory = getattr(_imported(source), function, None)
    if not callable(factory):
        raise RopValueError(f"{source} has no function {function!r}")
    try:
        made = factory()
    except Exception as error:
        raise RopValueError(f"{name} raises {type(error).__name__}: {error}") from error
    if isinstance(made, dict):
        return dict(made)
    if isinstance(made, tuple) and 2 <= len(made) <= 3:
        return dict(zip(("objective", "theta", "batch"), made, strict=False))
    raise RopValueError(
        f"{name} must return (objective, theta, batch), or a dict of arguments, got "
        f"{type(made).__name__}"
    )


def _imported(source: str) -> ModuleType:
    """The module of that name, or in that file; its neighbours can be imported from it."""
    file = Path(source)
    if file.suffix != ".py":
        sys.path.insert(0, "")
        try:
            return importlib.import_module(source)
        except ImportError as error:
            raise RopValueError(f"cannot import {source}: {error}") from None
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None or not file.exists():
        raise RopValueError(f"there is no file {source}")
    sys.path.insert(0, str(file.resolve().parent))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RopValueError(f"{source} raises {type(error).__name__}: {error}") from error
    return module
