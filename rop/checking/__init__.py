"""The checker of derivative products: three-way verdicts, per block, with a diagnosis (sec. 7.2)."""

from rop.checking.adapters import from_jax, from_torch
from rop.checking.objectives import check
from rop.checking.products import check_products
from rop.checking.report import Comparison, Identity, Part, ProductReport, Report

__all__ = [
    "Comparison",
    "Identity",
    "Part",
    "ProductReport",
    "Report",
    "check",
    "check_products",
    "from_jax",
    "from_torch",
]
