"""Functions of rows along the last axis, such as softmax, as kernels: maxima and sums included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rop.engines.cuda.kernels import THREADS
from rop.engines.cuda.source import line
from rop.ops.expressions import Application, Expression, Reduction

_REDUCTIONS: dict[np.ufunc, tuple[str, str]] = {
    np.maximum: ("real(-inf)", "{0} if {0} > {1} or {0} != {0} else {1}"),
    np.minimum: ("real(inf)", "{0} if {0} < {1} or {0} != {0} else {1}"),
    np.add: ("real(0.0)", "{0} + {1}"),
}


def row_source(expression: Expression, accumulate: bool) -> str:
    """Write a kernel in which `lanes` threads share a row, and reduce it as a tree.

    Parameters
    ----------
    expression : Expression
        What it computes.
    accumulate : bool
        Whether the target is added to.

    Returns
    -------
    str
        Source of ``kernel(rows, columns, lanes, t, t0, p0, o0, n0, ...)``: the target and its first
        element, then each argument, its first element and its number of rows.
    """
    count = expression.arguments
    given = ", ".join(f"p{i}, o{i}, n{i}" for i in range(count))
    lines = [
        "@cuda.jit(cache=True)",
        f"def kernel(rows, columns, lanes, t, t0, {given}):",
        f"    parts = cuda.shared.array({THREADS}, t.dtype)",
        "    thread = cuda.threadIdx.x",
        "    lane, mine = thread % lanes, thread // lanes",
        f"    row = cuda.blockIdx.x * ({THREADS} // lanes) + mine",
        *[f"    q{i} = o{i} + (row % n{i}) * columns" for i in range(count)],
    ]
    names = [f"v{i}" for i in range(count)] + [f"e{i}" for i in range(len(expression.entries))]
    for i, (entry, axis) in enumerate(zip(expression.entries, expression.axes, strict=True)):
        if isinstance(entry, Reduction):
            lines += [f"    {text}" for text in _reduction(expression, names, i, entry)]
        elif axis != "full":
            lines.append(f"    e{i} = ({line(entry, names)}) if row < rows else real(0.0)")
    result, before = f"e{len(expression.entries) - 1}", "t[at] + " if accumulate else ""
    if expression.axes[-1] == "full":
        lines += [
            "    if row < rows:",
            "        for column in range(lane, columns, lanes):",
            *[f"            {text}" for text in _needed(expression, names, result)],
            "            at = t0 + row * columns + column",
            f"            t[at] = {before}{result}",
        ]
    else:
        lines += [
            "    if row < rows and lane == 0:",
            "        at = t0 + row",
            f"        t[at] = {before}{result}",
        ]
    return "\n".join(lines) + "\n"


def _reduction(
    expression: Expression, names: Sequence[str], i: int, entry: Reduction
) -> Iterator[str]:
    nothing, combine = _REDUCTIONS[entry.ufunc]
    operand = names[entry.operand]
    yield f"e{i} = {nothing}"
    yield "if row < rows:"
    yield "    for column in range(lane, columns, lanes):"
    yield from (f"        {text}" for text in _needed(expression, names, operand))
    yield f"        e{i} = {combine.format(f'e{i}', operand)}"
    yield f"parts[thread] = e{i}"
    yield "cuda.syncthreads()"
    yield "half = lanes // 2"
    yield "while half > 0:"
    yield "    if lane < half:"
    yield "        ours, theirs = parts[thread], parts[thread + half]"
    yield f"        parts[thread] = {combine.format('ours', 'theirs')}"
    yield "    cuda.syncthreads()"
    yield "    half //= 2"
    yield f"e{i} = parts[thread - lane]"
    yield "cuda.syncthreads()"


def _needed(expression: Expression, names: Sequence[str], wanted: str) -> list[str]:
    """Assignments of one column that lead to a value: what is read, and what is computed of it."""
    texts: dict[str, str] = {}

    def visit(number: int) -> None:
        name, i = names[number], number - expression.arguments
        if name in texts or (i >= 0 and expression.axes[i] != "full"):
            return
        if i < 0:
            texts[name] = f"{name} = p{number}[q{number} + column]"
            return
        entry = expression.entries[i]
        assert isinstance(entry, Application)
        for operand in entry.operands:
            if isinstance(operand, int):
                visit(operand)
        texts[name] = f"{name} = {line(entry, names)}"

    visit(names.index(wanted))
    return list(texts.values())
