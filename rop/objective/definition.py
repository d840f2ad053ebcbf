"""What an objective is made of: outputs, loss and penalty, and the parameters that make up θ."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.engines.arrays import finite
from rop.engines.parallel import renew_after_fork
from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Shape, ancestors, descendants
from rop.losses import LossGraph
from rop.objective import init
from rop.objective.inputs import (
    check_strength,
    checked_loss,
    checked_nodes,
    checked_parameters,
    numbers,
    real,
    refuse_duplicates,
    refuse_hidden,
)
from rop.ops.kernels import Array
from rop.ops.shaping import per_case
from rop.programs.catalogue import Programs
from rop.programs.checkpointing import Checkpoints
from rop.programs.loss import Loss
from rop.support.arguments import named
from rop.support.display import Displayed
from rop.support.words import counted, listed, misnamed

_NAMED = 20  # parameters that repr names


class Definition(Displayed):
    """Outputs, loss and penalty of an objective; see `Objective` for the arguments.

    Attributes
    ----------
    z : Node
        The outputs, with a case axis if anything has one.
    n : int
        Number of parameters, counted as numbers.
    shapes : dict of str to tuple of int
        Shape of each parameter, in θ's order.
    slices : dict of str to slice
        Where each parameter lies in θ.
    data_shapes : dict of str to tuple of int
        Shape for one case of each entry of a batch.
    output_shape : tuple of int
        Shape of z for one case.
    penalty : float or ndarray, (n,)
        l2 as the diagonal that it adds to G and H: one number, or one for each element of θ.
    """

    @named
    def __init__(
        self,
        z: Node,
        loss: Loss | None = None,
        l2: float | Mapping[str, float] = 0.0,
        params: Iterable[Node] | None = None,
        *,
        hidden: Iterable[Node] = (),
        distance: Literal["squared", "matching"] = "squared",
    ) -> None:
        self.loss = checked_loss(z, loss)
        self.hidden, self.distance = tuple(checked_nodes("hidden", hidden)), distance
        nodes = ancestors(z, *self.loss.given, *self.hidden)
        data = [node for node in nodes if node.kind == "data"]
        if data and not z.per_case and not isinstance(self.loss, LossGraph):
            z = per_case(z)
        self.z: Node = z
        self.output_shape: Shape = z.shape
        self.parameters = checked_parameters(nodes, params)
        self.shapes: dict[str, Shape] = {str(p.name): p.shape for p in self.parameters}
        ends = np.cumsum([p.size for p in self.parameters]).tolist()
        self.slices = {
            str(p.name): slice(end - p.size, end)
            for p, end in zip(self.parameters, ends, strict=True)
        }
        self.n: int = ends[-1]
        refuse_duplicates([*self.parameters, *data])
        self.data_shapes: dict[str, Shape] = {str(d.name): d.shape for d in data}
        self._integers = {str(d.name) for d in data if d.integer}
        moving = descendants(nodes, self.parameters)
        refuse_hidden(self.hidden, distance, moving, z.per_case)
        self.l2 = l2
        self._start()

    def _start(self) -> None:
        """Begin without programs."""
        self._variants: dict[Checkpoints, Programs] = {}
        self._lock = threading.RLock()
        renew_after_fork(self, "_lock")

    def init(
        self, method: str = "sparse", seed: int | np.random.Generator = 0, **options: Any
    ) -> NDArray[np.float64]:
        """Draw a θ to start from.

        Parameters
        ----------
        method : str
            "sparse" (15 incoming connections a unit), "glorot" or "normal"; for recurrent nets
            "recurrent" or "spectral", which give W_hh a spectral radius; see `rop.init`.
        seed : int or Generator
            Seed of the random numbers.
        **options
            Further arguments of the method.

        Returns
        -------
        ndarray of float64, (n,)

        Raises
        ------
        RopValueError
            If there is no such method.
        """
        return self.pack(init.initialize(method, self.shapes, seed, **options))

    def pack(self, values: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """Make a θ of arrays.

        Parameters
        ----------
        values : mapping of str to array_like
            An array of its shape for each parameter.

        Returns
        -------
        ndarray of float64, (n,)

        Raises
        ------
        RopTypeError, RopValueError
            If it is no mapping, a parameter is missing or unknown, or a shape does not fit.
        """
        if not isinstance(values, Mapping):
            raise RopTypeError(
                f"pack: expected a mapping of names to arrays, got {type(values).__name__}"
            )
        if values.keys() != self.shapes.keys():
            wrong = misnamed(self.shapes, values)
            raise RopValueError(f"pack: expected the parameters {listed(self.shapes)}; {wrong}")
        theta = np.empty(self.n)
        for name, shape in self.shapes.items():
            array = real(name, values[name], np.dtype(np.float64))
            if array.shape != shape:
                raise RopValueError(f"pack: {name} has shape {shape}, got {array.shape}")
            theta[self.slices[name]] = array.ravel()
        return theta

    def unpack(self, theta: Array) -> dict[str, NDArray[Any]]:
        """Views of θ, or of any vector like it, as the parameters.

        Parameters
        ----------
        theta : ndarray, (n,)
            The vector.

        Returns
        -------
        dict of str to ndarray
            Views: writing to them writes to theta.

        Raises
        ------
        RopValueError
            If theta does not have the shape (n,).
        """
        theta = numbers("unpack", theta)
        if theta.shape != (self.n,):
            raise RopValueError(f"unpack: expected shape ({self.n},), got {theta.shape}")
        return {
            name: theta[self.slices[name]].reshape(shape) for name, shape in self.shapes.items()
        }

    def _position(self, index: int) -> str:
        """Say in words where an element of θ belongs: its parameter and the index there."""
        for name, where in self.slices.items():
            if where.start <= index < where.stop:
                inside = np.unravel_index(index - where.start, self.shapes[name] or (1,))
                place = ", ".join(str(int(i)) for i in inside) if self.shapes[name] else ""
                return f"index {index}, that is {name}[{place}]"
        return f"index {index}"

    @property
    def l2(self) -> float | dict[str, float]:
        """Strength of the penalty, or strengths by the names of parameters."""
        return self._l2

    @l2.setter
    def l2(self, l2: float | Mapping[str, float]) -> None:
        self.penalty: float | NDArray[np.float64]
        if not isinstance(l2, Mapping):
            check_strength("Objective", "l2", l2)
            self._l2: float | dict[str, float] = float(l2)
            self.penalty = self._l2
            return
        unknown = sorted(l2.keys() - self.shapes.keys())
        if unknown:
            raise RopValueError(
                f"l2: expected strengths by the names of the parameters {listed(self.shapes)}, got "
                f"{listed(unknown)}"
            )
        for name, strength in l2.items():
            check_strength("Objective", f"l2[{name!r}]", strength)
        self._l2 = {name: float(strength) for name, strength in l2.items()}
        self.penalty = np.zeros(self.n)
        for name, strength in self._l2.items():
            self.penalty[self.slices[name]] = strength

    def __copy__(self) -> Self:
        """Make an objective with the same programs and memory, such as for another l2."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle and deepcopy keep: no programs and no memory.

        The nodes come first, in their order, so that a deep graph needs no deep recursion.
        """
        nodes = ancestors(self.z, *self.loss.given, *self.hidden, *self.parameters)
        own = ("_variants", "_lock")
        return {"nodes": nodes} | {k: v for k, v in self.__dict__.items() if k not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, which makes its programs anew."""
        del state["nodes"]
        self.__dict__.update(state)
        self._start()

    def __repr__(self) -> str:
        names = [*self.shapes]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        of = "a scalar" if self.by_itself else f"{self.loss.name} of {self.output_shape}"
        which = f"{counted(self.n, 'parameter')} in {', '.join(names[:_NAMED])}{more}"
        return f"<Objective: {of}, {which}>"

    @property
    def by_itself(self) -> bool:
        """Whether z is the loss itself, so that L'' and G (but for l2) are zero."""
        return isinstance(self.loss, LossGraph) and self.loss.node is self.z

    def _programs(self, checkpoints: Checkpoints) -> Programs:
        with self._lock:
            if checkpoints not in self._variants:
                self._variants[checkpoints] = Programs(
                    self.z,
                    self.loss,
                    self.parameters,
                    self.hidden,
                    self.distance,
                    checkpoints,
                )
            return self._variants[checkpoints]

    def _mean(self, losses: NDArray[Any], cases: int, theta: Array) -> float:
        """f(θ) from the losses of the cases, summed in float64, and the penalty."""
        if isinstance(self.penalty, float):
            penalty = 0.5 * self.penalty * float(np.dot(theta, theta)) if self.penalty else 0.0
        else:
            penalty = 0.5 * float(np.dot(self.penalty * theta, theta))
        return float(losses.sum(dtype=np.float64)) / cases + penalty

    def _refuse_batch(self, batch: Mapping[str, NDArray[Any]]) -> None:
        """Raise RopValueError if a batch is not finite, or not such as the loss is made for."""
        self._refuse_not_finite(batch)
        self.loss.refuse_batch(batch)

    @staticmethod
    def _refuse_not_finite(batch: Mapping[str, NDArray[Any]]) -> None:
        """Raise RopValueError if an element of a batch is NaN or inf."""
        for name, array in batch.items():
            finite(f"batch[{name!r}]", array)


def programs_of(objective: Definition, checkpoints: Checkpoints = 0) -> Programs:
    """The programs of an objective, made when they are first asked for; see `Programs`."""
    return objective._programs(checkpoints)
