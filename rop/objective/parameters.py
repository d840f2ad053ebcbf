"""θ as the user sees it: named parameters, each with its block of one vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, Shape
from rop.objective import init
from rop.objective.inputs import numbers, real
from rop.ops.kernels import Array
from rop.support.words import listed, misnamed


class ParameterSpace:
    """The space of θ, in which the parameters lie one after the other.

    Parameters
    ----------
    parameters : sequence of Node
        The parameters, in the order in which they make up θ.

    Attributes
    ----------
    n : int
        Number of parameters, counted as numbers.
    shapes : dict of str to tuple of int
        Shape of each parameter, in θ's order.
    slices : dict of str to slice
        Where each parameter lies in θ.
    """

    def __init__(self, parameters: Sequence[Node]) -> None:
        self.parameters = list(parameters)
        self.shapes: dict[str, Shape] = {str(p.name): p.shape for p in self.parameters}
        ends = np.cumsum([p.size for p in self.parameters]).tolist()
        self.slices = {
            str(p.name): slice(end - p.size, end)
            for p, end in zip(self.parameters, ends, strict=True)
        }
        self.n: int = ends[-1]

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
        """Say in words where an element of θ belongs: its parameter and the index there.

        Parameters
        ----------
        index : int
            Index into θ.

        Returns
        -------
        str
        """
        for name, where in self.slices.items():
            if where.start <= index < where.stop:
                inside = np.unravel_index(index - where.start, self.shapes[name] or (1,))
                place = ", ".join(str(int(i)) for i in inside) if self.shapes[name] else ""
                return f"index {index}, that is {name}[{place}]"
        return f"index {index}"
