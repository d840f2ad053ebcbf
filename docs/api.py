"""List every public name of rop in docs/api.md, with the first line of its docstring.

    python docs/api.py

A test compares the page with the code: a new public name shows up in the page's diff.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import rop

PAGE = Path(__file__).with_name("api.md")
HEADER = """# Public names

`python docs/api.py` writes this page; do not edit it. In Python, `help(name)` gives arguments,
shapes and errors. A name that is not here is internal and may change without notice.
"""


def page() -> str:
    """Return the page's text."""
    modules = [("rop", rop)]
    modules += [
        (f"rop.{name}", getattr(rop, name))
        for name in rop.__all__
        if isinstance(getattr(rop, name), ModuleType)
    ]
    modules.append(("rop.checking", __import__("rop.checking").checking))
    text = HEADER + "".join(section(title, module) for title, module in modules)
    return re.sub(r"errat(?:um|a) [MHN]\d+(?:, [MHN]\d+)*", linked, text)


def linked(citation: re.Match[str]) -> str:
    """Link the numbers of a citation to their entries in docs/errata.md."""
    return re.sub(r"[MHN]\d+", lambda n: f"[{n[0]}](errata.md#{n[0].lower()})", citation[0])


def section(title: str, module: ModuleType) -> str:
    """List the public names of a module, and those of its classes below them."""
    lines = [f"\n## `{title}`\n", f"{summary(module)}\n"]
    for name in public(module):
        value = getattr(module, name)
        if isinstance(value, ModuleType) or (title != "rop" and getattr(rop, name, None) is value):
            continue
        lines.append(f"- `{name}`: {summary(value)}")
        if inspect.isclass(value):
            lines += [f"  - `{member}`: {text}".rstrip(": ") for member, text in members(value)]
    return "\n".join(lines) + "\n"


def public(module: ModuleType) -> list[str]:
    """Names in ``__all__``, or else those that the module itself defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__, key=str.lower)
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    return sorted(own, key=str.lower)


def members(cls: type) -> list[tuple[str, str]]:
    """Public attributes and methods of a class, those it inherits from rop's classes included."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] != "rop":
            continue
        for name, value in vars(base).items():
            if not name.startswith("_"):
                found.setdefault(name, summary(value) or described(base, name))
        if dataclasses.is_dataclass(base):
            for field in dataclasses.fields(base):
                if not field.name.startswith("_"):
                    found.setdefault(field.name, described(base, field.name))
        for name in attributes(base):
            found.setdefault(name, described(base, name))
    return sorted(found.items())


def attributes(cls: type) -> list[str]:
    """Names in the section "Attributes" of a class's docstring."""
    text = inspect.cleandoc(cls.__doc__ or "")
    match = re.search(r"^Attributes\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", text, re.M | re.S)
    found = re.findall(r"^(\w[\w, ]*) :", match.group(1), re.M) if match else []
    return [name for names in found for name in names.split(", ")]


def described(cls: type, name: str) -> str:
    """First sentence about a field or an attribute in a class's docstring."""
    text = inspect.cleandoc(cls.__doc__ or "")
    match = re.search(rf"^(?:\w+, )*{name}(?:, \w+)* :.*\n((?:    .*\n?)+)", text, re.M)
    return sentence(inspect.cleandoc(match.group(1))) if match else ""


def summary(value: Any) -> str:
    """First sentence of an object's own docstring."""
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    documented = (
        inspect.isroutine(value)
        or isinstance(value, type | ModuleType | property)
        or type(value).__name__ == "cached_property"
    )
    return sentence(inspect.cleandoc(value.__doc__ or "")) if documented else ""


def sentence(text: str) -> str:
    """First paragraph of a text, as one line."""
    return " ".join(text.partition("\n\n")[0].split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
