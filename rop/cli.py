"""The command line: `rop demo`, `rop check`, `rop train`, `rop figure`, `rop bench`, `rop info`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rop.errors import RopError

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
    _train(commands.add_parser("train", help="train an experiment of the papers by HF"))
    _figure(commands.add_parser("figure", help="run a study and draw it: the papers' figures"))
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
        from rop.experiments.demo import demo

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
    from rop.checking.command import add_arguments

    add_arguments(parser)


def _train(parser: argparse.ArgumentParser) -> None:
    from rop.experiments.command import add_train

    add_train(parser)


def _figure(parser: argparse.ArgumentParser) -> None:
    from rop.experiments.command import add_figure

    add_figure(parser)


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


if __name__ == "__main__":
    sys.exit(main())
