"""An objective whose cases are on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from distributed import Client
from numpy.typing import ArrayLike, DTypeLike, NDArray

from rop.distributed.linearization import Linearization, penalty_at
from rop.distributed.pool import Pool, Shared
from rop.distributed.site import Point
from rop.distributed.sources import Data, sources_of
from rop.engines import DEFAULT_ENGINE
from rop.errors import RopTypeError
from rop.hf.batches import Cases
from rop.hf.identity import Values
from rop.hf.preconditioners import Preconditioner
from rop.objective import objective as local
from rop.programs.checkpointing import Checkpoints
from rop.support.arguments import checked, shown
from rop.support.constraints import Count, Positive

# So many parts, unless there are more workers: then a power of two, as the sum is a binary tree.
_PARTS = 16
# Cases at a time, where HF's recipe does not say how many.
_CHUNK = 1000


class Objective(local.Objective):
    """f(θ) of data that are spread over a cluster, with the interface of a local `rop.Objective`.

    Each worker holds parts of the cases, and at each θ their cached activations (sec. 7.1). A
    product sends v to the workers once and adds up what they find. The order of all additions
    follows from the parts alone: the same parts and threads give the same bits, however many
    workers there are and whichever of them fail meanwhile.

    Wherever a local objective takes a batch, leave it out for the objective's own data. Arrays that
    are given are cut into parts and sent to the workers.

    Parameters
    ----------
    objective : rop.Objective
        The objective, as for one machine.
    client : distributed.Client
        Dask's client of the cluster. With ``Client(..., direct_to_workers=True)`` vectors do not go
        through the scheduler.
    data : mapping of str to array, or sequence of callables
        The cases: Dask arrays or dataframes, whose blocks of rows are the parts; NumPy arrays, of
        which those from ``np.load(..., mmap_mode="r")`` are read by the workers, and others sent to
        them once; or a function for each part, called on a worker, that returns a dict of arrays.
    parts : int, optional
        The number of parts of NumPy arrays; by default 16, or the next power of two if there are
        more workers.
    threads : int, optional
        Threads of each product; by default those of the worker that has fewest.
    timeout : float
        Seconds after which a silent worker is replaced, and a silent scheduler is an error.
    longest : float
        Seconds after which a task that has not ended is an error.

    Attributes
    ----------
    local : rop.Objective
        The objective for one machine.
    cases : int
        N.

    Raises
    ------
    RopTypeError, RopValueError
        If an argument does not fit.
    PartError
        If a part cannot be loaded, or does not fit the objective.
    ClusterError
        If the scheduler does not answer or there is no worker. Everything that uses the cluster may
        raise it.

    Examples
    --------
    >>> import rop.distributed
    >>> from dask.distributed import Client
    >>> x, z = rop.nets.mlp([2, 1])
    >>> objective = rop.Objective(z, rop.SquaredError(rop.data("t", 1)))
    >>> data = {"x": np.eye(2), "t": np.array([[1.0], [0.0]])}
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     spread = rop.distributed.Objective(objective, client, data)
    ...     f, gradient = spread.value_and_gradient([3.0, 4.0, 0.0])
    >>> f, gradient
    (5.0, array([1., 2., 3.]))
    """

    @checked
    def __init__(
        self,
        objective: local.Objective,
        client: Client,
        data: Data,
        *,
        parts: Count | None = None,
        threads: Count | None = None,
        timeout: Positive = 60.0,
        longest: Positive = 3600.0,
    ) -> None:
        if isinstance(objective, Objective):
            raise RopTypeError("objective: it is on a cluster already; give objective.local")
        if not isinstance(client, Client) or client.asynchronous:
            raise RopTypeError(f"client: expected a synchronous Dask client, got {shown(client)}")
        self.__dict__.update(objective.__dict__)
        self.local = objective
        self._another = partial(
            Objective, parts=parts, threads=threads, timeout=timeout, longest=longest
        )
        without_penalty = copy(objective)
        without_penalty.l2 = 0.0
        if parts is None:
            parts = max(_PARTS, 1 << (len(client.nthreads()) - 1).bit_length())
        self.pool = Pool(
            client, without_penalty, sources_of(data, parts), threads, timeout, longest
        )
        self.cases = self.pool.cases
        self._others: tuple[Any, Objective] | None = None

    def __reduce__(self) -> Any:
        raise RopTypeError("an objective on a cluster cannot be pickled; pickle objective.local")

    def on(self, data: Data | None) -> Objective:
        """Return the objective on other data, which are sent to the workers; itself without.

        Parameters
        ----------
        data : mapping of str to array, or sequence of callables
            The cases.

        Returns
        -------
        Objective
            The one for the same object is made once.
        """
        if not data:
            return self
        if self._others is None or self._others[0] is not data:
            self._others = None  # frees the workers' memory before more is taken
            other = self._another(self.local, self.pool.client, data)
            other.l2 = self.l2
            self._others = data, other
        return self._others[1]

    def linearize(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> Linearization:
        """Run the forward sweeps on the workers, which keep what the products need.

        See `rop.Objective.linearize` for the arguments.
        """
        here = self.on(batch)
        values, kind = self._theta(theta, dtype)
        values = np.array(values)  # what a worker loses is sent to another one later
        point = here.point(values, engine, here.all, checkpoints)
        return Linearization(here, here.pool, Shared(values), point)

    def value(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
    ) -> float:
        """f(θ) alone; see `rop.Objective.value`."""
        here = self.on(batch)
        values, _ = self._theta(theta, dtype, must_be_finite=False)
        return here.value_at(here.point(values, engine, here.all), values, _CHUNK)

    def _differentiate(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None,
        engine: str,
        dtype: DTypeLike | None,
        value: bool,
    ) -> tuple[float, NDArray[Any]]:
        here = self.on(batch)
        values, _ = self._theta(theta, dtype)
        point = here.point(values, engine, here.all)
        return here.gradient_at(point, values, _CHUNK, None, 0, 0.0)[:2]

    def outputs(
        self,
        theta: ArrayLike,
        batch: Mapping[str, ArrayLike] | None = None,
        engine: str = DEFAULT_ENGINE,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]:
        """F(θ) of all cases, brought here; of given arrays they are computed here."""
        if batch:
            return self.local.outputs(theta, batch, engine, dtype)
        return self.linearize(theta, None, engine, dtype).outputs

    @property
    def all(self) -> Cases:
        """All cases."""
        return Cases(0, self.cases, self.cases)

    def point(
        self,
        theta: NDArray[Any],
        engine: str,
        cases: Cases,
        checkpoints: Checkpoints | None = None,
    ) -> Point:
        """Return what the workers need to linearize at θ, besides θ."""
        self.pool.settle()
        return Point(self.pool.new_point(), engine, theta.dtype.name, checkpoints, cases)

    def value_at(self, point: Point, theta: NDArray[Any], chunk: int) -> float:
        """Return f(θ) on the cases of a point."""
        f: float = self.pool.total("value", "value", point, Shared(theta), chunk)
        return f + penalty_at(self, theta)

    def gradient_at(
        self,
        point: Point,
        theta: NDArray[Any],
        chunk: int,
        preconditioner: Preconditioner | None,
        seed: int,
        mu: float,
    ) -> tuple[float, NDArray[Any], NDArray[Any] | None]:
        """Return f, ∇f and a preconditioner's diagonal on the cases of a point."""
        f, gradient, diagonal = self.pool.total(
            "gradient", "gradient", point, Shared(theta), chunk, preconditioner, seed, mu
        )
        l2 = np.asarray(self.penalty, theta.dtype)
        if l2.any():
            gradient = gradient + l2 * theta
            diagonal = None if diagonal is None else diagonal + l2
        return f + penalty_at(self, theta), gradient, diagonal

    def product_at(
        self, point: Point, theta: Shared, name: str, v: NDArray[Any], chunk: int
    ) -> NDArray[Any]:
        """Return Gv or Hv on the cases of a point, which are linearized in pieces."""
        label = {"ggnvp": "Gv", "hvp": "Hv"}[name]
        Bv = self.pool.total(label, "product", point, theta, name, Shared(v.copy()), chunk)
        found: NDArray[Any] = Bv + np.asarray(self.penalty, v.dtype) * v
        return found

    def identity(self) -> dict[str, Values]:
        """Return what tells the parts from others: a name and a number for each array."""
        point = Point(self.pool.new_point(), DEFAULT_ENGINE, "float64", None, self.all)
        found = self.pool.each("identify", "identify", point, Shared(np.zeros(0)))
        return {f"{name}[{i}]": each[name] for i, each in enumerate(found) for name in each}
