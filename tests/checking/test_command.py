"""`rop check`: what a factory returns, exit codes, and the report as text, JSON and picture."""

import json
import sys

import numpy as np
import pytest

from rop.cli import main

MODEL = """
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
"""


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "model", raising=False)

    def run(factory, *options):
        code = main(["check", f"model.py:{factory}", *map(str, options)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("factory, code", [("right", 0), ("wrong", 1), ("alone", 2)])
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
        ("raising", (), "raises RuntimeError: no model today"),
        ("number", (), r"must return (objective, theta, batch), or a dict of arguments, got int"),
        ("misspelt", (), "unexpected keyword argument 'gradeint'"),
        ("neither", (), "neither 'objective' nor 'theta', but 'value'"),
        ("nothing", (), "model.py has no function 'nothing'"),
        ("right", ("--power",), "--power puts wrong rules into a graph"),
        ("gradient", ("--npz", "missing.npz"), "--npz missing.npz: cannot be read"),
        ("objective", ("--npz", "missing.npz"), "a factory that returns functions"),
    ],
)
def test_bad_usage_is_named(check, factory, options, words):
    code, out, err = check(factory, *options)
    assert (code, out) == (2, "")
    assert err.startswith("rop check: ")
    assert words in err


def test_modules_are_imported_from_the_working_directory(check, capsys):
    assert main(["check", "model:right"]) == 0
    assert main(["check", "no_such_module:right"]) == 2
    assert main(["check", "no_such_file.py:right"]) == 2
    assert main(["check", "right"]) == 2
    err = capsys.readouterr().err
    assert "cannot import no_such_module" in err
    assert "there is no file no_such_file.py" in err
    assert "expected MODULE:FACTORY, such as model.py:build, got 'right'" in err
