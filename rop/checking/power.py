"""How strong a check is at a θ: how many wrong rules, put in one at a time, it would see there."""

import time
from collections import Counter

import numpy as np

from rop.checking.lines import Array
from rop.checking.mutations import Mutation, mutations
from rop.checking.report import Power
from rop.checking.trials import Batch, Trials
from rop.engines import DEFAULT_ENGINE
from rop.objective.objective import Objective

# Seconds for the bugs, and for looking for a better θ.
SECONDS, SEARCH_SECONDS = 15.0, 5.0
# Weights of these sizes, in units of 1/√(inputs of a unit), are tried where bugs stay hidden.
SCALES = (1.0, 0.3, 3.0)


def measure_power(
    objective: Objective,
    theta: Array,
    batch: Batch,
    engine: str = DEFAULT_ENGINE,
    seed: int = 0,
    seconds: float = SECONDS,
) -> Power:
    """Put bugs in, one at a time in random order, and check each objective for as long as allowed.

    Only the products that a bug can change are checked, against the same differences and with the
    same tolerances as in `check`.

    Parameters
    ----------
    objective : Objective
        Without bugs.
    theta : (n,)
    batch : mapping of str to arrays
    engine : str
    seed : int
    seconds : float
        Time to spend; at least one bug is tried.

    Returns
    -------
    Power
    """
    rng = np.random.default_rng(seed)
    here = Trials(objective, theta, batch, engine, seed)
    others = [
        Trials(objective, random_theta(objective, scale, rng), batch, engine, seed)
        for scale in SCALES
    ]
    every = list(mutations(objective, here.cases))
    every = [every[i] for i in rng.permutation(len(every))]
    end = time.perf_counter() + seconds
    seen: list[Mutation] = []
    hidden: list[Mutation] = []
    equivalent = 0
    for mutation in every:
        if here.sees(mutation):
            seen.append(mutation)
        elif all(trials.harmless(mutation) for trials in (here, *others[:2])):
            equivalent += 1
        else:
            hidden.append(mutation)
        if time.perf_counter() > end:
            break
    tried = len(seen) + len(hidden)
    rules: dict[str, dict[str, tuple[int, int]]] = {}
    for group, found in ((seen, 1), (hidden, 0)):
        for mutation in group:
            of_op = rules.setdefault(mutation.what, {})
            k, n = of_op.get(mutation.rule, (0, 0))
            of_op[mutation.rule] = (k + found, n + 1)
    scale, uncovered, retried = _better_theta(hidden, others)
    return Power(
        seen=len(seen),
        tried=tried,
        equivalent=equivalent,
        untried=len(every) - tried - equivalent,
        hidden=tuple(map(str, hidden)),
        rules=rules,
        scale=scale,
        uncovered=uncovered,
        retried=retried,
        theta=None if scale is None else others[SCALES.index(scale)].theta,
    )


def random_theta(objective: Objective, scale: float, rng: np.random.Generator) -> Array:
    """Normal weights of size scale/√(inputs of a unit); vectors and scalars have one input."""
    parts = [
        scale * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:], dtype=float))
        for shape in objective.shapes.values()
    ]
    return np.concatenate([part.ravel() for part in parts])


def _better_theta(hidden: list[Mutation], others: list[Trials]) -> tuple[float | None, int, int]:
    """The scale at which most of the hidden bugs are seen, how many are, and of how many."""
    best: tuple[float | None, int, int] = (None, 0, 0)
    for scale, trials in zip(SCALES, others, strict=True):
        end = time.perf_counter() + SEARCH_SECONDS / len(SCALES)
        found: Counter[bool] = Counter()
        for mutation in hidden:
            found[trials.sees(mutation)] += 1
            if time.perf_counter() > end:
                break
        if found[True] * max(1, best[2]) > best[1] * found.total():
            best = (scale, found[True], found.total())
    return best
