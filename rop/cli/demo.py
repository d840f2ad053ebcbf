"""`rop demo`: what one can do with rop, on real data, in about a minute."""

from __future__ import annotations

import argparse
from pathlib import Path

from rop.cli import FAIL, PASS, arguments
from rop.cli.options import add_seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop demo`."""
    from rop.experiments.demo import SECONDS

    parser.add_argument(
        "--dataset",
        choices=["digits", "fashion-mnist"],
        default="digits",
        help="digits ship with rop; fashion-mnist is looked for and fetched (default: digits)",
    )
    parser.add_argument(
        "--seconds",
        type=arguments.seconds,
        help="training time of each method (default: "
        + ", ".join(f"{seconds:g} for {name}" for name, seconds in SECONDS.items())
        + "; on the recurrent net, what HF needs)",
    )
    parser.add_argument(
        "--out",
        type=arguments.output_folder,
        default=Path("rop-demo"),
        help="folder of the pictures (default: rop-demo)",
    )
    add_seed(parser, "θ and of the batches")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from rop.experiments.demo import demo

    return PASS if demo(given.dataset, given.seconds, given.out, given.seed) else FAIL
