"""Pictures of a report: error against step, ratios of blocks, and outcomes by node and rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rop.checking.findings import Comparison, ProductReport
from rop.checking.outcomes import Outcome
from rop.checking.report import Report
from rop.support import display

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Node -> comparison -> outcome; op -> rule -> (bugs seen, bugs tried).
Tests = Mapping[str, Mapping[str, Outcome]]
Rules = Mapping[str, Mapping[str, tuple[int, int]]]

# Nodes, or blocks, that a panel has room for: the worst ones.
ROWS = 16
# Errors between which the heat map's colours change.
FAINT, STRONG = 1e-12, 1.0


@display.figure.register(Report)
def draw(report: Report) -> Figure:
    """Draw a report.

    One panel for each product compared with differences: relative error against the step h, a
    guide of slope 2, the band of rounding noise, and the verdict. Then, for products that fail,
    the ratio of each block to the true one; for graphs that fail, the errors of every rule of
    every node; and if the power was measured, the share of injected bugs that the check sees, by
    op and rule.
    """
    from rop.show.pictures.figures import Picture

    curves: list[Callable[[Axes], None]] = []
    products = report.products.values()
    for product in products:
        comparison = _curve(product)
        if comparison is not None:
            curves.append(partial(_draw_curve, product=product, comparison=comparison))
    for product in products:
        if product.verdict == "fail" and product.blocks:
            curves.append(partial(_draw_blocks, product=product))
    maps: list[_Map] = []
    if report.localization is not None and report.localization.tests:
        maps.append(_of_nodes(report.localization.tests))
    if report.power is not None and report.power.rules:
        maps.append(_of_power(report.power.rules))

    columns = max(1, math.ceil(math.sqrt(len(curves))))
    rows = math.ceil(len(curves) / columns)
    heights = [3.6] * rows + [1.2 + 0.3 * len(each.rows) for each in maps]
    width = max([4.6 * columns, *(1.6 + 1.0 * len(each.columns) for each in maps)])
    figure = Picture(width, sum(heights) + 0.4 if heights else 1.0)
    figure.suptitle(f"rop.check: {report.verdict.upper()}, n = {report.n:,}", fontsize=11)
    if heights:
        grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
        for place, paint in enumerate(curves):
            paint(figure.add_subplot(grid[divmod(place, columns)]))
        for row, each in enumerate(maps, rows):
            _heat(figure.add_subplot(grid[row, :]), each)
    return figure


@dataclass(frozen=True)
class _Map:
    """A matrix of numbers between 0, right, and 1, wrong, with words in its cells."""

    title: str
    rows: list[str]
    columns: list[str]
    values: NDArray[np.float64]
    marks: NDArray[np.object_]


def _colour(verdict: str) -> str:
    from rop.show.pictures.figures import GREEN, ORANGE, VERMILLION

    return {"pass": GREEN, "fail": VERMILLION, "inconclusive": ORANGE}[verdict]


def _curve(product: ProductReport) -> Comparison | None:
    """The comparison to draw: one that decided a failure, else the one with the longest ladder."""
    drawn: list[Comparison] = [c for c in product.comparisons if len(c.steps) > 1]
    drawn = [c for c in drawn if c.verdict == product.verdict] or drawn
    return max(drawn, key=lambda c: len(c.steps), default=None)


def _draw_curve(axis: Axes, product: ProductReport, comparison: Comparison) -> None:
    from rop.show.pictures.figures import GREY, label, logarithmic

    h = np.array(comparison.steps)
    error, noise = np.array(comparison.errors), np.array(comparison.noises)
    colour = _colour(comparison.verdict)
    shown = error > 0
    axis.plot(
        h[shown], error[shown], "o-", color=colour, ms=3, lw=1.2, zorder=3, label="difference"
    )
    lowest = min(float(error[shown].min(initial=1.0)), float(noise[noise > 0].min(initial=1.0)))
    worst = (product.worst or comparison).error
    if 0 < worst < np.inf:
        lowest = min(lowest, worst)
        name = f"worst, extrapolated: {worst:.0e}"  # the number of the text
        axis.axhline(worst, color=colour, lw=1, ls="--", label=name)
    bottom = lowest / 10
    axis.fill_between(
        h, bottom, np.maximum(noise, bottom), color="#E4E4E4", lw=0, label="rounding noise"
    )
    if shown.any():
        start = int(np.argmax(shown))
        guide = error[start] * (h / h[start]) ** 2
        visible = guide > bottom
        axis.plot(h[visible], guide[visible], ":", color=GREY, lw=1.2, label="slope 2")
    slope = "" if math.isnan(comparison.slope) else f", slope {comparison.slope:.2f}"
    title = f"{product.symbol}: {comparison.verdict.upper()}{slope}"
    label(axis, title, "step h", "relative error")
    logarithmic(axis, "xy")
    axis.set_title(title, loc="left", fontsize=9.5, color=colour)
    axis.set_ylim(bottom=bottom)
    axis.legend(fontsize=7, frameon=False)


def _draw_blocks(axis: Axes, product: ProductReport) -> None:
    from rop.show.pictures.figures import GREY, label

    blocks = sorted(product.blocks, key=lambda name: -_severity(product, name))[:ROWS]
    names = [name for name in product.blocks if name in blocks]
    ratios = [product.blocks[name].ratio for name in names]
    colours = [_colour(product.blocks[name].verdict) for name in names]
    bars = axis.barh(names, np.nan_to_num(ratios), color=colours, height=0.7)
    axis.bar_label(bars, [f"{ratio:.4g}" for ratio in ratios], padding=2, fontsize=7)
    axis.axvline(1.0, color=GREY, lw=1, ls=":")
    axis.margins(x=0.18)
    axis.invert_yaxis()
    label(axis, f"{product.symbol}: ratio to the true product", "", "")
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", labelsize=max(5.0, 8.0 - 0.15 * len(names)))


def _severity(product: ProductReport, block: str) -> float:
    part = product.blocks[block]
    return np.inf if part.verdict == "fail" else np.nan_to_num(part.error)


def _of_nodes(tests: Tests) -> _Map:
    """Errors of the comparisons of a node's rules, and which of them are wrong."""
    worst = sorted(tests, key=lambda node: -any(o.wrong for o in tests[node].values()))[:ROWS]
    nodes = [node for node in tests if node in worst]
    names = list(dict.fromkeys(name for node in nodes for name in tests[node]))
    errors = np.full((len(nodes), len(names)), np.nan)
    marks = np.full(errors.shape, "", dtype=object)
    for i, node in enumerate(nodes):
        for name, outcome in tests[node].items():
            j = names.index(name)
            errors[i, j] = outcome.error
            marks[i, j] = "WRONG" if outcome.wrong else "" if outcome.right else "?"
            if not math.isnan(outcome.error):
                marks[i, j] += f" {outcome.error:.0e}"
    scale = np.log10(np.clip(errors, FAINT, STRONG) / FAINT) / np.log10(STRONG / FAINT)
    heads = [name.split(",")[0] for name in names]
    return _Map("errors of the rules, node by node", nodes, heads, scale, marks)


