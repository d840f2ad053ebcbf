"""Plots of runs of HF."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.hf.record import Iteration, only_iterations
from rop.hf.result import Result
from rop.support.arguments import shown
from rop.support.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def iteration(
    run_or_record: Result | Iterable[Iteration] | Iteration, path: str | Path | None = None
) -> Figure:
    """Plot the quadratic model and the true objective along one run of CG (fig. 4).

    Both are changes from θ: q(x_j) of every step j, with damping, as CG minimises it, and
    f(θ + x_j) - f(θ) of the iterates on which f was computed.

    Parameters
    ----------
    run_or_record : Result, iterable of Iteration, or Iteration
        One iteration of HF, or a run, of which the most telling iteration is plotted: one along
        which f rises again while q still falls.
    path : str or Path, optional
        File to save the plot to; its suffix, svg, png or pdf, gives the format.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    RopValueError
        If the run has no iterations, or the path has another suffix.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, iterations=5)
    >>> figure = rop.plot.iteration(run.records[3], path="model.png")
    """
    from rop.show.pictures.figures import (
        BLUE,
        GREY,
        ORANGE,
        VERMILLION,
        Picture,
        label,
        limits,
        marks,
        save,
    )

    if isinstance(run_or_record, Iteration):
        record = run_or_record
    else:
        record = max(_history(run_or_record), key=_tells)
    figure = Picture(7.0, 4.2)
    ax = figure.subplots()
    start, cases = _start(record)
    full = record.f_curvature[1] - record.f_curvature[0]
    by_pairs = record.cg.reason == "pairs"
    on_curvature = "f(θ + {}) - f(θ)" + ("" if by_pairs else " on the curvature's cases")
    series = {f"f(θ + x$_j$) - f(θ){cases}": (VERMILLION, _changes(record.f_stored, start))}
    watched = _changes(record.f_watched, record.f_curvature[0])
    elsewhere = record.cases.curvature not in (record.cases.selection, record.cases.gradient)
    if elsewhere and len(watched) > 1:
        series[on_curvature.format("x$_j$")] = (ORANGE, watched)
    all_changes = [(record.chosen, full), *(c for _, changes in series.values() for c in changes)]
    bottom, top = limits([*record.cg.q, record.q, *(change for _, change in all_changes)])

    ax.axhline(0.0, color=GREY, linewidth=0.8)
    ax.axvline(record.chosen, color=GREY, linewidth=0.8, linestyle=":")
    ax.plot(record.cg.q, color=BLUE, label="q(x$_j$), with damping")
    if record.cg.q[0] > 0:
        ax.plot(
            0,
            min(record.cg.q[0], top),
            "^" if record.cg.q[0] > top else "o",
            color=BLUE,
            label=f"warm start: q(x$_0$) = {record.cg.q[0]:.3g}, above 0",
        )
    ax.plot(record.chosen, record.q, "D", color=BLUE, mfc="none", label="q(δ), undamped")
    for name, (colour, changes) in series.items():
        if changes:
            steps = [j for j, _ in changes]
            heights = [change for _, change in changes]
            ax.plot(steps, heights, color=colour, label=name, **marks(steps))
    ax.plot(
        record.chosen, full, "s", color=ORANGE, mfc="none", ms=8, label=on_curvature.format("δ")
    )
    outside = sorted({j for j, change in all_changes if not change <= top})
    if outside:
        ax.plot(
            outside, [top] * len(outside), "^", color=VERMILLION, label="f above, or not a number"
        )
    ax.set_ylim(bottom, top)
    ax.legend(fontsize=8, frameon=False)
    where = "" if record.f_reduction == record.f_curvature else " on the gradient's cases"
    update = "a step of L-BFGS, without CG"
    if not by_pairs:
        update = (
            f"CG's iterate after {record.chosen} of {counted(record.cg.steps, 'step')} "
            f"(stop: {record.cg.reason})"
        )
    label(
        ax,
        f"Iteration {record.number}: the update is {update}\n"
        f"λ = {record.lam_before:.3g}   ρ = {record.rho:.3g}{where}   α = {record.step.alpha:.3g}",
        "CG step j",
        "change from θ (units of f)",
    )
    return save(figure, path)


def run(records: Result | Iterable[Iteration], path: str | Path | None = None) -> Figure:
    """Plot f, ‖∇f‖, λ, ρ, CG's steps and α against the iterations of HF.

    A run of Adaptive HF has further panels: its step sizes, ‖g‖ with σ_t and the bound of eq. 26,
    the moments, and the L that the steps needed.

    Parameters
    ----------
    records : Result, or iterable of Iteration
        A run, or its iterations.
    path : str or Path, optional
        File to save the plot to; its suffix, svg, png or pdf, gives the format.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    RopValueError
        If there are no iterations, or the path has another suffix.

    Examples
    --------
    >>> a = rop.param("a", 2)
    >>> f = rop.Objective((1 - a[0]) ** 2 + 100 * (a[1] - a[0] ** 2) ** 2)
    >>> run = rop.hf.minimize(f, [-1.2, 1.0], {}, iterations=5)
    >>> figure = rop.plot.run(run, path="run.png")
    """
    from rop.show.pictures.figures import (
        BLUE,
        ORANGE,
        VERMILLION,
        Picture,
        label,
        marks,
        save,
        series,
        whole,
    )

    history = _history(records)
    number = [it.number for it in history]
    after = [*number, number[-1] + 1]
    f = [*(it.f_before for it in history), history[-1].f_after]
    rho = np.array([it.rho for it in history])
    held_out = [(it.number + 1, it.f_held_out[1]) for it in history if it.f_held_out is not None]
    validated = [(it.number + 1, it.f_validation) for it in history if it.f_validation is not None]

    adaptive = all(it.adaptive is not None for it in history)
    rows = 5 if adaptive else 3
    figure = Picture(9.0, 2.4 * rows)
    panels = figure.subplots(rows, 2, sharex=True)
    (of_f, of_gradient), (of_lam, of_rho), (of_steps, of_alpha) = panels[:3]
    taken = counted(len(history), "iteration")
    figure.suptitle(f"HF: f went from {f[0]:.4g} to {f[-1]:.4g} in {taken}", fontsize=11)
    for points, color, marker, name in (
        (held_out, ORANGE, "s", "held-out cases"),
        (validated, VERMILLION, "^", "validation data"),
    ):
        if points:
            steps, values = zip(*points, strict=True)
            of_f.plot(steps, values, color=color, lw=1, label=name, **marks(steps, marker))
    series(of_f, after, f, BLUE, "the gradient's cases")
    if held_out or validated:
        of_f.legend(fontsize=8, frameon=False)
    several = history[0].cases.gradient.size > 1
    label(of_f, "objective at θ", "", "f (mean over cases)" if several else "f")
    series(of_gradient, number, [it.gradient_norm for it in history], BLUE)
    label(of_gradient, "gradient at θ", "", "‖∇f‖ (f per unit of θ)")
    radii = [it.radius_after for it in history if it.radius_after is not None]
    by_length = all(it.lam_before == 0 and it.length_before for it in history)
    if radii:
        series(of_lam, after[1:], radii, BLUE)
        label(of_lam, "trust region", "", "radius")
    elif by_length:
        lengths = [*(it.length_before for it in history), history[-1].length_after]
        of_lam.plot(after, lengths, color=BLUE, lw=1, **marks(after))
        of_lam.set_ylim(bottom=0)
        whole(of_lam.yaxis)
        label(of_lam, "damping by CG's length (λ = 0)", "", "most CG steps")
    else:
        series(of_lam, after, [*(it.lam_before for it in history), history[-1].lam_after], BLUE)
        label(of_lam, "damping", "", "λ (f / θ²)")

    shown = np.where(np.isnan(rho), -0.5, np.clip(rho, -0.5, 2.0))  # -inf has its place at the edge
    if not by_length:
        what = "radius" if radii else "λ"
        of_rho.axhspan(0.25, 0.75, color="#EEEEEE", label=f"{what} stays")
    of_rho.plot(number, shown, color=BLUE, lw=1, **marks(number))
    for beyond, marker, said in (
        (rho > 2.0, "^", "above"),
        (~(rho >= -0.5), "v", "below, or -∞: f rose"),
    ):
        if beyond.any():
            of_rho.plot(
                np.array(number)[beyond], shown[beyond], marker, color=VERMILLION, label=said
            )
    of_rho.set_ylim(-0.6, 2.1)
    if of_rho.get_legend_handles_labels()[0]:
        of_rho.legend(fontsize=8, frameon=False, ncols=3)
    label(of_rho, "reduction of f over its prediction", "", "ρ")

    of_steps.plot(
        number, [it.cg.steps for it in history], color=BLUE, lw=1, label="run", **marks(number)
    )
    of_steps.plot(
        number,
        [it.chosen for it in history],
        color=ORANGE,
        lw=1,
        label="of the update",
        **marks(number, "s"),
    )
    of_steps.set_ylim(bottom=0)
    whole(of_steps.yaxis)
    of_steps.legend(fontsize=8, frameon=False)
    label(of_steps, "conjugate gradient", "iteration", "CG steps")
    of_alpha.plot(number, [it.step.alpha for it in history], color=BLUE, lw=1, **marks(number))
    rejected = [it.number for it in history if it.step.alpha == 0]
    if rejected:
        of_alpha.plot(rejected, [0.0] * len(rejected), "x", color=VERMILLION, label="rejected")
        of_alpha.legend(fontsize=8, frameon=False)
    if adaptive:
        _adaptive(panels[3:].ravel(), history)
    else:
        of_alpha.set_ylim(-0.05, 1.1)
    label(of_alpha, f"line search (updates rejected: {len(rejected)})", "iteration", "α")
    return save(figure, path)


def _adaptive(axes: Sequence[Axes], history: Sequence[Iteration]) -> None:
    """Plot the quantities of Adaptive HF into four axes."""
    from rop.show.pictures.figures import BLACK, BLUE, GREEN, ORANGE, VERMILLION, label, logarithmic

    steps = [it.adaptive for it in history if it.adaptive is not None]
    number = [it.number for it in history]
    colours = (BLUE, VERMILLION, GREEN, ORANGE, BLACK)
    first = steps[0]
    for ax, lines, title, unit in (
        (
            axes[0],
            {
                "taken": [it.step.alpha for it in history],
                "α̂, eq. 3": [step.alpha_hat for step in steps],
                "α̃, eq. 30": [step.alpha_tilde for step in steps],
                "α, eq. 28": [step.alpha_proof for step in steps],
                "α*, eq. 27": [step.alpha_star for step in steps],
            },
            "step sizes, where positive",
            "α",
        ),
        (
            axes[1],
            {
                "‖g$_t$‖": [step.g_norm for step in steps],
                "σ$_t$": [step.sigma_t for step in steps],
                "bound of eq. 26": [step.g_bound for step in steps],
            },
            f"g, with ε and σ in β$_1$ = {first.beta1:.3g}",
            "‖g‖ (f per unit of θ)",
        ),
        (
            axes[2],
            {
                "‖m̂‖": [step.m_norm for step in steps],
                "√v̂, largest": [step.root_v_range[1] for step in steps],
                "√v̂, least": [step.root_v_range[0] for step in steps],
            },
            "moments, where positive",
            "m̂ and √v̂ (units of δ or ∇f)",
        ),
        (
            axes[3],
            {
                "needed": [it.L_seen for it in history],
                "used": [step.L for step in steps],
            },
            "L of definition 1, where positive",
            "L (f per unit of θ squared)",
        ),
    ):
        for (name, values), colour in zip(lines.items(), colours, strict=False):
            positive = [value if 0 < value < np.inf else np.nan for value in values]
            ax.plot(number, positive, color=colour, lw=1, label=name)
        ax.legend(fontsize=7, frameon=False)
        label(ax, title, "iteration", unit)
        logarithmic(ax, "y")


def _history(records: Result | Iterable[Iteration]) -> list[Iteration]:
    if not isinstance(records, Iterable | Result):
        raise RopTypeError(
            f"records: expected the result of rop.hf.minimize, or its records, got {shown(records)}"
        )
    history = list(
        records.records if isinstance(records, Result) else only_iterations("records", records)
    )
    if not history:
        raise RopValueError("records: expected at least one iteration of HF, got none")
    return history


def _tells(record: Iteration) -> tuple[bool, float, float, int]:
    """How telling an iteration is (fig. 4): how far f rises again, and how far q falls.

    A rise above the start counts no more than a rise back to it.
    """
    start, _ = _start(record)
    both = _changes(record.f_stored, start), _changes(record.f_watched, record.f_curvature[0])
    told = 0.0, 0
    for changes in both:
        heights = [change for _, change in changes]
        lowest = min(heights, default=0.0)
        if lowest < 0:  # False for NaN
            rise = min((max(heights[heights.index(lowest) :]) - lowest) / -lowest, 1.0)
            told = max(told, (round(rise, 1), len(changes)))
    q = record.cg.q
    falls = round(min((q[0] - q[-1]) / abs(q[-1]), 1.0), 1) if q[-1] else 0.0
    return told[1] > 2, told[0], falls, record.cg.steps


def _changes(f: Iterable[tuple[int, float]], start: float) -> list[tuple[int, float]]:
    return [(j, value - start) for j, value in sorted(f)]


def _start(record: Iteration) -> tuple[float, str]:
    """f(θ) on the cases of the selection, and words for these cases."""
    cases = record.cases
    if record.f_selection is None or cases.selection == cases.gradient:
        return record.f_before, ""
    if cases.selection == cases.curvature:
        return record.f_selection, " on the curvature's cases"
    return record.f_selection, f" on {counted(cases.selection.size, 'case')}"
