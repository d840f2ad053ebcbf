"""The six workloads of the benchmark: a model, a batch, and the products that are timed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Activation = Literal["linear", "sigmoid", "tanh"]
Loss = Literal["sigmoid cross-entropy", "softmax cross-entropy", "squared error"]


@dataclass(frozen=True)
class FeedForward:
    """A network of dense layers; the loss takes the last layer's activations.

    Attributes
    ----------
    sizes : tuple of int
        Number of units of the input and of every layer.
    activations : tuple of str
        One name for each layer.
    loss : str
        Name of the loss (table 2).
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Units below and above each layer."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter name -> shape, in the order of θ."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (below, above) in enumerate(self.layers, start=1):
            shapes[f"W{i}"] = (above, below)
            shapes[f"b{i}"] = (above,)
        return shapes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of x for one case."""
        return self.sizes[:1]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of z and of t for one case."""
        return self.sizes[-1:]


@dataclass(frozen=True)
class Recurrent:
    """A tanh network over time with a linear output at every step (sec. 3); h_0 is zero.

    Attributes
    ----------
    steps : int
        Length T of the sequences.
    inputs, hidden, outputs : int
        Number of units.
    loss : str
        Name of the loss, summed over the steps.
    """

    steps: int
    inputs: int
    hidden: int
    outputs: int
    loss: Loss

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter name -> shape, in the order of θ."""
        return {
            "W_xh": (self.hidden, self.inputs),
            "W_hh": (self.hidden, self.hidden),
            "b_h": (self.hidden,),
            "W_hz": (self.outputs, self.hidden),
            "b_z": (self.outputs,),
        }

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of x for one case."""
        return (self.steps, self.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of z and of t for one case."""
        return (self.steps, self.outputs)


@dataclass(frozen=True)
class Convolutional:
    """Convolutions, each with relu and max pooling over 2 x 2, then dense layers with relu.

    The last layer is linear.

    Attributes
    ----------
    image : tuple of int
        Channels, height and width.
    channels : tuple of int
        Number of channels of each convolution's result.
    kernel : int
        Height and width of the kernels.
    units : tuple of int
        Number of units of each dense layer.
    loss : str
        Name of the loss.
    """

    image: tuple[int, int, int]
    channels: tuple[int, ...]
    kernel: int
    units: tuple[int, ...]
    loss: Loss

    @property
    def layers(self) -> list[tuple[int, int, int]]:
        """Of each layer as a matrix product: windows of a case, units below and units above."""
        inputs, side, _ = self.image
        layers = []
        for outputs in self.channels:
            side = side - self.kernel + 1
            layers.append((side**2, inputs * self.kernel**2, outputs))
            inputs, side = outputs, side // 2
        widths = (inputs * side**2, *self.units)
        return [*layers, *((1, *pair) for pair in zip(widths[:-1], widths[1:], strict=True))]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameter name -> shape, in the order of θ."""
        shapes: dict[str, tuple[int, ...]] = {}
        for i, (_, below, above) in enumerate(self.layers, start=1):
            sides = (self.kernel,) * 2 if i <= len(self.channels) else ()
            inputs = below // self.kernel**2 if sides else below
            shapes[f"W{i}"] = (above, inputs, *sides)
            shapes[f"b{i}"] = (above,)
        return shapes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of x for one case."""
        return self.image

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of z and of t for one case."""
        return self.units[-1:]


Model = FeedForward | Recurrent | Convolutional


@dataclass(frozen=True)
class Problem:
    """The numbers of one workload, as NumPy arrays of its dtype.

    Attributes
    ----------
    theta, v : dict of str to ndarray
        Parameters and a direction, name -> block.
    x, t : ndarray, shape (N, *shape of one case)
        Inputs and targets.
    u : ndarray, shape (N, *output_shape)
        A vector in the space of the outputs.
    """

    theta: dict[str, NDArray[np.floating]]
    v: dict[str, NDArray[np.floating]]
    x: NDArray[np.floating]
    t: NDArray[np.floating]
    u: NDArray[np.floating]


@dataclass(frozen=True)
class Workload:
    """A model at one size, and what is timed on it.

    Attributes
    ----------
    name : str
        W1 to W6.
    description : str
        One line for the report.
    model : FeedForward, Recurrent or Convolutional
        The network and its loss.
    cases : int
        Batch size N.
    dtype : {"float32", "float64"}
        Of all arrays.
    parallel : bool
        Whether the contestants may use every core they are given; tiny products run on one.
    products : tuple of str
        Among "Gv", "Hv", "Jv", "Jᵀu", "gradient" (the forward sweep included), "G" (the whole
        matrix) and "CG" (`CG_STEPS` steps on (G + λI) δ = -∇f).
    """

    name: str
    description: str
    model: Model
    cases: int
    dtype: Literal["float32", "float64"]
    parallel: bool
    products: tuple[str, ...]

    def problem(self, seed: int = 0) -> Problem:
        """Draw θ, a batch and two vectors.

        Parameters
        ----------
        seed
            Seed of the generator.

        Returns
        -------
        Problem
            The same numbers for the same seed.
        """
        rng = np.random.default_rng(seed)
        model, dtype = self.model, np.dtype(self.dtype)

        def normal(shape: tuple[int, ...], scale: float = 1.0) -> NDArray[np.floating]:
            return (scale * rng.standard_normal(shape)).astype(dtype)

        # Fan-in scaling keeps the units away from saturation, where products would be trivial.
        theta = {name: normal(s, prod(s[1:] or s) ** -0.5) for name, s in model.shapes.items()}
        v = {name: normal(shape) for name, shape in model.shapes.items()}
        z_shape = (self.cases, *model.output_shape)
        x = rng.random((self.cases, *model.input_shape)).astype(dtype)
        if model.loss == "squared error":
            t = normal(z_shape)
        elif model.loss == "sigmoid cross-entropy":
            t = rng.random(z_shape).astype(dtype)
        else:
            t = np.eye(z_shape[-1], dtype=dtype)[rng.integers(z_shape[-1], size=z_shape[:-1])]
        return Problem(theta, v, x, t, normal(z_shape))


# Runs of so many steps: within 100 steps the residual would fall below the range of float32, where
# arithmetic takes a hundred times as long.
CG_STEPS = 20
CG_LAMBDA = 0.1

_AUTOENCODER = FeedForward(
    sizes=(784, 400, 200, 100, 50, 25, 6, 25, 50, 100, 200, 400, 784),
    activations=("sigmoid",) * 5 + ("linear",) + ("sigmoid",) * 5 + ("linear",),
    loss="sigmoid cross-entropy",
)

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "W1",
            "deep autoencoder 784-...-6-...-784, sigmoid cross-entropy, N = 1000, float32",
            _AUTOENCODER,
            cases=1000,
            dtype="float32",
            parallel=True,
            products=("Gv", "Hv", "Jv", "Jᵀu", "gradient"),
        ),
        Workload(
            "W2",
            "network 8-16-16-4, tanh, softmax cross-entropy, N = 32, float64",
            FeedForward((8, 16, 16, 4), ("tanh", "tanh", "linear"), "softmax cross-entropy"),
            cases=32,
            dtype="float64",
            parallel=False,
            products=("Gv", "Hv", "Jv", "Jᵀu", "gradient"),
        ),
        Workload(
            "W3",
            "tanh RNN, 100 steps, 100 hidden units, squared error, N = 100, float32",
            Recurrent(steps=100, inputs=2, hidden=100, outputs=2, loss="squared error"),
            cases=100,
            dtype="float32",
            parallel=True,
            products=("Gv", "Hv", "Jv", "Jᵀu", "gradient"),
        ),
        Workload(
            "W4",
            "the 155 x 155 matrix G of a network 6-8-8-3, tanh, softmax, N = 16, float64",
            FeedForward((6, 8, 8, 3), ("tanh", "tanh", "linear"), "softmax cross-entropy"),
            cases=16,
            dtype="float64",
            parallel=True,
            products=("G",),
        ),
        Workload(
            "W5",
            f"runs of {CG_STEPS} conjugate-gradient steps on G + λI for W1",
            _AUTOENCODER,
            cases=1000,
            dtype="float32",
            parallel=True,
            products=("CG",),
        ),
        Workload(
            "W6",
            "LeNet, relu, max pooling, softmax cross-entropy, N = 128, float32",
            Convolutional((1, 28, 28), (6, 16), 5, (120, 84, 10), "softmax cross-entropy"),
            cases=128,
            dtype="float32",
            parallel=True,
            products=("Gv", "Hv", "Jv", "Jᵀu", "gradient"),
        ),
    )
}
