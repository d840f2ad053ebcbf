"""The measurements on a GPU, with everything resident: `python -m rop.bench.gpu`.

Gv of the CUDA engine beside the same matrix products called bare through cuBLAS, and beside jitted
JAX on the same card, in float32 without TF32: W1 at three batch sizes, W3, and CG on W1 (W5). Then
CURVES is trained at full size, beside the log of 2011.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from rop.bench import agreement, engines, gpu_training, limit, machine
from rop.bench.contestants import Contestant
from rop.bench.timing import interleave
from rop.bench.workloads import CG_LAMBDA, CG_STEPS, WORKLOADS, Workload
from rop.objective.device_cg import cg_steps


def workloads() -> list[Workload]:
    """The workloads of the measurements, each with one product."""
    W1, W3, W5 = WORKLOADS["W1"], WORKLOADS["W3"], WORKLOADS["W5"]
    several = [
        replace(W1, name=f"W1, N = {cases}", cases=cases, products=("Gv",))
        for cases in (1000, 5000, 20_000)
    ]
    return [*several, replace(W3, products=("Gv",)), W5]


def measure(workload: Workload, rounds: int) -> dict[str, Any]:
    """Verify that rop and JAX agree, and time them and the bare matrix products.

    Parameters
    ----------
    workload : Workload
        With one product.
    rounds : int
        Rounds of interleaved timing.

    Returns
    -------
    dict
        "differences" from rop, the "tolerance", and "seconds": contestant -> median.
    """
    problem, (product,) = workload.problem(), workload.products
    contestants = [_resident(workload, problem)]
    if importlib.util.find_spec("jax"):
        from rop.bench import peers_jax

        contestants += peers_jax.contestants(workload, problem)
    found = {c.name: c.vector(product, workload.model.shapes) for c in contestants}
    differences = agreement.differences(found)
    calls = {c.name: c.calls[product] for c in contestants}
    calls["cuBLAS, bare"] = _bare(workload, product)
    times = interleave(calls, rounds)
    return {
        "differences": differences,
        "tolerance": agreement.tolerance(workload, product),
        "seconds": {name: median(seconds) for name, seconds in times.items()},
    }


def _resident(workload: Workload, problem: Any) -> Contestant:
    """The CUDA engine with its vectors on the GPU, from the product's start to its end."""
    from rop.engines.cuda import driver
    from rop.engines.cuda.execution import DeviceExecution

    f, dtype = engines.objective(workload.model), np.dtype(workload.dtype)
    theta, v = f.pack(problem.theta).astype(dtype), f.pack(problem.v).astype(dtype)
    at = f.linearize(theta, {"x": problem.x, "t": problem.t}, "cuda", dtype)
    at.ggnvp(v)
    execution = at._execution
    assert isinstance(execution, DeviceExecution)
    bound = execution.bound("ggnvp")
    assert bound is not None
    b = -at.gradient()

    def Gv() -> Any:
        bound.start()
        driver.synchronize()
        return bound.output

    def conjugate_gradient() -> Any:
        steps = cg_steps(at, b, damping=CG_LAMBDA)
        assert steps is not None
        *_, last = (next(steps) for _ in range(CG_STEPS + 1))
        return last.fetch()

    def to_numpy(product: str, result: Any) -> Any:
        if product == "CG":
            return f.unpack(result)
        found = np.empty(f.n, dtype)
        # CG has used the product's own vectors.
        driver.upload(bound.input, v)
        bound.start()
        driver.download(found, result)
        return f.unpack(found)

    return Contestant("rop cuda", "rop", {"Gv": Gv, "CG": conjugate_gradient}, to_numpy)


def _bare(workload: Workload, product: str) -> Callable[[], None]:
    """The matrix products of a product with G alone, captured as one graph."""
    from rop.engines.cuda import driver, products

    table = limit.gemms(workload.model, workload.cases, "Gv")
    table *= CG_STEPS if product == "CG" else 1
    dtype = np.dtype(workload.dtype)
    size = max(g.rows * max(g.below, g.above) for g in table)
    size = max(size, *(g.below * g.above for g in table))
    t, x, y = (driver.cuda.to_device(np.full(size, 1e-3, dtype)) for _ in range(3))
    launches = []
    for kind, rows, below, above in table:
        # Y Wᵀ, D W and Dᵀ Y, all by rows.
        if kind == limit.FORWARD:
            m, n, k, strides = rows, above, below, ((above, 1), (below, 1), (1, below))
        elif kind == limit.BACKWARD:
            m, n, k, strides = rows, below, above, ((below, 1), (above, 1), (below, 1))
        else:
            m, n, k, strides = above, below, rows, ((below, 1), (1, above), (below, 1))
        one = products.Matrices(m, n, k, (0, 0, 0), strides, add=False)
        launches.append(products.launch(one, (t, x, y), 1.0, tf32=False))
    graph = driver.Graph(launches)

    def run() -> None:
        with driver.lock:
            graph()
            driver.synchronize()

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and write the numbers to a file.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments, by default the program's own.

    Returns
    -------
    int
        1 if contestants disagree, else 0; without a GPU the program ends with 2.
    """
    parser = argparse.ArgumentParser(prog="python -m rop.bench.gpu", description=__doc__)
    parser.add_argument(
        "--rounds",
        type=int,
        default=9,
        help="rounds of interleaved timing; 0: only the training (default: 9)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=900,
        help="begin no iteration of the training after this time; 0: no training (default: 900)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to FILE")
    given = parser.parse_args(arguments)
    # JAX would take most of the card's memory, and round float32 to TF32.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    results: dict[str, Any] = {"machine": machine.describe(), "rounds": given.rounds}
    gpu = results["machine"]["gpu"]
    if "missing" in gpu:
        parser.exit(2, f"{parser.prog}: {gpu['missing']}\n")
    print(json.dumps(gpu))
    agreed = True

    def write() -> None:
        # After each part: what comes later may take too long.
        if given.json:
            given.json.write_text(json.dumps(results, indent=2) + "\n")

    for workload in workloads() if given.rounds > 0 else ():
        results[workload.name] = result = measure(workload, given.rounds)
        worst = max(result["differences"].values())
        agreed = agreed and worst <= result["tolerance"]
        bare = result["seconds"]["cuBLAS, bare"]
        print(f"{workload.name}: largest difference {worst:.1e} (allowed {result['tolerance']:g})")
        for name, seconds in result["seconds"].items():
            print(f"  {name:24} {1e3 * seconds:10.3f} ms  {seconds / bare:6.2f} x cuBLAS, bare")
        write()
    if given.seconds > 0:
        results["CURVES"] = trained = gpu_training.measure(given.seconds)
        print(gpu_training.told(trained))
        write()
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
