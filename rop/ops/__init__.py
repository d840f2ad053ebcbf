"""The catalogue of ops, and the families with which users add their own."""

from rop.ops.activations import erf, gelu, leaky_relu, silu, softsign
from rop.ops.arithmetic import add, negative, scale, subtract
from rop.ops.arranging import (
    diag,
    expand_dims,
    flatten,
    outer,
    pad,
    roll,
    squeeze,
    swapaxes,
    take,
    trace,
    tril,
    triu,
)
from rop.ops.choices import (
    abs,
    clip,
    greater,
    greater_equal,
    logical_and,
    logical_not,
    logical_or,
    max,
    maximum,
    min,
    minimum,
    where,
)
from rop.ops.convolution import conv1d, conv2d
from rop.ops.einsums import einsum
from rop.ops.elementwise import (
    cos,
    divide,
    elu,
    exp,
    expm1,
    log,
    log1p,
    reciprocal,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    square,
    tanh,
)
from rop.ops.families import Bilinear, Elementwise, Linear
from rop.ops.general import General
from rop.ops.op import Op
from rop.ops.pooling import avg_pool2d, max_pool2d
from rop.ops.powers import power
from rop.ops.products import dot, matmul, multiply
from rop.ops.reductions import (
    cumsum,
    log_softmax,
    logaddexp,
    logsumexp,
    norm,
    prod,
    softmax,
    std,
    var,
)
from rop.ops.shaping import (
    broadcast_to,
    concatenate,
    getitem,
    mean,
    reshape,
    stack,
    sum,
    transpose,
)
from rop.ops.solving import solve
from rop.ops.trigonometry import arccos, arcsin, arctan, cosh, sinh, tan
from rop.support.notation import CATALOGUE, OPERATORS

OPERATORS.update(
    {
        "+": add,
        "-": subtract,
        "*": multiply,
        "/": divide,
        "@": matmul,
        "**": power,
        ">": greater,
        ">=": greater_equal,
        "&": logical_and,
        "|": logical_or,
        "~": logical_not,
        "abs": abs,
        "-x": negative,
        "[]": getitem,
        ".T": transpose,
    }
)

__all__ = [
    "Bilinear",
    "Elementwise",
    "General",
    "Linear",
    "Op",
    "abs",
    "add",
    "arccos",
    "arcsin",
    "arctan",
    "avg_pool2d",
    "broadcast_to",
    "clip",
    "concatenate",
    "conv1d",
    "conv2d",
    "cos",
    "cosh",
    "cumsum",
    "diag",
    "divide",
    "dot",
    "einsum",
    "elu",
    "erf",
    "exp",
    "expand_dims",
    "expm1",
    "flatten",
    "gelu",
    "getitem",
    "greater",
    "greater_equal",
    "leaky_relu",
    "log",
    "log1p",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "norm",
    "outer",
    "pad",
    "power",
    "prod",
    "reciprocal",
    "relu",
    "reshape",
    "roll",
    "scale",
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

CATALOGUE.update(__all__)


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
