"""The pathological long-range problems as generators (Hochreiter & Schmidhuber 1997; RNN11).

Definitions are those of Martens & Sutskever (2011). Where a problem has a length T, each sequence
has a length T' of its own, a uniform integer in [T, 1.1 T]; steps after its end are zero and carry
no weight.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rop.errors import RopValueError
from rop.experiments.sequences_task import Batch, Task
from rop.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError, TableLoss

Integers: TypeAlias = NDArray[np.int64]

_SYMBOLS = 100  # of the random permutation


def addition(length: int) -> Task:
    """Remember two marked numbers in [0, 1] among many, and give their mean at the end.

    Parameters
    ----------
    length : int
        T, at least 10.

    Returns
    -------
    Task
        With squared error.
    """
    return _marked("addition", length, _uniform, lambda u, v: (u + v) / 2, SquaredError)


def multiplication(length: int) -> Task:
    """Remember two marked numbers in [0, 1] among many, and give their product at the end.

    Parameters
    ----------
    length : int
        T, at least 10.

    Returns
    -------
    Task
        With squared error.
    """
    return _marked("multiplication", length, _uniform, lambda u, v: u * v, SquaredError)


def xor(length: int) -> Task:
    """Remember two marked bits among many, and say at the end whether they differ.

    Parameters
    ----------
    length : int
        T, at least 10.

    Returns
    -------
    Task
        With cross-entropy of one logistic output.
    """
    return _marked("xor", length, _bits, lambda u, v: np.abs(u - v), SigmoidCrossEntropy)


def temporal_order(length: int) -> Task:
    """Say at the end which two special symbols have come, and in which order: 4 classes.

    Parameters
    ----------
    length : int
        T, at least 10. The symbols lie in [T/10, 2T/10] and [5T/10, 6T/10].

    Returns
    -------
    Task
        With softmax over the classes.
    """
    return _ordered("temporal-order", length, [(1, 2), (5, 6)])


def temporal_order_3(length: int) -> Task:
    """Say at the end which three special symbols have come, and in which order: 8 classes.

    Parameters
    ----------
    length : int
        T, at least 10. The symbols lie in [T/10, 2T/10], [3T/10, 4T/10] and [6T/10, 7T/10].

    Returns
    -------
    Task
        With softmax over the classes.
    """
    return _ordered("temporal-order-3", length, [(1, 2), (3, 4), (6, 7)])


def random_permutation(length: int) -> Task:
    """Predict the next of 100 symbols; all are random but the last, which is that of the start.

    Parameters
    ----------
    length : int
        T, at least 10.

    Returns
    -------
    Task
        With softmax over the symbols; only the last prediction is judged.
    """
    _check_length(length)
    steps = _longest(length) - 1  # the last symbol is predicted, never seen

    def sample(n: int, rng: np.random.Generator) -> Batch:
        lengths = _lengths(n, length, rng)
        symbols = rng.integers(2, _SYMBOLS, (n, steps + 1))
        rows = np.arange(n)
        symbols[:, 0] = rng.integers(0, 2, n)
        symbols[rows, lengths - 1] = symbols[:, 0]
        weight = np.arange(1, steps + 1) < lengths[:, None]
        shown = _one_hot(symbols, _SYMBOLS)
        return {
            "x": shown[:, :-1] * weight[:, :, None],
            "t": shown[:, 1:],
            "weight": weight.astype(np.float32),
        }

    return Task(
        "random-permutation",
        length,
        steps,
        _SYMBOLS,
        _SYMBOLS,
        range(steps),
        SoftmaxCrossEntropy,
        sample,
        judge_last=True,
    )


def memorization_5(length: int) -> Task:
    """Repeat five bits when a trigger comes, T steps after the last; nothing distracts.

    Parameters
    ----------
    length : int
        T.

    Returns
    -------
    Task
        With softmax over two bits and the blank, at every one of T + 10 steps. There are 32
        sequences, all of which form the batch.
    """
    return _memorized("memorization-5", length, 5, 2)


def memorization_20(length: int) -> Task:
    """Repeat ten symbols of five values when a trigger comes, T steps after the last.

    Parameters
    ----------
    length : int
        T.

    Returns
    -------
    Task
        With softmax over five values and the blank, at every one of T + 20 steps.
    """
    return _memorized("memorization-20", length, 10, 5)


TASKS: dict[str, Callable[[int], Task]] = {
    "addition": addition,
    "multiplication": multiplication,
    "xor": xor,
    "temporal-order": temporal_order,
    "temporal-order-3": temporal_order_3,
    "random-permutation": random_permutation,
    "memorization-5": memorization_5,
    "memorization-20": memorization_20,
}
"""The eight problems by name, each a function of T."""


def _marked(
    name: str,
    length: int,
    values: Callable[[tuple[int, int], np.random.Generator], NDArray[np.float64]],
    target: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    loss: type[TableLoss],
) -> Task:
    """Two of many values are marked: at I in [1, T'/10] and J in [T'/10, T'/2], J after I."""
    _check_length(length)
    steps = _longest(length)
    at = range(length - 1, steps)

    def sample(n: int, rng: np.random.Generator) -> Batch:
        lengths, rows = _lengths(n, length, rng), np.arange(n)
        x = np.zeros((n, steps, 2))
        x[:, :, 0] = values((n, steps), rng)
        first = rng.integers(1, lengths // 10, endpoint=True)
        second = rng.integers(np.maximum(lengths // 10, first + 1), lengths // 2, endpoint=True)
        t = target(x[rows, first - 1, 0], x[rows, second - 1, 0])
        x[rows, first - 1, 1] = x[rows, second - 1, 1] = 1
        x[np.arange(steps) >= lengths[:, None]] = 0
        return {
            "x": x.astype(np.float32),
            "t": np.repeat(t[:, None, None], len(at), axis=1).astype(np.float32),
            "weight": _at_the_end(lengths, at)[:, :, None],
        }

    return Task(name, length, steps, 2, 1, at, loss, sample)


def _ordered(name: str, length: int, windows: list[tuple[int, int]]) -> Task:
    """Two special symbols among four distractors, one in each window of tenths of T."""
    _check_length(length)
    steps, classes = _longest(length), 2 ** len(windows)
    at = range(length - 1, steps)

    def sample(n: int, rng: np.random.Generator) -> Batch:
        lengths, rows = _lengths(n, length, rng), np.arange(n)
        symbols = rng.integers(0, 4, (n, steps))
        label = np.zeros(n, np.int64)
        for low, high in windows:
            where = rng.integers(low * length // 10, high * length // 10, n, endpoint=True)
            special = rng.integers(0, 2, n)
            symbols[rows, where - 1] = 4 + special
            label = 2 * label + special
        x = _one_hot(symbols, 6)
        x[np.arange(steps) >= lengths[:, None]] = 0
        return {
            "x": x,
            "t": np.repeat(_one_hot(label, classes)[:, None], len(at), axis=1),
            "weight": _at_the_end(lengths, at),
        }

    return Task(name, length, steps, 6, classes, at, SoftmaxCrossEntropy, sample)


def _memorized(name: str, length: int, count: int, values: int) -> Task:
    """Symbols, blanks, a trigger T steps after the last symbol; then the symbols are wanted."""
    if length < 1:
        raise RopValueError(f"{name}: length must be at least 1, got {length}")
    steps = length + 2 * count
    blank, trigger = values, values + 1

    def sequences(symbols: Integers) -> Batch:
        seen = np.full((len(symbols), steps), blank)
        seen[:, :count] = symbols
        seen[:, count + length - 1] = trigger
        wanted = np.full((len(symbols), steps), blank)
        wanted[:, count + length :] = symbols
        return {
            "x": _one_hot(seen, values + 2),
            "t": _one_hot(wanted, values + 1),
            "weight": np.ones((len(symbols), steps), np.float32),
        }

    def everything() -> Batch:
        return sequences(np.array(list(product(range(values), repeat=count))))

    return Task(
        name,
        length,
        steps,
        values + 2,
        values + 1,
        range(steps),
        SoftmaxCrossEntropy,
        lambda n, rng: sequences(rng.integers(0, values, (n, count))),
        all=everything if values**count <= 32 else None,
    )


def _check_length(length: int) -> None:
    if length < 10:
        raise RopValueError(f"length must be at least 10, which a tenth is taken of; got {length}")


def _longest(length: int) -> int:
    return 11 * length // 10


def _lengths(n: int, length: int, rng: np.random.Generator) -> Integers:
    return rng.integers(length, _longest(length), n, endpoint=True)


def _at_the_end(lengths: Integers, at: range) -> NDArray[np.float32]:
    ends: NDArray[np.bool_] = np.array(at) == lengths[:, None] - 1
    return ends.astype(np.float32)


def _one_hot(symbols: Integers, values: int) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = np.eye(values, dtype=np.float32)[symbols]
    return vectors


def _uniform(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.uniform(size=shape)


def _bits(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.integers(0, 2, shape).astype(np.float64)
