"""The iterations of a run one by one, from data at hand or drawn anew for each of them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy.typing as npt

from rop.errors import RopValueError
from rop.hf.evaluation import Data
from rop.hf.optimizer import Ended, HessianFree, State
from rop.hf.recipes import Recipe
from rop.hf.record import Iteration
from rop.hf.streams import Stream
from rop.objective.objective import Objective


class Iterations(Iterator[Iteration]):
    """Iterate `HessianFree` with data that may be a `Stream`.

    An iteration is a function of state, data and recipe, so it does not matter which object does
    it: with a stream, each iteration has a `HessianFree` of its own, which takes over the state.

    Parameters
    ----------
    objective : Objective
        f.
    theta : ndarray, shape (n,)
        θ_0.
    data : mapping of str to ndarray, shape (N, ...), or Stream
        The training set.
    recipe : Recipe
        The settings.
    **settings
        Further arguments of `HessianFree`.
    """

    def __init__(
        self,
        objective: Objective,
        theta: npt.ArrayLike,
        data: Data | Stream,
        recipe: Recipe,
        **settings: Any,
    ) -> None:
        self._stream = data if isinstance(data, Stream) else None
        self._make = partial(HessianFree, objective, theta, recipe=recipe, **settings)
        self._run = self._make(data=_first(data))
        self._of = 0

    @property
    def state(self) -> State:
        """What the next iteration begins with; set it to go on from elsewhere."""
        return self._run.state

    @state.setter
    def state(self, state: State) -> None:
        self._run.state = state

    @property
    def ended(self) -> Ended | None:
        """Why no further iteration is possible."""
        return self._run.ended

    @ended.setter
    def ended(self, ended: Ended | None) -> None:
        self._run.ended = ended

    def __next__(self) -> Iteration:
        state = self.state
        if self._stream is not None and self.ended is None and state.iteration != self._of:
            self._run = self._make(data=self._stream(state.iteration))
            self._run.state, self._of = state, state.iteration
        return next(self._run)


def _first(data: Data | Stream) -> Data:
    if not isinstance(data, Stream):
        return data
    try:
        return data(0)
    except StopIteration:
        raise RopValueError("data: the stream has no batches") from None
