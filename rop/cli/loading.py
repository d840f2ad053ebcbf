"""The user's own modules and factories, as a command line names them: ``model.py:build``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopValueError
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.programs.catalogue import PRODUCTS

_ROP = str(Path(__file__).parent.parent)

HELP = (
    "a function without arguments in a file or module of yours, such as model.py:build, that "
    "returns (objective, theta, batch)"
)


def made_by(name: str) -> Any:
    """Call the factory that a command line names.

    Parameters
    ----------
    name : str
        MODULE:FACTORY, where MODULE is a file that ends in .py, or can be imported from the working
        directory.

    Returns
    -------
    object
        What it returns.

    Raises
    ------
    RopValueError
        If there is no such module or function, or it raises anything, SystemExit included.
    """
    source, _, function = name.rpartition(":")
    if not source or not function:
        raise RopValueError(f"expected MODULE:FACTORY, such as model.py:build, got {name!r}")
    module = _from_file(Path(source)) if source.endswith(".py") else _from_path(source)
    factory = getattr(module, function, None)
    if not callable(factory):
        raise RopValueError(f"{source} has no function {function!r}")
    return _guarded(name, factory)


def arguments_made_by(name: str) -> dict[str, Any]:
    """Call a factory that returns (objective, theta, batch), or a dict of arguments.

    Parameters
    ----------
    name : str
        MODULE:FACTORY, as for `made_by`.

    Returns
    -------
    dict of str to object
        The arguments by name.

    Raises
    ------
    RopValueError
        If it returns something else, or cannot be called.
    """
    made = made_by(name)
    if isinstance(made, dict):
        return dict(made)
    if isinstance(made, tuple) and 2 <= len(made) <= 3:
        return dict(zip(("objective", "theta", "batch"), made, strict=False))
    raise RopValueError(
        f"{name} must return (objective, theta, batch), or a dict of arguments, got "
        f"{type(made).__name__}"
    )


def objective_made_by(name: str) -> Objective:
    """Call a factory that returns an objective, alone or first in a tuple, or in a dict.

    Parameters
    ----------
    name : str
        MODULE:FACTORY, as for `made_by`.

    Returns
    -------
    Objective

    Raises
    ------
    RopValueError
        If it returns none, or cannot be called.
    """
    made = made_by(name)
    found = made
    if isinstance(made, tuple) and made:
        found = made[0]
    elif isinstance(made, dict):
        found = made.get("objective")
    if not isinstance(found, Objective):
        raise RopValueError(
            f"{name} must return an objective, or (objective, theta, batch), got "
            f"{type(made).__name__}"
        )
    return found


def linearization_made_by(name: str) -> Linearization:
    """Call a factory that returns (objective, theta, batch), and linearize there.

    Parameters
    ----------
    name : str
        MODULE:FACTORY, as for `made_by`.

    Returns
    -------
    Linearization
        By the NumPy engine, which shows every step.

    Raises
    ------
    RopValueError
        If it returns something else, or cannot be called.
    """
    made = arguments_made_by(name)
    objective = made.get("objective")
    if not isinstance(objective, Objective) or "theta" not in made:
        raise RopValueError(
            f"{name} must return (objective, theta, batch), or a dict with these, got "
            f"{', '.join(f'{name}: {type(each).__name__}' for name, each in made.items())}"
        )
    return objective.linearize(made["theta"], made.get("batch"), engine="numpy")


def direction(at: Linearization, product: str, seed: int) -> NDArray[np.float64] | None:
    """Draw the vector of a product from the normal distribution.

    Parameters
    ----------
    at : Linearization
        θ and the batch.
    product : str
        The product.
    seed : int
        Seed of the vector.

    Returns
    -------
    ndarray or None
        v, u or w; None for the gradient.
    """
    vector, domain, _ = PRODUCTS[product]
    if not vector:
        return None
    shape = at.theta.shape if domain == "theta" else at.outputs.shape
    return np.random.default_rng(seed).standard_normal(shape)


def _from_path(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise RopValueError(
            f"expected a file that ends in .py, or a module such as package.model, got {name!r}"
        )
    if "" not in sys.path:
        sys.path.insert(0, "")

    if _guarded(name, lambda: importlib.util.find_spec(name)) is None:
        raise RopValueError(f"there is no module {name}")
    module: ModuleType = _guarded(name, lambda: importlib.import_module(name))
    return module


def _from_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise RopValueError(f"there is no file {file}")
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # its neighbours can be imported from it
    name = file.stem.replace(".", "_")
    while (known := sys.modules.get(name)) is not None and not _is_of(known, file):
        name += "_"  # the user's numpy.py is not NumPy
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look for it there
    loader = spec.loader
    try:
        _guarded(str(file), lambda: loader.exec_module(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _is_of(module: ModuleType, file: Path) -> bool:
    known = getattr(module, "__file__", None)
    return known is not None and Path(known).resolve() == file.resolve()


def _guarded(name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise RopValueError(f"{name} ends the process: sys.exit({error.code})") from error
    except BaseException as error:
        said = " ".join(str(error).split())
        what = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise RopValueError(f"{name} raises {what}{_where(error)}") from error


def _where(error: BaseException) -> str:
    """The last place in a file of the user's."""
    libraries = (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), _ROP, "<")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(libraries):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""
