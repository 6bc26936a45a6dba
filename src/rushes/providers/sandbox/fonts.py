"""A font that has the prompt's characters: Pillow's own for Latin, else the best that the system has."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
)
_PATTERNS = (
    "NotoSansCJK*-Regular.ttc",
    "NotoSans*CJK*.otf",
    "SourceHanSans*",
    "NotoSans-Regular.ttf",
    "NotoSans[A-Z]*-Regular.ttf",
    "PingFang.ttc",
    "Hiragino*GB*",
    "Arial Unicode.ttf",
    "wqy-*.ttc",
    "DroidSansFallback*.ttf",
    "DejaVuSans.ttf",
    "unifont*.otf",
)
NO_FONT = "(no font on this server has the prompt's script)"
_NOWHERE = "\U0010fffe"
"""No font has a glyph for this; what it draws instead is what it draws for everything it lacks."""
_MOST_FILES = 60


def font_for(text: str, size: int) -> tuple[Font, str]:
    """A font of ``size`` pixels, and ``text`` without what it lacks; :data:`NO_FONT` instead if that is most of it."""
    # Composed: more fonts have é than a mark to put over an e.
    text = unicodedata.normalize("NFC", text)
    own = ImageFont.load_default(size)
    if not _lacking(own, text):
        return own, text
    font = min(_fonts(own, size, text), key=lambda font: len(_lacking(font, text)))
    lacking = _lacking(font, text)
    kept = "".join(sign for sign in text if sign not in lacking)
    if len(kept.replace(" ", "")) * 2 < len(text.replace(" ", "")):
        return own, NO_FONT
    return font, kept


def _fonts(own: Font, size: int, text: str) -> Iterator[Font]:
    """Ours, then the system's in order of taste, up to the first that has everything."""
    yield own
    for path in _installed():
        try:
            font = ImageFont.truetype(path, size)
            complete = not _lacking(font, text)
        except (OSError, ValueError):  # not a font after all, or a bitmap font without this size
            continue
        yield font
        if complete:
            return


@functools.cache
def _installed() -> tuple[str, ...]:
    found = [str(path) for pattern in _PATTERNS for folder in _FOLDERS for path in _under(folder, pattern)]
    return tuple(dict.fromkeys(found))[:_MOST_FILES]


def _under(folder: str, pattern: str) -> list[Path]:
    try:
        return sorted(Path(folder).expanduser().rglob(pattern))
    except (OSError, RuntimeError):  # unreadable, or no home folder
        return []


def _lacking(font: Font, text: str) -> frozenset[str]:
    nothing = _drawn(font, _NOWHERE)
    return frozenset(sign for sign in set(text) if not sign.isspace() and _drawn(font, sign) == nothing)


def _drawn(font: Font, sign: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(sign)
    return mask.size, bytes(mask)
