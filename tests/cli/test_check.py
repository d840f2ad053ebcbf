"""`rop check`: what a factory returns, exit codes, and the report as text, JSON and picture."""

import json
import os
import sys
import zipfile

import numpy as np
import pytest

from rop.cli import main

MODEL = """
import sys
import numpy as np
import rop

theta = np.linspace(0.1, 1.0, 5)
sine = {
    "theta": theta,
    "value": lambda t: np.sin(t).sum(),
    "gradient": lambda t: np.cos(t),
    "hvp": lambda t, v: -np.sin(t) * v,
}


def right():
    return sine


def wrong():
    return sine | {"hvp": lambda t, v: np.sin(t) * v}


def alone():
    return {"theta": theta, "gradient": lambda t: np.cos(t)}


def gradient():
    return {"gradient": sine["gradient"], "value": sine["value"]}


def objective():
    x, t, W = rop.data("x", 3), rop.data("t", 2), rop.param("W", (2, 3))
    batch = {"x": np.eye(3), "t": np.ones((3, 2))}
    return rop.Objective(rop.tanh(W @ x), rop.SquaredError(t)), np.linspace(-1, 1, 6), batch


def as_dict():
    model, theta, batch = objective()
    return {"objective": model, "theta": theta, "batch": batch, "engine": "numpy"}


def without_data():
    P = rop.param("P", 3)
    return rop.Objective(P, rop.LossGraph(rop.sum(rop.exp(P)))), np.linspace(-1, 1, 3)


def raising():
    raise RuntimeError("no model today")


def number():
    return 7


def misspelt():
    return {"theta": theta, "gradeint": np.cos}


def neither():
    return {"value": np.sin}


def exiting():
    sys.exit(0)


def skipped():
    raise BaseException


def exits_later():
    return {"theta": theta, "gradient": lambda t: sys.exit(0)}


def invalid():
    return rop.param("W", (0, 3))


def needs_more(n):
    return sine
"""


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "model", raising=False)
    monkeypatch.setitem(sys.modules, "model", None)
    del sys.modules["model"]

    def run(factory, *options):
        code = main(["check", f"model.py:{factory}", *map(str, options)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    "factory, code", [("right", 0), ("wrong", 1), ("exits_later", 1), ("alone", 2)]
)
def test_the_exit_code_is_the_verdict(check, factory, code):
    found, out, _ = check(factory)
    assert found == code
    assert out.startswith(f"rop.check  {('PASS', 'FAIL', 'INCONCLUSIVE')[code]}")


@pytest.mark.parametrize("factory", ["objective", "as_dict", "without_data"])
def test_objectives(check, factory):
    code, out, _ = check(factory)
    assert code == 0, out
    assert "Gv   PASS" in out


def test_the_report_says_how_to_run_it_again(check):
    _, out, _ = check("wrong", "--seed", 7, "--full")
    assert out.rstrip().endswith("Reproduce: rop check model.py:wrong --seed 7 --full")
    assert "the sign is wrong" in out
    assert "Every column e_j" in out


def test_json(check):
    code, out, _ = check("wrong", "--json", "--seed", 3)
    report = json.loads(out)
    assert (code, report["verdict"], report["seed"]) == (1, "fail", 3)


@pytest.mark.parametrize("name", ["report.png", "report.svg"])
def test_the_picture_is_written(check, tmp_path, name):
    assert check("right", "--plot", name)[0] == 0
    assert (tmp_path / name).stat().st_size > 5_000


def test_recorded_products(check, tmp_path):
    theta, V = np.linspace(0.1, 1.0, 5), np.random.default_rng(0).standard_normal((5, 2))
    Hv = -np.sin(theta)[:, None] * V
    np.savez(tmp_path / "right.npz", theta=theta, directions=V, hvp=Hv)
    np.savez(tmp_path / "wrong.npz", theta=theta, directions=V, hvp=2 * Hv)
    assert check("gradient", "--npz", "right.npz")[0] == 0
    code, out, _ = check("gradient", "--npz", "wrong.npz")
    assert code == 1
    assert "2 times the true product" in out
    assert "--npz wrong.npz" in out


@pytest.mark.parametrize(
    "factory, options, words",
    [
        ("raising", (), "model.py:raising raises RuntimeError: no model today (model.py, line "),
        ("exiting", (), "model.py:exiting ends the process: sys.exit(0)"),
        ("skipped", (), "model.py:skipped raises BaseException (model.py, line "),
        ("invalid", (), "model.py:invalid raises RopValueError: "),
        ("needs_more", (), "missing 1 required positional argument: 'n'"),
        ("number", (), r"must return (objective, theta, batch), or a dict of arguments, got int"),
        ("misspelt", (), "no argument is called 'gradeint'; did you mean 'gradient'?"),
        ("neither", (), "neither 'objective' nor 'theta', but 'value'"),
        ("nothing", (), "model.py has no function 'nothing'"),
        ("right", ("--power",), "--power puts wrong rules into a graph"),
        ("gradient", ("--npz", "missing.npz"), "--npz cannot read missing.npz: No such file"),
        ("objective", ("--npz", "missing.npz"), "a factory that returns functions"),
    ],
)
def test_bad_usage_is_named(check, factory, options, words):
    code, out, err = check(factory, *options)
    assert (code, out) == (2, "")
    assert err.startswith("rop check: ")
    assert words in err


def test_modules_are_imported_from_the_working_directory(check):
    assert main(["check", "model:right"]) == 0


@pytest.mark.parametrize(
    "name, words",
    [
        ("no_such_module:right", "there is no module no_such_module"),
        ("no_such_file.py:right", "there is no file no_such_file.py"),
        ("folder.py:right", "there is no file folder.py"),
        ("right", "expected MODULE:FACTORY, such as model.py:build, got 'right'"),
        (":right", "expected MODULE:FACTORY"),
        ("model.py:", "expected MODULE:FACTORY"),
        ("", "expected MODULE:FACTORY"),
        ("./model:right", "expected a file that ends in .py"),
        (".model:right", "expected a file that ends in .py"),
        ("model:theta", "model has no function 'theta'"),
        ("broken.py:build", "broken.py raises SyntaxError"),
        ("latin.py:build", "latin.py raises SyntaxError"),
        ("exits.py:build", "exits.py ends the process: sys.exit(0)"),
        ("exits:build", "exits ends the process: sys.exit(0)"),
        ("needs.py:build", "needs.py raises ModuleNotFoundError: No module named 'absent'"),
        ("needs:build", "needs raises ModuleNotFoundError: No module named 'absent'"),
    ],
)
def test_a_factory_that_cannot_be_had(check, tmp_path, capsys, name, words):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "broken.py").write_text("def build(:")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe4'")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(0)")
    (tmp_path / "needs.py").write_text("import absent")
    assert main(["check", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rop check: ") and words in err and err.count("\n") == 1


DATACLASS = """
from __future__ import annotations
import pickle
from dataclasses import dataclass
import numpy as np

@dataclass
class Settings:
    n: int = 3

def build():
    settings = pickle.loads(pickle.dumps(Settings()))
    return {"theta": np.ones(settings.n), "value": lambda t: np.sin(t).sum(), "gradient": np.cos}
"""


@pytest.mark.parametrize("name", ["own", "json", "my.own"])
def test_a_file_is_a_module_like_any_other(check, tmp_path, name):
    before = sys.modules["json"]
    (tmp_path / f"{name}.py").write_text(DATACLASS)
    assert main(["check", f"{name}.py:build"]) == 0
    assert sys.modules["json"] is before


def entries(**arrays):
    def write(path):
        np.savez(path, **arrays)

    return write


def truncated(path):
    np.savez(path, hvp=np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    np.savez_compressed(path, hvp=np.arange(1000.0))
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("hvp.npy", "w", force_zip64=True) as entry:
            header = {"descr": "<f8", "fortran_order": False, "shape": (2**26, 5)}
            np.lib.format.write_array_header_1_0(entry, header)
            for _ in range(2560):
                entry.write(bytes(2**20))


@pytest.mark.ci
@pytest.mark.parametrize(
    "write, words",
    [
        (
            lambda path: path.write_bytes(b"PK\x03\x04 no"),
            "is damaged, or is no .npz file of arrays",
        ),
        (lambda path: path.write_bytes(b""), "is damaged, or is no .npz file of arrays"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (truncated, "is damaged, or is no .npz file of arrays"),
        (flipped, "is damaged, or is no .npz file of arrays"),
        (bomb, "its arrays take 2.5 GiB, the file 2."),
        (entries(hvp=np.array([{}, None], object)), "holds object, not numbers or text"),
        (entries(seed=np.arange(3)), "expected arrays called theta, directions, "),
    ],
)
def test_a_file_of_products_that_cannot_be_used(check, tmp_path, write, words):
    write(tmp_path / "products.npz")
    code, out, err = check("gradient", "--npz", "products.npz")
    assert (code, out) == (2, "")
    assert err.startswith("rop check: --npz products.npz") and words in err
