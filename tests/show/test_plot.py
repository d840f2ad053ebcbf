"""Plots of HF's records and of spectra: what they show is what was recorded."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

import rop
import rop.hf
import rop.show.plot
from rop.errors import RopTypeError, RopValueError
from rop.hf.batches import Batches
from rop.hf.length import Length
from rop.hf.recipes import Recipe, basic
from rop.nets import mlp

SIGNATURES = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def trained(recipe, iterations=6):
    _, z = mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 4))
    batch = {"x": x, "t": np.eye(3)[(x[:, :3] ** 2).argmax(axis=1)]}
    theta = objective.init("glorot", seed=1)
    options = {"iterations": iterations, "engine": "numpy", "dtype": np.float64}
    return rop.hf.minimize(objective, theta, batch, recipe, **options).records


@pytest.fixture(scope="module")
def records():
    return trained(Recipe(batches=Batches(curvature=20), reduction="curvature").replace(lam=1.0))


def lines(ax):
    """Label -> (x, y) of the lines that have a label."""
    return {
        line.get_label(): np.asarray(line.get_xydata()).T
        for line in ax.lines
        if not line.get_label().startswith("_")
    }


def assert_complete(figure):
    """Every axes says what is seen and what its axes are, and all can be painted."""
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    for ax in figure.axes:
        assert ax.get_title(loc="left")
        assert ax.get_ylabel()
    assert figure.axes[-1].get_xlabel()
    for ax in figure.axes:
        place = ax.get_tightbbox()
        assert figure.bbox.x0 <= place.x0 and place.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= place.y0 and place.y1 <= figure.bbox.y1


def test_an_iteration_shows_q_and_f_against_the_steps_of_cg(records):
    record = next(it for it in records[3:] if it.rho > 0)
    figure = rop.plot.iteration(record)
    assert_complete(figure)
    (ax,) = figure.axes
    shown = lines(ax)
    steps, q = shown["q(x$_j$), with damping"]
    assert_array_equal(steps, range(record.cg.steps + 1))
    assert_array_equal(q, record.cg.q)
    assert_array_equal(shown["q(δ), undamped"].ravel(), [record.chosen, record.q])
    steps, changes = shown["f(θ + x$_j$) - f(θ)"]
    assert_array_equal(steps, sorted(j for j, _ in record.f_stored))
    assert_allclose(changes + record.f_before, [f for _, f in sorted(record.f_stored)], rtol=1e-12)
    at, change = shown["f(θ + δ) - f(θ) on the curvature's cases"].ravel()
    assert at == record.chosen
    assert change / record.q == pytest.approx(record.rho, rel=1e-12)
    assert f"Iteration {record.number}" in ax.get_title(loc="left")
    assert ax.get_xlabel() == "CG step j"


def test_of_a_run_the_iteration_is_shown_that_tells_most(records):
    record = records[2]
    steps = [3, 7, 11]
    rises, falls = (
        tuple(zip(steps, [record.f_before + change for change in changes], strict=True))
        for changes in ((-2.0, -1.0, 1.0), (-1.0, -2.0, -3.0))
    )
    telling = replace(record, number=7, f_stored=rises, f_watched=())
    others = [replace(record, number=k, f_stored=falls, f_watched=()) for k in range(4)]
    figure = rop.plot.iteration([*others[:2], telling, *others[2:]])
    assert "Iteration 7:" in figure.axes[0].get_title(loc="left")
    result = rop.hf.Result(
        None, 0.0, 5, True, "iterations", "", [*others, telling], 1.0, Recipe(), 0.0, None
    )
    assert "Iteration 7:" in rop.plot.iteration(result).axes[0].get_title(loc="left")
    assert rop.plot.run(result).get_suptitle().endswith("in 5 iterations")


def test_without_a_rise_the_iteration_whose_model_falls_most_is_shown(records):
    flat = [
        replace(it, f_stored=(), f_watched=(), cg=replace(it.cg, q=(-1.0, -1.0)))
        for it in records[:3]
    ]
    falling = replace(flat[1], number=9, cg=replace(records[1].cg, q=(0.0, -1.0)))
    assert "Iteration 9:" in rop.plot.iteration([*flat, falling]).axes[0].get_title(loc="left")


def test_f_on_the_curvatures_cases_is_shown_where_cg_looked_at_it(records):
    record = replace(records[2], f_watched=((5, records[2].f_curvature[0] - 1.0), (10, 0.0)))
    label = "f(θ + x$_j$) - f(θ) on the curvature's cases"
    steps, changes = lines(rop.plot.iteration(record).axes[0])[label]
    assert_array_equal(steps, [5, 10])
    assert_allclose(changes, [-1.0, -record.f_curvature[0]])


def test_held_out_cases_have_their_curve(records):
    history = [replace(it, f_held_out=(9.0, 1.0 + it.number)) for it in records]
    shown = lines(rop.plot.run(history).axes[0])
    assert_array_equal(shown["held-out cases"], [range(1, 7), range(1, 7)])
    assert "held-out cases" not in lines(rop.plot.run(records).axes[0])


@pytest.mark.parametrize("count, most", [(6, 6), (200, 60), (5000, 60)])
def test_markers_can_be_told_apart(records, count, most):
    history = [replace(records[0], number=k) for k in range(count)]
    for ax in rop.plot.run(history).axes:
        for line in ax.lines:
            if line.get_marker() != "None" and len(line.get_xdata()) > 1:
                assert len(line.get_xdata()) / line.get_markevery() <= most + 1


@pytest.mark.parametrize(
    "low, high, shown",
    [
        (1e-9, 1.0, {"$10^{-6}$", "0.01", "1"}),
        (0.09, 6.0, {"0.1", "0.2", "0.5", "1", "2", "5"}),
        (1.3, 7.0, {"2", "3", "4", "5", "6"}),
        (2e-7, 9e-7, {"$2·10^{-7}$", "$9·10^{-7}$"}),
        (0.02, 80_000.0, {"0.1", "10", "1000", "10000"}),
    ],
)
def test_log_axes_have_numbers_that_can_be_read(low, high, shown):
    from rop.show.pictures.figures import Picture, logarithmic

    figure = Picture(5.0, 3.0)
    ax = figure.subplots()
    ax.plot([low, high], [low, high])
    logarithmic(ax, "y")
    ax.set_ylim(low, high)
    figure.canvas.draw()
    written = [label for label in ax.get_yticklabels(which="both") if label.get_text()]
    assert shown <= {label.get_text() for label in written}
    assert not any("×" in label.get_text() for label in written)
    places = [label.get_window_extent() for label in written]
    inside = [place for place in places if ax.bbox.y0 <= (place.y0 + place.y1) / 2 <= ax.bbox.y1]
    for i, one in enumerate(inside):
        assert not any(one.overlaps(other) for other in inside[:i])


def test_scales_with_both_signs_have_the_same_numbers():
    from rop.show.pictures.figures import Picture, symlogarithmic

    figure = Picture(5.0, 3.0)
    ax = figure.subplots()
    ax.plot([0, 1], [-200.0, 3e6])
    symlogarithmic(ax, 0.1)
    figure.canvas.draw()
    written = {label.get_text() for label in ax.get_yticklabels()}
    assert {"0", "−1", "100", "$10^{6}$"} <= written


@pytest.mark.parametrize(
    "x, whole", [([0, 1, 2, 3], True), ([1.0, 2.0], True), ([0.0, 0.5, 2.0], False)]
)
def test_an_axis_of_whole_numbers_has_ticks_at_whole_numbers(x, whole):
    from rop.show.pictures.figures import Picture, label

    figure = Picture(5.0, 3.0)
    ax = figure.subplots()
    ax.plot(x, x)
    ax.axhline(0.0)
    label(ax, "title", "iteration", "f")
    figure.canvas.draw()
    ticks = ax.get_xticks()
    assert np.array_equal(ticks, np.round(ticks)) == whole


def test_the_ranks_of_a_small_spectrum_are_whole_numbers():
    figure = rop.plot.spectrum(np.diag([3.0, 2.0]))
    figure.canvas.draw()
    ticks = figure.axes[0].get_xticks()
    assert np.array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize("q_0, marker", [(0.5, "o"), (1e6, "^")])
def test_a_warm_start_above_zero_is_marked_with_its_q(records, q_0, marker):
    record = replace(records[2], cg=replace(records[2].cg, q=(q_0, -1.0, -2.0)))
    ax = rop.plot.iteration(record).axes[0]
    (mark,) = [line for line in ax.lines if line.get_label().startswith("warm start")]
    assert mark.get_label() == f"warm start: q(x$_0$) = {q_0:.3g}, above 0"
    assert mark.get_marker() == marker
    assert mark.get_ydata()[0] == min(q_0, ax.get_ylim()[1])
    below = replace(record, cg=replace(record.cg, q=(-0.1, -1.0)))
    labels = [line.get_label() for line in rop.plot.iteration(below).axes[0].lines]
    assert not any(label.startswith("warm start") for label in labels)


def test_all_that_is_below_zero_is_seen_and_what_is_far_above_is_marked(records):
    record = records[2]
    steps = [3, 7, 11]
    values = [record.f_before + change for change in (np.nan, 1e6, -3.0)]
    changed = replace(record, f_stored=tuple(zip(steps[:3], values, strict=True)))
    (ax,) = rop.plot.iteration(changed).axes
    bottom, top = ax.get_ylim()
    assert bottom < -3.0
    assert 0 < top < 10
    outside, level = lines(ax)["f above, or not a number"]
    assert_array_equal(outside, steps[:2])
    assert_array_equal(level, top)


def test_a_warm_start_far_above_zero_does_not_hide_the_rest(records):
    record = records[2]
    cg = replace(record.cg, q=(1e9, *record.cg.q[1:]))
    (ax,) = rop.plot.iteration(replace(record, cg=cg)).axes
    assert ax.get_ylim()[1] < 10


def test_an_iteration_without_backtracking_has_f_at_the_update_alone():
    record = trained(basic(), iterations=2)[1]
    assert record.f_stored == ()
    figure = rop.plot.iteration(record)
    assert_complete(figure)
    shown = lines(figure.axes[0])
    assert "f(θ + x$_j$) - f(θ)" not in shown
    _, change = shown["f(θ + δ) - f(θ) on the curvature's cases"].ravel()
    assert change == pytest.approx(record.f_after - record.f_before)


@pytest.mark.parametrize(
    ("selection", "said"),
    [(20, " on the curvature's cases"), (10, " on 10 cases")],
)
def test_an_iteration_says_on_which_cases_f_was_computed(selection, said):
    batches = Batches(curvature=20, selection=selection)
    record = trained(Recipe(batches=batches, length=Length(first=8)), iterations=1)[0]
    label = f"f(θ + x$_j$) - f(θ){said}"
    steps, changes = lines(rop.plot.iteration(record).axes[0])[label]
    at_update = changes[list(steps).index(record.chosen)]
    if selection == 20:
        assert at_update == pytest.approx(record.f_curvature[1] - record.f_curvature[0])


def test_a_run_shows_the_numbers_of_its_records(records):
    figure = rop.plot.run(records)
    assert_complete(figure)
    of_f, of_gradient, of_lam, of_rho, of_steps, of_alpha = figure.axes
    n = len(records)

    def y(ax, line=0):
        x, values = np.asarray(ax.lines[line].get_xydata()).T
        assert_array_equal(x, range(len(x)))
        return values

    assert_array_equal(y(of_f), [*(it.f_before for it in records), records[-1].f_after])
    assert_array_equal(y(of_gradient), [it.gradient_norm for it in records])
    assert_array_equal(y(of_lam), [*(it.lam_before for it in records), records[-1].lam_after])
    assert_array_equal(y(of_rho), np.clip([it.rho for it in records], -0.5, 2.0))
    assert_array_equal(y(of_steps, 0), [it.cg.steps for it in records])
    assert_array_equal(y(of_steps, 1), [it.chosen for it in records])
    assert_array_equal(y(of_alpha), [it.step.alpha for it in records])
    assert len(y(of_f)) == len(y(of_lam)) == n + 1
    assert "updates rejected: 0" in of_alpha.get_title(loc="left")
    assert f"in {n} iterations" in figure.get_suptitle()


def test_without_lam_a_run_shows_what_damps_instead(records):
    changed = [
        replace(it, lam_before=0.0, lam_after=0.0, length_before=2**k, length_after=2 ** (k + 1))
        for k, it in enumerate(records)
    ]
    figure = rop.plot.run(changed)
    assert_complete(figure)
    _, _, of_length, of_rho, _, _ = figure.axes
    assert_array_equal(of_length.lines[0].get_ydata(), [2**k for k in range(len(records) + 1)])
    assert "length" in of_length.get_title(loc="left")
    assert "λ stays" not in of_rho.get_legend_handles_labels()[1]


def test_a_run_marks_what_lies_beyond_the_picture(records):
    rejected = replace(records[1].step, alpha=0.0)
    changed = [
        replace(records[0], rho=0.5),
        replace(records[1], rho=-np.inf, step=rejected),  # f rose
        replace(records[2], rho=9.0),
        replace(records[3], rho=np.nan),
    ]
    figure = rop.plot.run(changed)
    assert_complete(figure)
    _, _, _, of_rho, _, of_alpha = figure.axes
    line, above, below = (np.asarray(line.get_xydata()) for line in of_rho.lines)
    assert_array_equal(line, [[0, 0.5], [1, -0.5], [2, 2.0], [3, -0.5]])
    assert_array_equal(above, [[2, 2.0]])
    assert_array_equal(below, [[1, -0.5], [3, -0.5]])
    bottom, top = of_rho.get_ylim()
    assert bottom < -0.5 and top > 2.0
    assert_array_equal(of_alpha.lines[1].get_xydata(), [[1, 0.0]])
    texts = [text.get_text() for text in of_rho.get_legend().get_texts()]
    assert texts == ["λ stays", "above", "below, or -∞: f rose"]
    assert "updates rejected: 1" in of_alpha.get_title(loc="left")


def test_scales_are_logarithmic_where_that_shows_more(records):
    history = [replace(records[0], f_before=10.0**-k, f_after=1e-9, number=k) for k in range(5)]
    assert rop.plot.run(history).axes[0].get_yscale() == "log"
    history[2] = replace(history[2], f_before=-1.0)
    assert rop.plot.run(history).axes[0].get_yscale() == "linear"
    assert rop.plot.run(records[:1]).axes[2].get_yscale() == "linear"


def test_a_run_of_nothing_is_refused():
    with pytest.raises(RopValueError, match="records: expected at least one"):
        rop.plot.run([])


def laplacian(n):
    return 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def test_a_spectrum_has_the_eigenvalues_of_the_laplacian():
    n = 12
    figure = rop.plot.spectrum(laplacian(n))
    assert_complete(figure)
    (ax,) = figure.axes
    rank, size = lines(ax)["positive"]
    expected = 2 - 2 * np.cos(np.arange(n, 0, -1) * np.pi / (n + 1))
    assert_array_equal(rank, np.arange(1, n + 1))
    assert_allclose(size, expected, rtol=1e-12)
    assert ax.get_yscale() == "log"
    assert "12 positive, 0 negative, 0 zero" in ax.get_title(loc="left")


def test_a_spectrum_counts_signs_and_zeros():
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((7, 7)))
    matrix = Q @ np.diag([5.0, -3.0, 2.0, -1e-3, 0, 0, 0]) @ Q.T
    (ax,) = rop.plot.spectrum(matrix).axes
    assert "2 positive, 2 negative, 3 zero; largest 5" in ax.get_title(loc="left")
    shown = lines(ax)
    assert_allclose(shown["positive"], [[1, 3], [5, 2]], rtol=1e-12)
    assert_allclose(shown["negative"], [[2, 4], [3, 1e-3]], rtol=1e-10)


def test_the_spectrum_of_a_gauss_newton_matrix_shows_its_rank():
    """J has 2 (3 - 1) = 4 rows that L'' of softmax does not annihilate (erratum M30)."""
    _, z = mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)))
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((2, 4)), "t": np.eye(3)[:2]}
    at = objective.linearize(rng.standard_normal(objective.n), batch, engine="numpy")
    (ax,) = rop.plot.spectrum(at.G.matrix()).axes
    assert f"4 positive, 0 negative, {objective.n - 4} zero" in ax.get_title(loc="left")


def test_rounding_error_counts_as_zero_in_the_matrix_s_own_precision():
    tiny = np.diag([1.0, 1e-8])
    assert "2 positive" in rop.plot.spectrum(tiny).axes[0].get_title(loc="left")
    single = rop.plot.spectrum(tiny.astype(np.float32)).axes[0].get_title(loc="left")
    assert "1 positive, 0 negative, 1 zero" in single


def test_the_zero_matrix_has_a_spectrum_too():
    figure = rop.plot.spectrum(np.zeros((3, 3)))
    assert_complete(figure)
    assert "3 zero" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (np.zeros((2, 3)), RopValueError, r"shape \(n, n\), got \(2, 3\)"),
        (np.zeros(3), RopValueError, r"got \(3,\)"),
        (np.zeros((0, 0)), RopValueError, r"got \(0, 0\)"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), RopValueError, "finite"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), RopValueError, "symmetric.*by up to 2"),
        (1j * np.eye(2), RopTypeError, "real numbers"),
        ("G", RopTypeError, "real numbers such as at.G.matrix"),
    ],
)
def test_what_has_no_real_spectrum_is_refused(matrix, error, message):
    with pytest.raises(error, match=message):
        rop.plot.spectrum(matrix)


@pytest.mark.ci
@pytest.mark.parametrize("suffix", SIGNATURES)
def test_every_plot_is_saved_by_its_suffix(records, suffix, tmp_path):
    plots = {
        "iteration": (rop.plot.iteration, records[0]),
        "run": (rop.plot.run, records),
        "spectrum": (rop.plot.spectrum, laplacian(4)),
    }
    for name, (plot, what) in plots.items():
        path = tmp_path / f"{name}.{suffix}"
        assert isinstance(plot(what, path=path), Figure)
        assert path.read_bytes().startswith(SIGNATURES[suffix])
        assert path.stat().st_size > 4000
        with pytest.raises(RopValueError, match="path: expected"):
            plot(what, path=tmp_path / f"{name}.jpeg")
        assert not (tmp_path / f"{name}.jpeg").exists()


def test_no_plot_needs_or_fills_pyplot():
    program = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np, rop.show.plot
assert not any(name.startswith("matplotlib") for name in sys.modules)
rop.plot.spectrum(np.eye(3)).canvas.draw()
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_run_shows_f_on_validation_data(records):
    numbers = [0.9, None, 0.7, None, 0.6, 0.65]
    told = [replace(it, f_validation=value) for it, value in zip(records, numbers, strict=True)]
    figure = rop.plot.run(told)
    assert_complete(figure)
    x, y = lines(figure.axes[0])["validation data"]
    assert_array_equal(x, [1, 3, 5, 6])
    assert_array_equal(y, [0.9, 0.7, 0.6, 0.65])
    assert "validation data" not in lines(rop.plot.run(records).axes[0])


@pytest.mark.ci
def test_a_run_of_adaptive_hf_has_its_quantities(records):
    moments = rop.hf.Moments(xi=1.0, sigma=5.0, beta2=0.1)
    history = trained(Recipe(moments=moments, batches=Batches(curvature=20)))
    figure = rop.plot.run(history)
    assert_complete(figure)
    assert len(figure.axes) == 10 and len(rop.plot.run(records).axes) == 6
    for ax, name, values in (
        (6, "taken", [it.step.alpha for it in history]),
        (6, "α̂, eq. 3", [it.adaptive.alpha_hat for it in history]),
        (7, "σ$_t$", [it.adaptive.sigma_t for it in history]),
        (7, "bound of eq. 26", [np.nan, *(it.adaptive.g_bound for it in history[1:])]),
        (8, "‖m̂‖", [it.adaptive.m_norm for it in history]),
        (9, "used", [100.0] * len(history)),
    ):
        assert_array_equal(lines(figure.axes[ax])[name][1], values)
    needed = lines(figure.axes[9])["needed"][1]
    for it, shown in zip(history, needed, strict=True):
        assert shown == it.L_seen if it.L_seen > 0 else np.isnan(shown)


def test_what_is_no_run_and_where_there_is_no_folder(tmp_path):
    with pytest.raises(
        rop.RopTypeError, match="the result of rop.hf.minimize, or its records, got"
    ):
        rop.plot.run(np.ones(3))
    with pytest.raises(
        rop.RopTypeError, match="the result of rop.hf.minimize, or its records, got"
    ):
        rop.plot.run(3)
    with pytest.raises(rop.RopValueError, match="there is no folder"):
        rop.plot.spectrum(np.eye(2), path=tmp_path / "nodir" / "a.png")


def test_a_step_of_lbfgs_is_said_to_be_one():
    record = next(it for it in trained(Recipe(), iterations=6) if it.cg.reason == "pairs")
    figure = rop.plot.iteration(record)
    assert_complete(figure)
    assert "a step of L-BFGS, without CG" in figure.axes[0].get_title("left")
    _, change = lines(figure.axes[0])["f(θ + δ) - f(θ)"].ravel()
    assert change == pytest.approx(record.f_reduction[1] - record.f_reduction[0])
