"""Every erratum is proved: the printed formula is off, the corrected one is not."""

import ast
import re
from math import isfinite
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest

from rop.cli import main
from rop.experiments.errata import ERRATA, in_order
from rop.experiments.errata.entry import attempt, off

ROOT = Path(__file__).parents[2]
PROVED = [one for one in ERRATA.values() if one.compute is not None]


@pytest.mark.parametrize("one", PROVED, ids=lambda one: one.number)
def test_only_the_printed_formula_is_off(one):
    proof = one.proof()
    assert proof.printed > 0.01
    assert isfinite(proof.corrected) and proof.corrected < 1e-6
    assert proof.compared.endswith(".")


@pytest.mark.parametrize("one", ERRATA.values(), ids=lambda one: one.number)
def test_names_of_the_library_exist(one):
    for name in one.used:
        resolve_name(name)
    assert (one.severity == "S3") == (one.compute is None)


def half_of_the_penalty(self, delta, lam):
    return lam * (delta @ (self._d * delta)) / 4


def whole_matrix(self, lam):
    return lam * np.diag(self._d)


def beta1_of_algorithm_1(self):
    return self.epsilon / (self.epsilon + self.sigma)


def transposed_root(self, p, v):
    return np.sqrt(p) * v - np.sqrt(p) * np.sum(p * v, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("number", "name", "as_printed"),
    [
        ("M16", "rop.hf.recipe.Recipe.next_start", lambda self, i, solution, delta, f: delta),
        ("M21", "rop.ops.families.Elementwise.curvature", lambda *_: None),
        ("M44", "rop.hf.damping_matrices.DiagonalMatrix.penalty", half_of_the_penalty),
        ("M46", "rop.hf.damping.Structural.structural", lambda self, lam, mu: mu),
        (
            "M48",
            "rop.experiments.errata.damping.reduction_ratio",
            lambda f, after, q: (after - f) / q,
        ),
        ("M58", "rop.hf.damping_matrices.DiagonalMatrix.diagonal", whole_matrix),
        ("M61", "rop.losses.SoftmaxCrossEntropy.root", transposed_root),
        ("M66", "rop.hf.recipe.min", max),
        ("H7", "rop.hf.moments.Moments.beta1", property(beta1_of_algorithm_1)),
    ],
)
def test_a_proof_fails_where_the_library_has_the_printed_formula(
    number, name, as_printed, monkeypatch
):
    monkeypatch.setattr(name, as_printed, raising=False)
    assert ERRATA[number].proof().corrected > 0.01


CITED = re.compile(r"(?<!rop )errat(?:um|a)\s+((?:[MHN]\d+(?:,\s+|\s+and\s+|-)?)+)", re.IGNORECASE)


def test_every_citation_names_an_entry():
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "rop").rglob("*.py")]
    files += [*(ROOT / "tests").rglob("*.py"), *(ROOT / "tutorials").glob("*.py")]
    cited = {}
    for file in files:
        for listed in CITED.findall(file.read_text(encoding="utf-8")):
            cited |= {number: file for number in re.findall(r"[MHN]\d+", listed)}
    assert len(cited) > 30
    unknown = {number: file for number, file in cited.items() if number not in ERRATA}
    assert not unknown


def test_messages_have_numbers_in_parentheses_only():
    for file in (ROOT / "rop").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if not CITED.search(text):
            continue
        tree = ast.parse(text)
        documents = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in documents:
                    bare = re.sub(r"\([^)]*\)", "", node.value)
                    assert not CITED.search(bare), f"{file}:{node.lineno}: say it in words"


def test_the_page_is_what_the_command_writes(tmp_path, capsys):
    page = tmp_path / "errata.md"
    assert main(["errata", "--markdown", str(page)]) == 0
    stored = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8") == stored, "rop errata --markdown docs/errata.md"
    capsys.readouterr()


def test_one_entry_shows_formulas_errors_and_source(capsys):
    assert main(["errata", "m21"]) == 0
    said = capsys.readouterr().out
    assert "s''(x_{i+1}) Rx_{i+1}" in said and "def m21()" in said and "below 1e-6" in said


def test_the_table_has_a_line_of_errors_for_every_proof(capsys):
    assert main(["errata"]) == 0
    said = capsys.readouterr().out
    assert said.count("as corrected below 1e-6") == len(PROVED) and len(PROVED) == 57
    assert [line.split()[0] for line in said.splitlines() if line[0] in "MHN"] == list(
        one.number for one in in_order()
    )


def test_every_entry_of_the_page_has_an_anchor():
    page = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    assert re.findall('<a id="(.*)"></a>', page) == [one.number.lower() for one in in_order()]


def test_an_unknown_number_is_refused(capsys):
    assert main(["errata", "M99"]) == 2
    assert "there is no erratum 'M99'" in capsys.readouterr().err


def test_what_cannot_be_computed_is_infinitely_off():
    assert off([1.0, 2.0], [1.0]) == float("inf")
    assert attempt(lambda: {}[0], [1.0]) == float("inf")
