"""rop: second-order training made transparent, after Martens & Sutskever (2012).

A model is an explicit graph; from rules that stand side by side for each op come Jv, Jᵀu, L''w,
Gv and Hv, checkers that tell whether such products are right, and a Hessian-free optimizer.
"""

from rop.errors import RopError, RopMemoryError, RopTypeError, RopValueError
from rop.graph import Node, constant, data, param
from rop.linearization import Linearization
from rop.losses import LossGraph, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from rop.objective import Objective
from rop.ops import *  # noqa: F403
