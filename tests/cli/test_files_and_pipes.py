"""What commands write while they run: in a file plain lines, few of them, and no bars."""

import io
import re
import sys
import time
from importlib.util import find_spec

import pytest
from tqdm import tqdm

from rop.cli import main

MODEL = """
import numpy as np, rop
def build():
    x, z = rop.nets.mlp([3, 4, 2])
    f = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 2)))
    return f, f.init("glorot", seed=0), {"x": np.eye(3), "t": [0, 1, 1]}
"""
CATALOGUE = """
import jax.numpy as jnp
from rop.checking.survey import Entry
from rop.checking.survey.entries import normal
ENTRIES = [Entry("sine", "mine", jnp.sin, (normal(3),), "jax")]
"""
NEEDS = {"survey": "jax", "study": "optuna"}


@pytest.mark.parametrize(
    "given",
    [
        ["check", "model.py:build"],
        pytest.param(["train", "digits", "--seconds", "1", "--out", "run"], marks=pytest.mark.ci),
        pytest.param(["figure", "3", "--seconds", "1", "--out", "out"], marks=pytest.mark.ci),
        pytest.param(
            ["survey", "mine.py", "--mode", "gradient", "--dtype", "float64"], marks=pytest.mark.ci
        ),
        pytest.param(
            ["study", "adaptive-hf", "--problem", "digits", "--methods", "adam", "--trials", "1",
             "--updates", "2", "--every", "1", "--cases", "20", "--processes", "1", "--out", "out"],
            marks=pytest.mark.ci,
        ),
    ],
    ids=lambda given: given[0],
)  # fmt: skip
def test_in_a_file_progress_is_plain_lines(given, tmp_path, monkeypatch, capfd):
    if find_spec(NEEDS.get(given[0], "numpy")) is None:
        pytest.skip(f"pip install {NEEDS[given[0]]}")
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "mine.py").write_text(CATALOGUE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("rop.show.waiting._PATIENCE", 0.0)
    monkeypatch.setattr("rop.show.waiting._SELDOM", 0.2)
    assert main(given) == 0
    out, err = capfd.readouterr()
    for text in (out, err):
        assert not re.search("[\r\b\x1b█▏▎▍▌▋▊▉]", text), text
    assert err and err.endswith("\n")
    for line in err.splitlines():
        assert re.match(rf"rop {given[0]} |HF \d+ %, |iteration \d+: |\d+ times?: ", line), line


def test_lines_in_a_file_come_more_and_more_rarely(monkeypatch):
    """In a day a few dozen, not 8,640."""
    from rop.show import waiting as module

    now, waits, said = [0.0], [], []

    class Over:
        def wait(self, seconds):
            now[0] += seconds
            waits.append(seconds)
            return now[0] > 86_400

        set = staticmethod(lambda: None)

    class AtOnce:
        def __init__(self, target, daemon):
            self.start, self.join = target, lambda: None

    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module.threading, "Event", Over)
    monkeypatch.setattr(module.threading, "Thread", AtOnce)
    monkeypatch.setattr(module, "_write", said.append)
    with module.waiting("rop study"):
        assert waits[:3] == [1.0, 10.0, 10.0] and waits == sorted(waits)
    assert 50 < len([line for line in said if line]) < 100


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_bar_takes_the_place_of_the_line(monkeypatch):
    from rop.show import waiting as module

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    monkeypatch.setattr(module, "_OFTEN", 0.01)
    with module.waiting("rop check model.py:build"):
        wait_for(lambda: "rop check model.py:build: 0 s" in terminal.getvalue())
        with tqdm(total=3, file=terminal, ncols=60, mininterval=0.0) as bar:
            bar.update()
            wait_for(lambda: terminal.getvalue().endswith("\r"))  # the line is wiped out
            before = len(terminal.getvalue())
            time.sleep(0.1)
            assert "rop check" not in terminal.getvalue()[before:]
        wait_for(lambda: "rop check" in terminal.getvalue()[before:])


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
