"""Pictures of a report: error against step, ratios of blocks, and verdicts by product."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rop.checking.findings import Comparison, ProductReport
from rop.checking.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"pass": "tab:green", "fail": "tab:red", "inconclusive": "tab:orange"}


def plot(report: Report) -> "Figure":
    """Draw a report.

    One panel per product compared with differences: relative error against the step h, a guide of
    slope 2, the band of rounding noise, and the verdict in the title. Below, for products that
    fail, the ratio of each block to the true one.

    Parameters
    ----------
    report : Report

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    curves = [(p, c) for p in report.products.values() if (c := _curve(p)) is not None]
    wrong = [p for p in report.products.values() if p.verdict == "fail" and p.blocks]
    columns = max(1, math.ceil(math.sqrt(len(curves) + len(wrong))))
    rows = max(1, math.ceil((len(curves) + len(wrong)) / columns))
    figure = Figure(figsize=(3.6 * columns, 3.0 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for panel, (product, comparison) in zip(axes, curves, strict=False):
        _draw_curve(panel, product, comparison)
    for panel, product in zip(axes[len(curves) :], wrong, strict=False):
        _draw_blocks(panel, product)
    for panel in axes[len(curves) + len(wrong) :]:
        panel.set_axis_off()
    figure.suptitle(f"rop.check: {report.verdict.upper()}, n = {report.n:,}")
    return figure


def _curve(product: ProductReport) -> Comparison | None:
    """The comparison to draw: one that decided a failure, else the one with the longest ladder."""
    drawn: Sequence[Comparison] = [c for c in product.comparisons if len(c.steps) > 1]
    drawn = [c for c in drawn if c.verdict == product.verdict] or drawn
    return max(drawn, key=lambda c: len(c.steps), default=None)


def _draw_curve(panel: "Axes", product: ProductReport, comparison: Comparison) -> None:
    h = np.array(comparison.steps)
    error, noise = np.array(comparison.errors), np.array(comparison.noises)
    colour = COLOURS[comparison.verdict]
    shown = error > 0
    panel.loglog(
        h[shown], error[shown], "o-", color=colour, markersize=3, label="central difference"
    )
    lowest = min(float(error[shown].min(initial=1.0)), float(noise[noise > 0].min(initial=1.0)))
    panel.fill_between(h, lowest / 10, noise, color="0.85", label="rounding noise")
    if shown.any():
        start = int(np.argmax(shown))
        guide = error[start] * (h / h[start]) ** 2
        visible = guide > lowest / 10
        panel.loglog(h[visible], guide[visible], "k:", linewidth=1, label="slope 2")
    slope = "" if math.isnan(comparison.slope) else f", slope {comparison.slope:.2f}"
    panel.set_title(
        f"{product.symbol}: {comparison.verdict.upper()}{slope}", color=colour, fontsize=9
    )
    panel.set_xlabel("step h")
    panel.set_ylabel("relative error")
    panel.legend(fontsize=6)


def _draw_blocks(panel: "Axes", product: ProductReport) -> None:
    names = list(product.blocks)
    ratios = [product.blocks[name].ratio for name in names]
    colours = [COLOURS[product.blocks[name].verdict] for name in names]
    panel.bar(names, ratios, color=colours)
    panel.axhline(1.0, color="k", linewidth=1, linestyle=":")
    panel.set_title(f"{product.symbol}: ratio to the true product", fontsize=9)
    panel.tick_params(axis="x", labelrotation=45, labelsize=7)
