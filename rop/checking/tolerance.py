"""Verdicts, and the relative errors that decide between them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["pass", "fail", "inconclusive"]
Cause = Literal["", "kink", "noise", "saturation", "tiny weights", "domain", "random", "zero"]

# Unit roundoff.
EPSILON = {"float64": float(np.finfo(np.float64).eps), "float32": float(np.finfo(np.float32).eps)}
# Relative errors. `PASSING` is met by correct float64 products, whose differences reach 1e-11;
# an error above `RESOLVED` that the differences resolve is no rounding error of float64.
PASSING = {"float64": 1e-7, "float32": 1e-3}
RESOLVED = {"float64": 1e-9, "float32": 1e-4}
# The noise may excuse no more than this, or a wrong product would pass in it.
LARGEST_EXCUSE = {"float64": 1e-5, "float32": 1e-2}
# A product in float32 against differences in float64.
FLOAT32_PRODUCT = 1e-5
# What vanishes beside the rest of the product, or beside the product at another θ, is made of
# differences between rounded numbers: it may pass, but it cannot convict.
VANISHING = 1e-11


@dataclass(frozen=True)
class Tolerance:
    """Errors between which a comparison is decided, the first three relative.

    Attributes
    ----------
    passing : float
        At most this passes, unless the differences resolve the error.
    resolved : float
        An error that the differences resolve must exceed this to fail.
    excuse : float
        Largest noise in whose name an error is still passed.
    negligible : float
        Absolute error that passes.
    invisible : float
        Absolute error that cannot fail.
    """

    passing: float
    resolved: float
    excuse: float
    negligible: float = 0.0
    invisible: float = 0.0

    @classmethod
    def of(
        cls,
        precision: str,
        product_precision: str = "float64",
        whole: float = 0.0,
        reference: float = 0.0,
        residue: float = 0.0,
    ) -> "Tolerance":
        """Tolerances that follow from dtypes and sizes.

        Parameters
        ----------
        precision, product_precision : {"float64", "float32"}
            Of the functions that are differenced, and of the product.
        whole : float
            Norm of the whole product, of which this may be a part.
        reference : float
            Norm of the product where nothing is saturated.
        residue : float
            Size of rounding errors that stand in for a product that is zero.
        """
        floor = FLOAT32_PRODUCT if product_precision == "float32" else 0.0
        return cls(
            max(PASSING[precision], floor),
            max(RESOLVED[precision], floor),
            LARGEST_EXCUSE[precision],
            max(VANISHING * whole, residue),
            VANISHING * reference,
        )
