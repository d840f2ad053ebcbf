"""A listing's formulas in LaTeX."""

from __future__ import annotations

import re
import unicodedata

_NAME = re.compile(
    r"(?P<prefix>Rd|R|d)?(?P<letters>[A-Za-z]+?)(?:_(?=[\d{]))?(?P<number>\d*|\{[^{}]*\})(?P<primes>_*)",
    re.ASCII,
)
_WORD = re.compile(
    r"s'+(?:·da)?\([^()]*\)_*|L''|(?!Σ)[^\W\d](?:\w|[ᵀΔ]|\{[^{}]*\})*'*|\d+(?:\.\d+)?(?:e[-+]?\d+)?|.",
    re.DOTALL,
)
_SIGNS = {
    "Σ": r"\sum_{\mathrm{cases}}",
    "*": r"\odot",
    "θ": r"\theta",
    "ᵀ": r"^{\top}",
    "∂": r"\partial",
    "{": "",
    "}": "",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "₁": "_{1}",
    "₂": "_{2}",
    "√": r"\surd",
    "·": r"\cdot",
    "…": r"\ldots",
    "Δ": r"\Delta",
    "⁻": "^{-}",
    "¹": "^{1}",
}


def formula(text: str) -> str:
    r"""A formula of a listing in LaTeX's mathematics.

    Parameters
    ----------
    text : str
        Such as "Rx2 = RW1 x + Rb1".

    Returns
    -------
    str
        Such as ``\mathcal{R}x_{2} = \mathcal{R}W_{1}\,x + \mathcal{R}b_{1}``.
    """
    parts: list[str] = []
    words = _WORD.findall(text)
    for i, word in enumerate(words):
        if word == " ":
            before, after = words[i - 1] if i else "", words[i + 1] if i + 1 < len(words) else ""
            # A space between two factors is a product.
            product = _is_name(before[-1:] or " ") and _is_name(after[:1] or " ")
            parts.append(r"\," if product or before == "Σ" else " ")
        else:
            parts.append(_word(word, words[i + 1] if i + 1 < len(words) else ""))
    return "".join(parts).replace("-  ", "- ")


def prose(text: str) -> str:
    """Words, such as those of a rule, in LaTeX's text.

    Parameters
    ----------
    text : str
        Such as "R rule of matvec a1".

    Returns
    -------
    str
    """
    marked = re.sub(r"s''·da|s''|s'|[_&%#$]", lambda m: _PROSE.get(m[0], f"\\{m[0]}"), text)
    return "".join(f"${_SIGNS[c]}$" if c in _SIGNS and c not in "_&%#{}" else c for c in marked)


_PROSE = {"s''·da": "$s''da$", "s''": "$s''$", "s'": "$s'$"}


def _is_name(character: str) -> bool:
    return character.isalnum() or character in "ᵀ'()_]["


def _word(word: str, after: str) -> str:
    if word.startswith("s'"):
        primes = word[1 : 1 + word[1:].index("(")]
        inside, after = word[word.index("(") + 1 :].rsplit(")", 1)
        index = "_{da}" if "da" in primes else ""
        return f"s{primes.replace('·da', '')}{index}({formula(inside)}){chr(39) * len(after)}"
    if word == "L''":
        return "L''"
    if word in _SIGNS:
        return _SIGNS[word]
    if word[0].isdigit() or not (word[0].isalpha() or word[0] == "_"):
        return word
    stem, primes = word.rstrip("'"), "'" * (len(word) - len(word.rstrip("'")))
    if after == "(" or primes:
        return rf"\mathrm{{{_escaped(stem)}}}{primes}"
    stem, transposed = stem.rstrip("ᵀ"), r"^{\top}" * stem.endswith("ᵀ")
    if "ᵀ" in stem:
        first, rest = stem.split("ᵀ", 1)
        return rf"{_name(first)}^{{\top}}{_name(rest)}{transposed}"
    return _name(stem) + transposed


def _name(name: str) -> str:
    """The name of a value: R, d and Rd before it, and its number as an index."""
    delta = r"\Delta " if name.startswith("Δ") else ""
    found = _NAME.fullmatch(name.removeprefix("Δ"))
    if found is None:
        return rf"{delta}\mathrm{{{_escaped(name.removeprefix('Δ'))}}}"
    prefix, letters, number, primes = found.group("prefix", "letters", "number", "primes")
    before = {None: "", "R": r"\mathcal{R}", "d": "d", "Rd": r"\mathcal{R}d"}[prefix]
    body = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}"
    index = f"_{{{number.strip('{}')}}}" if number else ""
    return f"{delta}{before}{body}{index}{chr(39) * len(primes)}"


def _escaped(text: str) -> str:
    letters = []
    for letter in text:
        named = unicodedata.name(letter, "")
        if named.startswith("GREEK SMALL LETTER "):
            letters.append(rf"}}\{named.rsplit(' ', 1)[1].lower()}\mathrm{{")
        else:
            letters.append({"_": r"\_", "{": "", "}": ""}.get(letter, letter))
    return "".join(letters)
