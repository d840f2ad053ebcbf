"""The contestants of the benchmark: implementations of a workload's products."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rop.bench.workloads import Problem, Workload


@dataclass(frozen=True)
class Contestant:
    """An implementation, linearized at the problem's θ and batch where it can be.

    Attributes
    ----------
    name : str
        Column heading of the report.
    role : {"limit", "rop", "peer"}
        Its part in the comparison.
    calls : mapping of str to callable
        Product -> a function that computes it once and returns when it is finished. The result
        is whatever array, or mapping of parameter names to arrays, the implementation uses.
    to_numpy : callable
        Product and result -> the result as NumPy array or mapping of NumPy arrays; not timed.
    """

    name: str
    role: Literal["limit", "rop", "peer"]
    calls: Mapping[str, Callable[[], Any]]
    to_numpy: Callable[[str, Any], Any]

    def vector(self, product: str, names: Iterable[str]) -> NDArray[np.float64]:
        """Compute a product and lay it out as every contestant does.

        Parameters
        ----------
        product : str
            A key of `calls`.
        names : iterable of str
            Parameter names in the order of θ.

        Returns
        -------
        ndarray, one axis
            Parameters in the order of `names`, or outputs in C order with the cases first.
        """
        result = self.to_numpy(product, self.calls[product]())
        blocks = [result[name] for name in names] if isinstance(result, Mapping) else [result]
        return np.concatenate([np.asarray(b, dtype=np.float64).ravel() for b in blocks])


PEERS = {"jax": "rop.bench.peers_jax", "torch": "rop.bench.peers_torch"}


def enter(
    workload: Workload, problem: Problem, engines: Iterable[str], peers: Iterable[str]
) -> list[Contestant]:
    """Gather the contestants of a workload; imports what they need.

    Parameters
    ----------
    workload, problem : Workload, Problem
        What to compute, and at which numbers.
    engines : iterable of str
        Engines of rop.
    peers : iterable of str
        Keys of `PEERS`.

    Returns
    -------
    list of Contestant
        rop's engines first, then the peers.
    """
    entered: list[Contestant] = []
    for engine in engines:
        rop_itself = importlib.import_module("rop.bench.engines")
        entered.append(rop_itself.contestant(workload, problem, engine))
    for peer in peers:
        entered += importlib.import_module(PEERS[peer]).contestants(workload, problem)
    return entered
