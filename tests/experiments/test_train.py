"""`rop train`: its folder of results, its options, and its resumption."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from rop.cli import main
from rop.errors import RopValueError
from rop.experiments import EXPERIMENTS, registry, training
from rop.experiments.measures import measure, squared_error, wrong
from rop.experiments.training import Order, recipe_named, train
from rop.hf import Recipe, compare, read_log, replay
from rop.hf.recipes import MAKERS

SMALL = ["--hidden", "8", "--engine", "numpy"]


def trained(folder, *arguments):
    return main(["train", "digits", *SMALL, "--out", str(folder), *map(str, arguments)])


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Leave out what takes most of the time; `results`, which is made before, has them."""
    monkeypatch.setattr(training, "draw_results", lambda *_: None)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert trained(folder, "--iterations", 4, "--seed", 3) == 0
    return folder


def test_the_folder_holds_everything(results):
    names = {file.name for file in results.iterdir()}
    assert names == {
        *("config.json", "measures.jsonl", "summary.json", "table.csv"),
        *("log.jsonl", "state.npz", "state.previous.npz", "lock"),
        *("parameters.npz", "run.png", "iteration.png", "f.png", "error_rate.png"),
    }


def test_the_config_says_what_was_trained(results):
    config = json.loads((results / "config.json").read_text())
    assert config["experiment"] == "digits" and config["seed"] == 3
    assert config["options"] == {"hidden": "8", "lam": 1.0}
    assert config["recipe"] == "own" and config["recipe_in_full"]["class"] == "Recipe"


def test_the_engine_is_by_default_the_one_that_can_run(tmp_path, monkeypatch):
    monkeypatch.setattr("rop.cli.options.DEFAULT_ENGINE", "numpy")
    command = ["train", "digits", "--hidden", "8", "--iterations", "1", "--out", str(tmp_path)]
    assert main(command) == 0
    assert json.loads((tmp_path / "config.json").read_text())["engine"] == "numpy"


