"""Pictures of a report: error against step, ratios of blocks, and outcomes by node and rule."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from rop.checking.findings import Comparison, ProductReport
from rop.checking.outcomes import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Node -> comparison -> outcome; op -> rule -> (bugs seen, bugs tried).
Tests = Mapping[str, Mapping[str, Outcome]]
Rules = Mapping[str, Mapping[str, tuple[int, int]]]

COLOURS = {"pass": "tab:green", "fail": "tab:red", "inconclusive": "tab:orange"}
# Nodes, or blocks, that a panel has room for: the worst ones.
ROWS = 16
# Errors between which the heat map's colours change.
FAINT, STRONG = 1e-12, 1.0


def draw(title: str, products: Sequence[ProductReport], tests: Tests, rules: Rules) -> "Figure":
    """Draw a report.

    One panel for each product compared with differences: relative error against the step h, a
    guide of slope 2, the band of rounding noise, and the verdict. Then, for products that fail,
    the ratio of each block to the true one; for graphs that fail, the errors of every rule of
    every node (`tests`); and if the power was measured, the share of injected bugs that the check
    sees, by op and rule (`rules`).
    """
    from matplotlib.figure import Figure

    panels: list[Callable[[Axes], None]] = []
    for product in products:
        comparison = _curve(product)
        if comparison is not None:
            panels.append(partial(_draw_curve, product=product, comparison=comparison))
    for product in products:
        if product.verdict == "fail" and product.blocks:
            panels.append(partial(_draw_blocks, product=product))
    if tests:
        panels.append(partial(_draw_nodes, tests=tests))
    if rules:
        panels.append(partial(_draw_power, rules=rules))
    columns = max(1, math.ceil(math.sqrt(len(panels))))
    rows = max(1, math.ceil(len(panels) / columns))
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, draw in zip(axes, panels, strict=False):
        draw(axis)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.suptitle(title)
    return figure


def _curve(product: ProductReport) -> Comparison | None:
    """The comparison to draw: one that decided a failure, else the one with the longest ladder."""
    drawn: Sequence[Comparison] = [c for c in product.comparisons if len(c.steps) > 1]
    drawn = [c for c in drawn if c.verdict == product.verdict] or drawn
    return max(drawn, key=lambda c: len(c.steps), default=None)


def _draw_curve(axis: "Axes", product: ProductReport, comparison: Comparison) -> None:
    h = np.array(comparison.steps)
    error, noise = np.array(comparison.errors), np.array(comparison.noises)
    colour = COLOURS[comparison.verdict]
    shown = error > 0
    axis.loglog(
        h[shown],
        error[shown],
        "o-",
        color=colour,
        markersize=3,
        zorder=3,
        label="central difference",
    )
    lowest = min(float(error[shown].min(initial=1.0)), float(noise[noise > 0].min(initial=1.0)))
    bottom = lowest / 10
    axis.fill_between(h, bottom, np.maximum(noise, bottom), color="0.85", label="rounding noise")
    if shown.any():
        start = int(np.argmax(shown))
        guide = error[start] * (h / h[start]) ** 2
        visible = guide > bottom
        axis.loglog(h[visible], guide[visible], "k:", linewidth=1, label="slope 2")
    slope = "" if math.isnan(comparison.slope) else f", slope {comparison.slope:.2f}"
    axis.set_title(
        f"{product.symbol}: {comparison.verdict.upper()}{slope}", color=colour, fontsize=9
    )
    axis.set_ylim(bottom=bottom)
    axis.set_xlabel("step h", fontsize=8)
    axis.set_ylabel("relative error", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6)


def _draw_blocks(axis: "Axes", product: ProductReport) -> None:
    blocks = sorted(product.blocks, key=lambda name: -_severity(product, name))[:ROWS]
    names = [name for name in product.blocks if name in blocks]
    ratios = [product.blocks[name].ratio for name in names]
    colours = [COLOURS[product.blocks[name].verdict] for name in names]
    bars = axis.barh(names, np.nan_to_num(ratios), color=colours)
    axis.bar_label(bars, [f"{ratio:.4g}" for ratio in ratios], padding=2, fontsize=7)
    axis.axvline(1.0, color="k", linewidth=1, linestyle=":")
    axis.margins(x=0.18)
    axis.invert_yaxis()
    axis.set_title(f"{product.symbol}: ratio to the true product", fontsize=9)
    axis.tick_params(labelsize=7)


def _severity(product: ProductReport, block: str) -> float:
    part = product.blocks[block]
    return np.inf if part.verdict == "fail" else np.nan_to_num(part.error)


def _draw_nodes(axis: "Axes", tests: Tests) -> None:
    """Errors of the comparisons of a node's rules; framed where they are wrong."""
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
                marks[i, j] += f"\n{outcome.error:.0e}"
    scale = np.log10(np.clip(errors, FAINT, STRONG) / FAINT) / np.log10(STRONG / FAINT)
    _heat(axis, nodes, [name.split(",")[0] for name in names], scale, marks)
    axis.set_title("errors of the rules, node by node", fontsize=9)


def _draw_power(axis: "Axes", rules: Rules) -> None:
    """Share of the injected bugs that stay hidden, by op and rule."""
    ops = sorted(rules, key=lambda op: "product" in rules[op])
    names = list(dict.fromkeys(rule for op in ops for rule in rules[op]))
    hidden = np.full((len(ops), len(names)), np.nan)
    marks = np.full(hidden.shape, "", dtype=object)
    for i, op in enumerate(ops):
        for rule, (seen, tried) in rules[op].items():
            j = names.index(rule)
            hidden[i, j], marks[i, j] = 1 - seen / tried, f"{seen}/{tried}"
    _heat(axis, ops, names, hidden, marks)
    axis.set_title("injected bugs that the check would see", fontsize=9)


def _heat(
    axis: "Axes",
    rows: Sequence[str],
    columns: Sequence[str],
    values: "np.typing.NDArray[np.float64]",
    marks: "np.typing.NDArray[np.object_]",
) -> None:
    """A matrix of numbers between 0, green, and 1, red, with words in its cells."""
    axis.imshow(values, cmap="RdYlGn_r", vmin=0.0, vmax=1.0, aspect="auto", alpha=0.8)
    for (i, j), mark in np.ndenumerate(marks):
        axis.text(j, i, str(mark).strip(), ha="center", va="center", fontsize=6)
    axis.set_xticks(range(len(columns)), [fill(name, 14) for name in columns], fontsize=6)
    axis.set_yticks(range(len(rows)), rows, fontsize=7)
