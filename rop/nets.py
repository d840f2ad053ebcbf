"""The nets of the papers, built from the same few nodes that any other model is built from."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

from rop.errors import RopTypeError, RopValueError
from rop.graph import Node, data, param
from rop.ops import elu, relu, sigmoid, softplus, tanh

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
    >>> x, z = mlp([784, 300, 10])
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
    >>> x, z = autoencoder([784, 400, 200, 100, 50, 25, 6])
    >>> x.shape == z.shape
    True
    """
    s = _function(activation)
    encoder = _checked(sizes)
    decoder = encoder[::-1]
    x = data("x", encoder[0])
    code = _layers(x, encoder, s).named("code")
    return x, _layers(code, decoder, s, first=len(encoder))


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
            f"activation must be one of {', '.join(ACTIVATIONS)}, or a function of a node; "
            f"got {activation!r}"
        )
    return ACTIVATIONS[activation]


def _checked(sizes: Sequence[int]) -> list[int]:
    try:
        widths = [operator.index(size) for size in sizes]
    except TypeError as error:
        raise RopTypeError(
            f"sizes must be integers, one for each layer, as in [784, 300, 10]; got {sizes!r}"
        ) from error
    if len(widths) < 2 or min(widths) < 1:
        raise RopValueError(f"sizes must be two or more positive integers, got {sizes!r}")
    return widths
