"""What a product on a cluster costs beside its arithmetic: `python -m rop.bench.cluster`.

The time of one product is modelled as latencies and bytes::

    T = a + b W                                      small vectors, added up by the client
    T = a' + b' W + c ⌈log₂ W⌉ + 8n (d + e W)          others, added up by the workers
        + τ N / W                                    the arithmetic of N cases

for W workers and n numbers in float64. The constants come from the measurements with 1 and 2
workers, and with 4 for every other n, by least squares of relative errors; the rest is predicted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, log2
from time import perf_counter
from typing import Any

import numpy as np

from rop.bench import machine
from rop.bench.processes import available_cores
from rop.graph import data, param
from rop.losses import SquaredError
from rop.objective.objective import Objective

SIZES = (10_000, 1_000_000, 10_000_000)
MORE_SIZES = (3_000, 300_000, 3_000_000)
WORKERS = (1, 2, 4)
_SMALL = 2**17  # bytes, as in rop.distributed.pool


@dataclass(frozen=True)
class Measured:
    """The time of a product beside that of its arithmetic, each the fastest of several rounds.

    Attributes
    ----------
    n, workers : int
        Numbers in v, and workers.
    seconds : float
        Of the whole product.
    arithmetic : float
        Of the same product on one machine, by as many threads as workers at best.
    """

    n: int
    workers: int
    seconds: float
    arithmetic: float

    @property
    def overhead(self) -> float:
        """What the cluster costs."""
        return max(self.seconds - self.arithmetic, 1e-6)


def features(n: int, workers: int) -> list[float]:
    """Return what the constants of the formula are multiplied with.

    Parameters
    ----------
    n, workers : int
        Numbers in v, and workers.

    Returns
    -------
    list of float
        Those of a, b; a', b', c, d, e.
    """
    if 8 * n <= _SMALL:
        return [1.0, workers, 0.0, 0.0, 0.0, 0.0, 0.0]
    size = 8.0 * n
    return [0.0, 0.0, 1.0, workers, ceil(log2(workers)), size, size * workers]


def fitted(measured: Sequence[Measured]) -> np.ndarray[Any, Any]:
    """Return the constants, none negative, that fit overheads best in relative terms.

    Parameters
    ----------
    measured : sequence of Measured
        The measurements.

    Returns
    -------
    ndarray, shape (7,)
    """
    from scipy.optimize import nnls

    rows = np.array([features(m.n, m.workers) for m in measured])
    times = np.array([m.overhead for m in measured])
    found: np.ndarray[Any, Any] = nnls(rows / times[:, None], np.ones(len(times)))[0]
    return found


def predicted(constants: np.ndarray[Any, Any], n: int, workers: int) -> float:
    """Return the overhead in seconds.

    Parameters
    ----------
    constants : ndarray, shape (7,)
        As `fitted` returns them.
    n, workers : int
        Numbers in v, and workers.

    Returns
    -------
    float
    """
    return float(np.dot(constants, features(n, workers)))


def measure(sizes: Sequence[int], workers: Sequence[int], rounds: int) -> list[Measured]:
    """Measure products whose arithmetic is small: Gv of a linear model, one case for each part.

    Parameters
    ----------
    sizes : sequence of int
        Numbers in v.
    workers : sequence of int
        Numbers of workers.
    rounds : int
        The fastest of so many products counts: other programs only slow one down.

    Returns
    -------
    list of Measured
    """
    from rop.distributed import Objective as Spread
    from rop.distributed.clusters import connected

    found = []
    for count in workers:
        with connected("local", count) as client:
            for n in sizes:
                f, batch = _linear(n, 4)
                v = np.random.default_rng(0).standard_normal(n)
                here = f.linearize(v, batch)
                at = Spread(f, client, batch, parts=4, threads=1).linearize(v)
                # Workers that share cores do not share the work.
                arithmetic = _fastest(here.ggnvp, v, rounds) / min(count, available_cores())
                found.append(Measured(n, count, _fastest(at.ggnvp, v, rounds), arithmetic))
                print(f"{n:>10,} {count:>8} {1e3 * found[-1].seconds:9.1f} ms", flush=True)
                del at, here
    return found


def _linear(n: int, cases: int) -> tuple[Objective, dict[str, Any]]:
    w, x = param("w", n), data("x", n)
    batch = {"x": np.ones((cases, n)), "t": np.ones(cases)}
    return Objective(w @ x, SquaredError(data("t"))), batch


def _fastest(product: Any, v: np.ndarray[Any, Any], rounds: int) -> float:
    times = []
    product(v)
    for _ in range(rounds):
        begin = perf_counter()
        product(v)
        times.append(perf_counter() - begin)
    return min(times)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, fit, and print how well the formula predicts.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments; by default the program's own.

    Returns
    -------
    int
        0 if every prediction is within 25 %, otherwise 1.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--rounds", type=int, default=9, help="products of which the fastest counts"
    )
    parser.add_argument("--json", metavar="FILE", help="write every number to FILE")
    given = parser.parse_args(arguments)
    measured = measure(sorted(SIZES + MORE_SIZES), WORKERS, given.rounds)
    known = [m for m in measured if m.workers < max(WORKERS) or m.n in MORE_SIZES]
    constants = fitted(known)
    print(f"\n{'n':>10} {'workers':>8} {'measured':>10} {'formula':>10} {'ratio':>6}")
    worst = 0.0
    for m in measured:
        told = predicted(constants, m.n, m.workers)
        ratio = told / m.overhead
        worst = max(worst, abs(ratio - 1))
        mark = "" if m in known else "  predicted"
        print(
            f"{m.n:>10,} {m.workers:>8} {1e3 * m.overhead:8.1f}ms {1e3 * told:8.1f}ms "
            f"{ratio:6.2f}{mark}"
        )
    print("constants:", " ".join(f"{c:.3g}" for c in constants))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            rows = [asdict(m) for m in measured]
            found = {"machine": machine.describe(), "constants": constants.tolist()}
            json.dump(found | {"measured": rows}, file, indent=1)
    return int(worst > 0.25)


if __name__ == "__main__":
    sys.exit(main())
