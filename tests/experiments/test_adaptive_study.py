"""`rop study adaptive-hf`: its methods, its database, and what it writes."""

import csv
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

import rop
from rop.cli import main
from rop.experiments import EXPERIMENTS, adaptive_study, adaptive_trials
from rop.experiments.adaptive_study import DATABASE, Plan, findings, study_adaptive_hf, work
from rop.experiments.adaptive_trials import METHODS, WORST, build, run_trial, with_method
from rop.experiments.training import recipe_named

TINY = Plan("digits", ("adaptive-hf-proof", "adam"), 2, 4, 2, 50)
MIDDLE = {"alpha": 0.01, "lam": 10.0, "beta2": 1e-8, "epsilon": 1e-3, "sigma": 50.0, "L": 100.0,
          "rate": 0.01, "g": "delta", "xi": "2 sigma", "curvature": "ggn",
          "reduction": "step"}  # fmt: skip


@pytest.fixture(scope="module")
def problem():
    return build("digits", 0)


def trial(problem, method, **settings):
    values = {name: MIDDLE[name] for name in METHODS[method].ranges} | settings.pop("values", {})
    settings = {"updates": 5, "every": 2, "cases": 200, "seed": 0} | settings
    return run_trial(problem, method, values, **settings)


def test_the_ranges_are_the_papers():
    ranges = {name: (each.low, each.high) for name, each in METHODS["adaptive-hf"].ranges.items()}
    assert ranges == {"beta2": (1e-10, 1e-4), "lam": (1, 30), "epsilon": (1e-5, 0.1),
                      "sigma": (30, 100), "L": (50, 300)}  # fmt: skip
    hf = METHODS["hf"].ranges
    assert [(hf[name].low, hf[name].high) for name in ("alpha", "lam")] == [(1e-3, 1), (1, 30)]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_is_measured(problem, method):
    rows = trial(problem, method)
    assert [row["update"] for row in rows] == [0, 2, 4, 5]
    at = problem.objective.value(problem.theta, {k: v[:200] for k, v in problem.train.items()})
    assert rows[0]["loss"] == pytest.approx(at, rel=1e-5)
    assert all(row["gradient"] > 0 and row["step"] > 0 for row in rows[1:])
    assert (METHODS[method].recipe is None) != ("rho_step" in rows[-1])
    assert rows == _without_time(trial(problem, method), rows)


def _without_time(rows, of):
    return [row | {"seconds": other["seconds"]} for row, other in zip(rows, of, strict=True)]


def test_the_papers_hf_has_no_safeguards_and_hf_proper_does():
    values = {"alpha": 0.3, "lam": 2.0}
    plain = METHODS["hf"].recipe(values)
    assert plain.line_search == rop.hf.NoLineSearch() and plain.moments is None
    assert (plain.learning_rate, plain.damping.lam, plain.curvature) == (0.3, 2.0, "hessian")
    for name in ("hf-damped", "hf-validated2012"):
        recipe = METHODS[name].recipe({"lam": 2.0})
        assert isinstance(recipe.line_search, rop.hf.Armijo) and recipe.curvature == "ggn"
        assert recipe.batches.draw(0, 60_000).gradient.size == 16 * 128


def test_the_choices_reach_the_recipe():
    method = METHODS["adaptive-hf-choices"]
    assert method.recipe is not None
    recipe = method.recipe({name: MIDDLE[name] for name in method.ranges})
    assert (recipe.moments.g, recipe.moments.xi) == ("delta", 100.0)
    assert (recipe.curvature, recipe.reduction) == ("ggn", "step")


def test_a_run_that_diverges_counts_as_the_worst(problem):
    rows = trial(problem, "sgd", values={"rate": 1e38}, updates=50)
    assert rows[-1]["loss"] == WORST
    assert rows[1]["loss"] == WORST and not rows[-1]["accuracy"] > 0.3


def test_one_run_by_rop_train():
    problem = with_method(build("digits", 0), "adaptive-hf-code", {"lam": 3.0})
    assert problem.recipe == rop.hf.recipes.adaptive_hf("released-code", lam=3.0)
    assert recipe_named("own", problem) is problem.recipe
    with pytest.raises(rop.RopError, match="method must be 'hf', .*sgd and adam run in"):
        with_method(problem, "adam", {})
    options = EXPERIMENTS["fashion-lenet"].options
    assert options == {"method": "adaptive-hf", "lam": 10.0, "alpha": 0.1, "cases": 1000}


