"""Programs that keep the cases apart: the rows of J, and sums of their squares (sec. 11.2-11.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rop.graph import Node, descendants
from rop.ops.kernels import Loops, einsum, product
from rop.ops.rules import Place, State, Target, Value
from rop.programs.model import Model
from rop.programs.steps import Emitter, Program, Step
from rop.programs.sweeps import reverse


def rows(model: Model) -> Program:
    """Jᵀu with the parameters' adjoints of each case apart: one row of J per case and u."""
    emit = model.emit_to(Program("rows"), directional=True, by_case=model.z.per_case)
    per_case, results, offset = model.z.per_case, State(), 0
    for node in model.parameters:
        place = Place("output", offset, row=model.size)
        results[node] = Value(model.names.of(node, "d"), node.shape, per_case, True, place)
        offset += node.size
    d = State({**results, model.z: model.given("u")})
    reverse(model.network, emit, model.a, d, model.active)
    model.finish(emit, d, "d", results)
    return emit.program


def squares(model: Model, hidden: Sequence[Node] = ()) -> Program:
    """Sum over cases and directions of the squared elements of the rows (alg. 6 and 7)."""
    name = "structural squares" if hidden else "squares"
    emit = model.emit_to(Program(name), directional=True, by_case=model.z.per_case)
    network, d = model.leading_to(model.z, *hidden), State({model.z: model.given("u")})
    if hidden:
        # What is given must not be added to, and any of these may come before another.
        starts = [(model.z, d.pop(model.z))]
        for i, node in enumerate(hidden):
            place = Place(f"signs {i}")
            signs = Value(f"v{i}", node.shape, node.per_case, True, place=place)
            starts.append((model.damped_at(node), signs))
        for node, given in starts:
            emit.begin(node, "structural")
            emit(Target(d, node, "d"), einsum("i->i", ((node.size,),), "{0}"), given)
    reverse(network, emit, model.a, d, descendants(network, model.parameters))
    steps = emit.program.steps
    summed = model.emit_to(emit.program)
    results, squared = model.blocks("diag ", "output", False), dict[Value, Value]()
    writers: dict[Value, list[Step]] = {}
    for step in steps:
        writers.setdefault(step.target, []).append(step)
    read = {value for step in steps for value in step.operands}
    for node, result in results.items():
        row = d.get(node)
        only = writers.get(row, []) if row is not None and row not in read else []
        summed.begin(node, "squares")
        target = Target(State({node: result}), node, "diag ")
        if row is not None and len(only) == 1 and _outer(only[0], row):
            # sq(da) sq(y)ᵀ, erratum M60: no case's dW needs to be formed.
            kernel = only[0].kernel
            assert isinstance(kernel, Loops)
            factors = [_square(summed, v, squared) for v in only[0].operands]
            summed(target, replace(kernel, coefficient=kernel.coefficient**2), *factors)
        elif row is not None:
            summed(target, product(node.shape), row, row)
        summed.finish(target, result)
    return emit.program


def _square(emit: Emitter, value: Value, squared: dict[Value, Value]) -> Value:
    if value not in squared:
        emit.directional = value.per_direction
        times = product(value.shape, "{0}²")
        squared[value] = emit.temporary(f"{value.name}²", value.shape, times, value, value)
        emit.directional = False
    return squared[value]


def _outer(step: Step, row: Value) -> bool:
    """Whether a step makes every element of a row as one product, without a sum within the case."""
    kernel = step.kernel
    return (
        isinstance(kernel, Loops)
        and kernel.whole
        and len(kernel.walks) == 3
        and all(
            s != 0 or e == 1 for e, s in zip(kernel.extents, kernel.walks[0].strides, strict=True)
        )
        and row.place is None
    )
