"""Types of arguments; each refuses a wrong value before the command begins."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from pathlib import Path

from rop.support.words import alternatives


def seed(text: str) -> int:
    """Read a seed: a whole number from 0."""
    return _whole(text, 0)


def count(text: str) -> int:
    """Read a number of things: a whole number from 1."""
    return _whole(text, 1)


def seconds(text: str) -> float:
    """Read a time in seconds: a finite number from 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ArgumentTypeError(f"expected a time in seconds, 0 or more, got {text!r}")
    return number


def share(text: str) -> float:
    """Read a share of something: a number above 0 and below 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1:
        raise ArgumentTypeError(f"expected a share between 0 and 1, got {text!r}")
    return number


def output_folder(text: str) -> Path:
    """Read the name of a folder that is there or can be made."""
    path = Path(text)
    for above in (path, *path.parents):
        if above.exists() and not above.is_dir():
            raise ArgumentTypeError(f"{above} is a file; give the name of a folder")
    return path


def output_file(text: str) -> Path:
    """Read the name of a file that can be written: its folder is there."""
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {path.parent}; make it, or give another file")
    return path


def picture_file(text: str) -> Path:
    """Read the name of a picture, .svg, .png or .pdf, that can be written."""
    return _ending(text, ".svg", ".png", ".pdf")


def graph_file(text: str) -> Path:
    """Read the name of a picture or, as .dot or .mmd, of a graph as text, that can be written."""
    return _ending(text, ".svg", ".png", ".pdf", ".dot", ".mmd")


def _ending(text: str, *suffixes: str) -> Path:
    path = output_file(text)
    if path.suffix.lower() not in suffixes:
        raise ArgumentTypeError(
            f"expected a name that ends in {alternatives(suffixes)}, got {path.name!r}"
        )
    return path


def _whole(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ArgumentTypeError(f"expected a whole number, {least} or more, got {text!r}")
    return number