def test_lenet_takes_images(monkeypatch):
    rng = np.random.default_rng(0)
    targets = np.eye(10, dtype=np.float32)[rng.integers(0, 10, 30)]
    batch = {"x": rng.random((30, 784), np.float32), "t": targets}
    monkeypatch.setattr(adaptive_trials, "_images", lambda name: (batch, batch))
    problem = adaptive_trials.fashion_lenet(0, method="adaptive-hf-code", lam=3.0, cases=20)
    assert problem.measured == 20
    assert problem.objective.n == 44_426 and problem.train["x"].shape == (30, 1, 28, 28)
    assert problem.recipe == rop.hf.recipes.adaptive_hf("released-code", lam=3.0)
    rows = trial(problem, "adaptive-hf", updates=2)
    assert [row["update"] for row in rows] == [0, 2] and rows[-1]["step"] > 0


@pytest.mark.ci
def test_a_study_is_run_in_processes_and_goes_on(tmp_path, capsys):
    command = ["study", "adaptive-hf", "--problem", "digits", "--methods", *TINY.methods,
               "--updates", "4", "--every", "2", "--cases", "50",
               "--out", str(tmp_path)]  # fmt: skip
    assert main([*command, "--trials", "1"]) == 0
    with open(tmp_path / "trials.csv", newline="") as file:
        first = list(csv.DictReader(file))
    assert main([*command, "--trials", "2"]) == 0
    with open(tmp_path / "trials.csv", newline="") as file:
        both = list(csv.DictReader(file))
    assert [row for row in both if row["trial"] == "0"] == first
    assert [row["method"] for row in both] == [name for name in TINY.methods for _ in range(2)]
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["text"] in capsys.readouterr().out
    assert [row["trials"] for row in numbers["methods"]] == [2, 2]
    for name in ("figure1", "figure2"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(rop.RopError, match="has trials of .*give another folder"):
        study_adaptive_hf(replace(TINY, updates=5), tmp_path)


@pytest.mark.ci
def test_the_processes_end_with_a_study_that_is_terminated(tmp_path):
    command = ["study", "adaptive-hf", "--problem", "digits", "--methods", "adam", "--trials",
               "100000", "--updates", "2", "--cases", "50", "--out", str(tmp_path)]  # fmt: skip
    program = [sys.executable, "-m", "rop.cli"]
    study = subprocess.Popen([*program, *command], stdout=subprocess.PIPE)
    while not _trials(tmp_path / DATABASE):
        assert study.poll() is None
        time.sleep(0.1)
    study.terminate()
    study.communicate(timeout=30)  # the pipe's end: no process holds it any more


def _trials(database):
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):
        return connection.execute("select * from trials where state = 'COMPLETE'").fetchall()
    return []  # the tables are not made yet


def test_an_interrupted_trial_does_not_count(tmp_path, monkeypatch):
    calls = []

    def interrupted(*args, **settings):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_trial(*args, **settings)

    monkeypatch.setattr(adaptive_study, "run_trial", interrupted)
    monkeypatch.delattr("os.sched_setaffinity")  # the tests' process keeps its cores
    plan = replace(TINY, methods=("adam",))
    work(plan, tmp_path / DATABASE, 0)
    assert len(findings(plan, tmp_path / DATABASE).tables["trials"]) == 1
    work(plan, tmp_path / DATABASE, 0)
    assert len(findings(plan, tmp_path / DATABASE).tables["trials"]) == 2
    assert len(calls) == 3


def test_means_have_their_standard_errors():
    rows = [
        {"method": "a", "trial": trial, "update": update, "loss": loss}
        for trial, losses in enumerate([(2.0, 1.0), (4.0, 3.0), (6.0,)])
        for update, loss in enumerate(losses)
    ]
    points = adaptive_study._points(rows, "loss", 3)
    # The third trial ended after its first row, and stays at 6.
    assert points[0][:2] == (0, 4.0) and points[1][1] == pytest.approx(10 / 3)
    assert points[0][2] == pytest.approx(np.std([2, 4, 6], ddof=1) / np.sqrt(3))
    assert isnan(adaptive_study._points(rows, "loss", 1)[0][2])
    assert adaptive_study._points([{"trial": 0, "update": 0, "loss": nan}], "loss", 1) == []


@pytest.mark.parametrize(
    "change, message",
    [({"methods": ("hf", "newton")}, "methods must be of hf, .*; got 'newton'"),
     ({"problem": "mnist"}, "problem must be 'fashion-lenet', .*; got 'mnist'")],
)  # fmt: skip
def test_what_there_is_not_is_refused(change, message, tmp_path):
    with pytest.raises(rop.RopError, match=message):
        study_adaptive_hf(replace(TINY, **change), tmp_path)
    assert not list(tmp_path.iterdir())
