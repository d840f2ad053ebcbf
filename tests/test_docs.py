"""The pages of docs/ and the README: their Python runs and prints what they show."""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rop.experiments import STUDIES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/howto").glob("*.md"))]
SECONDS = {"README", "cluster", "pytorch", "rnn", "scikit_learn"}  # those that take more than 5
BLOCKS = re.compile(r"^```(python|text|c)\n(.*?)^```", re.DOTALL | re.MULTILINE)

# What torch.func uses inside.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def blocks(page):
    return BLOCKS.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.ci] * (page.stem in SECONDS))
        for page in PAGES
        if blocks(page)
    ],
)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch, capsys):
    """Text that follows a block is what it prints; dots stand for anything."""
    monkeypatch.chdir(tmp_path)
    np.random.seed(0)
    names, printed = {}, ""
    for language, code in blocks(page):
        if language == "c":
            compile_c(code)
        elif language == "text":
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(code, printed, flags), printed
        else:
            for library in re.findall(r"^import (torch|jax)\b", code, re.MULTILINE):
                pytest.importorskip(library)
            exec(compile(code, str(page), "exec"), names)
            printed = capsys.readouterr().out
    plt.close("all")


def compile_c(source):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    name, command = re.search(r"cc .* (\w+\.c) .*?(?= \*/)", source), re.search(r"cc [^*]*", source)
    Path(name[1]).write_text(source, encoding="utf-8")
    subprocess.run(command[0].split(), check=True)


def test_the_gallery_has_the_command_of_every_figure():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^rop figure (\S+)", page, re.MULTILINE))
    assert shown == set(STUDIES)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(name):
    """Links of the pages in docs/ are followed on the built site."""
    text = re.sub(r"`[^`]*`", "", (ROOT / name).read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    files = [link for link in links if not link.startswith("https://")]
    assert files or name == "CHANGELOG.md"
    assert [link for link in files if not (ROOT / link).exists()] == []


HOMEWORK = """
import numpy as np

def hvp(theta, v, X, t):
    y = np.tanh(X @ theta)
    return X.T @ ((1 - y**2) * (1 - y**2 + 2 * y * (t - y)) * (X @ v)) / {divisor}
"""


@pytest.mark.ci
@pytest.mark.parametrize("divisor, ending", [("len(t)", 0), ("1", 1)])
def test_the_homework_of_the_course_checks_itself(divisor, ending, tmp_path):
    page = (ROOT / "docs" / "teach.md").read_text(encoding="utf-8")
    (test,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "test_homework.py").write_text(test, encoding="utf-8")
    (tmp_path / "homework.py").write_text(HOMEWORK.format(divisor=divisor), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "rop.checking.pytest_plugin", "-q"]
    plugins = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=plugins, capture_output=True, text=True)
    assert done.returncode == ending, done.stdout
    assert ("20 times the true product" in done.stdout) == bool(ending), done.stdout
