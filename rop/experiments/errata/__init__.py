"""Errata of the papers: printed, corrected, why, and a proof that computes both.

>>> from rop.experiments.errata import ERRATA
>>> ERRATA["M21"].proof()  # doctest: +SKIP
Proof(printed=0.987, corrected=4.2e-10, compared='Hv with the central difference of the gradient.')

A new one is a function in the module of its section, decorated with `erratum`.
"""

from rop.experiments.errata import adaptive, conjugate_gradients, damping, note, products, training
from rop.experiments.errata.entry import ERRATA, Erratum, Proof, in_order, named

__all__ = [
    "ERRATA",
    "Erratum",
    "Proof",
    "adaptive",
    "conjugate_gradients",
    "damping",
    "in_order",
    "named",
    "note",
    "products",
    "training",
]
