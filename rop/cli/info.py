"""`rop info`: the machine, the versions, and what is missing."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rop.bench.machine import describe
from rop.cli import PASS
from rop.support.words import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop info`."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    found = describe()
    print(json.dumps(found, indent=2) if given.json else _text(found))
    return PASS


def _text(found: dict[str, Any]) -> str:
    versions = found["versions"]
    installed = {name: of for name, of in versions.items() if of and name != "rop"}
    missing = [name for name, of in versions.items() if not of]
    cores = counted(found["cores"], "core")
    load = "" if found["load"] is None else f", load {found['load']:.1f}"
    lines = {
        "rop": versions["rop"] or "not installed as a package",
        "Python": f"{found['python']} on {found['system']}",
        "processor": f"{found['processor']}, {cores}{load}",
        "packages": ", ".join(f"{name} {of}" for name, of in installed.items()),
        "missing": ", ".join(missing) or "nothing",
        **{f"BLAS of {name}": blas for name, blas in found["blas"].items()},
    }
    gpu = found["gpu"]
    if "missing" in gpu:
        lines["GPU"] = f'engine="cuda" cannot run: {gpu["missing"]}'
    else:
        lines["GPU"] = f"{gpu['name']}, {gpu['free memory']:,} MiB free, cuBLAS {gpu['cublas']}"
    wide = max(map(len, lines))
    return "\n".join(f"{name:<{wide}}  {said}" for name, said in lines.items())
