"""`rop bench`: rop beside bare GEMMs, JAX and PyTorch."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys

from rop.bench.command import STARTUP, exit_code, print_stored, run
from rop.bench.contestants import PEERS
from rop.bench.processes import available_cores
from rop.bench.workloads import WORKLOADS
from rop.cli import PASS, UsageError, arguments
from rop.show.waiting import waiting
from rop.support.words import either

_KNOWN = [*WORKLOADS, STARTUP]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop bench`."""
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        help=f"any of {', '.join(_KNOWN)} (imports, first product, memory); default: all",
    )
    parser.add_argument(
        "--rounds",
        type=arguments.count,
        default=9,
        help="rounds of interleaved timing (default: %(default)s)",
    )
    parser.add_argument(
        "--cores",
        type=arguments.count,
        default=min(2, available_cores()),
        help="cores that every contestant gets (default: %(default)s; W2 always runs on one)",
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        default=["numba", "numpy"],
        choices=["numba", "numpy", "cuda"],
        help="engines of rop; the first is judged (default: numba numpy)",
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        default=None,
        choices=list(PEERS),
        help="whom to compare with (default: those that are installed)",
    )
    parser.add_argument(
        "--json", type=arguments.output_file, metavar="FILE", help="write every number to FILE"
    )
    parser.add_argument(
        "--stored",
        action="store_true",
        help="measure nothing; print what was measured for this version, and on which machines",
    )
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    if given.stored:
        print_stored()
        return PASS
    for name in given.workloads:
        if name not in _KNOWN:
            raise UsageError(f"rop bench: WORKLOAD must be {either(_KNOWN)}, got {name!r}")
    if given.cores > available_cores():
        raise UsageError(f"rop bench: --cores is at most {available_cores()}, got {given.cores}")
    asked = list(PEERS) if given.peers is None else given.peers
    missing = [peer for peer in asked if importlib.util.find_spec(peer) is None]
    if missing:
        hint = f"not installed: {', '.join(missing)}; pip install 'rop[peers]'"
        if given.peers is not None:
            raise UsageError(f"rop bench: --peers {hint}")
        print(hint, file=sys.stderr)
    peers = [peer for peer in asked if peer not in missing]
    workloads = given.workloads or _KNOWN
    with waiting(f"rop bench {' '.join(workloads)}"):
        results = run(workloads, given.rounds, given.cores, given.engines, peers)
    if given.json:
        text = json.dumps(results, indent=1, ensure_ascii=False)
        given.json.write_text(text + "\n", encoding="utf-8")
    return exit_code(results)
