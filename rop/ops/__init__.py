"""The catalogue of ops, and the families with which users add their own."""

from rop.graph import OPERATORS
from rop.ops.arithmetic import add, negative, scale, subtract
from rop.ops.elementwise import (
    cos,
    divide,
    elu,
    exp,
    log,
    power,
    reciprocal,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    square,
    tanh,
)
from rop.ops.families import Bilinear, Elementwise, General, Linear, Op
from rop.ops.products import dot, matmul, multiply
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

OPERATORS.update(
    {
        "+": add,
        "-": subtract,
        "*": multiply,
        "/": divide,
        "@": matmul,
        "**": power,
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
    "add",
    "broadcast_to",
    "concatenate",
    "cos",
    "divide",
    "dot",
    "elu",
    "exp",
    "getitem",
    "log",
    "matmul",
    "mean",
    "multiply",
    "negative",
    "power",
    "reciprocal",
    "relu",
    "reshape",
    "scale",
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
