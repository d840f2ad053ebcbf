"""The command `rop bench`."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rop.bench import machine, report, startup
from rop.bench.contestants import PEERS
from rop.bench.processes import ask, available_cores
from rop.bench.workloads import WORKLOADS

STARTUP = "startup"
_RESULTS = Path(__file__).with_name("results")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `rop bench` to a parser.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the subcommand.
    """
    choices = [*WORKLOADS, STARTUP]
    parser.add_argument(
        "workloads",
        nargs="*",
        metavar="WORKLOAD",
        help=f"any of {', '.join(choices)} (imports, first product, memory); default: all",
    )
    parser.add_argument(
        "--rounds", type=int, default=9, help="rounds of interleaved timing (default: %(default)s)"
    )
    parser.add_argument(
        "--cores",
        type=int,
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE")
    parser.add_argument(
        "--stored",
        action="store_true",
        help="measure nothing; print what was measured for this version, and on which machines",
    )


def run(
    workloads: Sequence[str] = (*WORKLOADS, STARTUP),
    rounds: int = 9,
    cores: int = 2,
    engines: Sequence[str] = ("numba", "numpy"),
    peers: Sequence[str] = tuple(PEERS),
) -> dict[str, Any]:
    """Measure workloads, each in a fresh process, and print a table for each.

    Parameters
    ----------
    workloads : sequence of str
        Among W1 to W5 and "startup".
    rounds : int
        Rounds of interleaved timing.
    cores : int
        Cores of every contestant.
    engines, peers : sequence of str
        Engines of rop, of which the first is judged, and installed peers.

    Returns
    -------
    dict
        "machine", "rounds", "workloads" and, if asked for, "startup"; what JSON can hold.

    Raises
    ------
    BenchmarkError
        If a measuring process fails.
    """
    results: dict[str, Any] = {"machine": machine.describe(), "rounds": rounds, "workloads": {}}
    load = results["machine"]["load"]
    if load is not None and load > 0.5:
        print(f"The load average is {load:.1f}: other programs are running, ratios may mislead.\n")
    for name in workloads:
        if name == STARTUP:
            results["startup"] = startup.measure(list(engines), list(peers), rounds, cores)
            print(report.startup_table(results["startup"]), end="\n\n", flush=True)
            continue
        workload = WORKLOADS[name]
        given = cores if workload.parallel else 1
        request = {
            "workload": name,
            "engines": list(engines),
            "peers": list(peers),
            "rounds": rounds,
        }
        measured = ask("rop.bench.worker", request, given)
        roles = measured["roles"]
        results["workloads"][name] = result = {
            "description": workload.description,
            "cores": given,
            "roles": roles,
            "products": {
                product: report.summary(name, product, roles, found)
                for product, found in measured["products"].items()
            },
        }
        print(report.workload_table(name, result), end="\n\n", flush=True)
    return results


def print_stored() -> None:
    """Print the tables of the results that are kept in the package, machine by machine."""
    for path in sorted(_RESULTS.glob("*.json")):
        results = json.loads(path.read_text())
        on = results["machine"]
        versions = ", ".join(f"{name} {of}" for name, of in on["versions"].items() if of)
        print(f"{path.stem}: {on['processor']}, {on['cores']} cores; {versions}\n")
        for name, result in results["workloads"].items():
            print(report.workload_table(name, result), end="\n\n")
        if "startup" in results:
            print(report.startup_table(results["startup"]), end="\n\n")


def exit_code(results: dict[str, Any]) -> int:
    """Judge a run.

    Parameters
    ----------
    results : dict
        As `run` returns it.

    Returns
    -------
    int
        1 if contestants disagree or a required ratio is missed; else 2 if a bar had no peer to
        compare with; else 0.
    """
    verdicts = {
        found["verdict"]
        for workload in results["workloads"].values()
        for found in workload["products"].values()
    }
    if verdicts & {"disagree", "missed"}:
        return 1
    return 2 if "not compared" in verdicts else 0


def main(args: argparse.Namespace) -> int:
    """Run `rop bench`.

    Parameters
    ----------
    args : argparse.Namespace
        With the arguments of `add_arguments`.

    Returns
    -------
    int
        Exit code: `exit_code`, or 2 for bad usage.
    """
    if args.stored:
        print_stored()
        return 0
    known = [*WORKLOADS, STARTUP]
    asked = list(PEERS) if args.peers is None else args.peers
    missing = [peer for peer in asked if importlib.util.find_spec(peer) is None]
    usage = []
    for name in args.workloads:
        if name not in known:
            usage.append(f"WORKLOAD must be one of {', '.join(known)}; got {name}")
    if args.rounds < 1:
        usage.append(f"--rounds must be at least 1; got {args.rounds}")
    if not 1 <= args.cores <= available_cores():
        usage.append(f"--cores must be between 1 and {available_cores()}; got {args.cores}")
    if missing:
        hint = f"not installed: {', '.join(missing)}; pip install 'rop[peers]'"
        if args.peers is None:
            print(hint, file=sys.stderr)
        else:
            usage.append(f"--peers {hint}")
    if usage:
        print("\n".join(f"rop bench: {line}" for line in usage), file=sys.stderr)
        return 2
    peers = [peer for peer in asked if peer not in missing]
    results = run(args.workloads or known, args.rounds, args.cores, args.engines, peers)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return exit_code(results)
