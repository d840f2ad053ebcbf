"""One product along one direction against one oracle, whole and block by block."""

import dataclasses
from collections.abc import Callable

import numpy as np

from rop.checking.directions import Blocks, Direction
from rop.checking.findings import Comparison, Part
from rop.checking.lines import Array, OutsideDomain, root_mean_square
from rop.checking.oracles import Oracle
from rop.checking.point import Point, coarsest
from rop.checking.policy import ALL_STEPS, FIRST_STEPS, Differences, Judgement, judge, undecided
from rop.checking.sizes import Sizes
from rop.checking.tolerance import EPSILON, Cause, Tolerance, Verdict
from rop.checking.truths import Exact

# Below this share of its size where nothing is saturated, a product counts as vanished.
VANISHED = 1e-6
# Parameters of this size leave every unit in its linear region.
TINY_WEIGHTS = 1e-2
RETRIES = 2
# Relative error of an inner product in float32.
FLOAT32_EXACT = 20 * EPSILON["float32"]


def compare(
    oracle: Oracle,
    point: Point,
    blocks: Blocks,
    sizes: Sizes,
    disturb: Callable[[], None],
    direction: Direction,
    thorough: bool = False,
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

    Returns
    -------
    Comparison

    Raises
    ------
    CallFailed
        If the product itself cannot be had.
    """
    try:
        compute, truth = oracle.compare(point, direction)
    except OutsideDomain:
        return _without_domain(oracle, point, direction)
    disturb()
    product = compute()
    functions = point.functions
    precision = coarsest(functions[name].precision for name in oracle.needs)
    product_precision = functions[oracle.product].precision
    tolerance = Tolerance.of(
        precision, product_precision, sizes.whole, sizes.reference, sizes.residue
    )
    in_theta = oracle.space == "theta" and product.shape == (point.n,) and point.n > 1
    parts = blocks if in_theta and len(blocks) > 1 and not direction.block else {}
    if isinstance(truth, Exact):
        if coarsest((precision, product_precision)) == "float32":
            truth = dataclasses.replace(truth, tolerance=FLOAT32_EXACT)
        whole = _judge_exact(product, truth, slice(None), tolerance)
        judged = {
            name: _judge_exact(product, truth, where, tolerance) for name, where in parts.items()
        }
    else:
        whole, judged = _judge_differences(product, truth, parts, tolerance, thorough)
    whole = _refine(whole, point, sizes)
    wrong_parts = [j for j in judged.values() if j.verdict == "fail"]
    shown = max(wrong_parts, key=lambda j: j.error) if wrong_parts and whole.error < 1e-3 else whole
    verdict: Verdict = "fail" if wrong_parts else whole.verdict
    return Comparison(
        theta=point.index,
        direction=direction.name,
        against=oracle.against,
        verdict=verdict,
        cause=whole.cause if verdict == "inconclusive" else "",
        error=shown.error,
        noise=shown.noise,
        ratio=_ratio(product, whole.estimate),
        step=whole.step,
        slope=whole.slope,
        steps=tuple(whole.steps.tolist()),
        errors=tuple(whole.errors.tolist()),
        noises=tuple(whole.noises.tolist()),
        parts=_parts(product, direction, whole, judged, blocks, in_theta),
        vector=direction.vector,
        product=product,
        truth=whole.estimate,
    )


def _without_domain(oracle: Oracle, point: Point, direction: Direction) -> Comparison:
    """What can be said where functions fail right beside the point: nothing."""
    none = np.zeros(0)
    nothing = undecided(none, none, "domain")
    return Comparison(
        theta=point.index,
        direction=direction.name,
        against=oracle.against,
        verdict=nothing.verdict,
        cause=nothing.cause,
        error=nothing.error,
        noise=nothing.noise,
        ratio=np.nan,
        step=np.nan,
        slope=np.nan,
        steps=(),
        errors=(),
        noises=(),
        parts={},
        vector=direction.vector,
        product=none,
        truth=none,
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
    for _ in range(RETRIES):
        convicted = comparison.verdict == "fail" and comparison.product.size == 1
        if comparison.verdict != "inconclusive" and not convicted:
            break
        factors = rng.standard_normal(direction.vector.shape)
        again = trial(dataclasses.replace(direction, vector=factors * direction.vector))
        if convicted and again.verdict != "fail":
            return dataclasses.replace(comparison, verdict="inconclusive", cause="kink")
        comparison = again
    return comparison


def _judge_differences(
    product: Array, differences: Differences, parts: Blocks, tolerance: Tolerance, thorough: bool
) -> tuple[Judgement, dict[str, Judgement]]:
    for steps in (ALL_STEPS,) if thorough else (FIRST_STEPS, ALL_STEPS):
        try:
            ladder = differences.ladder(steps)
        except OutsideDomain:
            return undecided(product, np.array([]), "domain"), {}
        whole = judge(product, ladder, tolerance)
        judged = {
            name: judge(product[where], ladder.part(where), tolerance)
            for name, where in parts.items()
        }
        if all(
            j.verdict == "pass"
            and j.error * j.scale <= max(tolerance.resolved * j.scale, tolerance.negligible)
            for j in (whole, *judged.values())
        ):
            break
    return whole, judged


def _judge_exact(product: Array, truth: Exact, where: slice, tolerance: Tolerance) -> Judgement:
    value = truth.value[where]
    error = float(np.linalg.norm(product[where] - value))
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


def _refine(whole: Judgement, point: Point, sizes: Sizes) -> Judgement:
    """Name what makes the noise matter: tiny weights, or a product that has all but vanished."""
    cause: Cause = whole.cause
    if whole.verdict == "inconclusive" and whole.scale < VANISHED * sizes.reference:
        cause = "saturation"
    if cause in ("noise", "saturation") and root_mean_square(point.theta) < TINY_WEIGHTS:
        cause = "tiny weights"
    return dataclasses.replace(whole, cause=cause)


def _parts(
    product: Array,
    direction: Direction,
    whole: Judgement,
    judged: dict[str, Judgement],
    blocks: Blocks,
    in_theta: bool,
) -> dict[str, Part]:
    """Blocks of the product, or where that does not live in θ's space, of the direction."""
    if in_theta:
        return {
            name: Part(j.verdict, j.error, _ratio(product[blocks[name]], j.estimate))
            for name, j in judged.items()
        }
    if direction.block:
        return {direction.block: Part(whole.verdict, whole.error, _ratio(product, whole.estimate))}
    return {}


def _ratio(product: Array, truth: Array) -> float:
    square = float(truth @ truth)
    return float(product @ truth) / square if square > 0 else float("nan")
