"""Why a step of a product is there, in a sentence or three."""

from __future__ import annotations

from rop.graph import ancestors
from rop.objective.recording import Trace
from rop.ops.families import Bilinear, Elementwise
from rop.programs.steps import Step

SWEEPS = {
    "value": "forward",
    "s'": "forward",
    "s''": "forward",
    "s''·da": "reverse",
    "R": "R-forward",
    "reverse": "reverse",
    "curvature": "reverse",
}
"""The sweep of each rule of an op; all other rules are the loss's."""

_FIXED = {
    "value": "The forward sweep: a value, or one term of it. It depends on θ and the batch alone.",
    "s'": "The slope of {op} at each element. It is computed once, and serves every v.",
    "s''": "The second derivative of {op} at each element. Only the curvature rule needs it.",
    "s''·da": (
        "The second derivative of {op} times the adjoint: what the curvature rule multiplies. It "
        "does not depend on v, so it is computed once."
    ),
}


class Words:
    """The sweeps of a product's steps, and the reasons for them.

    Parameters
    ----------
    trace : Trace
        The product.
    exact : Trace
        Hv, or the product itself where there is no Hv to compare with.
    """

    def __init__(self, trace: Trace, exact: Trace) -> None:
        self._product = trace.product
        self._F = set(ancestors(trace.objective.z))
        self._R = [moment.step for moment in trace.moments if moment.step.rule == "R"]
        self._second = [m.step for m in exact.moments if m.step.rule == "curvature"]
        self._made = {m.step.target: m.step for m in (*exact.moments, *trace.moments)}

    def sweep(self, step: Step) -> str:
        """Name the sweep that a step belongs to: forward, R-forward, loss, reverse or R-reverse."""
        found = SWEEPS.get(step.rule, "loss")
        return f"R-{found}" if found == "reverse" and self._in_R_reverse(step) else found

    def reason(self, step: Step) -> str:
        """Say why a step is there; formulas are between backticks, as in Markdown."""
        if step.rule in _FIXED:
            return _FIXED[step.rule].format(op=_op(step))
        if step.rule == "R":
            return self._r_forward(step)
        if step.rule not in SWEEPS:
            if step.target.per_direction:
                return (
                    "The loss: a part of L'' Rz, its second derivative times Rz (table 2). Gv and "
                    "Hv both have it."
                )
            return "The loss: a part of its derivatives at the outputs (table 2), with the 1/N."
        if not self._in_R_reverse(step):
            return "The reverse sweep: from the adjoint of an op's output to that of its input."
        return self._curvature(step) if step.rule == "curvature" else self._r_reverse(step)

    def _in_R_reverse(self, step: Step) -> bool:
        return self._product in ("ggnvp", "hvp") and step.target.per_direction

    def _r_forward(self, step: Step) -> str:
        if isinstance(step.node.op, Elementwise):
            return f"Chain rule: R of {_op(step)} is its slope times R of its input."
        if not isinstance(step.node.op, Bilinear):
            return (
                "R is linear, as this op is: R of the output is the op applied to R of the input."
            )
        terms = [other for other in self._R if other.node is step.node]
        if len(terms) > 1:
            both = " + ".join(_term(other) for other in terms)
            place = "first" if terms[0] is step else "second"
            return (
                f"Product rule: both factors change as θ moves along v, so there are two terms, "
                f"`{both}`. This is the {place}."
            )
        return (
            f"Product rule: {_still(step)} does not change with θ, so its R is 0, and one term is "
            "left."
        )

    def _r_reverse(self, step: Step) -> str:
        own, still = _term(step), _still(step)
        name = step.target.name.removeprefix("R")
        line = f"R of the gradient's line `{name} = {_term(step, before_R=True)}`"
        if isinstance(step.node.op, Elementwise):
            line += f", where s' is {_op(step)}'"
        second = " + ".join(_second(step, other) for other in self._second if _beside(step, other))
        if second and self._product == "ggnvp" and step.node in self._F:
            return (
                f"{line}. G takes F as linear in θ (sec. 6): J stays fixed, and {still} with it. "
                f"So Gv has one term, `{own}`. In Hv {still} changes as θ moves along v, and the "
                f"product rule adds a second term, which is grey: {second}."
            )
        if second:
            end = "" if step.node in self._F else " They are parts of L'', so Gv has both."
            return (
                f"{line}. It is a product, and both factors change as θ moves along v. So the "
                f"product rule gives two terms. This is the first, `{own}`, where {still} stays "
                f"fixed. The second, where {still} changes, is {second}.{end}"
            )
        if isinstance(step.node.op, Bilinear):
            return f"{line}. {still} does not change with θ, so there is one term, in Hv as in Gv."
        return f"{line}. It is linear in the adjoint, so there is one term, in Hv as in Gv."

    def _curvature(self, step: Step) -> str:
        name, moving = step.target.name.removeprefix("R"), _moving(step)
        if isinstance(step.node.op, Elementwise):
            bend = self._made[step.operands[0]]
            second, adjoint = (value.name for value in bend.operands)
            slope = second.replace("s''", "s'", 1)
            line = f"{slope} * {adjoint}"
            change = (
                f"`{slope}` changes as θ moves along v, by `{second} * {moving}`, and that times "
                f"`{adjoint}` is this term: `{bend.target.name}` is `{_term(bend)}`"
            )
        else:
            line = _term(step, before_R=True)
            change = f"`{moving.removeprefix('R')}` changes as θ moves along v, by `{moving}`"
        end = "Gv leaves it out: G takes F as linear in θ (sec. 6), so J stays fixed."
        if step.node not in self._F:
            end = "It is a part of L'', so Gv has it too."
        return (
            f"Product rule, the second term of R of the gradient's line `{name} = {line}`. "
            f"{change}. {end}"
        )


def _op(step: Step) -> str:
    return step.node.op.name if step.node.op is not None else ""


def _beside(step: Step, other: Step) -> bool:
    """Whether two steps add to one value by rules of one node."""
    return step.node is other.node and step.target.name == other.target.name


def _second(step: Step, other: Step) -> str:
    """The second term of a product's R; of an elementwise op also where it comes from."""
    if not isinstance(step.node.op, Elementwise):
        return f"`{_term(other)}`"
    slope, adjoint = step.operands[0].name, _moving(step).removeprefix("R")
    bend = "s''" + slope.removeprefix("s'")
    written = f"{bend} * {_moving(other)} * {adjoint}"
    return f"`R{{{slope}}} * {adjoint} = {written}`, in the listing `{_term(other)}`"


def _moving(step: Step) -> str:
    return " and ".join(value.name for value in step.operands if value.per_direction)


def _still(step: Step) -> str:
    return " and ".join(f"`{value.name}`" for value in step.operands if not value.per_direction)


def _term(step: Step, before_R: bool = False) -> str:
    """A step's term, or the term that R was taken of."""
    names = [
        value.name.removeprefix("R") if before_R and value.per_direction else value.name
        for value in step.operands
    ]
    text = "0" if step.kernel is None else step.kernel.text.format(*names)
    summed = not step.target.per_case and any(value.per_case for value in step.operands)
    return f"Σ {text}" if summed else text
