"""The form of a labelled data set: its batches, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rop.errors import RopTypeError, RopValueError
from rop.support.arguments import checked
from rop.support.constraints import Count


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, split once and for all into training and test cases.

    Attributes
    ----------
    name : str
        What the data set is called in figures and reports.
    x_train, x_test : ndarray of float32, (N, pixels)
        Images row by row, intensities in [0, 1]. ``x.reshape(-1, *image_shape)`` shows them.
    labels_train, labels_test : ndarray of intp, (N,)
        Class numbers from 0.
    classes : tuple of str
        Names of the classes.
    image_shape : tuple of int
        Height and width of an image.
    source, licence : str
        Where the data come from and under which terms.

    Examples
    --------
    >>> digits = rop.datasets.digits()
    >>> digits.image_shape, len(digits.classes)
    ((8, 8), 10)
    >>> sorted(digits.train), digits.test["x"].shape
    (['t', 'x'], (1797, 64))
    """

    name: str
    x_train: NDArray[np.float32] = field(repr=False)
    labels_train: NDArray[np.intp] = field(repr=False)
    x_test: NDArray[np.float32] = field(repr=False)
    labels_test: NDArray[np.intp] = field(repr=False)
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    source: str
    licence: str

    @property
    def t_train(self) -> NDArray[np.float32]:
        """Targets of the training cases, one-hot, (N, classes)."""
        return one_hot(self.labels_train, len(self.classes))

    @property
    def t_test(self) -> NDArray[np.float32]:
        """Targets of the test cases, one-hot, (N, classes)."""
        return one_hot(self.labels_test, len(self.classes))

    @property
    def train(self) -> dict[str, NDArray[np.float32]]:
        """The training cases as a batch ``{"x": ..., "t": ...}``."""
        return {"x": self.x_train, "t": self.t_train}

    @property
    def test(self) -> dict[str, NDArray[np.float32]]:
        """The test cases as a batch ``{"x": ..., "t": ...}``."""
        return {"x": self.x_test, "t": self.t_test}


@checked
def one_hot(labels: ArrayLike, classes: Count) -> NDArray[np.float32]:
    """Turn class numbers into targets for `rop.SoftmaxCrossEntropy`.

    Parameters
    ----------
    labels : array_like of int
        Class numbers in 0 … classes - 1, of any shape.
    classes : int
        How many classes there are.

    Returns
    -------
    ndarray of float32, (*labels.shape, classes)
        1 at the label, 0 elsewhere.

    Raises
    ------
    RopTypeError
        If the labels are not integers.
    RopValueError
        If a label lies outside 0 … classes - 1.

    Examples
    --------
    >>> rop.datasets.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    try:
        numbers = np.asarray(labels)
    except ValueError:  # lists of different lengths
        numbers = np.empty(0, object)
    if not np.issubdtype(numbers.dtype, np.integer):
        raise RopTypeError(f"labels must be integers, got an array of {numbers.dtype}")
    outside = numbers[(numbers < 0) | (numbers >= classes)]
    if outside.size:
        raise RopValueError(
            f"labels must lie in 0 … {classes - 1} for classes={classes}, got {outside[0]}"
        )
    targets = np.zeros((*numbers.shape, classes), np.float32)
    np.put_along_axis(targets, numbers[..., None], np.float32(1), axis=-1)
    return targets