def test_the_summary_measures_the_parameters(results):
    problem = EXPERIMENTS["digits"].build(3, hidden="8")
    with np.load(results / "parameters.npz") as parameters:
        theta = problem.objective.pack(parameters)
    summary = json.loads((results / "summary.json").read_text())
    for name, batch in (("train", problem.train), ("test", problem.test)):
        at = problem.objective.linearize(theta, batch, engine="numpy")
        labels = np.argmax(batch["t"], axis=1)
        rate = np.mean(at.outputs.argmax(axis=1) != labels)
        assert summary[f"{name} error rate"] == pytest.approx(rate, abs=1e-9)
        assert summary[f"{name} f"] == pytest.approx(at.value, rel=1e-5)
    log = read_log(results)
    assert summary["iterations"] == len(log.records) == 4
    assert summary["products"] == sum(it.work.products for it in log.records)
    assert summary["train f"] == pytest.approx(log.records[-1].f_after, rel=1e-5)
    with open(results / "table.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["f_after"]) for row in table] == [it.f_after for it in log.records]


def test_the_log_can_be_replayed(results):
    problem = EXPERIMENTS["digits"].build(3, hidden="8")
    assert len(list(replay(results, problem.objective, problem.theta, problem.train))) == 4


def test_a_run_in_two_parts_is_the_whole_run(results, tmp_path, capsys):
    assert trained(tmp_path, "--iterations", 2, "--seed", 3) == 0
    assert trained(tmp_path, "--iterations", 4, "--seed", 3) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert trained(tmp_path, "--iterations", 4, "--seed", 3, "--resume") == 0
    assert compare(read_log(tmp_path).records, read_log(results).records) is None
    for name in ("measures.jsonl", "config.json"):
        assert (tmp_path / name).read_text() == (results / name).read_text()
    with np.load(tmp_path / "state.npz") as one, np.load(results / "state.npz") as other:
        np.testing.assert_array_equal(one["theta"], other["theta"])


def test_measures_lost_in_a_crash_are_caught_up(results, tmp_path):
    trained(tmp_path, "--iterations", 4, "--seed", 3)
    whole = (tmp_path / "measures.jsonl").read_text()
    (tmp_path / "measures.jsonl").write_text("".join(whole.splitlines(keepends=True)[:3]) + '{"it')
    trained(tmp_path, "--iterations", 4, "--seed", 3, "--resume")
    assert (tmp_path / "measures.jsonl").read_text() == whole


def test_a_problem_may_have_its_first_cases_measured_only(tmp_path):
    problem = replace(EXPERIMENTS["digits"].build(0, hidden="8"), measured=10)
    curve = training._Curve(problem, tmp_path / "measures.jsonl", "numpy")
    curve.catch_up(1, problem.theta)
    for kind, batch in (("train", problem.train), ("test", problem.test)):
        first = {name: array[:10] for name, array in batch.items()}
        f = problem.objective.value(problem.theta, first, engine="numpy")
        assert curve.rows[0][f"{kind} f"] == pytest.approx(f, rel=1e-6)


class Killed(BaseException):
    """Stands for the end of the process."""


def test_no_measures_are_lost_where_a_kill_comes_before_them(results, tmp_path, monkeypatch):
    original = training._Curve.__call__

    def killed(self, it, theta):
        if it.number == 1:
            raise Killed
        original(self, it, theta)

    with monkeypatch.context() as patch:
        patch.setattr(training._Curve, "__call__", killed)
        assert trained(tmp_path, "--iterations", 4, "--seed", 3) == 2
    assert trained(tmp_path, "--iterations", 4, "--seed", 3, "--resume") == 0
    assert (tmp_path / "measures.jsonl").read_text() == (results / "measures.jsonl").read_text()


def test_a_folder_of_other_files_is_refused(tmp_path, capsys):
    (tmp_path / "parameters.npz").write_text("mine")
    assert trained(tmp_path, "--iterations", 1) == 2
    assert "did not make, such as parameters.npz" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["parameters.npz"]


def test_ctrl_c_leaves_a_folder_to_go_on_from(tmp_path, monkeypatch, capsys):
    original = training._Curve.__call__

    def interrupted(self, it, theta):
        original(self, it, theta)
        if it.number == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training._Curve, "__call__", interrupted)
        assert trained(tmp_path, "--iterations", 4) == 130
    assert capsys.readouterr().err.endswith(
        "rop train: interrupted; the same command with --resume goes on\n"
    )
    assert json.loads((tmp_path / "summary.json").read_text())["iterations"] == 2
    assert trained(tmp_path, "--iterations", 4, "--resume") == 0


@pytest.mark.parametrize("name", MAKERS)
def test_every_recipe_can_be_asked_for(name):
    problem = EXPERIMENTS["digits"].build(0, lam=0.5)
    recipe = recipe_named(name, problem)
    assert recipe == recipe_named(name, problem)
    with pytest.raises(RopValueError, match="no recipe 'best'.*martens2010"):
        recipe_named("best", problem)
    assert recipe_named("martens2010", problem).damping.lam == 0.5
    assert recipe_named("default", problem) == Recipe()


def test_an_experiment_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "EXPERIMENTS", EXPERIMENTS)
    monkeypatch.setitem(EXPERIMENTS, "mine", None)
    del EXPERIMENTS["mine"]

    @registry.experiment("mine", iterations=2)
    def mine(seed, *, length=3, fast=True, kind="a"):
        """My problem.

        At length.
        """
        assert (length, fast, kind) == (5, False, "b")
        return EXPERIMENTS["digits"].build(seed, hidden="4")

    own = EXPERIMENTS["mine"]
    assert own.summary == "My problem."
    assert own.options == {"length": 3, "fast": True, "kind": "a"}
    options = ["--length", "5", "--no-fast", "--kind", "b"]
    out = ["--engine", "numpy", "--out", str(tmp_path)]
    assert main(["train", "mine", *options, *out]) == 0
    assert len(read_log(tmp_path).records) == 2
    with pytest.raises(RopValueError, match="has this name already"):
        registry.experiment("mine", iterations=2)(mine)


