"""The words of a prompt, as its author's script writes them: what is indexed of it, and what a query demands.

The databases' own parsers disagree with each other, and neither finds 猫: so the words are ours. Both sides are folded
alike (width, case, accents that are no letter of their own), and then

- a word is a run of letters, digits and the marks that belong to them;
- scripts written without spaces are taken by single characters and by pairs of neighbours, and so is Hangul, whose
  words carry their particles with them;
- a symbol, such as an emoji, is a word by itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

LONGEST = 48
"""Characters of a word that count: what follows is cut off, on both sides alike."""
LONGEST_TEXT = 10_000
"""Characters of a folded text that are read: twice what a prompt may have. There are at most two terms to each."""

# Han, kana, Hangul, Thai, Lao, Myanmar, Khmer.
_SPACELESS = re.compile(
    "[\u3005-\u3007\u3041-\u3096\u3099-\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17dd\uac00-\ud7a3]+"
)
# Niqqud, harakat and tatweel are written or left away as one likes.
_OPTIONAL = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u0652\u0670\u06d6-\u06ed]"
)
_ALEF = re.compile("\u0627[\u0653-\u0655]")
# In Cyrillic й and ї are letters of their own, ё is not.
_YO = re.compile("\u0435\u0308")
_ACCENTS = "[\u0300-\u036f]+"
_ACCENTED = re.compile(f"([^\u0400-\u052f\u0300-\u036f]|^){_ACCENTS}")
_LEFT_OVER = re.compile(_ACCENTS)
# Letters that no normalisation takes apart.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})
_JOINTS = re.compile("['-]")


class _Cleaned(dict[int, str]):
    """What stands for a character, by its code point; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = _cleaned(chr(code))
        return self[code]


def _cleaned(character: str) -> str:
    category = unicodedata.category(character)
    if character in "'’ʼ‘ʻ":
        return "'"
    if character in "-‐‑":
        return "-"
    if category in {"Cf", "Me"} or "\ufe00" <= character <= "\ufe0f" or "\U0001f3fb" <= character <= "\U0001f3ff":
        return ""  # joiners, keycaps, skin tones, variants: how it looks, not what it is
    if category in {"So", "Cn"}:  # Cn: what this Python's tables do not know yet, as a rule an emoji
        return f" {character} "
    return character if character.isalnum() or category.startswith("M") else " "


_CLEANED = _Cleaned()


def terms(text: str) -> frozenset[str]:
    """Everything a query may demand of ``text``."""
    return frozenset(term[:LONGEST] for piece in set(_pieces(text)) for term in _offered(piece))


def asked(q: str) -> tuple[str, ...]:
    """The terms that a text must have, all of them; none where ``q`` holds nothing to look for."""
    return tuple(dict.fromkeys(term[:LONGEST] for piece in _pieces(q) for term in _demanded(piece)))


def _pieces(text: str) -> list[str]:
    return _SPACELESS.sub(r" \g<0> ", _folded(text).translate(_CLEANED)).split()


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _OPTIONAL.sub("", unicodedata.normalize("NFKD", text))
    text = _YO.sub("\u0435", _ALEF.sub("\u0627", _ACCENTED.sub(r"\1", text)))
    # Composed again: Hangul, kana and Cyrillic letters; an accent that has found no letter was a stress mark.
    text = _LEFT_OVER.sub("", unicodedata.normalize("NFC", text))
    return text.translate(_PLAIN)[:LONGEST_TEXT]


def _offered(piece: str) -> Iterator[str]:
    if _SPACELESS.match(piece):
        yield from piece
        yield from _pairs(piece)
        return
    if piece.isalnum():
        yield piece
        return
    # "rock-n'-roll" is found as rock, as n, as rocknroll.
    yield from _words(_JOINTS.split(piece))
    yield from _words(part.replace("'", "") for part in piece.split("-"))
    yield from _words([_JOINTS.sub("", piece)])


def _demanded(piece: str) -> Iterator[str]:
    if _SPACELESS.match(piece):
        return iter(_pairs(piece) or [piece])
    return _words(part.replace("'", "") for part in piece.split("-"))


def _pairs(piece: str) -> list[str]:
    return [piece[at : at + 2] for at in range(len(piece) - 1)]


def _words(parts: Iterator[str] | list[str]) -> Iterator[str]:
    return (part for part in parts if part)
