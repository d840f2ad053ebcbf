"""The project's own files agree with each other."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_pre_commit_runs_the_ruff_of_the_dev_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [d for d in project["project"]["optional-dependencies"]["dev"] if "ruff" in d]
    hooks = re.findall(r'"(ruff==[^"]+)"', (ROOT / ".pre-commit-config.yaml").read_text())
    assert wanted == hooks[:1]
    assert len(set(hooks)) == 1
    assert len(hooks) == 2


def test_the_top_level_stays_small():
    entries = {path.name for path in (ROOT / "rop").iterdir()} - {"__pycache__", "py.typed"}
    assert len(entries) <= 19, sorted(entries)


def test_the_guarantees_link_to_what_exists():
    page = ROOT / "docs" / "guarantees.md"
    targets = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    assert len(targets) > 8
    assert [target for target in targets if not (page.parent / target).exists()] == []