def test_what_does_not_exist(capsys, tmp_path):
    assert main(["train", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err
    with pytest.raises(RopValueError, match="there are .*curves"):
        train(Order("nothing", {}, "own", 0, "numpy"), tmp_path)


@pytest.mark.parametrize("name", ["curves", "digits", "digits-autoencoder"])
def test_problems_are_seeded_and_consistent(name):
    small = {"curves": {"size": 14, "images": 60, "hidden": "10-3"}}.get(name, {"hidden": "10-3"})
    build = EXPERIMENTS[name].build
    one, same, other = build(1, **small), build(1, **small), build(2, **small)
    np.testing.assert_array_equal(one.theta, same.theta)
    assert (one.theta != other.theta).any()
    np.testing.assert_array_equal(one.train["x"], other.train["x"])
    measured = measure(one.objective, one.theta, one.test, one.measures, "numpy")
    assert measured["f"] == pytest.approx(
        one.objective.value(one.theta.astype(np.float32), one.test, "numpy"), rel=1e-5
    )


def test_the_measures_are_those_of_the_papers():
    rng = np.random.default_rng(0)
    z, x = rng.standard_normal((5, 3)), rng.uniform(size=(5, 3))
    expected = (((1 / (1 + np.exp(-z))) - x) ** 2).sum(axis=1)
    np.testing.assert_allclose(squared_error(z, {"x": x}), expected, rtol=1e-12)
    t = np.eye(3)[[0, 1, 2, 0, 1]]
    np.testing.assert_array_equal(wrong(t * 2 - 1, {"t": t}), [0] * 5)
    np.testing.assert_array_equal(wrong(-t, {"t": t}), [1] * 5)


def test_means_over_pieces_are_those_over_all_cases():
    problem = EXPERIMENTS["digits"].build(0, hidden="4")
    found = measure(problem.objective, problem.theta, problem.train, problem.measures, "numpy")
    at = problem.objective.linearize(problem.theta, problem.train, "numpy")
    assert found["f"] == pytest.approx(at.value, rel=1e-12)
    assert found["error rate"] == pytest.approx(wrong(at.outputs, problem.train).mean(), rel=1e-12)


@pytest.mark.ci
def test_validation_keeps_the_best_parameters_and_ends_the_run(tmp_path, capsys):
    options = ["--seed", 3, "--validation", "0.3", "--patience", 2]
    assert trained(tmp_path, *options, "--iterations", 3) == 0
    assert trained(tmp_path, *options, "--iterations", 200, "--resume") == 0
    assert "the validation data has not fallen" in capsys.readouterr().out
    summary = json.loads((tmp_path / "summary.json").read_text())
    best = summary["best iteration"]
    assert summary["reason"] == "validation"
    assert summary["iterations"] == best + 2
    records = read_log(tmp_path).records
    assert len(records) == best + 2
    assert summary["validation f"] == records[best - 1].f_validation
    assert summary["validation f"] == min(it.f_validation for it in records)
    problem = EXPERIMENTS["digits"].build(3, hidden="8")
    cases = len(problem.train["x"])
    assert records[0].cases.gradient.total == cases - round(0.3 * cases)
    with np.load(tmp_path / "parameters.npz") as parameters:
        theta = problem.objective.pack(parameters)
    at = problem.objective.linearize(theta, problem.test, engine="numpy")
    rate = np.mean(at.outputs.argmax(axis=1) != np.argmax(problem.test["t"], axis=1))
    assert summary["test error rate"] == pytest.approx(rate, abs=1e-9)
    # Another share is other data.
    assert trained(tmp_path, "--seed", 3, "--validation", "0.2", "--resume") == 2


@pytest.mark.parametrize(
    "options", [["--validation", "1.5"], ["--validation", "x"], ["--patience", "3"]]
)
def test_wrong_shares_are_refused(tmp_path, capsys, options):
    assert trained(tmp_path / "run", *options) == 2
    assert "validation" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
