"""Calls of functions that nobody has vetted: what they do wrong becomes a named fault, no crash."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt

from rop.checking.budget import Meter
from rop.checking.lines import Array
from rop.checking.policy import coarsest

Function = Callable[..., npt.ArrayLike]

FaultKind = Literal[
    "raises",
    "shape",
    "dtype",
    "not finite",
    "changes its input",
    "random",
    "stale",
    "residual",
    "unavailable",
]


@dataclass(frozen=True)
class Fault:
    """Something wrong with a function apart from its numbers.

    Attributes
    ----------
    function : str
        Name of the argument it came in by.
    kind : str
        "raises", "shape", "dtype", "not finite", "changes its input", "random", "stale",
        "residual" (not zero where it should be) or "unavailable" (not implemented).
    message : str
    """

    function: str
    kind: FaultKind
    message: str

    def __str__(self) -> str:
        return f"{self.function}= {self.message}"


# What libraries say of a derivative that they lack.
NOT_IMPLEMENTED = re.compile(
    r"not (been )?implemented|does not support|can't apply forward-mode", re.IGNORECASE
)


def kind_of(error: BaseException) -> FaultKind:
    """Whether an exception says that a derivative is not implemented, or something else."""
    missing = isinstance(error, NotImplementedError) or NOT_IMPLEMENTED.search(str(error))
    return "unavailable" if missing else "raises"


class CallFailed(Exception):
    """A function returned nothing that can be compared."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Guarded:
    """A user's function of NumPy arrays, called with copies and read into a new float64 array.

    Parameters
    ----------
    name : str
        The argument it came in by.
    function : callable
    recorded : bool
        Whether it only looks up what some other program has computed.
    meter : Meter, optional
        Counts the calls of all functions of a check.

    Attributes
    ----------
    faults : dict
        Kind -> `Fault`, for the faults that left a usable result.
    precision : str
        The coarsest of the dtypes returned so far, a key of `policy.EPSILON`.
    calls, seconds : int, float
    """

    def __init__(
        self,
        name: str,
        function: Function,
        recorded: bool = False,
        meter: Meter | None = None,
    ) -> None:
        self.name, self.function, self.recorded = name, function, recorded
        self.meter = Meter() if meter is None else meter
        self.faults: dict[FaultKind, Fault] = {}
        self.precision = "float64"
        self.shape: tuple[int, ...] | None = None
        self.calls, self.seconds = 0, 0.0

    def __call__(self, *arguments: Array, shape: tuple[int, ...] | None = None) -> Array:
        """Result as a new float64 array of the expected shape.

        Parameters
        ----------
        *arguments : arrays
        shape : tuple of int, optional
            What the result must have, by default that of the first result; `()` also accepts an
            array of one entry.

        Raises
        ------
        CallFailed
            If the function raises, or returns something of another shape, not numbers, or not
            finite.
        """
        self.meter.tick()
        given = [np.array(argument) for argument in arguments]
        start = time.perf_counter()
        try:
            with np.errstate(all="ignore"):
                result = self.function(*given)
        except CallFailed:
            raise
        except (Exception, SystemExit) as error:
            raise self._raised(error) from error
        finally:
            self.calls += 1
            self.seconds += time.perf_counter() - start
        for position, (before, after) in enumerate(zip(arguments, given, strict=True)):
            if not (before == after).all():
                message = f"changes its argument {position} in place; it must work on a copy"
                self.faults["changes its input"] = Fault(self.name, "changes its input", message)
        return self._read(result, shape)

    def after_change_in_place(self, first: tuple[Array, ...], second: tuple[Array, ...]) -> Array:
        """Result at `second` when its leading argument is the array that held `first`'s."""
        self.meter.tick()
        held = first[0].copy()
        try:
            with np.errstate(all="ignore"):
                self.function(held, *(argument.copy() for argument in first[1:]))
                held[...] = second[0]
                result = self.function(held, *(argument.copy() for argument in second[1:]))
        except CallFailed:
            raise
        except (Exception, SystemExit) as error:
            raise self._raised(error) from error
        self.calls += 2
        return self._read(result, None)

    def report(self, kind: FaultKind, message: str) -> None:
        """Note a fault that calls for more than one call to see."""
        self.faults.setdefault(kind, Fault(self.name, kind, message))

    def _raised(self, error: BaseException) -> CallFailed:
        return self._failed(kind_of(error), f"raises {type(error).__name__}: {error}")

    def _failed(self, kind: FaultKind, message: str) -> CallFailed:
        return CallFailed(Fault(self.name, kind, message))

    def _read(self, result: npt.ArrayLike, shape: tuple[int, ...] | None) -> Array:
        shape = self.shape if shape is None else shape
        if (
            type(result) is np.ndarray
            and result.dtype == np.float64
            and result.shape == shape != ()
            and np.isfinite(result).all()
        ):
            return result.copy()  # nothing below would find anything, and takes longer
        if shape == () and isinstance(result, float) and isfinite(result):
            return np.array(result)
        kind = type(result)
        if hasattr(result, "toarray"):
            raise self._failed("dtype", f"returns a sparse {kind.__name__}; call its toarray()")
        try:
            array = np.asarray(result)
        except Exception as error:
            message = f"returns a {kind.__module__}.{kind.__name__} that is no array"
            raise self._failed("dtype", message) from error
        if array.dtype == np.float64:
            precision = "float64"
        elif array.dtype.name == "bfloat16":
            array, precision = array.astype(np.float32), "bfloat16"
        elif array.dtype.kind in "iu":
            array, precision = array.astype(np.float64), "float64"
        elif array.dtype.kind != "f":
            message = f"returns dtype {array.dtype}, expected float64 (or float32)"
            raise self._failed("dtype", message)
        else:
            precision = array.dtype.name if array.dtype.itemsize < 8 else "float64"
        self.precision = coarsest([self.precision, precision])
        if shape == () and array.size == 1:
            array = array.reshape(())
        if shape is not None and array.shape != shape:
            hint = ""
            if isinstance(result, tuple | list) and array.shape == (1, *shape):
                hint = f"; it is a {kind.__name__} of one array: return its first entry"
            raise self._failed("shape", f"returns shape {array.shape}, expected {shape}{hint}")
        if array.size == 0:
            raise self._failed("shape", f"returns no entries, shape {array.shape}")
        bad = int(np.count_nonzero(~np.isfinite(array)))
        if bad:
            message = f"returns {bad} of {array.size} entries that are NaN or infinite"
            raise self._failed("not finite", message)
        self.shape = array.shape
        return np.array(array, dtype=np.float64)
