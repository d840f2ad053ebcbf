"""Layer 1: all kernels in Numba's simulator, in a process of its own, on any machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.ci
def test_every_kernel_in_the_simulator():
    """The simulator must be chosen before Numba is imported."""
    environment = dict(os.environ, NUMBA_ENABLE_CUDASIM="1", OMP_NUM_THREADS="1")
    modules = ["cuda_agreement.py", "hf_agreement.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *modules]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-10_000:]
    assert " passed" in done.stdout
