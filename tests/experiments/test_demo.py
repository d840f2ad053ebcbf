"""`rop demo` and `rop figure`: what they show while they work, and what Ctrl-C leaves."""

import csv
import io
import time

import pytest

from rop.cli import main
from rop.experiments import STUDIES, demo, registry
from rop.experiments.watching import watched, watching
from rop.show import waiting


@pytest.mark.ci
def test_the_demo_tells_the_whole_story(tmp_path, capsys):
    assert main(["demo", "--seconds", "0", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    for heading in "12345":
        assert f"\n{heading}. " in out
    for said in ("algorithm 5", "rop.check  PASS", "SGD, momentum 0.9", "L-BFGS", "Adam", "wrong"):
        assert said in out
    assert "HF 100 %" in err
    names = {"graph", "hf_trace", "quadratic_model", "recall", "verification"}
    assert {file.stem for file in tmp_path.glob("*.png")} == names


class Report:
    ok = True

    def plot(self, path):
        return None


def stop(*arguments, **settings):
    raise KeyboardInterrupt


@pytest.fixture
def quick(monkeypatch):
    """The demo without its check, and without anything to learn."""
    monkeypatch.setattr(demo.rop, "check", lambda *_, **__: Report())
    monkeypatch.setattr(demo.rop, "draw", lambda *_, **__: None)
    monkeypatch.setattr(demo.plot, "run", lambda *_, **__: None)
    monkeypatch.setattr(demo.plot, "iteration", lambda *_, **__: None)


def test_ctrl_c_while_hf_trains_ends_the_demo(quick, monkeypatch, tmp_path, capsys):
    train = demo.hf.minimize
    monkeypatch.setattr(
        demo.hf, "minimize", lambda *a, **s: train(*a, **s | {"callback": stop, "seconds": 60.0})
    )
    monkeypatch.setattr(demo, "_for", None)  # no baseline begins
    assert main(["demo", "--out", str(tmp_path)]) == 130
    out, err = capsys.readouterr()
    assert "Hessian-free" in out and "1 update," in out
    assert "SGD" not in out and "equal time" not in out
    assert err.endswith("rop demo: interrupted\n")


def test_ctrl_c_while_pictures_are_drawn_keeps_the_row_of_hf(quick, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo.plot, "run", stop)
    assert main(["demo", "--seconds", "0", "--out", str(tmp_path)]) == 130
    assert "Hessian-free" in capsys.readouterr().out


def test_ctrl_c_while_a_baseline_trains_shows_what_is_done(quick, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "_logistic", stop)
    assert main(["demo", "--seconds", "0", "--out", str(tmp_path)]) == 130
    out, _ = capsys.readouterr()
    assert "SGD, momentum 0.9, rate 0.01" in out and "L-BFGS" not in out


@pytest.fixture
def own_study(monkeypatch):
    monkeypatch.setattr(registry, "STUDIES", STUDIES)
    monkeypatch.setitem(STUDIES, "mine", None)
    del STUDIES["mine"]

    @registry.study("mine", seconds=1)
    def mine(seconds, seed):
        """My study."""
        watched("HF", [{"iteration": 0, "error": 2.0}, {"iteration": 1, "error": 1.5}])
        watched("SGD", [{"steps": 10, "error": 1.75}])
        raise KeyboardInterrupt


def test_ctrl_c_in_a_study_leaves_its_runs(own_study, tmp_path, capsys):
    assert main(["figure", "mine", "--out", str(tmp_path)]) == 130
    out, err = capsys.readouterr()
    assert out == f"2 runs, the last of them cut short: {tmp_path / 'interrupted.csv'}\n"
    assert err == "rop figure: interrupted\n"
    with open(tmp_path / "interrupted.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["method"], row["error"]) for row in rows] == [
        ("1", "HF", "2.0"),
        ("1", "HF", "1.5"),
        ("2", "SGD", "1.75"),
    ]


def test_a_watch_sees_the_runs_inside_of_it():
    outside = watched("HF", [{"error": 1.0}])
    with watching() as watch:
        assert watch.line() == ""
        rows = watched("Adam", [])
        assert watch.line() == "run 1 (Adam)"
        rows.append({"steps": 3, "error": 0.25, "seconds": 1.0})
        assert watch.line() == "run 1 (Adam), steps 3, error 0.25"
    assert outside == [{"error": 1.0}]
    assert len(watch.rows()) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_what_takes_long_says_so(stream, monkeypatch):
    monkeypatch.setattr(waiting, "_PATIENCE", 0.01)
    monkeypatch.setattr("sys.stderr", stream)
    with waiting.waiting("checking", 60, lambda: "half of it"):
        time.sleep(0.3)
    text = stream.getvalue()
    assert "checking: 0 of 60 s, half of it" in text
    if stream.isatty():
        assert "\n" not in text
        assert text.endswith(" \r")  # the line goes away
    else:
        assert text.count("\n") == 1


def test_what_is_quick_says_nothing(capsys):
    with waiting.waiting("checking"):
        pass
    assert capsys.readouterr().err == ""
