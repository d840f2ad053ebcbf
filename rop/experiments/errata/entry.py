"""An erratum: the formula as printed, as corrected, and a proof that computes both."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, TypeAlias

import numpy as np

from rop.errors import RopValueError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Errors: TypeAlias = tuple[float, float]
Severity: TypeAlias = Literal["S1", "S2", "S3"]

PAPERS = {
    "M": "Martens & Sutskever (2012)",
    "H": "Motokawa & Tezuka (2020)",
    "N": "the introductory note",
}
SEVERITIES = {
    "S1": "copying it gives a wrong program or a wrong number",
    "S2": "it does harm in some situations, without a sign of it",
    "S3": "notation, a cross-reference or wording",
}


@dataclass(frozen=True)
class Proof:
    """The errors of both formulas against the same truth.

    Attributes
    ----------
    printed, corrected : float
        The errors, relative unless ``compared`` says otherwise; ``inf`` if the formula cannot be
        computed, because shapes do not fit or a name is not defined.
    compared : str
        What was compared with what.
    """

    printed: float
    corrected: float
    compared: str


@dataclass(frozen=True)
class Erratum:
    """One correction.

    Attributes
    ----------
    number : str
        Such as "M21": the paper's letter and a number in the order of the text.
    severity : str
        "S1", "S2" or "S3"; see `SEVERITIES`.
    place : str
        Section, equation, algorithm or table.
    printed, corrected : str
        The formula or statement.
    why : str
        The reason in one sentence.
    used : tuple of str
        Dotted names of what follows the corrected formula in the library.
    compute : callable, () -> (float, float), or None
        The errors of the printed and of the corrected formula; its docstring says what is compared.
    """

    number: str
    severity: Severity
    place: str
    printed: str
    corrected: str
    why: str
    used: tuple[str, ...] = ()
    compute: Callable[[], Errors] | None = field(default=None, repr=False)

    def proof(self) -> Proof | None:
        """Compute both errors; None for a slip of notation or wording."""
        if self.compute is None:
            return None
        printed, corrected = self.compute()
        return Proof(float(printed), float(corrected), inspect.getdoc(self.compute) or "")

    @property
    def code(self) -> str:
        """Source of the proof, without its decorator."""
        if self.compute is None:
            return ""
        source = inspect.getsource(self.compute)
        return source[source.index("def ") :].rstrip()


ERRATA: dict[str, Erratum] = {}
"""Every erratum by its number."""


def slip(number: str, place: str, printed: str, corrected: str, why: str, *used: str) -> None:
    """Enter a slip of notation, a cross-reference or wording, which needs no proof.

    Parameters
    ----------
    number, place, printed, corrected, why : str
        See `Erratum`.
    *used : str
        Dotted names.
    """
    _enter(Erratum(number, "S3", place, printed, corrected, why, used))


def erratum(
    number: str,
    severity: Severity,
    place: str,
    *used: str,
    printed: str,
    corrected: str,
    why: str,
) -> Callable[[Callable[[], Errors]], Callable[[], Errors]]:
    """Enter an erratum with the function that proves it.

    Parameters
    ----------
    number, severity, place, printed, corrected, why : str
        See `Erratum`.
    *used : str
        Dotted names.

    Returns
    -------
    callable
        The decorator of ``() -> (error of the printed formula, error of the corrected one)``.
    """

    def enter(compute: Callable[[], Errors]) -> Callable[[], Errors]:
        _enter(Erratum(number, severity, place, printed, corrected, why, used, compute))
        return compute

    return enter


def _enter(entry: Erratum) -> None:
    if entry.number in ERRATA:
        raise RopValueError(f"an erratum has this number already: {entry.number}")
    ERRATA[entry.number] = entry


def in_order() -> list[Erratum]:
    """Return all entries, paper by paper and by number."""
    papers = list(PAPERS)
    return sorted(
        ERRATA.values(), key=lambda one: (papers.index(one.number[0]), int(one.number[1:]))
    )


def named(number: str) -> Erratum:
    """Return the erratum with a number, such as "M21".

    Raises
    ------
    RopValueError
        If there is none.
    """
    entry = ERRATA.get(number.upper())
    if entry is None:
        raise RopValueError(
            f"there is no erratum {number!r}; expected M1 to M67, H1 to H16 or N1 to N6"
        )
    return entry


def off(found: Any, truth: Any) -> float:
    """Return the largest difference over the largest element of the truth; inf if shapes differ."""
    found, truth = np.asarray(found, float), np.asarray(truth, float)
    if found.shape != truth.shape:
        return inf
    return float(np.abs(found - truth).max() / np.abs(truth).max())


def attempt(compute: Callable[[], Any], truth: Any) -> float:
    """Return `off` of what is computed; inf if it cannot be computed."""
    try:
        return off(compute(), truth)
    except (KeyError, NameError, TypeError, ValueError, ZeroDivisionError):
        return inf
