"""rop: second-order training made transparent, after Martens & Sutskever (2012).

A model is an explicit graph; from rules that stand side by side for each op come Jv, Jᵀu, L''w,
Gv and Hv, checkers that tell whether such products are right, and a Hessian-free optimizer.
"""

from importlib import import_module
from importlib.metadata import version
from sys import modules
from typing import TYPE_CHECKING

from rop import datasets, hf, nets, ops
from rop.checking import check, check_products, museum
from rop.engines.memory import free_memory
from rop.errors import RopError, RopMemoryError, RopTypeError, RopValueError
from rop.graph import Node, constant, data, param
from rop.losses import LossGraph, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from rop.objective import init
from rop.objective.linearization import Linearization
from rop.objective.objective import Objective
from rop.objective.saving import load_theta
from rop.ops import (
    abs,
    add,
    arccos,
    arcsin,
    arctan,
    avg_pool2d,
    broadcast_to,
    clip,
    concatenate,
    conv1d,
    conv2d,
    cos,
    cosh,
    cumsum,
    diag,
    dot,
    einsum,
    elu,
    erf,
    exp,
    expand_dims,
    expm1,
    flatten,
    gelu,
    leaky_relu,
    log,
    log1p,
    log_softmax,
    logaddexp,
    logsumexp,
    matmul,
    max,
    max_pool2d,
    maximum,
    mean,
    min,
    minimum,
    multiply,
    negative,
    norm,
    outer,
    pad,
    prod,
    reciprocal,
    relu,
    reshape,
    roll,
    sigmoid,
    silu,
    sin,
    sinh,
    softmax,
    softplus,
    softsign,
    solve,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    subtract,
    sum,
    swapaxes,
    take,
    tan,
    tanh,
    trace,
    transpose,
    tril,
    triu,
    var,
    where,
)
from rop.show import plot
from rop.show.boundary import cuts
from rop.show.drawing import draw
from rop.show.listing import explain
from rop.show.player.playing import play
from rop.show.stepping import step

if TYPE_CHECKING:
    from rop import distributed as distributed
    from rop import sklearn as sklearn
else:

    def __getattr__(name):
        # Only who uses them needs Dask and scikit-learn, and waits for their import.
        if name in ("distributed", "sklearn"):
            return import_module(f"rop.{name}")
        where = f"; there is rop.hf.{name}" if name in hf.__all__ else ""
        here = modules[__name__]  # for Python's own hint at a name that is nearly the same
        raise AttributeError(f"module 'rop' has no attribute {name!r}{where}", name=name, obj=here)


def __dir__() -> list[str]:
    # What completion offers: the public names alone, and what is loaded when it is first used.
    return [*__all__, "distributed", "sklearn"]


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
    "abs",
    "add",
    "arccos",
    "arcsin",
    "arctan",
    "avg_pool2d",
    "broadcast_to",
    "check",
    "check_products",
    "clip",
    "concatenate",
    "conv1d",
    "conv2d",
    "constant",
    "cos",
    "cosh",
    "cumsum",
    "cuts",
    "data",
    "datasets",
    "diag",
    "dot",
    "draw",
    "einsum",
    "elu",
    "erf",
    "exp",
    "expand_dims",
    "explain",
    "expm1",
    "flatten",
    "free_memory",
    "gelu",
    "hf",
    "init",
    "load_theta",
    "leaky_relu",
    "log",
    "log1p",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "museum",
    "negative",
    "nets",
    "norm",
    "ops",
    "outer",
    "pad",
    "param",
    "play",
    "plot",
    "prod",
    "reciprocal",
    "relu",
    "reshape",
    "roll",
    "sigmoid",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "softsign",
    "solve",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "step",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "tan",
    "tanh",
    "trace",
    "transpose",
    "tril",
    "triu",
    "var",
    "where",
]
