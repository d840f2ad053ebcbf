"""What notebooks show of graphs, objectives, linearizations, listings, reports and runs.

Importing this module registers its functions with `rop.support.display`.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from math import prod
from typing import TYPE_CHECKING

from rop.checking.report import Report
from rop.graph import Node
from rop.hf.record import Iteration
from rop.hf.result import Records, Result
from rop.objective.definition import programs_of
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.objective.recording import KINDS
from rop.show import boundary, checks, plot, recipe
from rop.show.boundary import Cuts
from rop.show.drawing import draw
from rop.show.recipe import RecipeListing
from rop.show.stepping import Snapshot, Stepping
from rop.support import display
from rop.support.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["checks"]  # registers the pictures of reports

_text = partial(escape, quote=False)
_LAST = 20  # rows of a long table
_WRAPPED = '<pre style="white-space: pre-wrap">'
_COSTED = ("gradient", "ggnvp", "hvp")


@display.svg.register
def _node(node: Node) -> str:
    return _svg(draw(node))


@display.html.register
def _objective(objective: Objective) -> str:
    rows = [
        (name, " × ".join(map(str, shape)) or "scalar", f"{prod(shape):,}")
        for name, shape in objective.shapes.items()
    ]
    strengths = {"θ": objective.l2} if isinstance(objective.l2, float) else objective.l2
    penalty = "".join(f", l2 = {l2:g} for {name}" for name, l2 in strengths.items() if l2)
    return (
        f"<p>{_text(objective.loss.name)} of {objective.output_shape}{penalty}, "
        f"{counted(objective.n, 'parameter')}</p>{_svg(draw(objective))}"
        + _table(("parameter", "shape", "elements"), rows)
    )


@display.html.register
def _linearization(at: Linearization) -> str:
    sizes = [(name, f"{size / 2**20:,.2f} MiB") for name, size in at.memory.items()]
    programs = {name: programs_of(at.objective).product(name).steps for name in _COSTED}
    work = [
        (name, len(steps), f"{sum(step.multiplications for step in steps):,}")
        for name, steps in programs.items()
    ]
    return (
        f"<p>{_text(repr(at)[1:-1])}</p>"
        + _table(("memory", ""), sizes)
        + _table(("product", "steps", "multiplications for a case"), work)
    )


@display.html.register
def _recipe(listing: RecipeListing) -> str:
    return f"<p>{_text(listing.title)}</p>{_table(recipe.HEADS, listing.rows())}"


@display.html.register
def _cuts(found: Cuts) -> str:
    return _table(boundary.HEADS, found.rows())


@display.html.register
def _stepping(stepping: Stepping) -> str:
    heads = ("node", "op", *KINDS)
    current = stepping.current
    step = "" if current is None else f"<pre>{_text(str(current))}</pre>"
    said = str(stepping).partition("\n")[0]
    return f"<p>{_text(said)}</p>{_table(heads, stepping.rows())}{step}"


@display.html.register
def _snapshot(step: Snapshot) -> str:
    return f"<pre>{_text(str(step))}</pre>"


@display.html.register
def _report(report: Report) -> str:
    first, *rest = str(report).splitlines()
    wrong = [line for line in rest if "FAIL" in line or "INCONCLUSIVE" in line]
    details = _text("\n".join(rest))
    return (
        f"<p><b>{_text(first)}</b></p>"
        + "".join(f"{_WRAPPED}{_text(line)}</pre>" for line in wrong[:8])
        + f"<details><summary>details</summary>{_WRAPPED}{details}</pre></details>"
    )


@display.html.register
def _records(records: Records) -> str:
    heads = ("", "f", "‖∇f‖", "λ", "ρ", "CG", "α", "events")
    shown = records[-_LAST:]
    earlier = len(records) - len(shown)
    note = f"<p>the last {_LAST} of {len(records)} iterations</p>" if earlier else ""
    return note + _table(heads, map(_row, shown))


@display.html.register
def _result(result: Result) -> str:
    said = (
        f"<p>{_text(result.message)}: f = {result.fun:.6g} after "
        f"{counted(result.nit, 'iteration')}, {counted(result.nhev, 'product')} and "
        f"{result.seconds:.1f} s</p>"
    )
    if not result.records:
        return said
    events = [(it.number, event) for it in result.records for event in it.events][-5:]
    table = _table(("iteration", "event"), events) if events else ""
    return said + _png(plot.run(result)) + table


@display.figure.register(Records)
def _run(records: Records) -> Figure:
    return plot.run(records)


def _row(it: Iteration) -> tuple[object, ...]:
    return (
        it.number,
        f"{it.f_before:.5g} → {it.f_after:.5g}",
        f"{it.gradient_norm:.2e}",
        f"{it.lam_before:.3g}",
        f"{it.rho:.2f}",
        f"{it.chosen} of {it.cg.steps}, {it.cg.reason}",
        f"{it.step.alpha:.2g}",
        "; ".join(it.events),
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context({"svg.hashsalt": "rop"}):  # the same graph gives the same bytes
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _png(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return f'<img src="data:image/png;base64,{b64encode(file.getvalue()).decode()}">'
