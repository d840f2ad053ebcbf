"""The form of a problem on sequences: its sizes, its generator, and when an answer is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.losses import SigmoidCrossEntropy, SquaredError, TableLoss

Batch: TypeAlias = dict[str, NDArray[np.float32]]

SUCCESS = 0.01
"""A problem is solved when fewer than this part of 10,000 test sequences are wrong (RNN11)."""

_TOLERANCE = 0.04  # of a continuous target (Hochreiter & Schmidhuber 1997)


@dataclass(frozen=True, eq=False)
class Task:
    """A problem on sequences at one length.

    Attributes
    ----------
    name : str
        The problem.
    length : int
        T.
    steps : int
        Length of the longest sequence.
    inputs, outputs : int
        Number of inputs and outputs at each step.
    at : range
        The steps that have outputs in some sequence, from 0.
    loss : subclass of TableLoss
        The loss, summed over the steps of weight 1.
    judge_last : bool
        Whether only the last output of weight 1 is judged, although all are trained.
    sample : callable, (int, Generator) -> batch
        Draws sequences: "x" (n, steps, inputs), "t" (n, len(at), outputs) and "weight", of
        1 where an output counts and else 0: (n, len(at)) for softmax, else (n, len(at), 1).
    all : callable, () -> batch, or None
        All sequences there are, where these are few.
    """

    name: str
    length: int
    steps: int
    inputs: int
    outputs: int
    at: range
    loss: type[TableLoss]
    sample: Callable[[int, np.random.Generator], Batch]
    judge_last: bool = False
    all: Callable[[], Batch] | None = None

    def draw(self, n: int, seed: int | np.random.Generator = 0) -> Batch:
        """Draw sequences.

        Parameters
        ----------
        n : int
            How many.
        seed : int or numpy.random.Generator
            Source of the sequences.

        Returns
        -------
        dict of str to ndarray of float32
            "x", "t" and "weight".
        """
        return self.sample(n, np.random.default_rng(seed))

    def wrong(self, z: NDArray[Any], batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Return 1 for each sequence of which an output that is judged is wrong, else 0.

        A continuous target is missed by an error above 0.04, a symbol if another is more probable.

        Parameters
        ----------
        z : ndarray, shape (N, len(at), outputs)
            The outputs.
        batch : mapping of str to ndarray
            The sequences.

        Returns
        -------
        ndarray, shape (N,)
            Of 0 and 1.
        """
        cases, steps, _ = z.shape
        t, weight = batch["t"], batch["weight"].reshape(cases, steps)
        if self.loss is SquaredError:
            missed = np.abs(z - t).max(axis=2) > _TOLERANCE
        elif self.loss is SigmoidCrossEntropy:
            missed = ((z > 0) != (t > 0.5)).any(axis=2)
        else:
            missed = z.argmax(axis=2) != t.argmax(axis=2)
        if self.judge_last:
            last = steps - 1 - (weight[:, ::-1] > 0).argmax(axis=1)
            judged = np.arange(steps) == last[:, None]
        else:
            judged = weight > 0
        each: NDArray[np.float64] = np.any(missed & judged, axis=1).astype(np.float64)
        return each
