"""The checker of derivative products: verdicts in three ways, by block, with a diagnosis."""

from rop.checking.adapters import from_jax, from_torch
from rop.checking.findings import Comparison, Part, ProductReport
from rop.checking.modules import jax_functions, torch_functions
from rop.checking.objectives import check
from rop.checking.products import check_products
from rop.checking.report import Identity, Report

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
    "jax_functions",
    "torch_functions",
]


def __dir__() -> list[str]:
    # What completion offers: the public names alone.
    return __all__
