"""The nets of the papers, built from the same few nodes that any other model is built from."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, data, param
from rop.ops import (
    avg_pool2d,
    conv2d,
    elu,
    flatten,
    max_pool2d,
    relu,
    sigmoid,
    softplus,
    stack,
    tanh,
)
from rop.support.arguments import check
from rop.support.words import either, listed

Activation: TypeAlias = str | Callable[[Node], Node]

ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "softplus": softplus,
    "elu": elu,
}


def mlp(sizes: Sequence[int], activation: Activation = "tanh") -> tuple[Node, Node]:
    """Build a feedforward net (sec. 2, alg. 1) with linear outputs.

    Parameters
    ----------
    sizes : sequence of int
        Sizes of the input, the hidden layers and the output.
    activation : str or callable
        Function of the hidden units: a key of `ACTIVATIONS`, or what makes a node of a node.

    Returns
    -------
    x : Node
        The input, data named "x".
    z : Node
        The output before any nonlinearity, as the losses of table 2 want it. The parameters are
        named W1, b1, W2, b2, ...

    Raises
    ------
    RopTypeError, RopValueError
        If sizes are not two or more positive integers, or the activation is unknown.

    Examples
    --------
    >>> x, z = rop.nets.mlp([784, 300, 10])
    >>> x.shape, z.shape
    ((784,), (10,))
    """
    s = _function(activation)
    widths = _checked(sizes)
    x = data("x", widths[0])
    return x, _layers(x, widths, s)


def autoencoder(sizes: Sequence[int], activation: Activation = "sigmoid") -> tuple[Node, Node]:
    """Build a deep autoencoder (Hinton & Salakhutdinov 2006; Martens 2010).

    The decoder mirrors the encoder with parameters of its own, and the code layer is linear. With
    `rop.SigmoidCrossEntropy` the outputs are logistic units, as for CURVES and MNIST.

    Parameters
    ----------
    sizes : sequence of int
        Sizes of the encoder, from the input to the code: CURVES has 784, 400, 200, 100, 50, 25, 6.
    activation : str or callable
        Function of the hidden units: a key of `ACTIVATIONS`, or what makes a node of a node.

    Returns
    -------
    x : Node
        The input, data named "x".
    z : Node
        The reconstruction before any nonlinearity. The parameters are named W1, b1, W2, b2, ...;
        the code layer's node is named "code".

    Raises
    ------
    RopTypeError, RopValueError
        If sizes are not two or more positive integers, or the activation is unknown.

    Examples
    --------
    >>> x, z = rop.nets.autoencoder([784, 400, 200, 100, 50, 25, 6])
    >>> x.shape == z.shape
    True
    """
    s = _function(activation)
    encoder = _checked(sizes)
    decoder = encoder[::-1]
    x = data("x", encoder[0])
    code = _layers(x, encoder, s).named("code")
    return x, _layers(code, decoder, s, first=len(encoder))


def lenet(activation: Activation = "relu", pool: str = "max") -> tuple[Node, Node]:
    """Build LeNet-5 for images of 28 x 28 (LeCun et al. 1998; Motokawa & Tezuka 2020).

    Two convolutions with kernels of 5 x 5, to 6 and to 16 channels, each followed by pooling over
    2 x 2; then layers of 120, 84 and 10 units. LeCun et al. have activation "tanh" and pool
    "average", pad the images to 32 x 32, and have weights in the pooling and fewer in the second
    convolution.

    Parameters
    ----------
    activation : str or callable
        Function of the hidden units: a key of `ACTIVATIONS`, or what makes a node of a node.
    pool : {"max", "average"}
        Of each window, the largest element or the mean.

    Returns
    -------
    x : Node
        The image, data named "x" of shape (1, 28, 28).
    z : Node
        The 10 outputs before any nonlinearity. The 44,426 parameters are named W1, b1, ..., W5, b5.

    Raises
    ------
    RopTypeError, RopValueError
        If the activation or the pool is unknown.

    Examples
    --------
    >>> x, z = rop.nets.lenet()
    >>> x.shape, z.shape
    ((1, 28, 28), (10,))
    """
    s = _function(activation)
    pools = {"max": max_pool2d, "average": avg_pool2d}
    if not isinstance(pool, str) or pool not in pools:
        raise RopValueError(f"pool must be {either(pools)}; got {pool!r}")
    x = data("x", (1, 28, 28))
    y = x
    for layer, (inputs, outputs) in enumerate(((1, 6), (6, 16)), 1):
        W, b = param(f"W{layer}", (outputs, inputs, 5, 5)), param(f"b{layer}", outputs)
        y = pools[pool](s(conv2d(y, W, b)), 2)
    return x, _layers(flatten(y), [256, 120, 84, 10], s, first=3)


def rnn(
    sizes: Sequence[int],
    steps: int,
    activation: Activation = "tanh",
    *,
    at: int | Iterable[int] | None = None,
    biases: bool = True,
) -> tuple[Node, Node, list[Node]]:
    """Build a recurrent net, unrolled over time (sec. 3), with linear outputs.

    h_τ = s(W_xh x_τ + W_hh h_{τ-1} + b_h) and z_τ = W_hz h_τ + b_z for τ = 1 ... T. The initial
    state h_0 is a parameter. Sequences that are shorter than T are filled up with anything, and the
    loss is given a weight that is zero where they have ended.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of hidden units and of outputs at each step.
    steps : int
        T, the length of the longest sequence.
    activation : str or callable
        s, any elementwise function: a key of `ACTIVATIONS`, or what makes a node of a node.
    at : int or iterable of int, optional
        The steps that have outputs, as indices from 0; -1 is the last. By default all have.
    biases : bool
        Whether there are b_h and b_z; sec. 3 has none, the experiments have (erratum M7).

    Returns
    -------
    x : Node
        The sequence of inputs, data named "x" of shape (steps, inputs).
    z : Node
        The outputs before any nonlinearity: (steps, outputs), or one row for each index of `at`,
        or (outputs,) for a single one. The parameters are W_xh, W_hh, W_hz (all named from-to,
        erratum M6) and h_0, and with biases b_h and b_z.
    h : list of Node
        The states h_1, ..., h_T up to the last that matters: what structural damping is for
        (sec. 8.4).

    Raises
    ------
    RopTypeError, RopValueError
        If sizes are not three positive integers, steps is not one, an index is not one of a step,
        or the activation is unknown.

    Examples
    --------
    >>> x, z, h = rop.nets.rnn([2, 100, 1], steps=50, at=-1)
    >>> x.shape, z.shape, len(h)
    ((50, 2), (1,), 50)
    """
    check("rnn", "biases", biases, bool)
    s = _function(activation)
    inputs, hidden, outputs = _checked(sizes, exactly=3)
    T = _positive("steps", steps)
    read = _steps(range(T) if at is None else at, T)
    x = data("x", (T, inputs))
    W_xh, W_hh = param("W_xh", (hidden, inputs)), param("W_hh", (hidden, hidden))
    h_0, W_hz = param("h_0", hidden), param("W_hz", (outputs, hidden))
    if biases:
        b_h, b_z = param("b_h", hidden), param("b_z", outputs)
    # Step by step: products over all T at once would copy every state in and out of one array.
    h, states, outputs_at = h_0, [], {}
    for step in range(max(read) + 1):
        y = W_xh @ x[step] + W_hh @ h
        h = s(y + b_h if biases else y).named(f"h_{step + 1}")
        states.append(h)
        if step in read:
            outputs_at[step] = W_hz @ h + b_z if biases else W_hz @ h
    z = [outputs_at[step] for step in read]
    return x, z[0] if isinstance(at, int | np.integer) else stack(z), states


def _layers(y: Node, widths: list[int], s: Callable[[Node], Node], first: int = 1) -> Node:
    """Continue from y with layers whose number starts at first; the last of them is linear."""
    for layer, (inputs, outputs) in enumerate(pairwise(widths), first):
        if layer > first:
            y = s(y)
        W, b = param(f"W{layer}", (outputs, inputs)), param(f"b{layer}", outputs)
        y = W @ y + b
    return y


def _function(activation: Activation) -> Callable[[Node], Node]:
    if not isinstance(activation, str):
        if not callable(activation):
            raise RopTypeError(
                "activation must be a name or a function of a node such as rop.tanh, "
                f"got {activation!r}"
            )
        return activation
    if activation not in ACTIVATIONS:
        raise RopValueError(
            f"activation must be {listed(ACTIVATIONS)} or a function of a node; got {activation!r}"
        )
    return ACTIVATIONS[activation]


def _checked(sizes: Sequence[int], exactly: int | None = None) -> list[int]:
    try:
        widths = [operator.index(size) for size in sizes]
        if any(isinstance(size, bool) for size in sizes):
            raise TypeError("a Boolean is no size")
    except TypeError as error:
        raise RopTypeError(
            f"sizes must be integers, one for each layer, as in [784, 300, 10]; got {sizes!r}"
        ) from error
    if len(widths) < 2 or min(widths) < 1:
        raise RopValueError(f"sizes must be two or more positive integers, got {sizes!r}")
    if exactly is not None and len(widths) != exactly:
        raise RopValueError(f"sizes must be {exactly} positive integers, got {sizes!r}")
    return widths


def _positive(name: str, number: int) -> int:
    try:
        count = operator.index(number)
    except TypeError as error:
        raise RopTypeError(f"{name} must be an integer, got {number!r}") from error
    if count < 1:
        raise RopValueError(f"{name} must be at least 1, got {number!r}")
    return count


def _steps(at: int | Iterable[int], T: int) -> list[int]:
    """Indices of steps, counted from the first."""
    try:
        indices = [operator.index(i) for i in ([at] if isinstance(at, int | np.integer) else at)]
    except TypeError as error:
        raise RopTypeError(
            f"at must be the index of a step, or several, as in range(45, 50); got {at!r}"
        ) from error
    if not indices or not all(-T <= i < T for i in indices):
        raise RopValueError(
            f"at must hold indices of the {T} steps, from 0 or from -1 backwards; got {at!r}"
        )
    return [i % T for i in indices]


__all__ = ["autoencoder", "lenet", "mlp", "rnn"]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
