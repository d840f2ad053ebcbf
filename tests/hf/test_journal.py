"""Runs in folders: killed at any moment and resumed, they come to the same θ bit by bit."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

import rop
import rop.hf.files as files_module
from rop.errors import RopValueError
from rop.hf import Stream, minimize, read_log, recipes
from rop.hf.comparison import compare
from rop.hf.files import JsonLines, read_lines

RECIPE = recipes.martens2010(curvature=0.5, lam=1.0)


def kept(problem, folder, iterations=8, resume=True, **settings):
    settings = {"engine": "numpy", **settings}
    return minimize(
        *problem, RECIPE, iterations=iterations, folder=folder, resume=resume, **settings
    )


@pytest.fixture
def expected(problem):
    return minimize(*problem, RECIPE, iterations=8, engine="numpy")


def assert_same(result, expected, folder):
    np.testing.assert_array_equal(result.theta, expected.theta)
    assert compare(result.records, expected.records) is None
    assert compare(read_log(folder).records, expected.records) is None
    assert (result.nit, result.fun, result.lam) == (expected.nit, expected.fun, expected.lam)


def test_keeping_a_run_does_not_change_it(problem, tmp_path, expected):
    assert_same(kept(problem, tmp_path / "a" / "run", resume=False), expected, tmp_path / "a/run")


@pytest.mark.parametrize("first", [0, 1, 5, 8])
def test_a_run_in_two_parts_is_the_whole_run(problem, tmp_path, expected, first):
    part = kept(problem, tmp_path, iterations=first)
    assert part.nit == first
    assert_same(kept(problem, tmp_path), expected, tmp_path)


def test_resuming_what_is_done_does_nothing(problem, tmp_path, expected):
    kept(problem, tmp_path)
    log = (tmp_path / "log.jsonl").read_bytes()
    assert_same(kept(problem, tmp_path), expected, tmp_path)
    assert (tmp_path / "log.jsonl").read_bytes() == log


def test_why_a_run_ended_survives(tmp_path):
    _, z = rop.nets.mlp([3, 2])
    objective = rop.Objective(z, rop.SquaredError(rop.data("t", 2)))
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((20, 3)), "t": rng.standard_normal((20, 2))}
    linear = objective, objective.init("normal"), data
    target = kept(linear, tmp_path / "whole", iterations=3).fun
    whole = kept(linear, tmp_path / "run", iterations=100, target=target)
    assert (whole.reason, whole.nit) == ("target", 3)
    again = kept(linear, tmp_path / "run", iterations=100, target=target)
    assert (again.reason, again.nit) == ("target", 3)
    further = kept(linear, tmp_path / "run", iterations=100)
    assert further.reason == "precision" and 3 < further.nit < 100
    last = kept(linear, tmp_path / "run", iterations=100)
    assert (last.reason, last.nit) == ("precision", further.nit)


def test_a_stream_goes_on_at_its_place(problem, tmp_path):
    objective, theta, data = problem

    def batches():
        for k in range(8):
            chosen = np.random.default_rng(k).choice(60, 30, replace=False)
            yield {name: array[chosen] for name, array in data.items()}

    made = {"engine": "numpy", "folder": tmp_path / "run", "resume": True}
    expected = minimize(objective, theta, Stream(batches()), RECIPE, engine="numpy")
    minimize(objective, theta, Stream(batches()), RECIPE, iterations=3, **made)
    result = minimize(objective, theta, Stream(batches()), RECIPE, **made)
    assert (result.nit, result.reason) == (8, "data")
    np.testing.assert_array_equal(result.theta, expected.theta)


class Crash(BaseException):
    """Stands for the end of the process: nothing of HF catches it."""


@pytest.mark.ci
@pytest.mark.parametrize("half", [False, True], ids=["before", "halfway"])
def test_a_crash_at_any_write_loses_nothing(problem, tmp_path, monkeypatch, expected, half):
    """Crash at the k-th call that touches the disk, for every k until the run gets through."""
    calls = count()
    crash_at = None

    def crashing(function):
        def call(*arguments, **settings):
            if next(calls) == crash_at:
                if half and function is os.replace:
                    function(*arguments, **settings)
                raise Crash
            return function(*arguments, **settings)

        return call

    def append(self, value):
        if next(calls) == crash_at:
            if half:
                line = files_module.encode_line(value)
                self._file.write(line[: len(line) // 2])
            raise Crash
        original(self, value)

    original = JsonLines.append
    monkeypatch.setattr(JsonLines, "append", append)
    # Nobody tidies up after a crash.
    monkeypatch.setattr(JsonLines, "close", lambda self: None)
    files = []
    monkeypatch.setattr(
        files_module,
        "open",
        lambda *a, **k: files.append(open(*a, **k)) or files[-1],
        raising=False,
    )
    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, crashing(getattr(os, name)))
    crashes = 0
    for crash_at in count():
        calls = count()
        folder = tmp_path / str(crash_at)
        try:
            kept(problem, folder)
        except Crash:
            crashes += 1
            crash_at = None
            assert_same(kept(problem, folder), expected, folder)
        else:
            break
    for file in files:
        file.close()
    assert crashes > 4 * 8  # log, sync, state, sync, rename, sync of each iteration


@pytest.mark.parametrize("lost", [1, 7, 300])
def test_a_torn_line_is_done_again(problem, tmp_path, expected, lost):
    kept(problem, tmp_path, iterations=5)
    state = (tmp_path / "state.npz").read_bytes()
    kept(problem, tmp_path, iterations=6)
    log = tmp_path / "log.jsonl"
    with open(log, "r+b") as file:
        file.truncate(log.stat().st_size - lost)
    (tmp_path / "state.npz").write_bytes(state)
    assert len(read_log(tmp_path).records) == 5
    assert_same(kept(problem, tmp_path), expected, tmp_path)


# What a shell runs in the background would ignore Ctrl-C.
SCRIPT = """
import signal, sys, numpy as np, rop
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
x, z = rop.nets.mlp([20, 30, 5])
objective = rop.Objective(z, rop.SquaredError(rop.data("t", 5)), l2=1e-3)
data = {"x": rng.standard_normal((400, 20)), "t": rng.standard_normal((400, 5))}
recipe = rop.hf.recipes.martens2010(curvature=0.5, lam=1.0)
folder = sys.argv[1] if len(sys.argv) > 1 else None
def callback(it, theta):
    print(it.number, flush=True)
