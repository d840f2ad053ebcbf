"""Anybody's functions of structures as functions of flat vectors, for the checker to call."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rop.checking.calls import CallFailed, Fault, kind_of
from rop.checking.libraries import Anything, as_numpy, coarsest
from rop.checking.lines import Array
from rop.checking.structures import Mismatch, Structure
from rop.errors import RopError

_HERE = str(Path(__file__).parent)
_DTYPES = "theta and the module differ in dtype: write module.double(), or give theta in its dtype"
# Words of other libraries' errors -> what to write.
HINTS = {
    "have the same dtype": _DTYPES,
    "expected scalar type": _DTYPES,
    "must be Tensor, not": "give theta as tensors: torch.tensor(theta), or a dict of them",
    "does not require grad": "give theta with requires_grad=True, or use torch.func.grad",
}

# What each function takes, and what it returns.
SPACES: dict[str, tuple[tuple[str, ...], str]] = {
    "value": (("theta",), "number"),
    "outputs": (("theta",), "outputs"),
    "gradient": (("theta",), "theta"),
    "jvp": (("theta", "theta"), "outputs"),
    "vjp": (("theta", "outputs"), "theta"),
    "loss": (("outputs",), "number"),
    "loss_gradient": (("outputs",), "outputs"),
    "loss_hvp": (("outputs", "outputs"), "outputs"),
    "ggnvp": (("theta", "theta"), "theta"),
    "hvp": (("theta", "theta"), "theta"),
    "zero_residual": (("theta", "theta"), "theta"),
}


class Spaces:
    """The structures of θ and of the outputs; the latter is that of the first outputs seen.

    Parameters
    ----------
    theta : Structure
    """

    def __init__(self, theta: Structure) -> None:
        self.known = {"theta": theta}

    def flat(self, name: str, function: Callable[..., Any]) -> Callable[..., npt.ArrayLike]:
        """A function of structures as one of vectors.

        Parameters
        ----------
        name : str
            The argument it came in by.
        function : callable

        Returns
        -------
        callable
            Takes and returns vectors; outputs that are one array keep their shape.
        """
        takes, gives = SPACES[name]

        def call(*vectors: Array) -> npt.ArrayLike:
            if any([known.x64 for known in self.known.values()]):
                with sys.modules["jax"].enable_x64(True):
                    return self._call(name, function, takes, gives, vectors)
            return self._call(name, function, takes, gives, vectors)

        return call

    def _call(
        self,
        name: str,
        function: Callable[..., Any],
        takes: tuple[str, ...],
        gives: str,
        vectors: tuple[Array, ...],
    ) -> npt.ArrayLike:
        spaces = [self.known.get(space) for space in takes]
        # Only the first argument is differentiated with respect to.
        given = [
            vector if space is None else space.unflatten(vector, differentiable=position == 0)
            for position, (space, vector) in enumerate(zip(spaces, vectors, strict=True))
        ]
        try:
            result = function(*given)
        except (Exception, SystemExit) as error:
            raise CallFailed(Fault(name, kind_of(error), _told(error))) from error
        if all([space is not None and space.plain for space in spaces]):
            as_it_is = self._untranslated(gives, result)
            if as_it_is is not None:
                return as_it_is
        try:
            read = self._read(gives, result)
            for space, vector, tree in zip(spaces, vectors, given, strict=True):
                changed = None if space is None else space.changed(tree, vector)
                if changed is not None:
                    vector[...] = changed.reshape(vector.shape)
        except Mismatch as mismatch:
            raise CallFailed(Fault(name, mismatch.kind, str(mismatch))) from mismatch
        # Arguments in float32 make every result one of float32.
        dtypes = [read.dtype, *(space.dtype for space in spaces if space is not None)]
        return read.astype(coarsest(dtypes), copy=False) if read.dtype.kind == "f" else read

    def _untranslated(self, gives: str, result: Any) -> npt.ArrayLike | None:
        """The result if it is what `_read` would make of it, which takes longer."""
        if gives == "number":
            return result if isinstance(result, float) else None
        space = self.known.get(gives)
        if space is not None and space.plain and type(result) is np.ndarray:
            if result.dtype == np.float64 and result.shape == space.leaves[0].shape:
                return result if gives == "outputs" else result.ravel()
        return None

    def _read(self, gives: str, result: Any) -> Anything:
        if gives == "number":
            return _number(result)
        if gives not in self.known:
            self.known[gives] = _structure_of_outputs(result)
        space = self.known[gives]
        vector = space.flatten(result)
        if gives == "outputs" and space.is_array:
            # Its first axis counts cases.
            return vector.reshape(space.leaves[0].shape)
        return vector


def _number(result: Any) -> Anything:
    number = as_numpy(result)
    if number is None:
        raise Mismatch("dtype", f"returns {type(result).__name__}, expected one real number")
    return number


def _structure_of_outputs(result: Any) -> Structure:
    try:
        return Structure.of("outputs", result)
    except RopError as error:
        raise Mismatch("dtype", f"returns what cannot be compared: {error}") from error


def _told(error: BaseException) -> str:
    """An error's type, text and place, and what to write against it where that is known."""
    text = f"raises {type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and _HERE not in f.filename]
    if own:
        text += f" ({Path(own[-1].filename).name}, line {own[-1].lineno})"
    for words, hint in HINTS.items():
        if words in str(error):
            return f"{text}; {hint}"
    return text
