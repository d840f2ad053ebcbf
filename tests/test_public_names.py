"""The reference lists what is public: no name becomes public, or goes, unnoticed."""

import doctest
import re
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pytest

import rop
import rop.checking
import rop.distributed
import rop.sklearn

PAGES = sorted((Path(__file__).parents[1] / "docs" / "api").glob("*.rst"))
MODULES = {
    "rop": rop,
    "rop.checking": rop.checking,
    "rop.distributed": rop.distributed,
    "rop.hf.recipes": rop.hf.recipes,
    "rop.sklearn": rop.sklearn,
} | {f"rop.{name}": getattr(rop, name) for name in rop.__all__ if name in vars(rop)}
MODULES = {name: module for name, module in MODULES.items() if isinstance(module, ModuleType)}


def public(module):
    """The names in ``__all__``, or else those that the module itself defines."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    own = {name for name in vars(module) if not name.startswith("_")}
    return {n for n in own if getattr(vars(module)[n], "__module__", "") == module.__name__}


def documented():
    """The names of the pages, with their modules."""
    found = []
    for page in PAGES:
        module = None
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := re.fullmatch(r"\.\. (?:current)?module:: (\S+)", line):
                module = match[1]
            elif module and page.stem != "index" and re.fullmatch(r"   \w+", line):
                found.append(f"{module}.{line.strip()}")
    return found


def test_the_pages_list_every_public_name_once():
    expected = set()
    for name, home in MODULES.items():
        for one in public(home):
            value = getattr(home, one)
            above = [module for other, module in MODULES.items() if name.startswith(f"{other}.")]
            elsewhere = any(getattr(module, one, None) is value for module in above)
            if not isinstance(value, ModuleType) and not elsewhere:
                expected.add(f"{name}.{one}")
    found = documented()
    assert set(found) == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_completion_offers_the_public_names_alone(module):
    late = {"distributed", "sklearn"} if module is rop else set()  # loaded when it is first used
    assert dir(module) == sorted({*module.__all__, *late})
    assert all(hasattr(module, name) for name in dir(module))


FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def value_of(name):
    value = rop
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


def examples(name):
    """The doctests of a name and of its methods."""
    found = doctest.DocTestFinder(exclude_empty=True).find(
        value_of(name), name, module=False, globs={"np": np, "rop": rop}
    )
    return [test for test in found if test.examples]


# Values, not functions or classes, have no docstring that `help` could show.
SHOWN = [
    # PyTorch takes seconds to import.
    pytest.param(name, marks=[pytest.mark.ci] * ("torch" in name))
    for name in documented()
    if callable(value_of(name))
]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("name", SHOWN)
def test_every_name_has_an_example_that_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = examples(name)
    assert name in [test.name for test in found], f"{name} has no example"
    for test in found:
        for library in re.findall(r">>> import (torch|jax)\b", test.docstring or ""):
            pytest.importorskip(library)
        said = []
        failed = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append).failed
        assert not failed, "".join(said)
    plt.close("all")
