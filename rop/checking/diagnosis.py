"""What a wrong product looks like: a sign, a factor, another product, a transposed block, old activations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.directions import Direction
from rop.checking.lines import Array, OutsideDomain
from rop.checking.oracles import ORACLES, Exact
from rop.checking.point import Point
from rop.checking.policy import FIRST_STEPS
from rop.checking.report import Comparison

if TYPE_CHECKING:
    from rop.checking.session import Session

# Relative misfit below which an explanation is given as one.
EXPLAINS = 1e-5


def diagnose(name: str, comparisons: Sequence[Comparison], session: "Session") -> list[str]:
    """Explanations that fit the numbers of a product that failed.

    Parameters
    ----------
    name : str
        Argument name of the product.
    comparisons : sequence of Comparison
        All of its comparisons, failed or not.
    session : Session

    Returns
    -------
    list of str
    """
    failed = [c for c in comparisons if c.verdict == "fail"]
    if all(c.verdict == "pass" for c in comparisons if c.theta == 0):
        return [_stale(failed[0], name, session)]
    whole = next((c for c in failed if not _block(c)), failed[0])
    point = session.points[whole.theta]
    findings = []
    ratio = _factor([c for c in failed if c.theta == 0])
    if ratio is not None:
        findings.append(f"{ratio:.6g} times the true product in every direction that fails"
                        f"{_name_factor(ratio, name, session, point)}")
    else:
        findings += _other_products(whole, name, session, point)
        findings += _missing_blocks(whole, session)
    if name in ("jvp", "loss_hvp"):
        findings += _wrong_cases(whole, point)
    if not findings and whole.error < 1e-6:
        findings.append("an error of the size of float32's rounding: a float32 cast inside?")
    return findings


def _block(comparison: Comparison) -> bool:
    return comparison.direction.startswith("block")


def _factor(failed: Sequence[Comparison]) -> float | None:
    """The common factor of all failing comparisons, if there is one."""
    ratios = [c.ratio for c in failed]
    if not np.all(np.isfinite(ratios)) or not ratios:
        return None
    ratio = float(np.median(ratios))
    for c in failed:
        misfit = np.linalg.norm(c.product - ratio * c.truth)
        if misfit > EXPLAINS * max(np.linalg.norm(c.product), np.linalg.norm(c.truth)):
            return None
    return ratio


def _name_factor(ratio: float, name: str, session: "Session", point: Point) -> str:
    named: dict[str, float] = {
        ": the sign is wrong": -1.0,
        ": it is always zero": 0.0,
        " = 2: a factor 2 too much, as from squares without 1/2": 2.0,
        " = 1/2: a factor 2 is missing": 0.5,
    }
    if session.trusted("outputs"):
        shape = point.outputs.shape
        if len(shape) > 1 and shape[-1] > 2:
            named[f" = C = {shape[-1]}, the number of outputs: summed where a mean is due?"] = shape[-1]
            named[f" = 1/C, C = {shape[-1]} outputs: a mean where a sum is due?"] = 1 / shape[-1]
        if shape and shape[0] > 1:
            where = "in L''" if name in ("ggnvp", "loss_hvp") else "in L'"
            if name in ("jvp", "vjp"):
                where = "which belongs to the loss alone"
            size = int(np.prod(shape))
            named[f" = N·m = {size}, the number of all outputs: missing 1/(N·m) {where}?"] = size
            named[f" = 1/(N·m), N·m = {size} outputs in all: an extra mean {where}?"] = 1 / size
            named[f" = N = {shape[0]}, the number of cases: missing 1/N {where}?"] = shape[0]
            named[f" = 1/N, N = {shape[0]} cases: a second 1/N {where}?"] = 1 / shape[0]
    found = ""
    for text, value in named.items():
        if abs(ratio - value) <= EXPLAINS * max(abs(value), 1e-3):
            found = text
    return found


def _other_products(
    whole: Comparison, name: str, session: "Session", point: Point
) -> list[str]:
    """One other product, or the right one plus a multiple of another vector, if that fits."""
    if whole.product.shape != (point.n,) or name not in ("ggnvp", "hvp"):
        return []
    direction = Direction(whole.direction, "", whole.vector)
    candidates = {"v": whole.vector}
    other = "hvp" if name == "ggnvp" else "ggnvp"
    symbol = {"ggnvp": "Gv", "hvp": "Hv"}
    truth = _truth(other, session, point, direction)
    if truth is not None:
        candidates[symbol[other]] = truth
    fisher = _empirical_fisher(session, point, direction)
    if fisher is not None:
        candidates["the empirical Fisher matrix times v"] = fisher
    size = np.linalg.norm(whole.product)
    for text, vector in candidates.items():
        factor = _project(whole.product, vector)
        if factor and np.linalg.norm(whole.product - factor * vector) <= EXPLAINS * size:
            times = "" if abs(factor - 1) < EXPLAINS else f"{factor:.6g} times "
            return [f"this is {times}{text}, not {symbol[name]}"]
    rest = whole.product - whole.truth
    for text, vector in (("v", whole.vector), ("theta", point.theta)):
        factor = _project(rest, vector)
        if factor and np.linalg.norm(rest - factor * vector) <= EXPLAINS * np.linalg.norm(rest):
            return [f"this is {symbol[name]} + {factor:.6g} {text}: damping or l2 in only one of them?"]
    return []


def _truth(
    name: str, session: "Session", point: Point, direction: Direction
) -> Array | None:
    """Another product according to its oracle, whether or not the user gave it."""
    for oracle in ORACLES:
        if oracle.product == name and all(session.trusted(need) for need in oracle.needs):
            try:
                _, truth = oracle.compare(point, direction)
                if isinstance(truth, Exact):
                    return truth.value if truth.value.shape == (point.n,) else None
                ladder = truth.ladder(FIRST_STEPS)
            except (CallFailed, OutsideDomain):
                return None
            if ladder.central.shape[1:] != (point.n,) or len(ladder.steps) < 2:
                return None
            return ladder.central[1] + (ladder.central[1] - ladder.central[0]) / 99
    return None


def _empirical_fisher(
    session: "Session", point: Point, direction: Direction
) -> Array | None:
    """Mean over cases of (gradient)(gradient)ᵀ v, where the first axis of z runs over cases."""
    if not all(session.trusted(name) for name in ("outputs", "jvp", "vjp", "loss_gradient")):
        return None
    e, Jv = point.loss_gradient, point.jvp(direction.vector)
    if e.ndim < 2:
        return None
    axes = tuple(range(1, e.ndim))
    # ∇L carries 1/N, the per-case gradients do not.
    along = e.shape[0] * np.sum(e * Jv, axis=axes, keepdims=True)
    return point.vjp(e * along) + point.l2 * direction.vector


def _missing_blocks(whole: Comparison, session: "Session") -> list[str]:
    findings = []
    for name, part in whole.parts.items():
        if part.verdict != "fail" or whole.product.shape != session.points[0].theta.shape:
            continue
        block, truth = whole.product[session.blocks[name]], whole.truth[session.blocks[name]]
        if not block.any():
            findings.append(f"block {name} is zero")
        elif np.linalg.norm(block - part.ratio * truth) <= EXPLAINS * np.linalg.norm(block):
            findings.append(f"block {name} is {part.ratio:.6g} times the true one")
        elif name in session.shapes and len(session.shapes[name]) == 2:
            shape = session.shapes[name]
            transposed = (truth.reshape(shape).T.ravel(), truth.reshape(shape[::-1]).T.ravel())
            if any(np.linalg.norm(block - t) <= EXPLAINS * np.linalg.norm(block) for t in transposed):
                findings.append(f"block {name} is transposed")
    return findings


def _wrong_cases(whole: Comparison, point: Point) -> list[str]:
    """Which cases are wrong, if only some are."""
    shape = point.outputs.shape if "outputs" in point.functions else ()
    if len(shape) < 2 or whole.product.size != int(np.prod(shape)):
        return []
    error = np.linalg.norm((whole.product - whole.truth).reshape(shape[0], -1), axis=1)
    size = np.linalg.norm(whole.truth) / np.sqrt(shape[0])
    wrong = np.flatnonzero(error > 10 * max(whole.noise, 1e-9) * size)
    if not 0 < wrong.size <= shape[0] // 2:
        return []
    listed = ", ".join(str(case) for case in wrong[:5])
    return [f"wrong only in {wrong.size} of {shape[0]} cases: {listed}{', ...' * (wrong.size > 5)}"]


def _stale(comparison: Comparison, name: str, session: "Session") -> str:
    message = "right at the first theta, wrong at the second: a stale cache"
    if name in ("jvp", "ggnvp", "hvp"):
        first = session.points[0].product(name, comparison.vector)
        if np.allclose(first.ravel(), comparison.product, rtol=1e-12, atol=0):
            message += "; it still answers for the first theta"
    return message


def _project(vector: Array, on: Array) -> float:
    square = float(on @ on)
    return float(vector @ on) / square if square > 0 else 0.0
