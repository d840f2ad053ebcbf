"""What users without a GPU see: one clear error, and nothing of CUDA otherwise."""

import json
import subprocess
import sys

import numpy as np
import pytest

import rop
from rop.bench import gpu, gpu_training, machine
from rop.cli import main
from rop.engines.cuda import driver
from rop.objective.device_cg import cg_steps

pytestmark = pytest.mark.skipif(driver.missing() is None, reason="there is a GPU")


def objective():
    w = rop.param("w", 3)
    return rop.Objective(w, rop.SquaredError(np.zeros(3)))


@pytest.mark.parametrize("engine", ["cuda", "cuda-tf32"])
def test_the_error_says_what_is_missing(engine):
    for call in (objective().linearize, objective().value):
        with pytest.raises(rop.RopError) as caught:
            call(np.zeros(3), engine=engine)
        words = str(caught.value)
        assert "pip install 'rop[cuda]'" in words or "nvidia-smi" in words
        assert "engine='numba'" in words


def test_importing_rop_leaves_cuda_alone():
    code = "import sys, rop; print([m for m in sys.modules if 'cuda' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # numba-cuda puts a redirector into every process of its environment.
    found = [m for m in eval(done.stdout) if m != "_numba_cuda_redirector"]
    assert found == []


def test_info_says_what_is_missing():
    assert machine.describe()["gpu"] == {"missing": driver.missing()}


def test_cg_of_its_own_is_the_gpus_alone():
    at = objective().linearize(np.ones(3), engine="numpy")
    assert cg_steps(at, -at.gradient(), damping=0.5) is None
    with pytest.raises(rop.RopError, match=r"x0: expected shape \(3,\) or .*, got \(2,\)"):
        cg_steps(at, -at.gradient(), np.ones(2))
    with pytest.raises(rop.RopError, match=r"inverse: expected shape \(3,\), got \(3, 2\)"):
        cg_steps(at, -at.gradient(), inverse=np.ones((3, 2)))
    with pytest.raises(rop.RopError, match="needs hidden units"):
        cg_steps(at, -at.gradient(), mu=0.1)


def test_a_training_does_not_begin(tmp_path, capsys):
    folder = tmp_path / "run"
    given = ["train", "curves", "--engine", "cuda", "--images", "20", "--out", str(folder)]
    assert main(given) == 2
    assert "rop train: engine 'cuda': " in capsys.readouterr().err
    assert not folder.exists()


def test_the_measurements_say_what_is_missing(capsys):
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--rounds", "1"])
    assert ended.value.code == 2
    assert str(driver.missing()) in capsys.readouterr().err


@pytest.mark.ci
def test_the_training_of_the_measurements():
    """On the CPU, and small: what is told of each update, beside the log of 2011."""
    options = {"size": 14, "images": 20, "hidden": "5-2", "lam": 1.0}
    found = gpu_training.measure(60.0, iterations=3, engine="numpy", options=options)
    assert json.loads(json.dumps(found))["iterations"] == 3
    assert [update["update"] for update in found["updates"]] == [1, 2, 3]
    assert found["updates"][0]["Martens' error"] == 107.0
    assert found["error"] == found["updates"][-1]["error"] < found["updates"][0]["error"]
    assert found["products"] >= found["CG steps"] == sum(u["CG steps"] for u in found["updates"])
    words = gpu_training.told(found)
    assert "3 updates (iterations)" in words and "60,221 CG steps; error 0.125" in words
