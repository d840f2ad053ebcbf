"""What a linearization asks of an engine: one θ and one batch, and programs that run on them.

`Execution` says it, and `NumpyExecution` does it in the plainest way.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.engines.arrays import is_finite
from rop.engines.memory import refuse_if_too_large
from rop.engines.numpy import array, performed, run
from rop.engines.parallel import renew_after_fork
from rop.ops.kernels import Array
from rop.ops.rules import Value
from rop.programs.algorithms import Algorithms
from rop.programs.steps import Program, Step
from rop.support.words import counted

if TYPE_CHECKING:
    from rop.engines.cuda.cg import ConjugateGradient

Space = Literal["theta", "outputs"]
Purpose = Literal["outputs", "value", "gradient", "products"]
Refuse: TypeAlias = Callable[[Mapping[str, NDArray[Any]]], None]

# So much room for temporaries decides how many directions run at once.
_DIRECTIONS_BYTES = 2**27


class Execution(ABC):
    """An engine's memory for a θ and a batch, and an objective's programs that run there.

    Parameters
    ----------
    algorithms : Algorithms
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
        algorithms: Algorithms,
        cases: int,
        engine: str,
        dtype: np.dtype[Any],
        purpose: Purpose,
    ) -> None:
        self._algorithms = algorithms
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

    @abstractmethod
    def set_strength(self, mu: float) -> None:
        """Set μ of structural damping for the next products."""

    @abstractmethod
    def product(
        self,
        name: str,
        K: int,
        given: Array,
        output: Array,
        source: Space,
        result: Space,
        plus: tuple[float, Array] | None = None,
    ) -> bool:
        """Run a product.

        Parameters
        ----------
        name : str
            The product, as `Algorithms.product` knows it.
        K : int
            Number of directions.
        given, output : ndarray, 1-D
            The vectors, with the axis of directions behind that of cases; blocks of θ one
            parameter after the other.
        source, result : {"theta", "outputs"}
            The spaces of the two.
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

    @abstractmethod
    def predicted(self) -> dict[str, int]:
        """Bytes that will be "cached" for the products, and "work" space of Gv."""

    @abstractmethod
    def temporaries(self, name: str) -> int:
        """Elements of the temporaries of a product with one direction."""

    def conjugate_gradient(self, name: str) -> ConjugateGradient | None:
        """CG with a product where all vectors stay in the engine's memory; None if it has none."""
        return None

    def release(self) -> None:  # noqa: B027 (most have nothing to do)
        """Nobody needs the execution any more: its memory may serve another batch."""

    def losses(self) -> NDArray[Any]:
        """The loss of each case: (N,), or (1,) where it does not depend on data."""
        return self.values(self._algorithms.values["loss"])

    def chunks(self, name: str, many: int) -> list[tuple[int, int]]:
        """Ranges of directions that run at once, so that temporaries stay within bounds."""
        one = self.temporaries(name) * self._dtype.itemsize
        at_once = max(1, min(many, _DIRECTIONS_BYTES // one))
        return [(start, min(start + at_once, many)) for start in range(0, many, at_once)]

    def refuse_what_does_not_fit(self) -> None:
        """Raise RopMemoryError if the cached values and a product's temporaries do not fit."""
        predicted = self.predicted()
        refuse_if_too_large(
            {"cached activations": predicted["cached"], "temporaries": predicted["work"]},
            f"linearize with {counted(self.cases, 'case')}",
            "use fewer cases at a time, checkpoints='sqrt', or float32",
        )


class NumpyExecution(Execution):
    """The execution of the NumPy engine: dictionaries of arrays; see `Execution`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._given: dict[str, Array] = {
            "constants": self._algorithms.constants.astype(self._dtype),
            "cases": np.full(1, 1.0 / self.cases, self._dtype),
            "strength": np.zeros(1, self._dtype),
        }
        self._cached: dict[Value, Array] = {}
        self._done: set[str] = set()
        self._work = 0
        self._measured: set[tuple[str, int]] = set()
        if self._purpose not in ("outputs", "value"):
            self.refuse_what_does_not_fit()

    @property
    def theta(self) -> Array:
        """θ: (n,)."""
        return self._given["theta"]

    def load(
        self,
        theta: Array,
        batch: Mapping[str, NDArray[Any]],
        refuse: Refuse,
        program: Program | None = None,
    ) -> None:
        """Copy a θ (n,) and a batch, and run a first program."""
        refuse(batch)
        self._given["theta"] = theta.copy()
        self._given |= {f"data {name}": array.copy() for name, array in batch.items()}
        if program is not None:
            self.stage(program)

    def stage(self, program: Program) -> None:
        """Run a program that belongs to θ and the batch, unless that is done."""
        with self.lock:
            if program.name not in self._done:
                self._cached |= self._run(program, 1)
                self._done.add(program.name)

    def _run(self, program: Program, K: int, **ends: Array) -> dict[Value, Array]:
        if (program.name, K) not in self._measured:
            self._measured.add((program.name, K))
            elements = program.temporaries(self.cases, K)
            self._work = max(self._work, elements * self._dtype.itemsize)
        return run(program, self.cases, K, self._given | ends, self._cached)

    def performed(
        self, programs: Iterable[Program], given: Array, output: Array
    ) -> Iterator[tuple[Program, Step, dict[Value, Array]]]:
        """Run programs anew for one direction; after each step, hand out all values so far."""
        values: dict[Value, Array] = {}
        ends = self._given | {"input": given, "output": output}
        with self.lock, np.errstate(all="ignore"):
            for program in programs:
                for value in {step.target for step in program.steps} - values.keys():
                    values[value] = array(value, self.cases, 1, ends)
                    if value.place is None:
                        values[value].fill(np.nan)  # what no step has written yet shows
                for step in performed(program, self.cases, 1, ends, values):
                    yield program, step, values

    def values(self, value: Value) -> NDArray[Any]:
        """What a program has kept, or what was given: (N, *shape) or (1, *shape)."""
        found = self._cached.get(value)
        return (array(value, self.cases, 1, self._given) if found is None else found)[:, 0].copy()

    def give(self, buffer: str, array: Array) -> None:
        """Hand over an array that programs read from a named place."""
        self._given[buffer] = array.astype(self._dtype)

    def set_strength(self, mu: float) -> None:
        """Set μ of structural damping for the next products."""
        self._given["strength"] = np.full(1, mu / self.cases, self._dtype)

    def product(
        self,
        name: str,
        K: int,
        given: Array,
        output: Array,
        source: Space,
        result: Space,
        plus: tuple[float, Array] | None = None,
    ) -> bool:
        """Run a product; see `Execution`."""
        if not is_finite(given):
            return False
        self._cached |= self._run(self._algorithms.product(name), K, input=given, output=output)
        if plus is not None:
            output += output.dtype.type(plus[0]) * plus[1]
        return True

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of "theta", "batch", what is "cached" for the products, and "work" space."""
        batch = [array.nbytes for name, array in self._given.items() if name.startswith("data ")]
        cached = [array.nbytes for array in self._cached.values()]
        sizes = {"theta": self.theta.nbytes, "batch": sum(batch), "cached": sum(cached)}
        return sizes | {"work": self._work}

    def predicted(self) -> dict[str, int]:
        """Bytes that will be "cached" for the products, and "work" space of Gv."""
        kept = sum(value.elements(self.cases, 1) for value in self._algorithms.forward.keep)
        size = self._dtype.itemsize
        return {"cached": kept * size, "work": self.temporaries("ggnvp") * size}

    def temporaries(self, name: str) -> int:
        """Elements of the temporaries of a product with one direction."""
        return self._algorithms.product(name).temporaries(self.cases, 1) + self._algorithms.size
