"""Functions of single elements as source of kernels: the same functions that NumPy runs.

Constants are written in the arrays' own dtype: a plain 0.5 would turn float32 into float64.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import erf, erfc

from rop.engines.cuda.driver import SIMULATED
from rop.ops.expressions import Application, Operand

_HEADER = """import math
from math import inf, nan

import numpy as np

from rop.engines.cuda.driver import cuda

real = np.{dtype}


"""

# As NumPy has it: what is not a number stays so in maximum, minimum, sign and heaviside.
_FORMULAS: dict[np.ufunc, str] = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.true_divide: "{0} / {1}",
    np.power: "{0} ** {1}",
    np.maximum: "{0} if {0} > {1} or {0} != {0} else {1}",
    np.minimum: "{0} if {0} < {1} or {0} != {0} else {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.square: "{0} * {0}",
    np.reciprocal: "real(1.0) / {0}",
    np.sign: "real(1.0) if {0} > real(0.0) else real(-1.0) if {0} < real(0.0) else {0}",
    np.heaviside: "real(1.0) if {0} > real(0.0) else real(0.0) if {0} < real(0.0) else "
    "{1} if {0} == {0} else {0}",
    np.absolute: "math.fabs({0})",
    np.fabs: "math.fabs({0})",
    np.arctan2: "math.atan2({0}, {1})",
    np.hypot: "math.hypot({0}, {1})",
    np.copysign: "math.copysign({0}, {1})",
    np.logaddexp: "max({0}, {1}) + math.log1p(math.exp(-math.fabs({0} - {1})))",
    erf: "math.erf({0})",
    erfc: "math.erfc({0})",
    np.exp2: "real(2.0) ** {0}",
    np.arcsin: "math.asin({0})",
    np.arccos: "math.acos({0})",
    np.arctan: "math.atan({0})",
    np.arcsinh: "math.asinh({0})",
    np.arccosh: "math.acosh({0})",
    np.arctanh: "math.atanh({0})",
} | {
    getattr(np, name): f"math.{name}({{0}})"
    for name in (
        *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan"),
        *("sinh", "cosh", "tanh", "floor", "ceil"),
    )
}


def known(application: Application) -> bool:
    """Whether there is a formula for a NumPy function."""
    return application.ufunc in _FORMULAS


def assignments(
    applications: Sequence[Application], names: Sequence[str], prefix: str
) -> Iterator[str]:
    """Write applications as assignments to `prefix`0, `prefix`1, ...

    Parameters
    ----------
    applications : sequence of Application
        As in an Expression.
    names : sequence of str
        Names of the arguments.
    prefix : str
        Begins the names of the results.

    Yields
    ------
    str
        One line of source for each application.
    """
    known_names = list(names)
    for i, application in enumerate(applications):
        yield f"{prefix}{i} = {line(application, known_names)}"
        known_names.append(f"{prefix}{i}")


def line(application: Application, names: Sequence[str]) -> str:
    """Write an application as the right-hand side of an assignment."""
    return _FORMULAS[application.ufunc].format(*[_written(o, names) for o in application.operands])


def _written(operand: Operand, names: Sequence[str]) -> str:
    """Write an operand: a name, or a constant of the arrays' dtype."""
    if isinstance(operand, int):
        return names[operand]
    constant = f"real({operand!r})"
    return constant if operand >= 0 or not isfinite(operand) else f"({constant})"


@lru_cache(maxsize=1024)
def compiled(source: str, dtype: np.dtype[Any]) -> Any:
    """Make the function ``kernel`` of some source, decorated, for arrays of a dtype.

    The source is written to a file, so that Numba can keep the compiled kernel for later processes.

    Parameters
    ----------
    source : str
        Defines ``kernel``.
    dtype : dtype
        float32 or float64; ``real`` in the source.

    Returns
    -------
    callable
        The kernel.
    """
    text = _HEADER.format(dtype=dtype.name) + source
    name = f"rop_kernel_{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    if not SIMULATED:
        with suppress(OSError):
            return _imported(name, text)
    space: dict[str, Any] = {"__name__": name}
    exec(compile(text.replace("cache=True", "cache=False"), name, "exec"), space)
    return space["kernel"]


def _imported(name: str, text: str) -> Any:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rop" / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    if not path.exists():
        # Whole or not at all, when two processes write it.
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(text)
        part.replace(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.kernel
