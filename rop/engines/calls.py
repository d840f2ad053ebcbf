"""Steps of user-defined Python functions, which every engine runs in the same way."""

from __future__ import annotations

import numpy as np

from rop.errors import RopValueError
from rop.ops.kernels import Array, Call
from rop.programs.steps import Step


def call(step: Step, cases: int, target: Array, *operands: Array) -> None:
    """Add to the target what a Python function returns, for one direction after the other."""
    assert isinstance(step.kernel, Call)
    if not step.accumulate:
        target.fill(0.0)
    for k in range(target.shape[1]):
        place = target[:, k]
        term = np.asarray(step.kernel.function(*[x[:, k % x.shape[1]] for x in operands]))
        if term.shape[1:] != place.shape[1:] or len(term) not in (1, cases):
            raise RopValueError(
                f"{step.target.name}: the {step.rule} rule of "
                f"{step.node.op.name if step.node.op else step.node.name} must return "
                f"(cases, *{place.shape[1:]}), got {term.shape}"
            )
        if len(place) < len(term):
            term = term.sum(axis=0, keepdims=True)
        np.add(place, term, out=place, casting="same_kind")
