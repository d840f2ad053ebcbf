"""The command line: `rop COMMAND`. Each command has its module here, and `main` runs it.

Exit codes: 0 pass, 1 fail, 2 anything else, 130 interrupted, 141 if who reads the output closed it
(`rop info | head -2`), as shells have it.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from rop.cli.encoding import write_in_any_encoding
from rop.errors import RopError

PASS, FAIL, OTHER, INTERRUPTED, CLOSED = 0, 1, 2, 130, 141

COMMANDS = {
    "demo": "train networks by Hessian-free optimization, beside first-order methods",
    "check": "check the derivative products of an objective, or of functions",
    "explain": "list the program of a product, as the paper's algorithm",
    "draw": "draw the graph of an objective",
    "play": "write a page that plays a product of an objective, step by step",
    "survey": "check the derivatives of a whole library: PyTorch's, JAX's, or a file's",
    "train": "train one of the papers' problems by Hessian-free optimization",
    "figure": "run a study of the papers and draw it",
    "study": "compare methods in many trials, and go on where it was interrupted",
    "errata": "list the papers' errata, each with a proof that computes both formulas",
    "bench": "measure rop against bare GEMMs, JAX and PyTorch",
    "info": "show versions, cores, BLAS and GPU, and what is missing",
}
"""Name of each command, and of its module in this package, with what it does."""


class UsageError(RopError):
    """Arguments that a command does not take."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` instead of ending the process."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Parse, and let the command itself refuse what it does not know."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            own = [option for option in self._option_string_actions if option.startswith("--")]
            near = _near(unknown[0].partition("=")[0], own)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = ", ".join(map(repr, action.choices))
            near = _near(str(value), [*map(str, action.choices)])
            message = f"invalid choice: {value!r} (choose from {known}){near}"
            raise argparse.ArgumentError(action, message)

    def error(self, message: str) -> NoReturn:
        """Raise an error that names the command and where its options are listed."""
        end = "" if message.endswith("?") else ";"
        raise UsageError(f"{self.prog}: {message}{end} {self.prog} --help lists what there is")


def _near(text: str, known: list[str]) -> str:
    """A hint at what a mistyped word was meant to be; "" if nothing is like it."""
    near = get_close_matches(text, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments; by default the program's own.

    Returns
    -------
    int
        0 pass, 1 fail, 2 anything else, 130 interrupted, 141 if standard output was closed. For 2
        and 130, a line on standard error says why.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    prog = f"rop {given[0]}" if given and given[0] in COMMANDS else "rop"
    write_in_any_encoding(sys.stdout, sys.stderr)
    try:
        code = _run(given)
        if sys.stdout is not None:  # closed from the start, as by >&-
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _end(INTERRUPTED, f"{prog}: interrupted")
    except BrokenPipeError:
        return _end(CLOSED)
    except UsageError as error:
        return _end(OTHER, str(error))
    except RopError as error:
        return _end(OTHER, f"{prog}: {error}")
    except OSError as error:
        return _end(OTHER, f"{prog}: {_of_the_system(error)}")
    except SystemExit as error:
        return _end(OTHER, f"{prog}: it called code that ends the process: sys.exit({error.code})")
    except MemoryError as error:
        return _end(OTHER, f"{prog}: out of memory{f': {error}' if str(error) else ''}")
    except BaseException as error:
        if os.environ.get("ROP_TRACEBACK"):
            traceback.print_exc()
        return _end(OTHER, f"{prog}: {_unexpected(error)}")


def _run(given: list[str]) -> int:
    parser = Parser(prog="rop", description="Second-order training made transparent.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, does in COMMANDS.items():
        own = commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        if given[:1] == [name]:  # other commands need not be imported
            import_module(f"rop.cli.{name}").add_arguments(own)
    try:
        options = parser.parse_args(given)
    except SystemExit:  # --help, after it has printed
        return PASS
    if options.version:
        from rop import __version__

        print(f"rop {__version__}")
        return PASS
    if options.command is None:
        parser.print_help()
        return PASS
    return int(options.run(options))


def _end(code: int, line: str = "") -> int:
    """Flush standard output, and write the line to standard error."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, line)):
        if stream is None:
            continue
        try:
            if text:
                print(text, file=stream)
            stream.flush()
        except (OSError, ValueError):
            _leave(stream)
    return code


def _leave(stream: object) -> None:
    """Discard what a broken stream still holds, as Python flushes it once more at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]


def _of_the_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    where = "standard output" if error.filename is None else error.filename
    return f"cannot read or write {where}: {reason}"


def _unexpected(error: BaseException) -> str:
    """The error with the place that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f", {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = " ".join(str(error).split())
    return (
        f"{type(error).__name__}{f': {said}' if said else ''}{where}; "
        "ROP_TRACEBACK=1 shows where it comes from"
    )
