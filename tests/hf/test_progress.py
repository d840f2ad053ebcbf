"""The line of progress counts what will end the run; events are folded."""

import re

import numpy as np
import pytest

import rop
from rop.hf import minimize
from rop.hf.events import ORDINARY
from rop.hf.progress import Progress, watching
from rop.hf.recipes import basic


def trained(**options):
    _, z = rop.nets.mlp([4, 6, 3])
    objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
    rng = np.random.default_rng(0)
    batch = {"x": rng.standard_normal((40, 4)), "t": np.eye(3)[rng.integers(0, 3, 40)]}
    theta = objective.init("glorot", seed=1)
    return minimize(objective, theta, batch, engine="numpy", dtype=np.float64, **options)


@pytest.fixture(scope="module")
def record():
    return trained(iterations=1).records[0]


def last_line(text):
    return [line for line in text.splitlines() if line.startswith("HF ")][-1]


@pytest.mark.parametrize(
    "options, part, words",
    [
        ({"iterations": 4}, 100, "4 of 4 iterations"),
        ({"iterations": 1000, "seconds": 0.0}, 100, "%, 1 iteration, "),
        ({"iterations": 1000, "target": 5.0}, 100, "(target 5)"),
    ],
)
def test_the_line_is_full_where_the_run_ends(options, part, words, capsys):
    trained(progress=True, **options)
    line = last_line(capsys.readouterr().err)
    assert line.startswith(f"HF {part} %, ")
    assert words in line and "rho" in line and "CG" in line


def test_a_limit_of_time_leaves_out_the_limit_of_iterations(capsys):
    trained(progress=True, iterations=1000, seconds=0.0)
    assert "of 1000" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "iterations, done, seconds, target, part",
    [(100, 25, None, None, 0.26), (100, 25, 1e9, None, 0.26), (10**6, 0, 1e9, 1.0, 2 / 3)],
)
def test_it_counts_what_will_end_the_run_first(record, iterations, done, seconds, target, part):
    from dataclasses import replace

    it = replace(record, number=done, f_before=1000.0, f_after=10.0)
    progress = Progress(iterations, done, seconds, target)
    assert max(progress._parts(it, 0.0)) == pytest.approx(part)


def test_ordinary_events_are_a_count(record, capsys):
    from dataclasses import replace

    ordinary, rare = f"{ORDINARY}: lam rises", "lam is at its bound 2"
    with watching(Progress(10, 0, None, None)) as show:
        for k in range(4):
            show(replace(record, number=k, events=(ordinary,) + (rare,) * (k > 1)))
    said = capsys.readouterr()
    text = said.out + said.err
    assert f"iteration 2: {rare}" in text
    assert f"iteration 3: {rare}" not in text
    assert f"4 times: {ordinary}" in text and f"2 times: {rare}" in text
    assert text.count(ORDINARY) == 1


def test_events_are_words_a_user_understands():
    said = {event for it in trained(recipe=basic(), iterations=30).records for event in it.events}
    assert said
    assert not any(re.search(r"erratum|rho = |M\d\d", event) for event in said)


class Notebook:
    kernel = None


class Handle:
    def __init__(self, pictures):
        self.pictures = pictures

    def update(self, picture):
        self.pictures.append(picture)


def test_live_redraws_the_plot_in_a_notebook(monkeypatch):
    import IPython
    import IPython.display

    pictures = []

    def show(picture, display_id):
        pictures.append(picture)
        return Handle(pictures)

    monkeypatch.setattr(IPython, "get_ipython", lambda: Notebook())
    monkeypatch.setattr(IPython.display, "display", show)
    monkeypatch.setattr("rop.hf.progress._REDRAW", 0.0)
    trained(iterations=3, live=True)
    said = [picture.get_suptitle() for picture in pictures]
    assert ["in 1 iteration" in said[0], "in 3 iterations" in said[-1], len(said)] == [
        True,
        True,
        4,
    ]


def test_in_a_file_there_are_plain_lines_and_on_standard_error_alone(capsys, monkeypatch):
    monkeypatch.setattr("rop.hf.progress._SELDOM", 0.0)
    trained(progress=True, iterations=3, recipe=basic())
    out, err = capsys.readouterr()
    assert out == "" and "\r" not in err and "█" not in err
    assert [line.split(",")[0] for line in err.splitlines() if line.startswith("HF")] == [
        "HF 33 %", "HF 67 %", "HF 100 %"
    ]  # fmt: skip
    monkeypatch.setattr("sys.stderr", None)
    trained(progress=True, iterations=1)


def test_the_line_is_rewritten_in_a_notebook_and_seldom_in_a_file(monkeypatch, capsys):
    import IPython

    trained(progress=True, iterations=3)
    in_file = capsys.readouterr().err
    monkeypatch.setattr(IPython, "get_ipython", lambda: Notebook())
    trained(progress=True, iterations=3)
    in_notebook = capsys.readouterr().err
    assert [f"{k} of 3 iterations" in in_file for k in (1, 2, 3)] == [False, False, True]
    assert [f"{k} of 3 iterations" in in_notebook for k in (1, 2, 3)] == [True, True, True]


def test_live_elsewhere_is_refused():
    with pytest.raises(rop.RopValueError, match="live: expected a notebook.*progress=True"):
        trained(iterations=1, live=True)
