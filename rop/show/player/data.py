"""What the player shows of a product, and of those that take the same vector, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.objective.definition import programs_of
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.objective.recording import KINDS, Moment, Trace
from rop.ops.kernels import Loops, Map
from rop.ops.rules import Value
from rop.programs.catalogue import PRODUCTS
from rop.programs.steps import Step
from rop.show.lines import Line, law_of, rule_of, shape_of, without_value
from rop.show.listing import TITLES, Listing, explain
from rop.show.pictures.boxes import Box, boxes_of, folded
from rop.show.pictures.layout import layered
from rop.show.player.cutting import cutting
from rop.show.player.tables import Tables
from rop.show.player.words import SWEEPS, Words

Json: TypeAlias = dict[str, Any]

MOST_STEPS = 1000
SHORT = {
    "gradient": "∇f",
    "jvp": "Jv",
    "vjp": "Jᵀu",
    "loss_hvp": "L″w",
    "ggnvp": "Gv",
    "hvp": "Hv",
}
"""The products, each with its sign in the switch."""

_LETTER, _LINE, _PAD = 7.4, 40.0, 9.0  # pixels


def data_of(at: Linearization, product: str, traces: dict[str, Trace]) -> Json:
    """Everything that a player shows.

    Parameters
    ----------
    at : Linearization
        θ and the batch.
    product : str
        The product that it opens with.
    traces : dict of str to Trace
        The products that the reader can switch between.

    Returns
    -------
    dict
        Made of dicts, lists, strings and finite numbers alone.
    """
    objective = at.objective
    assert isinstance(objective, Objective)
    tables, terms = Tables(), Terms(objective)
    shown = {name: _Shown(objective, trace) for name, trace in traces.items()}
    exact = shown.get("hvp", shown[product])
    products = [one.data(exact, tables, terms) for one in shown.values()]
    number = list(traces).index(product)
    before = sum(len(one["steps"]) for one in products[:number])
    return {
        "cases": traces[product].cases,
        "graph": _graph(objective),
        "cutting": cutting(at, objective, programs_of(objective).names),
        "tables": tables.made,
        "terms": terms.made,
        "products": products,
        "start": before + _opening(shown[product], exact),
    }


def companions(product: str) -> list[str]:
    """Products that take the same vector as one, the gradient included."""
    taken = ("", PRODUCTS[product].vector)
    return [name for name, each in PRODUCTS.items() if each.vector in taken]


def encoded(data: Json) -> str:
    """JSON that can stand in a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


class Terms:
    """The terms of all listings, each of them once: what does not depend on the product."""

    def __init__(self, objective: Objective) -> None:
        self.made: list[Json] = []
        self._known: dict[tuple[Any, ...], int] = {}
        self._names = programs_of(objective).names
        self._owners = {
            self._names.of(node, prefix): name
            for node, name in self._names.items()
            for prefix in KINDS.values()
        }
        self._within = without_value(programs_of(objective))

    def add(self, key: tuple[Any, ...], step: Step, line: Line, text: str) -> int:
        """Enter a step's term; return its number."""
        if key not in self._known:
            self._known[key] = len(self.made)
            node = "L" if step.rule not in SWEEPS else self._names[step.node]
            self.made.append(
                {
                    "text": text,
                    "target": line.target,
                    "shape": line.shape,
                    "node": node,
                    "owner": self._owners.get(step.target.name, node),
                    "rule": rule_of(step, self._within),
                    "law": law_of(step),
                    "curvature": step.rule == "curvature",
                    "source": step.node.line,
                    "operands": [[value.name, shape_of(value)] for value in step.operands],
                    "kernel": _kernel(step),
                }
            )
        return self._known[key]


class _Shown:
    """One product: its steps beside the lines of its listing."""

    def __init__(self, objective: Objective, trace: Trace) -> None:
        self.trace = trace
        self.moments = trace.moments[:MOST_STEPS]
        listing = explain(objective, trace.product)
        self._penalty = [line.formula for line in listing.each if not line.steps]
        self.entries = list(_entries(listing, self.moments))
        self.keys = _numbered(
            (line.target, text, moment.step.rule, moment.step.node)
            for moment, line, text in self.entries
        )
        self.reached = list(_reached(self.moments))
        self.once = {key: moment.once for key, moment in zip(self.keys, self.moments, strict=True)}

    def data(self, exact: _Shown, tables: Tables, terms: Terms) -> Json:
        """Everything about it, with the lines of Hv that it leaves out."""
        words = Words(self.trace, exact.trace)
        ids = {
            key: terms.add(key, moment.step, line, text)
            for one in (self, exact)
            for key, (moment, line, text) in zip(one.keys, one.entries, strict=True)
        }
        steps = []
        for key, moment, reached in zip(self.keys, self.moments, self.reached, strict=True):
            step = moment.step
            operands = [
                tables.add(array, value.shape, value.per_case)
                for value, array in zip(step.operands, moment.operands, strict=True)
            ]
            target = step.target
            result = tables.add(moment.result, target.shape, target.per_case, reached)
            steps.append(
                {
                    "term": ids[key],
                    "operands": operands,
                    "result": result,
                    "adds": step.accumulate,
                    "sweep": words.sweep(step),
                    "reason": words.reason(step),
                }
            )
        once = exact.once | self.once
        return {
            "name": self.trace.product,
            "short": SHORT[self.trace.product],
            "title": TITLES[self.trace.product],
            "steps": steps,
            "left": len(self.trace.moments) - len(self.moments),
            "listing": [[ids[key], once[key]] for key in _merged(self.keys, exact.keys)],
            "penalty": self._penalty,
            "values": self._values(tables),
        }

    def _result(self, number: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        return self.moments[number].result, self.reached[number]

    def _values(self, tables: Tables) -> dict[str, dict[str, list[list[int]]]]:
        """For each node a, Ra, da and Rda: since which number of steps it is which table."""
        trace = self.trace
        made: dict[Value, list[int]] = {}
        for number, moment in enumerate(self.moments):
            made.setdefault(moment.step.target, []).append(number)
        programs = programs_of(trace.objective)
        found: dict[str, dict[str, list[list[int]]]] = {}
        for node in dict.fromkeys([*programs.parameters, *programs.nodes]):
            own = {}
            for kind in KINDS:
                array = trace.of(node, kind)
                if array is None:
                    continue
                target = trace.target_of(node, kind)
                if target is None:
                    own[kind] = [[0, tables.add_value(node, array)]]
                else:
                    own[kind] = [
                        [number + 1, tables.add_value(node, *self._result(number))]
                        for number in made.get(target, [])
                    ]
            if node.kind != "constant":
                found[programs.names[node]] = own
        return found


def _entries(listing: Listing, moments: Iterable[Moment]) -> Iterable[tuple[Moment, Line, str]]:
    """Each step with its line in the listing and its term there."""
    terms = (
        (line, term) for line in (*listing.once, *listing.each) if line.steps for term in line.terms
    )
    for moment, (line, term) in zip(moments, terms, strict=False):
        yield moment, line, term


def _numbered(keys: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The same keys, each with the number of times that it has come before."""
    seen: dict[tuple[Any, ...], int] = {}
    found = []
    for key in keys:
        seen[key] = seen.get(key, -1) + 1
        found.append((*key, seen[key]))
    return found


def _merged(
    own: Sequence[tuple[Any, ...]], other: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Both sequences in one, each in its order."""
    merged: list[tuple[Any, ...]] = []
    present = set(own)
    for _, i, j, k, m in SequenceMatcher(None, own, other, autojunk=False).get_opcodes():
        merged += own[i:j]
        merged += [key for key in other[k:m] if key not in present]
    return merged


def _opening(one: _Shown, exact: _Shown) -> int:
    """The step to open with: one that Gv and Hv differ in, the nearest to the end."""
    second = {
        (moment.step.node, moment.step.target.name)
        for moment in exact.moments
        if moment.step.rule == "curvature"
    }
    numbers = [
        number
        for number, moment in enumerate(one.moments)
        if moment.step.rule in ("reverse", "curvature")
        and (moment.step.node, moment.step.target.name) in second
    ]
    return max(numbers, default=len(one.moments) - 1)


def _kernel(step: Step) -> Json | None:
    """How a cell of the result comes from cells of the operands, where that can be written out."""
    kernel, values = step.kernel, (step.target, *step.operands)
    common: Json = {
        "perCase": [value.per_case for value in values],
        "sizes": [value.size for value in values],
        "columns": [_columns(value) for value in values],
    }
    if isinstance(kernel, Loops):
        return common | {
            "extents": list(kernel.extents),
            "walks": [[walk.offset, *walk.strides] for walk in kernel.walks],
            "coefficient": kernel.coefficient,
        }
    if isinstance(kernel, Map) and len({value.size for value in values}) == 1:
        return common | {"text": kernel.text}
    return None


def _reached(moments: Iterable[Moment]) -> Iterator[NDArray[np.bool_]]:
    """After each step, the elements of its target that are computed: concatenate has parts."""
    known: dict[Value, NDArray[np.bool_]] = {}
    for moment in moments:
        step, kernel = moment.step, moment.step.kernel
        own = known.get(step.target, np.zeros(step.target.size, bool)).copy()
        if isinstance(kernel, Loops) and kernel.disjoint:
            own[_walked(kernel)] = True
        else:
            own[:] = True
        known[step.target] = own
        yield own


def _walked(kernel: Loops) -> NDArray[np.intp]:
    """The elements of the target that a kernel writes."""
    places = np.array(kernel.walks[0].offset)
    for extent, stride in zip(kernel.extents, kernel.walks[0].strides, strict=True):
        places = np.add.outer(places, stride * np.arange(extent))
    return places


def _columns(value: Value) -> int:
    return value.shape[-1] if value.shape else 1


def _graph(objective: Objective) -> Json:
    """Boxes and arrows, in pixels."""
    boxes = boxes_of(objective)
    shown = folded(boxes)
    sizes = {box: (_width(box) / 96, _LINE / 96) for box in shown}
    layout = layered(shown, sizes)
    number = {box: i for i, box in enumerate(shown)}
    return {
        "width": round(96 * layout.width, 1),
        "height": round(96 * layout.height, 1),
        "hidden": len(boxes) - sum(box.kind != "folded" for box in shown),
        "F": [box.name for box in shown if not box.beyond],
        "cut": None if layout.cut is None else [round(96 * part, 1) for part in layout.cut],
        "boxes": [
            {
                "name": box.name,
                "detail": box.detail,
                "kind": box.kind,
                "holds": list(box.holds),
                "x": round(96 * layout.centre[box][0], 1),
                "y": round(96 * layout.centre[box][1], 1),
                "width": round(_width(box), 1),
                "height": _LINE,
            }
            for box in shown
        ],
        "edges": [
            {
                "points": [[round(96 * x, 1), round(96 * y, 1)] for x, y in edge.points],
                "source": number[edge.source],
                "target": None if edge.target is None else number[edge.target],
            }
            for edge in layout.edges
        ],
    }


def _width(box: Box) -> float:
    return max(_LETTER * max(len(box.name), 0.82 * len(box.detail)) + 2 * _PAD, 54.0)
