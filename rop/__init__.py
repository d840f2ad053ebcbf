"""rop: second-order training made transparent, after Martens & Sutskever (2012).

A model is an explicit graph; from rules that stand side by side for each op come Jv, Jᵀu, L''w,
Gv and Hv, checkers that tell whether such products are right, and a Hessian-free optimizer.
"""

from importlib.metadata import version

from rop import datasets, hf, nets, ops
from rop.checking import check, check_products, museum
from rop.errors import RopError, RopMemoryError, RopTypeError, RopValueError
from rop.graph import Node, constant, data, param
from rop.losses import LossGraph, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from rop.objective import init
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
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
from rop.show import plot
from rop.show.drawing import draw
from rop.show.listing import explain

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
    "check",
    "check_products",
    "concatenate",
    "constant",
    "cos",
    "data",
    "datasets",
    "dot",
    "draw",
    "elu",
    "exp",
    "explain",
    "hf",
    "init",
    "log",
    "matmul",
    "mean",
    "multiply",
    "museum",
    "negative",
    "nets",
    "ops",
    "param",
    "plot",
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