result = rop.hf.minimize(
    objective, objective.init("sparse"), data, recipe, iterations=60, engine="numpy",
    folder=folder, resume=folder is not None, callback=callback,
)
print(result.theta.tobytes().hex(), result.reason, flush=True)
"""


def started(script, *arguments):
    command = [sys.executable, "-W", "error", str(script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.ci
def test_kill_9_at_random_moments(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    whole, _ = started(script).communicate(timeout=120)
    rng = np.random.default_rng()
    kills = 0
    for attempt in range(12):
        process = started(script, tmp_path / "run")
        if attempt < 5:
            for _ in range(rng.integers(1, 9)):  # some iterations, then any moment of the next
                process.stdout.readline()
            time.sleep(rng.uniform(0, 0.02))
            process.kill()
        output, _ = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills += 1
    assert kills >= 4
    assert output.splitlines()[-1] == whole.splitlines()[-1]
    assert len(list(read_lines(tmp_path / "run" / "log.jsonl"))) == 61


def test_ctrl_c_ends_cleanly_with_the_last_complete_iteration(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = started(script, tmp_path / "run")
    for _ in range(4):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    theta, reason = output.split()[-2:]
    assert reason == "interrupted"
    with np.load(tmp_path / "run" / "state.npz") as state:
        iterations = len(read_log(tmp_path / "run").records)
        assert state["theta"].tobytes().hex() == theta
        assert f'"iteration": {iterations},' in str(state["rest"])


def test_a_run_is_not_overwritten(problem, tmp_path):
    kept(problem, tmp_path, iterations=1)
    with pytest.raises(RopValueError, match="holds a run already"):
        kept(problem, tmp_path, resume=False)


def test_another_run_is_not_continued(problem, tmp_path):
    kept(problem, tmp_path, iterations=1)
    objective, theta, data = problem
    other = replace(RECIPE, decay=0.9)
    with pytest.raises(RopValueError, match=r"recipe\.decay is 0\.95, now 0\.9"):
        minimize(objective, theta, data, other, engine="numpy", folder=tmp_path, resume=True)
    with pytest.raises(RopValueError, match="dtype is 'float32', now 'float64'"):
        kept(problem, tmp_path, dtype=np.float64)
    with pytest.raises(RopValueError, match="theta at the beginning has other values"):
        kept((objective, theta + 1, data), tmp_path)
    kept(problem, tmp_path, iterations=2)


def test_other_files_are_no_logs(tmp_path):
    file = tmp_path / "x.jsonl"
    for content in ("", "[1, 2]\n", "{}\n", "what\n", '{"class": "Other"}\n'):
        file.write_text(content)
        with pytest.raises(RopValueError, match=r"x\.jsonl is not"):
            read_log(file)


def test_the_names_are_public():
    for name in ("read_log", "replay", "compare", "table", "Stream", "ReplayError"):
        assert hasattr(rop.hf, name)
