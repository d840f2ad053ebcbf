"""The tutorials run, and their notebooks are what the sources make."""

import itertools
import re
import runpy
import sys
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import nbformat
import pytest
from answers import PREPARED, RIGHT, WRONG
from typesetting import PRODUCTS, set_by_matplotlib

import rop

TUTORIALS = Path(__file__).parents[1] / "tutorials"
COMMAND = "python tutorials/build.py"
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)

SOURCES = sorted(TUTORIALS.glob("[0-9][0-9]_*.py"))
sources = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def notebook_of(source):
    target = source.with_suffix(".ipynb")
    assert target.exists(), f"there is no {target.name}; make it by: {COMMAND}"
    return nbformat.read(target, as_version=4)


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def solutions(source):
    """What stands behind the unfolded details of the text, as code."""
    text = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    return SOLUTION.findall("\n".join(text))


def test_every_notebook_has_a_source():
    notebooks = {path.stem for path in TUTORIALS.glob("*.ipynb")}
    assert notebooks == {source.stem for source in SOURCES} != set()


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, id=source.stem, marks=[pytest.mark.ci] * (number > 1))
        for number, source in enumerate(SOURCES)
    ],
)
def test_runs_and_its_exercises_have_solutions(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    try:
        names = runpy.run_path(str(source), run_name="__main__")
    finally:
        plt.close("all")
    assert list(tmp_path.iterdir()) == []
    made = {value for value in names.values() if isinstance(value, rop.Objective)}
    for objective, product in itertools.product(made, PRODUCTS):
        set_by_matplotlib(rop.explain(objective, product).latex())
    # Checkers say "not yet" of what the reader is to repair, and "solved" of the hidden solution.
    assert capsys.readouterr().out.count("not yet") == len(solutions(source))
    for solution in solutions(source):
        assert '== "solved"' in solution
        exec(solution, dict(names))
    answered_otherwise(source.stem[:2], names)


def answered_otherwise(lesson, names):
    """Checkers accept what is as good as the solution, and say what is wrong with the rest."""
    exec(PREPARED.get(lesson, ""), names)
    for check, answers in RIGHT.get(lesson, {}).items():
        for answer in answers:
            assert eval(f"{check}({answer})", names) == "solved", (check, answer)
    for check, answers in WRONG.get(lesson, {}).items():
        for answer, words in answers.items():
            said = eval(f"{check}({answer})", names)
            assert said.startswith("not yet") and words in said, (check, answer, said)


@pytest.mark.ci
def test_the_one_on_verifying_does_without_torch_and_jax(monkeypatch, capsys):
    for library in ("torch", "jax"):
        monkeypatch.setitem(sys.modules, library, None)
    plt.switch_backend("Agg")
    try:
        runpy.run_path(str(TUTORIALS / "06_verify_your_products.py"), run_name="__main__")
    finally:
        plt.close("all")
    said = capsys.readouterr().out
    assert "torch is not installed" in said and "jax is not installed" in said


@sources
def test_no_line_of_the_text_is_a_comment_on_the_site(source):
    text = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    hidden = [line for cell in text for line in cell.splitlines() if line.startswith("%")]
    assert not hidden, "MyST takes a line that begins with % for a comment"


@sources
def test_notebook_is_made_of_the_source(source):
    current, made = cells(jupytext.read(source)), cells(notebook_of(source))
    if made != current:
        first = next(
            (i for i, (new, old) in enumerate(zip(current, made, strict=False)) if new != old),
            min(len(current), len(made)),
        )
        pytest.fail(
            f"{source.stem}.ipynb is not what {source.name} makes, from cell {first} on; "
            f"make it anew by: {COMMAND}"
        )


@sources
def test_notebook_has_outputs_and_no_errors(source):
    notebook = notebook_of(source)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs, f"{source.stem}.ipynb has no outputs; make them by: {COMMAND}"
    kinds = {output.output_type for output in outputs}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")


@sources
def test_notebook_keeps_no_traces_of_its_run(source):
    notebook = notebook_of(source)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.metadata
        for item in (cell, *cell.get("outputs", [])):
            assert item.get("execution_count") is None
