"""An iteration of HF in words, from its record alone."""

from __future__ import annotations

from math import ceil, inf, isclose

from rop.hf.record import Iteration
from rop.support import display
from rop.support.words import thirds

_FRACTIONS = {1 / 4: "1/4", 1 / 2: "1/2", 3 / 4: "3/4", 3 / 2: "3/2"}

_STOPS = {
    "residual": "the residual is {residual:.2g}, the model's minimum is reached",
    "steps": "that is its limit of steps",
    "negative curvature": "a direction has no positive curvature",
    "not finite": "a product with the curvature is not finite",
    "boundary": "the trust region's boundary is reached",
    "f rose": "f on the curvature's cases is worse than before",
    "subspace": "the subspace is searched to its end",
}


@display.words.register
def explained(it: Iteration) -> str:
    """Say why λ, the run of CG, the update and the step length are what they are.

    Parameters
    ----------
    it : Iteration
        The record.

    Returns
    -------
    str
        One sentence a decision.
    """
    said = [_damping(it), _length(it), _solver(it), _choice(it), _step(it), *it.events]
    return "\n".join(part for part in said if part)


def _damping(it: Iteration) -> str:
    """Sec. 8.5."""
    if it.lam_before == it.lam_after == 0 and it.length_before and it.radius_after is None:
        return ""
    poor, good = (it.thresholds.get(f"damping.rule.{name}") for name in ("poor", "good"))
    rho = "-∞" if it.rho_judged == -inf else f"{it.rho_judged:.2f}"
    # Only the gradient's cases are those of f in the sentence on α.
    elsewhere = it.f_reduction[0] == it.f_curvature[0] != it.f_before
    where = " on the curvature's cases" if elsewhere else ""
    if poor is None or good is None:
        if it.radius_after is not None and it.radius_before is not None:
            radii = f"{it.radius_before:.3g} → {it.radius_after:.3g}"
            return f"ρ = {rho}{where}, so the radius goes {radii}."
        return f"ρ = {rho}{where}; λ = {it.lam_before:.3g} is not adapted."
    if it.rho_judged == inf:
        why = "The predicted gain is below f's rounding error, as λ exceeds the curvature along δ"
        return f"{why}: λ falls from {it.lam_before:.3g} to {it.lam_after:.3g}."
    if it.rho_judged > good:
        compared, factor = f"> {_fraction(good)}", it.thresholds["damping.rule.lower_by"]
    elif not it.rho_judged >= poor:
        compared, factor = f"< {_fraction(poor)}", it.thresholds["damping.rule.raise_by"]
    else:
        between = f"{_fraction(poor)} ≤ ρ = {rho} ≤ {_fraction(good)}"
        return f"{between}{where}, so λ stays {it.lam_after:.3g}."
    of = " of the damped model" if it.rho_judged == it.rho_damped != it.rho else ""
    text = f"ρ{of} = {rho} {compared}{where}, so λ {it.lam_before:.3g} × {_fraction(factor)}"
    if isclose(it.lam_before * factor, it.lam_after, rel_tol=1e-6):
        return f"{text} = {it.lam_after:.3g}."
    return f"{text}, within its bounds: {it.lam_after:.3g}."


def _length(it: Iteration) -> str:
    before, after, last = it.length_before, it.length_after, it.rho_last
    if before is None or after is None or last is None:
        return ""
    rho = "-∞" if last == -inf else f"{last:.2f}"
    good, change = it.thresholds["length.good"], f"CG's limit {before} → {after}"
    if last >= good:
        why = "CG ended before its limit"
        if after > before:
            why = "the model holds"
        elif after < before:
            why = "more steps do not pay"
        elif before == 1:
            return f"ρ = {rho} ≥ {_fraction(good)}: a longer run waits for more good steps."
        return f"ρ = {rho} ≥ {_fraction(good)} at CG's last iterate, and {why}: {change}."
    return f"ρ = {rho} < {_fraction(good)} at CG's last iterate: {change}."


def _solver(it: Iteration) -> str:
    """Sec. 4 and 13."""
    if it.cg.reason == "pairs":
        return "δ is a step of L-BFGS, whose length the quasi-Newton pairs know: no product."
    said = _STOPS.get(it.cg.reason, it.cg.reason).format(residual=it.cg.residual)
    if it.cg.reason == "progress":
        rule = {name: it.thresholds[f"cg.progress.{name}"] for name in _PROGRESS}
        window = max(rule["smallest_window"], ceil(rule["window_fraction"] * it.cg.steps))
        times = f"{window:g} × " if rule["per_step"] else ""
        said = f"progress over {window:g} steps below {times}{_power(rule['tolerance'])}"
    began = "from ζ times an earlier iterate" if it.cg.warm else "from 0"
    return f"CG began {began} and stopped at {it.cg.steps}: {said}."


_PROGRESS = ("tolerance", "per_step", "smallest_window", "window_fraction")


def _choice(it: Iteration) -> str:
    """Sec. 8.7."""
    compared, what = (it.f_stored, "f") if it.f_stored else (it.model_stored, "M")
    taken = f"Iterate {it.chosen} of {it.cg.steps} taken"
    if not compared:
        return f"{taken}: the last one." if it.chosen == it.cg.steps else f"{taken}."
    values = dict(compared)
    least = min(values.values()) == values.get(it.chosen)
    if len(values) == 1:
        return f"{taken}, the only one tried."
    tried = f"of the {len(values)} tried"
    if least:
        return f"{taken}, {what} least {tried}."
    return f"{taken}, {what} not least {tried}."


def _step(it: Iteration) -> str:
    """Sec. 8.8."""
    step, many = it.step, len(it.step.trials)
    if step.alpha == 0:
        return f"The update is rejected after {many} tries: θ stays."
    tries = "at the first try" if many == 1 else f"after {many} tries"
    return f"α = {step.alpha:.3g} {tries} ({step.outcome}): f {it.f_before:.6g} → {it.f_after:.6g}."


def _fraction(number: float) -> str:
    return _FRACTIONS.get(number, thirds(number, f"{number:.3g}"))


def _power(number: float) -> str:
    """A tolerance as the paper writes it: 5e-4."""
    mantissa, exponent = f"{number:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}" if number < 0.01 else f"{number:g}"
