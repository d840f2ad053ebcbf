"""Start-up: imports, the first product in a fresh process, cold and warm, and its memory."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np

from rop.bench.processes import ask, call

IMPORTS = {
    "interpreter": "pass",
    "numpy and scipy": "import numpy, scipy",
    "rop": "import rop",
}


def import_seconds(rounds: int, cores: int) -> dict[str, float]:
    """Median time of fresh interpreters that import something and end, interleaved.

    Parameters
    ----------
    rounds, cores : int
        Interpreters of each kind, and the cores they may use.

    Returns
    -------
    dict of str to float
        Key of `IMPORTS` -> seconds, the interpreter's own start included.
    """
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(rounds + 1):
        for name, source in IMPORTS.items():
            start = time.perf_counter()
            call(["-c", source], cores)
            times[name].append(time.perf_counter() - start)
    # The first round reads the files from disk.
    return {name: float(np.median(seconds[1:])) for name, seconds in times.items()}


def measure(engines: list[str], peers: list[str], rounds: int, cores: int) -> dict[str, Any]:
    """Measure imports, first products and peak memory, everything in fresh processes.

    Parameters
    ----------
    engines, peers : list of str
        The contestants.
    rounds, cores : int
        Rounds of imports, and the cores of every process.

    Returns
    -------
    dict
        "imports": what -> seconds; "first Gv": contestant -> what `probe.first_product` returns.
        An engine is listed cold, with an empty cache of compiled code, and warm.
    """
    first = {}
    for engine in engines:
        with tempfile.TemporaryDirectory() as cache:
            for state in ("cold", "warm"):
                first[f"rop {engine}, {state}"] = ask(
                    "rop.bench.probe",
                    {"engines": [engine], "peers": []},
                    cores,
                    {"NUMBA_CACHE_DIR": cache},
                )
    for peer in peers:
        first[peer] = ask("rop.bench.probe", {"engines": [], "peers": [peer]}, cores)
    return {"imports": import_seconds(rounds, cores), "first Gv": first}
