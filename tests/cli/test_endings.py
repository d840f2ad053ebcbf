"""How commands end: their exit codes, and the one line that says why."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import rop
import rop.cli
from rop.cli import COMMANDS, main

PROGRAM = [sys.executable, "-m", "rop.cli"]


@pytest.mark.parametrize(
    "given, words",
    [
        (["nothing"], "rop: argument COMMAND: invalid choice: 'nothing' (choose from"),
        (["chekc"], "; did you mean 'check'? rop --help lists what there is"),
        (["train", "digit"], "; did you mean 'digits'? rop train --help lists"),
        (["train", "digits", "--itertions", "3"], "did you mean '--iterations'?"),
        (["train", "digits", "--recipe", "martens"], "did you mean 'martens2010'?"),
        (["--nothing"], "rop: unrecognized arguments: --nothing"),
        (["check"], "rop check: the following arguments are required: MODULE:FACTORY"),
        (["check", "m.py:build", "--seed", "-1"], "rop check: argument --seed: expected a whole"),
        (["check", "m.py:build", "--seed", "1.5"], "0 or more, got '1.5'"),
        (["check", "m.py:build", "--plot", "/absent/a.png"], "--plot: there is no folder /absent"),
        (["check", "m.py:build", "--plot", "a.bmp"], "ends in .svg, .png or .pdf, got 'a.bmp'"),
        (["check", "m.py:build", "--plot", "."], "--plot: . is a folder"),
        (["draw", "m.py:build", "--out", "a.jpeg"], ".svg, .png, .pdf, .dot or .mmd, got 'a.jpeg'"),
        (["explain", "m.py:build", "--product", "Gv"], "--product: invalid choice: 'Gv'"),
        (["demo", "--seconds", "nan"], "rop demo: argument --seconds: expected a time"),
        (["demo", "--seconds", "-1"], "0 or more, got '-1'"),
        (["demo", "--seconds", "inf"], "0 or more, got 'inf'"),
        (["demo", "--out", "file"], "rop demo: argument --out: file is a file"),
        (["demo", "--out", "file/inside"], "--out: file is a file; give the name of a folder"),
        (["demo", "--dataset", "cats"], "--dataset: invalid choice: 'cats'"),
        (["train", "nothing"], "rop train: argument EXPERIMENT: invalid choice: 'nothing'"),
        (["train", "digits", "--iterations", "0"], "rop train digits: argument --iterations"),
        (["train", "digits", "--seconds", "soon"], "0 or more, got 'soon'"),
        (["train", "digits", "--hidden", "a-b"], "rop train: hidden: expected sizes of layers"),
        (["train", "digits", "--recipe", "best"], "--recipe: invalid choice: 'best'"),
        (["figure", "nothing"], "rop figure: argument NAME: invalid choice: 'nothing'"),
        (["figure", "3", "--out", "file"], "rop figure 3: argument --out: file is a file"),
        (["bench", "--json", "/absent/a.json"], "--json: there is no folder /absent"),
        (["info", "more"], "rop info: unrecognized arguments: more"),
        (["train", "digits", "--more"], "rop train digits: unrecognized arguments: --more"),
    ],
)
def test_wrong_arguments(given, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(given) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("rop") and words in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def raising(error):
    def run(given):
        raise error

    return run


@pytest.mark.parametrize(
    "error, code, line",
    [
        (KeyboardInterrupt(), 130, "rop info: interrupted"),
        (BrokenPipeError(32, "Broken pipe"), 141, None),
        (rop.RopValueError("l2: no"), 2, "rop info: l2: no"),
        (SystemExit(0), 2, "rop info: it called code that ends the process: sys.exit(0)"),
        (SystemExit(1), 2, "rop info: it called code that ends the process: sys.exit(1)"),
        (
            PermissionError(13, "Permission denied", "a.png"),
            2,
            "rop info: cannot read or write a.png: Permission denied",
        ),
        (
            OSError(28, "No space left on device"),
            2,
            "rop info: cannot read or write standard output: No space left on device",
        ),
        (MemoryError(), 2, "rop info: out of memory"),
        (
            ZeroDivisionError("division\nby zero"),
            2,
            "rop info: ZeroDivisionError: division by zer",
        ),
        (GeneratorExit(), 2, "rop info: GeneratorExit, "),
    ],
)
def test_whatever_a_command_raises_has_its_code_and_its_line(
    error, code, line, monkeypatch, capsys
):
    monkeypatch.setattr("rop.cli.info._run", raising(error))
    assert main(["info"]) == code
    err = capsys.readouterr().err
    if line is None:
        assert err == ""
    else:
        assert err.startswith(line) and err.count("\n") == 1


def test_a_traceback_is_there_for_those_who_ask(monkeypatch, capsys):
    monkeypatch.setattr("rop.cli.info._run", raising(ZeroDivisionError("no")))
    monkeypatch.setenv("ROP_TRACEBACK", "1")
    assert main(["info"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_rop_alone_lists_the_commands(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, does in COMMANDS.items():
        assert any(line.split()[:1] == [name] and does[:40] in line for line in lines)


@pytest.mark.parametrize("command, some", [("train", ["xor"]), ("figure", ["2", "depth"])])
def test_train_and_figure_alone_list_what_there_is(command, some, capsys):
    assert main([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in some:
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert len(line) > 40


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rop {rop.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: rop {command} ")


def test_info_is_readable_and_names_blas(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert f"numpy {np.__version__}" in text and "cores" in text or "core" in text
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["blas"]) == {"numpy", "scipy"}
    for blas in found["blas"].values():
        assert blas.split()[0] in text


MODEL = """
import numpy as np, rop
def build():
    x, z = rop.nets.mlp([4, 6, 3])
    return rop.Objective(z, rop.SoftmaxCrossEntropy(rop.data("t", 3)))
