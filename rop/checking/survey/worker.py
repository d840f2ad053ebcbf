"""The process that checks functions: what hangs or crashes there costs the survey one mode."""

from __future__ import annotations

import importlib
import os
import platform
import runpy
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rop.checking.survey.checks import check_entry
from rop.checking.survey.entries import Entry
from rop.errors import RopValueError

LIBRARIES = ("torch", "jax")


def entries_of(source: str) -> list[Entry]:
    """A catalogue: "torch", "jax", or the list ENTRIES of a file.

    Raises
    ------
    RopValueError
        If the library is not installed, or the file holds no entries.
    """
    if source in LIBRARIES:
        try:
            catalogue = importlib.import_module(f"rop.checking.survey.{source}_catalogue")
        except ModuleNotFoundError as error:
            raise RopValueError(f"{source} is not installed: pip install {error.name}") from None
        found: list[Entry] = catalogue.ENTRIES
        return found
    if not Path(source).exists():
        raise RopValueError(f"expected torch, jax or a file of Python, got {source!r}")
    sys.path.insert(0, str(Path(source).resolve().parent))
    try:
        listed = runpy.run_path(source).get("ENTRIES")
    except Exception as error:
        raise RopValueError(f"{source} raises {type(error).__name__}: {error}") from error
    if not listed or not all(isinstance(entry, Entry) for entry in listed):
        raise RopValueError(f"{source} must define ENTRIES, a list of rop.checking.survey.Entry")
    return list(listed)


def versions() -> dict[str, str]:
    """Versions of what a verdict depends on."""
    found = {"python": platform.python_version()}
    for name in ("rop", "numpy", *(name for name in LIBRARIES if name in sys.modules)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def serve(connection: Connection) -> None:
    """Answer requests until the other side closes.

    A request is ("entries", source), answered by versions and (library, theme, name) of each entry,
    or (source, name, dtype, modes), answered by an `Outcome` for each mode and None at the end. An
    error of rop's own is sent as such.
    """
    warnings.simplefilter("ignore")
    # What libraries print of deprecations and missing devices is no result.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    catalogues: dict[str, dict[str, Entry]] = {}
    while True:
        try:
            request: tuple[Any, ...] = connection.recv()
        except EOFError:
            return
        kind, source, *rest = request
        try:
            if source not in catalogues:
                catalogues[source] = {entry.name: entry for entry in entries_of(source)}
        except RopValueError as error:
            connection.send(error)
            continue
        if kind == "entries":
            listed = [(e.library, e.theme, e.name) for e in catalogues[source].values()]
            connection.send((versions(), listed))
            continue
        name, dtype, modes = rest
        connection.send("ready")
        for outcome in check_entry(catalogues[source][name], dtype, modes):
            connection.send(outcome)
        connection.send(None)
