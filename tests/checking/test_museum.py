"""Every exhibit of the museum is caught by the check it names, and its corrected twin passes."""

import pytest

from rop import museum
from rop.errors import RopValueError

exhibits = pytest.mark.parametrize("exhibit", museum.EXHIBITS, ids=lambda exhibit: exhibit.name)


@pytest.mark.ci
@exhibits
def test_it_is_caught_by_the_check_it_names_with_the_diagnosis_it_names(exhibit):
    report = exhibit.report()
    assert report.verdict == "fail", str(report)
    assert exhibit.check in museum.caught(report)
    assert exhibit.says in str(report)


@exhibits
def test_its_corrected_twin_passes(exhibit):
    report = exhibit.corrected()
    assert report.ok, str(report)
    assert exhibit.says not in str(report)


@pytest.mark.ci
@exhibits
def test_it_can_be_read(exhibit):
    assert exhibit.code.startswith(("def ", "class "))
    assert exhibit.source in str(exhibit)
    assert "FAIL" in str(exhibit)


def test_they_are_found_by_name():
    assert museum.exhibit("b = ∇f").check == "A x = -∇f after n steps"
    assert len({exhibit.name for exhibit in museum.EXHIBITS}) == len(museum.EXHIBITS) >= 25
    with pytest.raises(RopValueError, match="the sign of table 2"):
        museum.exhibit("the Mona Lisa")
