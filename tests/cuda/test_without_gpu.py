"""What users without a GPU see: one clear error, and nothing of CUDA otherwise."""

import subprocess
import sys

import numpy as np
import pytest

import rop
from rop.bench import machine
from rop.engines.cuda import driver

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
