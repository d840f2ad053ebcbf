"""What subcommands share: options of an entry, the engine, and the list of entries."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from rop.cli import arguments
from rop.engines import DEFAULT_ENGINE


def add_options(parser: argparse.ArgumentParser, options: Mapping[str, Any]) -> None:
    """Add the options of one experiment or study.

    Parameters
    ----------
    parser : ArgumentParser
        Its parser.
    options : mapping of str to object
        Their names and defaults.
    """
    for name, default in options.items():
        flag = f"--{name.replace('_', '-')}"
        what = f"default: {default}" if default != "" else "by default as published"
        if isinstance(default, bool):
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag, dest=name, action=action, default=default, help=what)
        else:
            parser.add_argument(flag, dest=name, type=type(default), default=default, help=what)


def add_seed(parser: argparse.ArgumentParser, of: str) -> None:
    """Add ``--seed``, by default 0.

    Parameters
    ----------
    parser : ArgumentParser
        A command's parser.
    of : str
        What is drawn from it.
    """
    parser.add_argument("--seed", type=arguments.seed, default=0, help=f"seed of {of} (default: 0)")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine``, by default "numba", or "numpy" where Numba cannot compile."""
    parser.add_argument(
        "--engine",
        default=DEFAULT_ENGINE,
        choices=["numba", "numpy", "cuda"],
        help=f"default: {DEFAULT_ENGINE}",
    )


def listing(entries: Mapping[str, str]) -> str:
    """Write names and their descriptions in two columns.

    Parameters
    ----------
    entries : mapping of str to str
        The lines by their names.

    Returns
    -------
    str
        The lines.
    """
    wide = max(map(len, entries))
    return "\n".join(f"  {name:<{wide}}  {said}" for name, said in entries.items())
