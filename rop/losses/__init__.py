"""Losses L(z): those of table 2, and any other loss given as a graph (sec. 6.2, 6.3).

Each loss gives its value, ∇L and products with L''. The mean over cases enters here, as the factor
1/N of ∇L and L'', and nowhere else.
"""

from rop.losses.graph import LossGraph
from rop.losses.table import (
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    SquaredError,
    TableLoss,
)

__all__ = ["LossGraph", "SigmoidCrossEntropy", "SoftmaxCrossEntropy", "SquaredError", "TableLoss"]
