"""A run of the benchmark, or the stored one: tables, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rop.bench import machine, report, startup
from rop.bench.contestants import PEERS
from rop.bench.processes import ask
from rop.bench.workloads import WORKLOADS
from rop.support.words import counted

STARTUP = "startup"
_RESULTS = Path(__file__).with_name("results")


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
        Among W1 to W6 and "startup".
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
        print(f"The load average is {load:.1f}: other programs run, so ratios may mislead.\n")
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
        print(f"{path.stem}: {on['processor']}, {counted(on['cores'], 'core')}; {versions}\n")
        for name, result in results["workloads"].items():
            print(report.workload_table(name, result), end="\n\n")
        if "startup" in results:
            print(report.startup_table(results["startup"]), end="\n\n")
    print(report.LEGEND)


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
