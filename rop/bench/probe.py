"""The process that computes one first product: `python -m rop.bench.probe REQUEST`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from rop.bench.contestants import enter
from rop.bench.workloads import WORKLOADS


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands the maximum of getrusage on from the parent through fork and exec.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def first_product(engines: list[str], peers: list[str]) -> dict[str, float]:
    """Linearize W1 with one contestant and compute one Gv, in this process.

    Parameters
    ----------
    engines, peers : list of str
        One name in one of them.

    Returns
    -------
    dict
        "seconds" from before the contestant's own imports until Gv is there, "peak_mb" at the
        end, "before_mb" the peak with `import rop` and the batch alone.
    """
    workload = replace(WORKLOADS["W1"], products=("Gv",))
    problem = workload.problem()
    before = peak_memory()
    start = time.perf_counter()
    contestant = enter(workload, problem, engines, peers)[0]
    contestant.calls["Gv"]()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": peak_memory(), "before_mb": before}


if __name__ == "__main__":
    print(json.dumps(first_product(**json.loads(sys.argv[1]))))