def three():
    return build(), 1, 2
def whole():
    batch = {"x": np.eye(4), "t": np.eye(3)[[0, 1, 2, 0]]}
    return build(), np.linspace(-1, 1, 51), batch
def named():
    return {"objective": build()}
def number():
    return 3
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "small_model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "small_model", raising=False)
    yield "small_model.py"
    sys.modules.pop("small_model", None)


@pytest.mark.parametrize("factory", ["build", "three", "named"])
def test_explain(model, factory, capsys):
    assert main(["explain", f"{model}:{factory}", "--product", "hvp"]) == 0
    assert capsys.readouterr().out.startswith("H v (algorithm 4)")


def test_draw(model, tmp_path, capsys):
    assert main(["draw", f"{model}:build", "--out", "graph.svg"]) == 0
    assert capsys.readouterr().out == "graph.svg\n"
    assert (tmp_path / "graph.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    "options, words",
    [
        (["--show", "shape"], "add · 6"),
        (["--show", "a"], "a, of the first case"),
        (["--show", "Rda", "--product", "hvp", "--seed", "1"], "Rda, of the first case"),
        (["--show", "flops"], "multiplications for a case"),
    ],
)
def test_draw_with_values(model, tmp_path, capsys, options, words):
    assert main(["draw", f"{model}:whole", "--out", "graph.svg", *options]) == 0
    assert capsys.readouterr().out == "graph.svg\n"
    found = (tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert words in found


def test_the_values_drawn_are_those_of_the_product(model, tmp_path):
    assert (
        main(["draw", f"{model}:whole", "--out", "graph.svg", "--show", "Ra", "--seed", "5"]) == 0
    )
    sys.path.insert(0, str(tmp_path))
    objective, theta, batch = importlib.import_module("small_model").whole()
    at = objective.linearize(theta, batch, engine="numpy")
    Rz = at.jvp(np.random.default_rng(5).standard_normal(objective.n))
    assert " ".join(f"{number:.3g}" for number in Rz[0]) in (tmp_path / "graph.svg").read_text()


def test_values_that_cannot_be_drawn(model, capsys):
    for options, words in (
        (["build", "--show", "a"], "must return (objective, theta, batch)"),
        (["whole", "--show", "Rda", "--product", "jvp"], "'jvp' computes no Rda"),
    ):
        assert main(["draw", f"{model}:{options[0]}", *options[1:]]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["explain", "draw"])
def test_what_is_no_objective_is_refused(model, command, capsys):
    assert main([command, f"{model}:number"]) == 2
    assert "must return an objective, or (objective, theta, batch), got int" in (
        capsys.readouterr().err
    )


def run(*given, encoding="utf-8", **options):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(
        [*PROGRAM, *given], env=environment, stderr=subprocess.PIPE, check=False, **options
    )


@pytest.mark.ci
@pytest.mark.parametrize("encoding, word", [("ascii", "theta"), ("cp1252", "theta"), ("utf8", "θ")])
def test_output_in_any_encoding(encoding, word):
    done = run("demo", "--help", encoding=encoding, stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"seed of {word} and" in done.stdout.decode(encoding)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk():
    with open("/dev/full", "wb") as full:
        done = run("bench", "--stored", stdout=full)
    assert done.returncode == 2
    assert done.stderr == (
        b"rop bench: cannot read or write standard output: No space left on device\n"
    )


def test_a_broken_pipe_ends_quietly():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = run("bench", "--stored", stdout=pipe)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_closed_standard_output():
    done = subprocess.run(["sh", "-c", '"$0" "$@" >&-', *PROGRAM, "--version"], check=False)
    assert done.returncode == 0


def test_ctrl_c_from_outside(tmp_path):
    program = "import time\nprint('begun', flush=True)\nfor _ in range(600): time.sleep(0.1)\n"
    (tmp_path / "slow.py").write_text(program)
    process = subprocess.Popen(
        [*PROGRAM, "check", "slow.py:build"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"begun\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert (process.returncode, err) == (130, b"rop check: interrupted\n")
    assert time.monotonic() - began < 40
