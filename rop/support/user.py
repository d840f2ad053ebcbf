"""Where the user's own code calls the package, for error messages."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

_PACKAGE = str(Path(__file__).parents[1])


def user_line() -> str:
    """Where in the user's own file the graph is being built, for error messages."""
    frame, _ = users_call()
    file = Path(frame.f_code.co_filename)
    # A notebook runs each cell from a file of its own, whose name is a number.
    cell = file.parent.name.startswith("ipykernel_") or file.name.startswith("<ipython-input")
    name = "notebook cell" if cell else file.name
    return f"{name}, line {frame.f_lineno}"


def users_call() -> tuple[FrameType, str]:
    """The user's own frame, and the name of the function that it has called: tanh, or add for +."""
    frame, called = sys._getframe(1), ""
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, called = frame.f_back, frame.f_code.co_name.replace("__r", "").strip("_")
    return frame, called


def call_it(function: Any, name: str) -> None:
    """Have `users_call` and tracebacks know a function by a name: they see that of its code."""
    function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
