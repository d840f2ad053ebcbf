"""Interleaved timing: every contestant has a turn in each round, so noise hits all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

TURN = 0.1  # seconds of timed calls that a turn aims at
# Thread pools (OpenBLAS, OpenMP, XLA) spin for some ten milliseconds after their last task and
# would take a core from the next contestant: 30 % of JAX's time on two cores.
SETTLE = 0.1  # seconds
LONG = 0.5  # seconds; a call that takes longer needs no warm-up before its turn


def _seconds(call: Callable[[], Any], number: int) -> float:
    """Mean time of one call among `number` calls in a row."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def interleave(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Time calls in turn, round after round; each round starts with another call.

    Parameters
    ----------
    calls : mapping of str to callable
        What to time, by name.
    rounds : int
        Number of rounds.

    Returns
    -------
    dict of str to list of float
        Seconds for one call, for each round.
    """
    names = list(calls)
    rough = {}
    for name, call in calls.items():
        call()  # compiles, and fills the caches
        rough[name] = _seconds(call, 1)
        if rough[name] < TURN:
            rough[name] = _seconds(call, 3)
    times: dict[str, list[float]] = {name: [] for name in names}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for r in range(rounds):
            first = r % len(names)
            for name in names[first:] + names[:first]:
                number = max(1, round(TURN / rough[name]))
                time.sleep(SETTLE)
                if rough[name] < LONG:
                    _seconds(calls[name], max(1, number // 10))
                times[name].append(_seconds(calls[name], number))
    finally:
        if collecting:
            gc.enable()
    return times


def quartiles(times: list[float], reference: list[float]) -> tuple[float, float, float]:
    """Compare two contestants within each round.

    Parameters
    ----------
    times, reference : list of float
        Seconds for one call, for each round.

    Returns
    -------
    lower, median, upper : float
        Quartiles of times / reference over the rounds.
    """
    lower, median, upper = np.percentile(np.divide(times, reference), [25, 50, 75])
    return float(lower), float(median), float(upper)
