"""The command line: `rop demo`, `rop check`, `rop bench`, `rop info`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rop.errors import RopError, RopValueError

PASS, FAIL, INCONCLUSIVE = 0, 1, 2
"""Exit codes; 2 also stands for bad usage."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments, by default the program's own.

    Returns
    -------
    int
        0 pass, 1 fail, 2 inconclusive or bad usage.
    """
    parser = argparse.ArgumentParser(
        prog="rop", description="Second-order training made transparent."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _demo(commands.add_parser("demo", help="train a network by Hessian-free optimization"))
    _check(commands.add_parser("check", help="check the derivative products of an objective"))
    _bench(commands.add_parser("bench", help="measure against bare GEMMs, JAX and PyTorch"))
    _info(commands.add_parser("info", help="show versions, cores, BLAS, and what is missing"))
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except RopError as error:
        print(f"rop {given.command}: {error}", file=sys.stderr)
        return INCONCLUSIVE
    except KeyboardInterrupt:
        print(f"rop {given.command}: interrupted", file=sys.stderr)
        return 130


def _demo(parser: argparse.ArgumentParser) -> None:
    def run(given: argparse.Namespace) -> int:
        from rop.demo import demo

        return PASS if demo(given.dataset, given.seconds, given.out, given.seed) else FAIL

    parser.add_argument(
        "--dataset",
        choices=["digits", "fashion-mnist"],
        default="digits",
        help="digits ship with rop; fashion-mnist is looked for and fetched (default: digits)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="training time of each method (default: 10 for digits, 60 for fashion-mnist)",
    )
    parser.add_argument("--out", type=Path, default=Path("rop-demo"), help="folder of the pictures")
    parser.add_argument("--seed", type=int, default=0, help="seed of θ and of the batches")
    parser.set_defaults(run=run)


def _check(parser: argparse.ArgumentParser) -> None:
    def run(given: argparse.Namespace) -> int:
        from rop.checking import check

        objective, theta, batch = _made_by(given.factory)
        report = check(objective, theta, batch, full=given.full, seed=given.seed)
        print(report.to_json() if given.json else report)
        return {"pass": PASS, "fail": FAIL, "inconclusive": INCONCLUSIVE}[report.verdict]

    parser.add_argument(
        "factory",
        metavar="MODULE:FACTORY",
        help="a function that returns (objective, theta, batch), such as model.py:build",
    )
    parser.add_argument("--full", action="store_true", help="every column of G (sec. 7.2)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the directions")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def _bench(parser: argparse.ArgumentParser) -> None:
    from rop.bench import add_arguments
    from rop.bench import main as run

    add_arguments(parser)
    parser.set_defaults(run=run)


def _info(parser: argparse.ArgumentParser) -> None:
    def run(given: argparse.Namespace) -> int:
        from rop.bench.machine import describe

        print(json.dumps(describe(), indent=2))
        return PASS

    parser.set_defaults(run=run)


def _made_by(name: str) -> tuple[Any, Any, Any]:
    """Call the factory that a command line names."""
    source, colon, function = name.rpartition(":")
    if not colon:
        raise RopValueError(f"expected MODULE:FACTORY, such as model.py:build, got {name!r}")
    if source.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(source).stem, source)
        if spec is None or spec.loader is None or not Path(source).exists():
            raise RopValueError(f"there is no file {source}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(source)
        except ModuleNotFoundError as error:
            raise RopValueError(f"cannot import {source}: {error}") from None
    factory = getattr(module, function, None)
    if not callable(factory):
        raise RopValueError(f"{source} has no function {function!r}")
    made = factory()
    if not isinstance(made, tuple) or len(made) != 3:
        raise RopValueError(
            f"{name} must return (objective, theta, batch), got {type(made).__name__}"
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
