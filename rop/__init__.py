"""rop: second-order training made transparent, after Martens & Sutskever (2012).

A model is an explicit graph; from rules that stand side by side for each op come Jv, Jᵀu, L''w,
Gv and Hv, checkers that tell whether such products are right, and a Hessian-free optimizer.
"""

from importlib.metadata import version

from rop.errors import RopError, RopMemoryError, RopTypeError, RopValueError
from rop.graph import Node, constant, data, param
from rop.linearization import Linearization
from rop.losses import LossGraph, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from rop.objective import Objective
from rop.ops import (
    add,
    broadcast_to,
    concatenate,
    cos,
    dot,
    elu,
    exp,
    log,
    matmul,
    mean,
    multiply,
    negative,
    reciprocal,
    relu,
    reshape,
    sigmoid,
    sin,
    softplus,
    sqrt,
    square,
    stack,
    subtract,
    sum,
    tanh,
    transpose,
)

__version__ = version("rop")

__all__ = [
    "Linearization",
    "LossGraph",
    "Node",
    "Objective",
    "RopError",
    "RopMemoryError",
    "RopTypeError",
    "RopValueError",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "add",
    "broadcast_to",
    "concatenate",
    "constant",
    "cos",
    "data",
    "dot",
    "elu",
    "exp",
    "log",
    "matmul",
    "mean",
    "multiply",
    "negative",
    "param",
    "reciprocal",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "softplus",
    "sqrt",
    "square",
    "stack",
    "subtract",
    "sum",
    "tanh",
    "transpose",
]
