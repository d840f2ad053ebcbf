"""Every erratum is proved: the printed formula is off, the corrected one is not."""

from math import isfinite
from pathlib import Path
from pkgutil import resolve_name

import pytest

from rop.cli import main
from rop.experiments.errata import ERRATA
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


def test_an_unknown_number_is_refused(capsys):
    assert main(["errata", "M99"]) == 2
    assert "there is no erratum 'M99'" in capsys.readouterr().err


def test_what_cannot_be_computed_is_infinitely_off():
    assert off([1.0, 2.0], [1.0]) == float("inf")
    assert attempt(lambda: {}[0], [1.0]) == float("inf")
