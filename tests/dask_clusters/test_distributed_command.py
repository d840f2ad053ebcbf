"""`rop train` on a cluster."""

import numpy as np
import pytest

import rop
import rop.distributed
from rop.cli import main
from rop.experiments import EXPERIMENTS
from rop.hf import read_log


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr("rop.experiments.training.draw_results", lambda *_: None)


def train(folder, *arguments):
    small = ["--hidden", "8", "--engine", "numpy", "--out", str(folder)]
    return main(["train", "digits", *small, *map(str, arguments)])


@pytest.mark.ci
def test_it_trains_on_workers_and_goes_on_with_the_same_bits(tmp_path, capfd, cluster):
    halves, local = tmp_path / "halves", tmp_path / "local"
    assert train(halves, "--workers", 2, "--iterations", 1) == 0
    assert "dashboard: http://" in capfd.readouterr().err
    assert train(halves, "--scheduler", "local", "--workers", 1, "--iterations", 2, "--resume") == 0
    problem = EXPERIMENTS["digits"].build(0, hidden="8")
    with cluster(3) as client:
        spread = rop.distributed.Objective(problem.objective, client, problem.train)
        run = rop.hf.minimize(
            spread, problem.theta, {}, problem.recipe, iterations=2, engine="numpy"
        )
    with np.load(halves / "parameters.npz") as found:
        assert (problem.objective.pack(found).astype(np.float32) == run.theta).all()
    assert train(local, "--iterations", 1) == 0
    here, there = (read_log(folder).records[0] for folder in (local, halves))
    assert here.f_before == pytest.approx(there.f_before, rel=1e-5)
    assert train(local, "--workers", 1, "--resume") == 2
    assert "run of something else" in capfd.readouterr().err


def test_a_scheduler_has_its_workers_already(tmp_path, capsys):
    assert train(tmp_path / "run", "--scheduler", "tcp://127.0.0.1:1", "--workers", 2) == 2
    assert "--workers is for --scheduler local" in capsys.readouterr().err


@pytest.mark.ci
def test_a_scheduler_that_is_not_there_ends_the_command(tmp_path, capsys):
    assert train(tmp_path / "run", "--scheduler", "tcp://127.0.0.1:1") == 2
    assert "scheduler tcp://127.0.0.1:1: it does not answer" in capsys.readouterr().err
