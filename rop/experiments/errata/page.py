"""The errata as a table, as one entry, and as docs/errata.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import inf
from textwrap import fill

from rop.experiments.errata.entry import PAPERS, SEVERITIES, Erratum, Proof, in_order

HEADER = """# Errata

Corrections of the two papers that the library follows, and of an introductory note on the subject.
`rop errata --markdown` writes this page; do not edit it. `rop errata` computes the proofs again,
and `rop errata M21` shows one entry with the source of its proof.

A proof computes the printed and the corrected formula and gives the error of each against an
independent truth: central differences, a dense solution, or a closed form. Errors are relative
unless the entry says otherwise. "Cannot be computed" means that shapes do not fit, that a divisor
is 0, or that a name is not defined. Where the library has the corrected
formula, the proof runs the library's code.
"""


def table(entries: Iterable[Erratum]) -> str:
    """Return a table for the terminal: number, place, formulas, and errors computed now.

    Parameters
    ----------
    entries : iterable of Erratum
        The entries.

    Returns
    -------
    str
        Three lines for each entry.
    """
    return "\n".join(
        f"{one.number:<4} {one.severity}  {one.place}{_errors(one.proof())}\n"
        f"{_indented('printed', one.printed)}\n{_indented('correct', one.corrected)}"
        for one in entries
    )


def whole(one: Erratum) -> str:
    """Return one entry for the terminal, with its proof computed now and the proof's source.

    Parameters
    ----------
    one : Erratum
        The entry.

    Returns
    -------
    str
        Some lines.
    """
    lines = [
        f"{one.number}  {PAPERS[one.number[0]]}, {one.place}",
        f"({SEVERITIES[one.severity]})",
        "",
        _indented("printed", one.printed),
        _indented("correct", one.corrected),
        _indented("why", one.why),
    ]
    if one.used:
        lines.append(_indented("in rop", ", ".join(one.used)))
    proof = one.proof()
    if proof is not None:
        lines += [
            "",
            f"compared: {proof.compared}",
            f"error as printed {number(proof.printed)}, as corrected {number(proof.corrected)}",
            "",
            one.code,
        ]
    return "\n".join(lines)


def markdown() -> str:
    """Return docs/errata.md: every entry with an anchor, such as #m21."""
    parts = [HEADER]
    for letter, paper in PAPERS.items():
        parts.append(f"\n## {paper[0].upper()}{paper[1:]}\n")
        parts += [_section(one) for one in in_order() if one.number[0] == letter]
    return "\n".join(parts)


def number(error: float) -> str:
    """Return an error in two digits; those of rounding in one word, as they differ by machine."""
    if error == inf:
        return "cannot be computed"
    return "below 1e-6" if error < 1e-6 else f"{error:.2g}"


def _section(one: Erratum) -> str:
    lines = [
        f'<a id="{one.number.lower()}"></a>\n',
        f"### {one.number}: {_plain(one.place)}\n",
        f"- Printed: {_plain(one.printed)}",
        f"- Correct: {_plain(one.corrected)}",
        f"- Why: {_plain(one.why)}",
        f"- Severity: {SEVERITIES[one.severity]}.",
    ]
    proof = one.proof()
    if proof is not None:
        lines.append(
            f"- Error as printed: {number(proof.printed)}; as corrected: "
            f"{number(proof.corrected)}. Compared: {_plain(proof.compared)}"
        )
    if one.used:
        lines.append(f"- In rop: {', '.join(f'`{name}`' for name in one.used)}")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text whose stars, underscores and less-than signs Markdown leaves alone."""
    return re.sub(r"([*_<])", r"\\\1", text)


def _errors(proof: Proof | None) -> str:
    if proof is None:
        return ""
    return f"  (error as printed {number(proof.printed)}, as corrected {number(proof.corrected)})"


def _indented(label: str, text: str) -> str:
    return fill(
        f"{label:<8} {text}",
        92,
        initial_indent=" " * 5,
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )
