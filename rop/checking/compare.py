"""One product along one direction against one oracle, whole and block by block."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.directions import Blocks, Direction
from rop.checking.findings import Comparison, Part
from rop.checking.lines import SMALLEST, Array, OutsideDomain, inner, norm, root_mean_square
from rop.checking.noise import shaken
from rop.checking.oracles import Oracle
from rop.checking.point import Point
from rop.checking.policy import (
    EPSILON,
    Cause,
    Judgement,
    Tolerance,
    Verdict,
    coarsest,
    judge_line,
    undecided,
)
from rop.checking.sizes import Sizes
from rop.checking.truths import Exact

# Below this share of its size where nothing is saturated, a product counts as vanished.
VANISHED = 1e-6
# Parameters of this size leave every unit in its linear region.
TINY_WEIGHTS = 1e-2
RETRIES = 2
# Relative error of an inner product in coarse precisions.
EXACT = {name: 20 * EPSILON[name] for name in ("float32", "float16", "bfloat16")}
# An error must exceed the product's own rounding errors so many times to convict.
SCATTER = 10.0


def compare(
    oracle: Oracle,
    point: Point,
    blocks: Blocks,
    sizes: Sizes,
    disturb: Callable[[], None],
    direction: Direction,
    thorough: bool = False,
    quick: bool = False,
) -> Comparison:
    """Run an oracle.

    Parameters
    ----------
    oracle : Oracle
    point : Point
    blocks : dict
        Judged one by one where the product lives in θ's space.
    sizes : Sizes
    disturb : callable
        Called before the product, to leave its caches, if any, at another θ.
    direction : Direction
    thorough : bool
        Whether to walk the whole ladder even if its first steps decide.
    quick : bool
        Whether to take no more steps than decide.

    Returns
    -------
    Comparison

    Raises
    ------
    CallFailed
        If the product itself cannot be had.
    """
    # What an oracle draws at random, it draws again at a shaken point.
    state = point.rng.bit_generator.state
    try:
        compute, truth = oracle.compare(point, direction)
    except OutsideDomain:
        nothing = undecided(np.zeros(0), np.zeros(0), "domain")
        return _comparison(oracle, point, direction, np.zeros(0), nothing, {}, nothing.verdict)
    disturb()
    product = compute()
    functions = point.functions
    precision = coarsest([functions[name].precision for name in oracle.needs])
    own = functions[oracle.product].precision
    in_theta = oracle.space == "theta" and product.shape == (point.n,) and point.n > 1
    single = not in_theta and oracle.space == "theta" and product.size == 1
    weights = point.scale / point.scale.max() if in_theta and _spread(point.scale) else None
    share = 1.0 if weights is None else norm(product * weights) / (norm(product) or 1.0)
    tolerance = Tolerance.of(
        precision,
        own,
        sizes.whole * share,
        sizes.reference * share,
        sizes.nearby * root_mean_square(direction.vector),
    )
    parts = dict(blocks) if in_theta and len(blocks) > 1 and not direction.block else {}
    if isinstance(truth, Exact):
        # Rounding errors of a coarse precision are no smaller for being exact in principle.
        coarse = coarsest([precision, own])
        if coarse != "float64":
            truth = dataclasses.replace(truth, tolerance=EXACT[coarse])
        whole = _judge_exact(product, truth, slice(None), tolerance)
        judged = {
            name: _judge_exact(product, truth, where, tolerance) for name, where in parts.items()
        }
    else:
        whole, judged = judge_line(
            product, truth, parts, tolerance, precision, thorough, quick, weights
        )
    if any(j.verdict == "fail" for j in (whole, *judged.values())):
        # What changes as much when θ changes in its last digits convicts nobody.
        epsilon = EPSILON[coarsest([precision, own]) if isinstance(truth, Exact) else own]
        noise = _own_noise(oracle, point, direction, state, epsilon)
        if single:
            noise = noise + SMALLEST * float(np.abs(direction.vector).sum())
        noise = noise if weights is None else noise * weights
        whole = _unless_noise(whole, noise)
        judged = {name: _unless_noise(j, noise[parts[name]]) for name, j in judged.items()}
    whole = _refine(whole, point, share * sizes.reference)
    wrong_parts = [j for j in judged.values() if j.verdict == "fail"]
    shown = max(wrong_parts, key=lambda j: j.error) if wrong_parts and whole.error < 1e-3 else whole
    verdict: Verdict = "fail" if wrong_parts else whole.verdict
    of_blocks = {
        name: Part(j.verdict, j.error, _ratio(product[parts[name]], j.estimate))
        for name, j in judged.items()
    }
    if direction.block and not in_theta:
        ratio = _ratio(product, whole.estimate)
        of_blocks = {direction.block: Part(whole.verdict, whole.error, ratio)}
    return _comparison(
        oracle,
        point,
        direction,
        product,
        dataclasses.replace(whole, error=shown.error, noise=shown.noise),
        of_blocks,
        verdict,
    )


def _comparison(
    oracle: Oracle,
    point: Point,
    direction: Direction,
    product: Array,
    whole: Judgement,
    parts: dict[str, Part],
    verdict: Verdict,
) -> Comparison:
    return Comparison(
        theta=point.index,
        direction=direction.name,
        against=oracle.against,
        verdict=verdict,
        cause=whole.cause if verdict == "inconclusive" else "",
        error=whole.error,
        noise=whole.noise,
        ratio=_ratio(product, whole.estimate),
        step=whole.step,
        slope=whole.slope,
        steps=tuple(whole.steps.tolist()),
        errors=tuple(whole.errors.tolist()),
        noises=tuple(whole.noises.tolist()),
        parts=parts,
        vector=direction.vector,
        product=product,
        truth=whole.estimate,
    )


def repeat_doubtful(
    comparison: Comparison,
    direction: Direction,
    trial: Callable[[Direction], Comparison],
    rng: np.random.Generator,
) -> Comparison:
    """Repeat what is undecided, or failed on a single number, along directions of the same kind.

    Other directions may miss the kinks; and one number may agree with itself over several steps by
    the chance of its kinks, but not again and again.

    Parameters
    ----------
    comparison : Comparison
        The first one, along `direction`.
    direction : Direction
    trial : callable
        Compares along another direction.
    rng : numpy.random.Generator

    Returns
    -------
    Comparison
    """
    convicted = comparison.verdict == "fail" and comparison.product.size == 1
    if comparison.verdict != "inconclusive" and not convicted:
        return comparison
    witness = comparison if convicted else None
    for _ in range(RETRIES):
        factors = rng.standard_normal(direction.vector.shape)
        again = trial(dataclasses.replace(direction, vector=factors * direction.vector))
        if again.verdict == "fail" and (again.product.size > 1 or witness is not None):
            return witness or again
        if again.verdict == "pass" and witness is None:
            return again
        witness = again if again.verdict == "fail" else witness
    cause = comparison.cause if witness is None else "kink"
    return dataclasses.replace(comparison, verdict="inconclusive", cause=cause)


def _judge_exact(product: Array, truth: Exact, where: slice, tolerance: Tolerance) -> Judgement:
    value = truth.value[where]
    error = norm(product[where] - value)
    allowed = max(truth.tolerance * truth.scale, tolerance.negligible)
    verdict: Verdict = "pass" if error <= allowed else "fail"
    cause: Cause = ""
    if verdict == "fail" and error <= tolerance.invisible:
        verdict, cause = "inconclusive", "saturation"
    none = np.array([])
    return Judgement(
        verdict=verdict,
        cause=cause,
        error=error / (truth.scale or 1.0),
        noise=truth.tolerance,
        step=np.nan,
        scale=truth.scale,
        estimate=value,
        steps=none,
        errors=none,
        noises=none,
    )


def _refine(whole: Judgement, point: Point, reference: float) -> Judgement:
    """Name what makes the noise matter: tiny weights, or a product that has all but vanished."""
    cause: Cause = whole.cause
    if whole.verdict == "inconclusive" and whole.scale < VANISHED * reference:
        cause = "saturation"
    if cause in ("noise", "saturation") and root_mean_square(point.theta) < TINY_WEIGHTS:
        cause = "tiny weights"
    return dataclasses.replace(whole, cause=cause)


def _own_noise(
    oracle: Oracle,
    point: Point,
    direction: Direction,
    state: Mapping[str, Any],
    epsilon: float,
) -> Array:
    """How much each entry of the product, or of its distance from an exact truth, scatters."""
    found = []
    rng = copy.deepcopy(point.rng)
    for seed in range(3):
        rng.bit_generator.state = state
        try:
            nearby = point.shaken(epsilon, rng, seed)
            vector = shaken(direction.vector, epsilon, seed + 3)
            compute, truth = oracle.compare(nearby, dataclasses.replace(direction, vector=vector))
            found.append(compute() - (truth.value if isinstance(truth, Exact) else 0.0))
        except (CallFailed, OutsideDomain):
            continue
    return np.ptp(found, axis=0) if len(found) > 1 else np.zeros(1)


def _unless_noise(judgement: Judgement, noise: Array) -> Judgement:
    """The judgement, undecided if the error that convicts is one of the product's own rounding."""
    error = judgement.error * (judgement.scale or 1.0)
    if judgement.verdict != "fail" or error > SCATTER * norm(noise):
        return judgement
    return dataclasses.replace(judgement, verdict="inconclusive", cause="noise")


def _spread(scale: Array) -> bool:
    return bool(scale.max() > 1e3 * scale.min())


def _ratio(product: Array, truth: Array) -> float:
    size = norm(truth)
    if not 0 < size < np.inf or not product.size:
        return float("nan")
    return inner(product, truth / size) / size
