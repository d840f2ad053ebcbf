"""The README's section on products of one's own, run as it stands."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Check your own products")[1].split("\n## ")[0]
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", SECTION, re.DOTALL)

# What torch.func uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def block(words):
    (found,) = [code for language, code in BLOCKS if language == "python" and words in code]
    return found


@pytest.fixture
def names(capsys):
    """The names that the NumPy example defines, and what it prints."""
    names = {}
    exec(block("1/N is missing"), names)
    return names | {"printed": capsys.readouterr().out}


def test_the_numpy_example_prints_what_the_readme_shows(names):
    (shown,) = [code for language, code in BLOCKS if not language]
    for line in shown.splitlines()[1:]:
        assert without_rounding(line.removesuffix("...")) in without_rounding(names["printed"])


def without_rounding(text):
    """Leave out what rounding decides: noise, steps, and the worst of equal directions."""
    return re.sub(r"\d+e-\d+|along .*", "", text)


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_the_example_of_a_framework_passes(framework, names):
    pytest.importorskip(framework)
    exec(block(f"import {framework}\n"), names)
    assert names["report"].products["hvp"].verdict == "pass", str(names["report"])


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_example_in_c_passes(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = [code for language, code in BLOCKS if language == "c"]
    Path("sine.c").write_text(source, encoding="utf-8")
    command = re.search(r"cc [^*]*", source).group().split()
    subprocess.run(command, check=True)
    exec(block("import ctypes"), names)
    report = names["report"]
    assert report.products["hvp"].verdict == "pass", str(report)
    assert report.products["hvp"].worst.error < 1e-8
    assert np.array_equal(
        names["from_c"](names["library"].gradient, 1)(names["theta"]), np.cos(names["theta"])
    )
