"""The process that verifies and times one workload: `python -m rop.bench.worker REQUEST`."""

from __future__ import annotations

import json
import sys
from typing import Any

from rop.bench import agreement, limit
from rop.bench.bars import BARS, OWN_GV
from rop.bench.contestants import enter
from rop.bench.timing import interleave
from rop.bench.workloads import WORKLOADS


def measure(workload: str, engines: list[str], peers: list[str], rounds: int) -> dict[str, Any]:
    """Verify that all contestants agree on a workload, and time them if they do.

    Parameters
    ----------
    workload : str
        A key of `WORKLOADS`.
    engines, peers : list of str
        The contestants.
    rounds : int
        Rounds of interleaved timing.

    Returns
    -------
    dict
        "roles": contestant -> role; "products": product -> its relative "differences" from the
        first contestant, the "tolerance", and "seconds", contestant -> time in each round, which
        is empty where a difference exceeds the tolerance.
    """
    work = WORKLOADS[workload]
    contestants = enter(work, work.problem(), engines, peers)
    bare_gemms = limit.contestant(work)
    products = {}
    for product in work.products:
        entered = [c for c in contestants if product in c.calls]
        differences = agreement.differences(
            {c.name: c.vector(product, work.model.shapes) for c in entered}
        )
        tolerance = agreement.tolerance(work, product)
        seconds = {}
        if max(differences.values()) <= tolerance:
            calls = {}
            bar = BARS.get((workload, product))
            if bar is not None and bar.beside == OWN_GV:
                calls[OWN_GV] = entered[0].calls["Gv"]
            calls |= {
                c.name: c.calls[product] for c in (*entered, bare_gemms) if product in c.calls
            }
            seconds = interleave(calls, rounds)
        products[product] = {
            "differences": differences,
            "tolerance": tolerance,
            "seconds": seconds,
        }
    roles = {c.name: c.role for c in (bare_gemms, *contestants)} | {OWN_GV: "own"}
    return {"roles": roles, "products": products}


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
