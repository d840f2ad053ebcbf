"""Compiling where nothing can be kept, from damaged files, and where Numba must not compile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
import numpy as np
from rop.engines.numba.compiling import compiled

@compiled
def add(x, y):
    return x + y

@compiled
def twice(x):
    return add(x, x)

print(twice(np.arange(3.0)).tolist(), sum(add.stats.cache_hits.values(), 0)
      + sum(twice.stats.cache_hits.values(), 0))
"""


@pytest.fixture
def run(tmp_path):
    """Run a module whose functions are compiled; gives what it prints and what it says."""
    (tmp_path / "module.py").write_text(MODULE)

    def run(**environment):
        settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept"), **environment}
        ran = subprocess.run(
            [sys.executable, "-W", "error", str(tmp_path / "module.py")],
            env={name: value for name, value in settings.items() if value is not None},
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.strip(), ran.stderr

    return run


def damage_half(contents):
    return contents[: len(contents) // 2]


def damage_all(contents):
    return b""


def damage_byte(contents):
    """One bit in the middle, where machine code is."""
    i = len(contents) // 2
    return contents[:i] + bytes([contents[i] ^ 1]) + contents[i + 1 :]


@pytest.mark.ci
def test_damaged_files_are_compiled_again(run, tmp_path):
    assert run() == ("[0.0, 2.0, 4.0] 0", "")
    for kind, damage in (("nbi", damage_half), ("nbc", damage_byte), ("nb?", damage_all)):
        damaged = list((tmp_path / "kept").rglob(f"*.{kind}"))
        assert len(damaged) >= 2
        for file in damaged:
            file.write_bytes(damage(file.read_bytes()))
        assert run() == ("[0.0, 2.0, 4.0] 0", "")
    assert run() == ("[0.0, 2.0, 4.0] 1", "")


def test_nowhere_to_keep_them(run, tmp_path):
    """Then they are compiled in memory, and that is said once."""
    (tmp_path / "__pycache__").write_text("a file, not a folder")
    nowhere = "/proc/nothing"
    out, said = run(NUMBA_CACHE_DIR=nowhere, HOME=nowhere, XDG_CACHE_HOME=nowhere)
    assert out == "[0.0, 2.0, 4.0] 0"
    assert len(said.splitlines()) == 1 and "NUMBA_CACHE_DIR" in said


def test_without_compiling():
    """The default engine is NumPy's then; Numba's says what it needs."""
    code = """
import numpy as np, rop
x, z = rop.nets.mlp([4, 3])
objective = rop.Objective(z, rop.SquaredError(rop.data("t", 3)))
batch = {"x": np.ones((2, 4)), "t": np.ones((2, 3))}
theta = np.ones(objective.n)
at = objective.linearize(theta, batch)
print(at.engine, rop.hf.minimize(objective, theta, batch, iterations=2).fun < at.value)
try:
    objective.linearize(theta, batch, engine="numba")
except rop.RopError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = ran.stdout.splitlines()
    assert first == "numpy True"
    assert "NUMBA_DISABLE_JIT" in second and "engine='numpy'" in second
