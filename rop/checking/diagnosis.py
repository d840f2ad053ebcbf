"""What a wrong product looks like: a sign, a factor, another product, a transposed or stale one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rop.checking.calls import CallFailed
from rop.checking.directions import Direction
from rop.checking.findings import Comparison
from rop.checking.lines import Array, OutsideDomain, inner, norm, norms
from rop.checking.oracles import ORACLES
from rop.checking.outcomes import is_single
from rop.checking.point import Point
from rop.checking.policy import FIRST_STEPS
from rop.checking.session import Session
from rop.checking.truths import Exact

# Share of the discrepancy that an explanation may leave, and the error of a factor that has a name.
EXPLAINS = 1e-2
NAMED = 1e-5


def diagnose(name: str, session: Session) -> None:
    """Add explanations that fit the numbers to the report on a product, if it failed."""
    product = session.products[name]
    failed = [c for c in product.comparisons if c.verdict == "fail"]
    if failed and not product.faults:
        notes = (*product.diagnosis, *_explanations(name, product.comparisons, failed, session))
        session.products[name] = replace(product, diagnosis=notes)


def _explanations(
    name: str, comparisons: Sequence[Comparison], failed: list[Comparison], session: Session
) -> list[str]:
    if name == "value":
        return _penalty(failed, session)
    whole = next((c for c in failed if not _block(c)), failed[0])
    point = session.points[whole.theta]
    if all(c.verdict == "pass" for c in comparisons if c.theta == 0):
        # Two products may agree at one θ, as G and H do where the residual vanishes.
        return _other_products(whole, name, session, point) or [_stale(whole, name, session)]
    if any("not linear" in finding for finding in session.products[name].diagnosis):
        return []
    findings = []
    ratio = _factor([c for c in failed if c.theta == 0])
    if ratio is not None:
        known = _name_factor(ratio, name, session, point)
        findings.append(f"{ratio:.6g} times the true product{known}")
    else:
        findings += _other_products(whole, name, session, point)
        findings += _missing_blocks(whole, session)
    if name in ("jvp", "loss_hvp"):
        findings += _wrong_cases(whole, point)
    if not findings and is_single(whole.product):
        findings.append("its numbers have the digits of float32: a float32 cast inside?")
    elif not findings and whole.error < 1e-6:
        findings.append(
            f"an error of {whole.error:.0e}: a float32 cast, or the tolerance of a solver, inside?"
        )
    return findings


def _block(comparison: Comparison) -> bool:
    return comparison.direction.startswith("block")


def _factor(failed: Sequence[Comparison]) -> float | None:
    """The common factor of all failing comparisons, if there is one; one number has always one."""
    ratios = [c.ratio for c in failed]
    if sum(c.product.size for c in failed) < 2 or not np.all(np.isfinite(ratios)):
        return None
    ratio = float(np.median(ratios))
    return ratio if all(_fits(ratio * c.truth, c.product, c.truth) for c in failed) else None


def _fits(explanation: Array, product: Array, truth: Array) -> bool:
    left = norm(product - explanation)
    return left <= EXPLAINS * norm(product - truth)


def _penalty(failed: Sequence[Comparison], session: Session) -> list[str]:
    """A multiple of |θ|²/2 in f that l2= does not account for."""
    sizes = [float(p.theta @ p.theta) / 2 for p in session.points]
    excess = [float((c.product - c.truth)[0]) / (sizes[c.theta] or 1.0) for c in failed]
    if len(excess) < 2 or np.ptp(excess) > EXPLAINS * max(map(abs, excess)):
        return []
    return [f"f has {excess[0]:.6g}/2 |theta|² more than L and l2= account for: set l2="]


def _name_factor(ratio: float, name: str, session: Session, point: Point) -> str:
    """What a factor is known for; the most specific meaning last."""
    named = [
        (-1.0, ": the sign is wrong"),
        (0.0, ": it is always zero"),
        (2.0, ": a factor 2 too much, as from squares without 1/2?"),
        (0.5, ": a factor 2 is missing"),
    ]
    shape = point.outputs.shape if session.trusted("outputs") else ()
    where = {"ggnvp": "in L''", "loss_hvp": "in L''", "jvp": "", "vjp": ""}.get(name, "in L'")
    where = f"{where} " if where else "where none belongs "
    if len(shape) > 1:
        m = int(np.prod(shape[1:]))
        size = m * shape[0]
        named += [
            (m, f" = C, the number of outputs: a sum over them {where}where a mean is due?"),
            (1 / m, f" = 1/C for {m} outputs: a mean over them {where}where a sum is due?"),
            (size, f" = N C, the number of all outputs: missing 1/(N C) {where}?"),
            (1 / size, f" = 1/(N C) for {size} outputs in all: an extra mean {where}?"),
        ]
    if shape and shape[0] > 1:
        named += [
            (shape[0], f" = N, the number of cases: missing 1/N {where}?"),
            (1 / shape[0], f" = 1/N for {shape[0]} cases: a second 1/N {where}?"),
        ]
    found = ""
    for value, text in named:
        if abs(ratio - value) <= NAMED * max(abs(value), 1e-3):
            found = text.replace(" ?", "?")
    return found


def _other_products(whole: Comparison, name: str, session: Session, point: Point) -> list[str]:
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
    if session.trusted("gradient"):
        g = point.gradient
        candidates["∇f ∇fᵀ v"] = g * inner(g, whole.vector)
    product, right = whole.product, whole.truth
    for text, vector in candidates.items():
        factor = _project(product, vector)
        little = EXPLAINS * min(norm(product), norm(product - right))
        if factor and norm(product - factor * vector) <= little:
            times = "" if norm(product - vector) <= little else f"{factor:.6g} times "
            return [f"this is {times}{text}, not {symbol[name]}"]
    for text, vector in (("v", whole.vector), ("theta", point.theta)):
        factor = _project(product - right, vector)
        if factor and _fits(right + factor * vector, product, right):
            sign = "-" if factor < 0 else "+"
            return [
                f"this is {symbol[name]} {sign} {abs(factor):.6g} {text}: "
                "damping or l2 in only one of them?"
            ]
    return []


def _truth(name: str, session: Session, point: Point, direction: Direction) -> Array | None:
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
            coarse, fine = ladder.central[0], ladder.central[1]
            extrapolated: Array = fine + (fine - coarse) / 99
            return extrapolated
    return None


def _empirical_fisher(session: Session, point: Point, direction: Direction) -> Array | None:
    """Mean over cases of (gradient)(gradient)ᵀ v, where the first axis of z runs over cases."""
    if not all(session.trusted(name) for name in ("outputs", "jvp", "vjp", "loss_gradient")):
        return None
    e, Jv = point.loss_gradient, point.product("jvp", direction.vector)
    if e.ndim < 2:
        return None
    axes = tuple(range(1, e.ndim))
    # ∇L carries 1/N, the per-case gradients do not.
    along = e.shape[0] * np.sum(e * Jv, axis=axes, keepdims=True)
    return point.product("vjp", e * along) + point.l2 * direction.vector


def _missing_blocks(whole: Comparison, session: Session) -> list[str]:
    findings = []
    for name, part in whole.parts.items():
        if part.verdict != "fail" or whole.product.shape != session.points[0].theta.shape:
            continue
        block, truth = whole.product[session.blocks[name]], whole.truth[session.blocks[name]]
        if not block.any():
            findings.append(f"block {name} is zero")
        elif block.size > 1 and _fits(part.ratio * truth, block, truth):
            findings.append(f"block {name} is {part.ratio:.6g} times the true one")
        elif name in session.shapes and len(session.shapes[name]) == 2:
            shape = session.shapes[name]
            transposed = (truth.reshape(shape).T.ravel(), truth.reshape(shape[::-1]).T.ravel())
            if any(_fits(t, block, truth) for t in transposed):
                findings.append(f"block {name} is transposed")
    return findings


def _wrong_cases(whole: Comparison, point: Point) -> list[str]:
    """Which cases are wrong, if only some are."""
    shape = point.outputs.shape if "outputs" in point.functions else ()
    if len(shape) < 2 or whole.product.size != int(np.prod(shape)):
        return []
    error = norms((whole.product - whole.truth).reshape(shape[0], -1))
    size = norm(whole.truth) / np.sqrt(shape[0])
    wrong = np.flatnonzero(error > 10 * max(whole.noise, 1e-9) * size)
    if not 0 < wrong.size <= shape[0] // 2:
        return []
    listed = ", ".join(str(case) for case in wrong[:5])
    return [f"wrong only in {wrong.size} of {shape[0]} cases: {listed}{', ...' * (wrong.size > 5)}"]


def _stale(comparison: Comparison, name: str, session: Session) -> str:
    message = "right at the first theta, wrong at the second: a stale cache?"
    if name in ("jvp", "ggnvp", "hvp"):
        first = session.points[0].product(name, comparison.vector)
        if np.allclose(first.ravel(), comparison.product, rtol=1e-12, atol=0):
            message = message[:-1] + "; it still answers for the first theta"
    return message


def _project(vector: Array, on: Array) -> float:
    size = norm(on)
    return inner(vector, on / size) / size if size > 0 else 0.0
