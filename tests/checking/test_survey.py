"""The survey: verdicts by mode, resumed, compared, and alive whatever a function does."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rop import RopValueError
from rop.checking.survey import Entry, Outcome, Survey, survey, worse
from rop.checking.survey.checks import MODES, check_entry
from rop.checking.survey.entries import apart, normal, probabilities, regular, spd, uniform
from rop.checking.survey.table import findings, page, table
from rop.cli import main

CATALOGUE = """
import os, time
import jax, jax.numpy as jnp
from rop.checking.survey import Entry
from rop.checking.survey.entries import normal

@jax.custom_jvp
def wrong_sine(x):
    return jnp.sin(x)

@wrong_sine.defjvp
def _(primals, tangents):
    return jnp.sin(primals[0]), 1.01 * jnp.cos(primals[0]) * tangents[0]

def hangs(x):
    time.sleep(60)
    return x

def crashes(x):
    os._exit(7)

ENTRIES = [Entry("hangs", "mine", hangs, (normal(3),), "jax")] if os.environ.get("HANGS") else [
    Entry("sine", "mine", jnp.sin, (normal(3),), "jax"),
    Entry("wrong sine", "mine", wrong_sine, (normal(3),), "jax"),
    Entry("crashes", "mine", crashes, (normal(3),), "jax"),
    Entry("raises", "mine", lambda x: x[7, 7], (normal(3),), "jax"),
    Entry("forward only", "mine", lambda x: jax.lax.while_loop(
        lambda y: y.sum() < 1, lambda y: y + x**2, x), (normal(3),), "jax"),
]
"""


@pytest.fixture
def catalogue(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(CATALOGUE)
    return file


def verdicts(found, function):
    return {o.mode: o.verdict for o in found.outcomes.values() if o.function == function}


@pytest.mark.ci
def test_every_function_gets_a_verdict_whatever_it_does(catalogue, tmp_path):
    pytest.importorskip("jax")
    modes, file = ("gradient", "jvp(grad)"), tmp_path / "found.json"
    options = {"dtypes": ["float64"], "modes": modes, "processes": 2, "limit": 300.0}
    found = survey([str(catalogue)], file, **options)
    assert set(verdicts(found, "sine").values()) == {"pass"}
    assert verdicts(found, "wrong sine")["gradient"] == "fail"
    assert verdicts(found, "crashes") == dict.fromkeys(modes, "crash")
    assert set(verdicts(found, "raises").values()) == {"error"}
    assert verdicts(found, "forward only")["gradient"] == "unavailable"
    assert "IndexError" in str([o.says for o in found.outcomes.values() if o.function == "raises"])
    assert found.exit_code == 1
    assert {"jax", "numpy", "python", "rop"} <= found.versions.keys()

    # What is known is not done again; what is missing is.
    stored = json.loads(file.read_text())
    stored["outcomes"] = [o for o in stored["outcomes"] if o["function"] != "sine"]
    file.write_text(json.dumps(stored))
    again = survey([str(catalogue)], file, **options)
    assert again.outcomes.keys() == found.outcomes.keys()
    kept = [key for key in found.outcomes if key[1] != "sine"]
    assert all(again.outcomes[key] == found.outcomes[key] for key in kept)

    stored["versions"]["jax"] = "0.0.1"
    file.write_text(json.dumps(stored))
    with pytest.raises(RopValueError, match="jax 0.0.1, now .* --against"):
        survey([str(catalogue)], file, **options)


@pytest.mark.ci
def test_a_function_that_hangs_costs_its_time(catalogue, monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("HANGS", "1")
    modes = ("gradient", "jvp(grad)")
    found = survey([str(catalogue)], dtypes=["float64"], modes=modes, limit=0.5)
    assert verdicts(found, "hangs") == dict.fromkeys(modes, "time")
    assert all(o.says == "longer than 0.5 s" for o in found.outcomes.values())


@pytest.mark.ci
def test_the_command_prints_writes_and_compares(catalogue, tmp_path, capsys):
    pytest.importorskip("jax")
    old, new, html = tmp_path / "old.json", tmp_path / "new.json", tmp_path / "table.html"
    command = ["survey", str(catalogue), "--only", "sine", "--dtype", "float64"]
    command += ["--mode", "gradient", "--processes", "1"]
    assert main([*command, "--json", str(old), "--html", str(html)]) == 1
    printed = capsys.readouterr().out
    assert "jax wrong sine, gradient, float64: FAIL" in printed
    assert "1 pass, 1 fail" in printed
    assert 'class="fail"' in html.read_text()
    assert "http" not in html.read_text()
    assert main([*command, "--json", str(new), "--against", str(old)]) == 0

    text = old.read_text().replace('"verdict": "fail"', '"verdict": "pass"')
    old.write_text(text)
    assert main([*command, "--json", str(new), "--against", str(old)]) == 1
    assert "WORSE  jax wrong sine, gradient, float64: pass, now fail" in capsys.readouterr().out


@pytest.mark.parametrize(
    "source, words",
    [
        ("numpyro", "expected torch, jax or a file of Python"),
        ("empty.py", "must define ENTRIES"),
        ("broken.py", "raises ZeroDivisionError"),
    ],
)
def test_what_is_no_catalogue_is_named(source, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.py").write_text("ENTRIES = [1]")
    (tmp_path / "broken.py").write_text("1 / 0")
    assert main(["survey", source]) == 2
    assert words in capsys.readouterr().err


def outcome(verdict, mode="jvp(grad)", function="f", product="hvp"):
    return Outcome(
        "jax", "theme", function, mode, "float64", verdict, product, 0.5, 1.0, "says <i>"
    )


def surveyed(*outcomes):
    return Survey({"jax": "1"}, {o.key: o for o in outcomes})


@pytest.mark.parametrize(
    "before, now, is_worse",
    [
        ("pass", "pass", False),
        ("pass", "fail", True),
        ("pass", "inconclusive", True),
        ("pass", "unavailable", True),
        ("unavailable", "inconclusive", False),
        ("unavailable", "fail", True),
        ("inconclusive", "crash", True),
        ("fail", "fail", False),
        ("fail", "time", False),
        ("fail", "pass", False),
    ],
)
def test_what_counts_as_worse(before, now, is_worse):
    pairs = worse(surveyed(outcome(now)), surveyed(outcome(before)))
    assert bool(pairs) == is_worse
    assert not worse(surveyed(outcome(now, function="new")), surveyed(outcome(before)))


def test_exit_codes():
    assert surveyed(outcome("pass"), outcome("unavailable", "hessian")).exit_code == 0
    assert surveyed(outcome("pass"), outcome("fail", "hessian")).exit_code == 1
    assert surveyed(outcome("pass"), outcome("inconclusive", "hessian")).exit_code == 2
    assert surveyed().exit_code == 2


def test_the_guilty_mode_is_the_one_that_others_contradict():
    wrong = outcome("fail", "grad(jvp)")
    assert surveyed(wrong, outcome("pass")).guilty(wrong)
    assert not surveyed(wrong, outcome("fail")).guilty(wrong)
    assert not surveyed(wrong, outcome("pass", "gradient", product="gradient")).guilty(wrong)
    found = surveyed(wrong, outcome("pass"))
    assert "other modes have it right" in findings(found)
    assert "FAIL" in table(found)
    assert "says &lt;i&gt;" in page(found)
    assert "<i>" not in page(found)


def test_a_survey_is_read_as_it_was_written(tmp_path):
    found = surveyed(outcome("pass"), outcome("fail", "hessian"))
    found.save(tmp_path / "s.json")
    assert Survey.load(tmp_path / "s.json") == found
    assert os.listdir(tmp_path) == ["s.json"]
    (tmp_path / "s.json").write_text("{}")
    with pytest.raises(RopValueError, match="holds no survey"):
        Survey.load(tmp_path / "s.json")


@pytest.mark.parametrize("library, minimum", [("torch", 120), ("jax", 100)])
def test_catalogues_are_large_and_every_function_can_be_called(library, minimum):
    pytest.importorskip(library)
    from rop.checking.survey.worker import entries_of

    entries = entries_of(library)
    assert len({entry.name for entry in entries}) == len(entries) >= minimum
    rng = np.random.default_rng(0)
    themes = set()
    for entry in entries:
        themes.add(entry.theme)
        assert entry.library == library
        assert all(np.isfinite(draw(rng)).all() for draw in entry.draws)
    assert themes >= {
        "activations", "losses", "normalisations", "attention", "linear algebra",
        "special functions", "pooling", "convolution", "recurrent cells",
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_layer_norm_of_pytorch_agrees_in_reverse_mode_and_float64():
    torch = pytest.importorskip("torch")
    entry = Entry("tanh", "activations", torch.tanh, (normal(2, 3),), "torch")
    found = list(check_entry(entry, "float64", list(MODES)))
    assert [o.mode for o in found] == list(MODES)
    assert {o.verdict for o in found} == {"pass"}


@pytest.mark.ci
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_the_reproductions_of_the_page_run_without_rop(library):
    pytest.importorskip(library)
    page = (Path(__file__).parents[2] / "docs" / "survey.md").read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", page, re.DOTALL)
    code = [(code, shown) for code, shown in found if f"import {library}" in code]
    assert code and not any("rop" in code for code, _ in code)
    assert all(len([line for line in text.splitlines() if line]) <= 12 for text, _ in code)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(code for code, _ in code)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == sum(len(shown.splitlines()) for _, shown in code)


def test_arguments_are_drawn_as_they_are_called():
    rng = np.random.default_rng(3)
    entries = np.sort(apart(3, 4)(rng).ravel())
    assert np.diff(entries).min() > 0.2
    assert np.abs(entries).min() > 0.06
    assert np.linalg.eigvalsh(spd(4, batch=2)(rng)).min() > 0.9
    assert uniform(1, 2, 5)(rng).min() >= 1
    assert regular(4, 3)(rng).shape == (4, 3)
    np.testing.assert_allclose(probabilities(2, 3)(rng).sum(axis=1), 1)
