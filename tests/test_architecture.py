"""The tour of the code, docs/architecture.md, points at what exists, and its example runs."""

import ast
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import rop

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
LINKS = re.findall(r"\[(`?)([^\]`]+)`?\]\(([^)#]+)\)", TEXT)


def names_of(source: str) -> set[str]:
    """What a module defines or imports, and the methods of its classes as Class.method."""
    found = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.add(statement.name)
        if isinstance(statement, ast.ClassDef):
            methods = [m for m in statement.body if isinstance(m, ast.FunctionDef)]
            found |= {f"{statement.name}.{m.name}" for m in methods}
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("code, text, target", sorted(set(LINKS)))
def test_links_and_names(code, text, target):
    path = (PAGE.parent / target).resolve()
    assert path.exists(), target
    if not code or text == path.name:
        return
    package = ".".join(path.relative_to(PAGE.parents[1]).with_suffix("").parts)
    if text == package.removesuffix(".__init__"):
        return
    names = names_of(path.read_text(encoding="utf-8"))
    assert text.removeprefix(f"{path.stem}.") in names, f"{text} is not in {target}"


def test_there_are_enough_of_them():
    assert len(set(LINKS)) > 40


def test_the_example_and_its_listing():
    example, listing = re.findall(r"```(?:python)?\n((?:import|    Rx2).*?)```", TEXT, re.S)
    found: dict[str, object] = {}
    exec(example, found)
    at, v = found["at"], np.ones(found["objective"].n)
    assert found["Gv"].shape == v.shape
    expected = found["objective"].linearize(found["theta"], found["batch"]).ggnvp(v)
    np.testing.assert_allclose(at.ggnvp(v), expected, rtol=1e-9, atol=1e-12)
    assert listing in str(rop.explain(found["objective"], "ggnvp")) + "\n"


def test_the_files_to_read_are_few_and_short():
    """One Gv is told by eight files; what the fast engines need is not among what it runs."""
    tour = TEXT[TEXT.index("Eight files") : TEXT.index("Between them")]
    files = re.findall(r"\*\*.*?\[\w+\.py\]\((.*?)\)", tour)
    assert len(files) == 8
    paths = {(PAGE.parent / file).resolve() for file in files}
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths) <= 1_500
    run = {Path(name).resolve() for name in _files_that_run()}
    assert paths <= run
    engines = PAGE.parents[1] / "rop" / "engines"
    fast = {engines / f"{name}.py" for name in ("memory", "shard", "sharded", "planning")}
    assert all(path.exists() for path in fast) and not fast & run


def _files_that_run() -> set[str]:
    """The files of the functions that one Gv calls in the NumPy engine, from `W @ x` on."""
    found: set[str] = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, argument: found.add(frame.f_code.co_filename))
    try:
        x, t, W = rop.data("x", 3), rop.data("t", 2), rop.param("W", (2, 3))
        objective = rop.Objective(rop.tanh(W @ x), rop.SoftmaxCrossEntropy(t))
        at = objective.linearize(
            np.ones(6), {"x": np.ones((4, 3)), "t": np.eye(2)[[0] * 4]}, "numpy"
        )
        at.ggnvp(np.ones(6))
    finally:
        sys.setprofile(before)
    return found
