"""docs/api.md lists what is public: no name becomes public, or goes, unnoticed."""

import runpy
from pathlib import Path

import pytest

import rop

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_lists_every_public_name():
    page = runpy.run_path(str(DOCS / "api.py"))["page"]()
    stored = (DOCS / "api.md").read_text(encoding="utf-8")
    assert page == stored, "run `python docs/api.py` and look at what changed"


@pytest.mark.parametrize("module", [rop, rop.datasets, rop.hf, rop.hf.recipes, rop.plot])
def test_completion_offers_the_public_names_alone(module):
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__ if name != "sklearn")
