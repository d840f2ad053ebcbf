"""Machines without Numba: all but its engine works, and a warning says that it is slower."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys

sys.modules["numba"] = None  # importing it fails, as where it is not installed
{hide}
import warnings

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import rop
import numpy as np

print([str(warning.message) for warning in told])
x, z = rop.nets.mlp([4, 5, 3])
objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
rng = np.random.default_rng(0)
theta = rng.standard_normal(objective.n)
batch = {{"x": rng.standard_normal((9, 4)), "t": rng.integers(3, size=9)}}
at = objective.linearize(theta, batch)
print(at.engine, float(theta @ at.ggnvp(theta)))
print(rop.check(objective, theta, batch).ok)
print(rop.hf.minimize(objective, theta, batch, iterations=5).fun < at.value)
print(float(rop.hf.pcg(lambda v: 2 * v, np.ones(3)).x.sum()))
try:
    objective.linearize(theta, batch, engine="numba")
except rop.RopError as error:
    print(error)
"""


@pytest.mark.ci
def test_all_but_its_engine_works():
    hide = "import importlib.util as u; f = u.find_spec\n"
    hide += "u.find_spec = lambda name, *rest: None if name == 'numba' else f(name, *rest)"
    ran = subprocess.run(
        [sys.executable, "-c", CODE.format(hide=hide)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    told, engine, checked, trained, solved, refused = ran.stdout.splitlines()
    assert "Numba is not installed" in told and "engine='numpy'" in told
    assert engine.startswith("numpy ")
    assert (checked, trained, solved) == ("True", "True", "1.5")
    assert "Numba is not installed" in refused and "engine='numpy'" in refused
