"""rop and the lessons where there are no threads, no processes and no Numba, as in a browser."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
LESSONS = runpy.run_path(str(ROOT / "docs" / "lite" / "build.py"))["lessons"]()

USE = """
import sys, warnings
from pathlib import Path
from browser_python import restrict

restrict(*sys.argv[1:])
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "Numba is not installed")
warnings.filterwarnings("ignore", ".* cannot be locked .*fcntl")
import matplotlib
import numpy as np

matplotlib.use("Agg")
import rop
from rop.show.waiting import waiting

x, z = rop.nets.mlp([4, 5, 3])
objective = rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)), l2=1e-3)
rng = np.random.default_rng(0)
theta, v = rng.standard_normal((2, objective.n))
batch = {"x": rng.standard_normal((9, 4)), "t": rng.integers(3, size=9)}
at = objective.linearize(theta, batch)
with waiting("a long computation"):
    products = at.gradient(), at.jvp(v), at.ggnvp(v), at.hvp(v), at.diagonal("exact")
assert rop.check(objective, theta, batch).ok
plain = rop.hf.minimize(objective, theta, batch, iterations=5)
folder = Path("run")
kept = rop.hf.minimize(objective, theta, batch, iterations=3, folder=folder)
kept = rop.hf.minimize(objective, theta, batch, iterations=5, folder=folder, resume=True)
assert plain.fun == kept.fun < at.value
rop.hf.minimize(objective, theta, batch, iterations=2, progress=True)
assert len(rop.hf.read_log(folder).records) == 5
rop.explain(objective, "ggnvp").latex()
rop.play(at, "ggnvp", v, path="player.html")
rop.draw(objective, at=at, path="graph.svg")
rop.plot.run(kept, path="run.png")
print("done")
"""


def run(*command, folder):
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])} | ALONE,
        capture_output=True,
        text=True,
    )


@pytest.mark.ci
@pytest.mark.parametrize("missing", [[], ["fcntl"]], ids=["as measured", "and no locks"])
def test_all_but_the_numba_engine_works(missing, tmp_path):
    ran = run("-c", USE, *missing, folder=tmp_path)
    assert ran.stdout == "done\n", ran.stderr
    assert "HF 100 %" in ran.stderr
    made = {path.name for path in tmp_path.iterdir()}
    assert {"player.html", "graph.svg", "run.png"} <= made


@pytest.mark.ci
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs(lesson, tmp_path):
    source = lesson.with_suffix(".py")
    ran = run(str(ROOT / "tests" / "browser_python.py"), str(source), folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
