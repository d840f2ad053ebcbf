"""What a linearization asks of an engine: one θ and one batch, and programs that run on them.

`rop.engines.numpy` does it in the plainest way.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.engines.parallel import renew_after_fork
from rop.engines.room import refuse_if_too_large, temporaries
from rop.graph import Shape
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.catalogue import Programs
from rop.programs.steps import Program
from rop.support.words import counted

if TYPE_CHECKING:
    from rop.engines.cuda.cg import ConjugateGradient

Purpose = Literal["outputs", "value", "gradient", "products"]
Refuse: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], None]

# So much room for temporaries decides how many directions run at once.
_DIRECTIONS_BYTES = 2**27


class Execution(ABC):
    """An engine's memory for a θ and a batch, and an objective's programs that run there.

    Parameters
    ----------
    programs : Programs
        The programs.
    cases : int
        N.
    engine : str
        Name of the engine.
    dtype : dtype
        float32 or float64.
    purpose : {"outputs", "value", "gradient", "products"}
        What is wanted, which decides how many activations are kept.

    Attributes
    ----------
    key : tuple
        The arguments but the first: a released execution serves whoever asks with the same.
    lock : RLock
        Held while a program runs; take it to keep others out between two calls.
    """

    def __init__(
        self,
        programs: Programs,
        cases: int,
        engine: str,
        dtype: np.dtype[Any],
        purpose: Purpose,
    ) -> None:
        self._programs = programs
        self.cases, self.engine, self._dtype, self._purpose = cases, engine, dtype, purpose
        self.key = (cases, engine, dtype, purpose)
        self.lock = threading.RLock()
        renew_after_fork(self, "lock")

    @property
    @abstractmethod
    def theta(self) -> Array:
        """θ as the programs see it: (n,)."""

    @abstractmethod
    def load(
        self,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        refuse: Refuse,
        program: Program | None = None,
    ) -> None:
        """Copy a θ (n,) and a batch, and run a first program; what was computed before is void.

        `refuse` raises RopValueError if something is wrong with a batch, or with a part of it.
        """

    @abstractmethod
    def stage(self, program: Program) -> None:
        """Have a program that belongs to θ and the batch run before what follows, if it has not."""

    @abstractmethod
    def values(self, value: Value) -> NDArray[Any]:
        """What a program has kept, or what was given: (N, *shape) or (1, *shape)."""

    @abstractmethod
    def give(self, buffer: str, array: Array) -> None:
        """Hand over an array that programs read from a named place: (N, ...) or (1, ...)."""

    def _fixed(self) -> dict[str, Array]:
        """What programs read besides θ and data, by buffer; μ is 0 until it is set."""
        return {
            "constants": self._programs.constants.astype(self._dtype),
            "cases": np.full(1, 1.0 / self.cases, self._dtype),
            "strength": np.zeros(1, self._dtype),
        }

    def set_strength(self, mu: float) -> None:
        """Set μ of structural damping for the next products."""
        self.give("strength", np.full(1, mu / self.cases, self._dtype))

    @abstractmethod
    def product(
        self,
        name: str,
        K: int,
        given: Array,
        output: Array,
        plus: tuple[float, Array] | None = None,
    ) -> bool:
        """Run a product.

        Parameters
        ----------
        name : str
            The product; see `ALL_PRODUCTS`.
        K : int
            Number of directions.
        given, output : ndarray, 1-D
            Vectors of the product's domain and codomain, with the axis of directions behind that of
            cases; blocks of θ one parameter after the other.
        plus : (float, ndarray), optional
            A multiple of a vector that is added to the result.

        Returns
        -------
        bool
            Whether the given vectors are finite; if not, the output is void.
        """

    @property
    @abstractmethod
    def memory(self) -> dict[str, int]:
        """Bytes of "theta", "batch", what is "cached" for the products, and "work" space."""

    def predicted(self) -> dict[str, int]:
        """Bytes that will be "cached" for the products, and "work" space of Gv."""
        kept = sum(value.elements(self.cases, 1) for value in self._programs.forward.keep)
        size = self._dtype.itemsize
        return {"cached": kept * size, "work": self.temporaries("ggnvp") * size}

    def temporaries(self, name: str) -> int:
        """Elements of the temporaries of a product with one direction."""
        return temporaries(self._programs.product(name), self.cases, 1) + self._programs.size

    def conjugate_gradient(self, name: str) -> ConjugateGradient | None:
        """CG with a product where all vectors stay in the engine's memory; None if it has none."""
        return None

    def release(self) -> None:  # noqa: B027 (most have nothing to do)
        """Nobody needs the execution any more: its memory may serve another batch."""

    def empty(self, shape: int | Shape) -> NDArray[Any]:
        """Return an array for a result, not initialized."""
        return np.empty(shape, self._dtype)

    def losses(self) -> NDArray[Any]:
        """The loss of each case: (N,), or (1,) where it does not depend on data."""
        return self.values(self._programs.losses)

    def chunks(self, name: str, many: int) -> list[tuple[int, int]]:
        """Ranges of directions that run at once, so that temporaries stay within bounds."""
        one = self.temporaries(name) * self._dtype.itemsize
        at_once = max(1, min(many, _DIRECTIONS_BYTES // one))
        return [(start, min(start + at_once, many)) for start in range(0, many, at_once)]

    def refuse_what_does_not_fit(self) -> None:
        """Raise RopMemoryError if the cached values and a product's temporaries do not fit."""
        if self._purpose in ("outputs", "value"):
            return
        predicted = self.predicted()
        refuse_if_too_large(
            {"cached activations": predicted["cached"], "temporaries": predicted["work"]},
            f"linearize with {counted(self.cases, 'case')}",
            "use fewer cases at a time, checkpoints='sqrt', or float32",
        )
