"""Output in encodings without θ, ∇ and ᵀ: these characters are spelled out."""

from __future__ import annotations

import codecs
import io
import unicodedata

_SPELLED = {
    "∇": "grad ", "∂": "d", "→": "->", "↦": "->", "·": "*", "×": "x", "−": "-", "≤": "<=",
    "≥": ">=", "≈": "~", "∞": "inf", "‖": "||", "√": "sqrt ", "…": "...", "½": "1/2", "∈": " in ",
    "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "±": "+-", "█": "#",
}  # fmt: skip


def write_in_any_encoding(*streams: object) -> None:
    """Make streams spell out characters that their encoding lacks, instead of raising.

    Parameters
    ----------
    *streams : text streams
        Such as ``sys.stdout``; those that have no encoding of their own stay as they are.
    """
    codecs.register_error("rop.spell", _spell)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="rop.spell")


def _spell(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(map(_spelled, lacking)), error.end


def _spelled(character: str) -> str:
    if character in _SPELLED:
        return _SPELLED[character]
    name = unicodedata.name(character, "")
    if name.startswith("GREEK"):
        word = name.split()[-1]
        return word.title() if "CAPITAL" in name else word.lower()
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"