def _of_power(rules: Rules) -> _Map:
    """Share of the injected bugs that stay hidden, by op and rule."""
    ops = sorted(rules, key=lambda op: "product" in rules[op])
    names = list(dict.fromkeys(rule for op in ops for rule in rules[op]))
    hidden = np.full((len(ops), len(names)), np.nan)
    marks = np.full(hidden.shape, "", dtype=object)
    for i, op in enumerate(ops):
        for rule, (seen, tried) in rules[op].items():
            j = names.index(rule)
            hidden[i, j], marks[i, j] = 1 - seen / tried, f"{seen}/{tried}"
    return _Map("injected bugs that the check would see", ops, names, hidden, marks)


def _heat(axis: Axes, of: _Map) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    from rop.show.pictures.figures import INK, VERMILLION

    colours = LinearSegmentedColormap.from_list("", ["#BFE3D5", "#FFFFFF", VERMILLION])
    axis.imshow(of.values, cmap=colours, vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), mark in np.ndenumerate(of.marks):
        axis.text(j, i, str(mark).strip(), ha="center", va="center", fontsize=7, color=INK)
    heads = [fill(name, 14) for name in of.columns]
    axis.set_xticks(range(len(heads)), heads, fontsize=7, color=INK)
    axis.set_yticks(range(len(of.rows)), of.rows, fontsize=7, color=INK)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(of.title, loc="left", fontsize=9.5, color=INK)
