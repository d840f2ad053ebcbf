"""The objective f(θ): mean over cases of L(F(θ)), plus l2/2 |θ|²."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rop.engines.arrays import checked_batch, finite, numbers, real
from rop.engines.execution import Checkpoints, Execution, Lease, Purpose, execution_of, mean_loss
from rop.engines.memory import Layouts
from rop.engines.threads import renew_after_fork
from rop.errors import RopMemoryError, RopTypeError, RopValueError
from rop.graph import Node, Shape, ancestors
from rop.losses import LossGraph
from rop.objective.linearization import Linearization
from rop.objective.parameters import ParameterSpace
from rop.ops.elementwise import Sigmoid, Tanh
from rop.ops.kernels import Array
from rop.ops.shaping import per_case
from rop.programs.algorithms import Algorithms
from rop.programs.loss import Loss
from rop.programs.sweeps import descendants

# Executions of linearizations that are gone, kept for the next ones.
_SPARES = 3


class Objective(ParameterSpace):
    """f(θ) = (1/N) Σ_cases L(F(θ)) + l2/2 |θ|², for a graph F and a loss L (sec. 6).

    Parameters
    ----------
    z : Node
        The outputs of F. As much as possible of f should be in L: logits, not probabilities.
    loss : Loss
        `SquaredError`, `SigmoidCrossEntropy`, `SoftmaxCrossEntropy` or `LossGraph`.
    l2 : float
        Strength of the penalty l2/2 |θ|².
    params : sequence of Node, optional
        The parameters in the order in which they make up θ; by default those that z depends on, in
        the order of their creation. One that z does not depend on has gradient 0.
    hidden : sequence of Node
        Units that structural damping keeps from changing much, such as the states of an RNN
        (sec. 8.4); see `Linearization.ggnvp`.
    distance : {"squared", "matching"}
        How it measures their change: by the squared error of the activations, or by the loss that
        matches tanh or the sigmoid, for which (d∘s)'' = s' (erratum M47).

    Attributes
    ----------
    data_shapes : dict of str to tuple of int
        Shape for one case of each entry of a batch.
    output_shape : tuple of int
        Shape of z for one case.

    Raises
    ------
    RopTypeError
        If an argument is of the wrong type.
    RopValueError
        If z depends on no parameter, the loss does not fit z, two nodes share a name, or l2 is
        negative or not finite.
    """

    _linearization: type[Linearization] = Linearization  # what `linearize` makes

    def __init__(
        self,
        z: Node,
        loss: Loss,
        l2: float = 0.0,
        params: Iterable[Node] | None = None,
        *,
        hidden: Iterable[Node] = (),
        distance: Literal["squared", "matching"] = "squared",
    ) -> None:
        if not isinstance(z, Node):
            raise RopTypeError(f"z: expected a node, got {type(z).__name__}")
        if not isinstance(loss, Loss):
            raise RopTypeError(
                f"loss: expected a loss such as rop.SquaredError(t), got {type(loss).__name__}"
            )
        if isinstance(l2, bool) or not isinstance(l2, float | int | np.floating | np.integer):
            raise RopTypeError(f"l2: expected a number, got {type(l2).__name__}")
        if not math.isfinite(l2) or l2 < 0.0:
            raise RopValueError(f"l2: expected a finite number >= 0, got {l2!r}")
        loss.fit(z)
        self.hidden, self.distance = tuple(hidden), distance
        nodes = ancestors(z, *loss.given, *self.hidden)
        has_data = any(node.kind == "data" for node in nodes)
        if has_data and not z.per_case and not isinstance(loss, LossGraph):
            z = per_case(z)
        self.z: Node = z
        self.loss, self.l2 = loss, float(l2)
        self.output_shape: Shape = z.shape
        super().__init__(_ordered([node for node in nodes if node.kind == "param"], params))
        self._data = [node for node in nodes if node.kind == "data"]
        _refuse_duplicates([*self.parameters, *self._data])
        self.data_shapes: dict[str, Shape] = {str(d.name): d.shape for d in self._data}
        self._integers = {str(d.name) for d in self._data if d.integer}
        self._refuse_hidden(nodes)
        self._start()

    def _start(self) -> None:
        """Begin without programs, and without memory to use again."""
        self._variants: dict[Checkpoints, tuple[Algorithms, Layouts]] = {}
        self._spare: list[Execution] = []
        # Reentrant: the garbage collector may take back one execution while another is lent.
        self._lock = threading.RLock()
        renew_after_fork(self, "_lock")

    def __copy__(self) -> Objective:
        """Make an objective with the same programs and memory, such as for another l2."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle and deepcopy keep: no programs and no memory.

        The nodes come first, in their order, so that a deep graph needs no deep recursion.
        """
        nodes = ancestors(self.z, *self.loss.given, *self.hidden, *self.parameters)
        own = ("_variants", "_spare", "_lock", "algorithms")
        return {"nodes": nodes} | {k: v for k, v in self.__dict__.items() if k not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, which makes its programs anew."""
        del state["nodes"]
        self.__dict__.update(state)
        self._start()

    def __repr__(self) -> str:
        return (
            f"<Objective: {self.loss.name} of {self.output_shape}, {self.n} parameters in "
            f"{', '.join(self.shapes)}>"
        )

    def _refuse_hidden(self, nodes: list[Node]) -> None:
        """Raise RopValueError if structural damping makes no sense at one of the hidden nodes."""
        if self.distance not in ("squared", "matching"):
            raise RopValueError(
                f"distance: expected 'squared' or 'matching', got {self.distance!r}"
            )
        moving = descendants(nodes, self.parameters)
        for node in self.hidden:
            if node.op is None or node not in moving or node.per_case != self.z.per_case:
                raise RopValueError(
                    f"hidden: expected nodes that depend on parameters, and on data if the outputs "
                    f"do, got {node!r}"
                )
            if self.distance == "matching" and not isinstance(node.op, Tanh | Sigmoid):
                raise RopValueError(
                    f"hidden: distance='matching' is for tanh and sigmoid units, got {node!r}; "
                    "use distance='squared'"
                )

    @cached_property
    def algorithms(self) -> Algorithms:
        """The programs of the objective."""
        return self.with_checkpoints(0)[0]

    def with_checkpoints(self, checkpoints: Checkpoints) -> tuple[Algorithms, Layouts]:
        """The programs that keep the ends of so many segments only, and their plans (sec. 7.1).

        Parameters
        ----------
        checkpoints : int or "sqrt"
            Number of segments; 0 keeps everything.

        Returns
        -------
        Algorithms, Layouts
        """
        with self._lock:
            if checkpoints not in self._variants:
                made = Algorithms(
                    self.z,
                    self.loss,
                    self.parameters,
                    self.hidden,
                    self.distance,
                    checkpoints,
                )
                self._variants[checkpoints] = made, Layouts()
            return self._variants[checkpoints]

    def linearize(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = "numba",
        dtype: DTypeLike | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> Linearization:
        """Run the forward sweep at θ and keep what the products need (sec. 7.1).

        Parameters
        ----------
        theta : array_like, (n,)
            The parameters; copied.
        batch : mapping of str to array_like
            (N, *shape) for each data node; copied.
        engine : {"numba", "numpy", "cuda", "cuda-tf32"}
            Engine that runs the programs; the last one may round products of float32 to TF32.
        dtype : dtype, optional
            float32 or float64; by default theta's own, float64 for integers.
        checkpoints : int or "sqrt", optional
            Into how many segments the forward sweep is cut; only their ends are kept, and each
            product recomputes the rest (sec. 7.1). "sqrt" is the number that needs the least
            memory, 0 keeps everything. By default everything is kept if it fits. There is no `hvp`
            with checkpoints.

        Returns
        -------
        Linearization

        Raises
        ------
        RopTypeError, RopValueError
            If an argument does not fit, with the name and the position of what does not.
        RopMemoryError
            If there is not enough memory for what is to be kept.
        """
        values, kind = self._theta(theta, dtype)
        arrays, cases = self._batch(batch, kind)
        whole = isinstance(checkpoints, int) and not isinstance(checkpoints, bool)
        if checkpoints is not None and checkpoints != "sqrt" and not (whole and checkpoints >= 0):
            raise RopValueError(
                f"checkpoints: expected a number of segments, 'sqrt' or None, got {checkpoints!r}"
            )
        try:
            return self._linearization(self, values, arrays, cases, engine, checkpoints or 0)
        except RopMemoryError:
            if checkpoints is not None:
                raise
            return self._linearization(self, values, arrays, cases, engine, "sqrt")

    def value(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = "numba",
        dtype: DTypeLike | None = None,
    ) -> float:
        """f(θ) alone: a forward sweep that keeps nothing; see `linearize` for the arguments.

        Returns
        -------
        float
            Infinite or NaN where the loss is, without an error: a line search may get there.
        """
        values, kind = self._theta(theta, dtype, must_be_finite=False)
        arrays, cases = self._batch(batch, kind)
        lease = self.lease(cases, engine, kind, "value")
        lease.execution.load(values, arrays, self.algorithms.value_program, self.refuse_batch)
        return mean_loss(lease.execution, self, cases)

    def scipy(
        self, batch: Mapping[str, ArrayLike] | None = None, **options: Any
    ) -> dict[str, Callable[..., Any]]:
        """Functions for `scipy.optimize.minimize`: its arguments ``fun``, ``jac`` and ``hessp``.

        Parameters
        ----------
        batch : mapping of str to array_like
            The batch.
        **options
            Of `rop.objective.scipy.scipy_functions`.

        Returns
        -------
        dict of str to callable
            For ``minimize(x0=theta, method="trust-krylov", **objective.scipy(batch))``.
        """
        from rop.objective.scipy import scipy_functions

        return scipy_functions(self, batch, **options)

    def lease(
        self,
        cases: int,
        engine: str,
        dtype: np.dtype[Any],
        purpose: Purpose,
        checkpoints: Checkpoints = 0,
    ) -> Lease:
        """Lend memory and bound programs for a batch: what came back last, or new."""
        with self._lock:
            for i, spare in enumerate(self._spare):
                if spare.key == (cases, engine, dtype, purpose, checkpoints):
                    return Lease(self._spare.pop(i), self._take_back)
        execution = execution_of(engine)(self, cases, engine, dtype, purpose, checkpoints)
        return Lease(execution, self._take_back)

    def _take_back(self, execution: Execution) -> None:
        """Keep an execution for the next batch of its size, unless it holds much memory."""
        if sum(execution.memory.values()) <= execution.spare_bytes:
            with self._lock:
                self._spare.append(execution)
                del self._spare[:-_SPARES]

    def _theta(
        self, theta: ArrayLike, dtype: DTypeLike | None, must_be_finite: bool = True
    ) -> tuple[Array, np.dtype[Any]]:
        given = numbers("theta", theta)
        try:
            kind = np.dtype(dtype if dtype is not None else given.dtype)
        except TypeError as error:
            raise RopTypeError(f"dtype: expected float32 or float64, got: {error}") from None
        if dtype is None and given.dtype.kind in "iub":
            kind = np.dtype(np.float64)
        if kind not in (np.float32, np.float64):
            raise RopTypeError(f"theta: expected float32 or float64, got {kind}; pass dtype=")
        if given.shape != (self.n,):
            raise RopValueError(f"theta: expected shape ({self.n},), got {given.shape}")
        values = real("theta", given, kind)
        if must_be_finite:
            finite("theta", values, self.position)
        return values, kind

    def _batch(
        self, batch: Mapping[str, ArrayLike] | None, dtype: np.dtype[Any]
    ) -> tuple[dict[str, NDArray[Any]], int]:
        return checked_batch(batch, self.data_shapes, dtype, self._integers)

    def refuse_batch(self, batch: Mapping[str, NDArray[Any]]) -> None:
        """Raise RopValueError if an element of a batch is NaN or inf, or not as the loss needs it.

        Parameters
        ----------
        batch : mapping of str to ndarray
            (N, *shape) for each data node.
        """
        for name, array in batch.items():
            finite(f"batch[{name!r}]", array)
        self.loss.refuse_batch(batch)


def _ordered(found: list[Node], params: Iterable[Node] | None) -> list[Node]:
    chosen = found if params is None else list(params)
    for node in chosen:
        if not isinstance(node, Node) or node.kind != "param":
            raise RopTypeError(f"params: expected parameters, made by rop.param, got {node!r}")
    listed = set(chosen)
    left_out = [node.name for node in found if node not in listed]
    if left_out:
        raise RopValueError(f"params: z depends on {left_out} too; list every parameter")
    if not chosen:
        raise RopValueError("z depends on no parameter; make one with rop.param")
    return chosen


def _refuse_duplicates(nodes: list[Node]) -> None:
    names = [str(node.name) for node in nodes]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise RopValueError(
            f"two different nodes are called {twice[0]!r}; give every parameter and data node a "
            "name of its own (to share a parameter, use its node twice)"
        )
