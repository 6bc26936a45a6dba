"""The words on the picture: SANDBOX, the model's name, the prompt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageDraw

from rushes.providers.sandbox import colour
from rushes.providers.sandbox.fonts import Font, font_for
from rushes.providers.sandbox.overlay import Sheet

_LONGEST = 600
"""Characters of the prompt that are looked at: far more than fit."""


Ink = tuple[int, int, int, int]
"""Red, green, blue, and how much it covers; up to 255."""


@dataclass(frozen=True, slots=True)
class Inks:
    """What lettering is done in: the panel under it, the prompt, the line above the prompt, an outline."""

    panel: Ink = (9, 11, 17, 150)
    text: Ink = (255, 255, 255, 255)
    soft: Ink = (255, 255, 255, 190)
    edge: Ink | None = None


INKS = Inks()
"""White on a shade of the picture."""


def lettering(
    model: str, prompt: str, accent: colour.Floats, width: int, height: int, inks: Inks = INKS, scale: float = 1.0
) -> Sheet:
    """The panel for the lower part of a picture of that size; never fails, whatever the text."""
    unit = int(min(width, height) * scale)
    margin, pad = unit // 20, unit // 28
    inner = min(width - 2 * margin, unit * 5 // 4) - 2 * pad - unit // 60
    head = _fitted(f"SANDBOX  ·  {model}", unit // 36, inner, 1)
    body = _prompt(prompt, unit, inner, height)
    panel = _panel(inner + 2 * pad + unit // 60, pad, unit, (head, body), accent, inks)
    return Sheet(panel, margin, height - margin - panel.height)


def _prompt(prompt: str, unit: int, inner: int, height: int) -> tuple[Font, list[str]]:
    """The prompt as large as it fits: a few words large, many small, too many shortened."""
    for share, lines in ((15, 2), (19, 3), (24, 5)):
        font, found = _fitted(prompt, unit // share, inner, lines)
        if not found or not found[-1].endswith("…"):
            break
    return font, found


def _fitted(text: str, size: int, inner: int, most: int) -> tuple[Font, list[str]]:
    font, text = font_for(_cleaned(text), max(size, 8))
    return font, wrapped(text, inner, most, font.getlength)


def _cleaned(text: str) -> str:
    """One line of what can be drawn: no control characters, joiners or lone surrogates."""
    kept = (" " if sign.isspace() else sign for sign in text[: _LONGEST + 1])
    visible = "".join(sign for sign in kept if unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    return re.sub(r" +", " ", visible).strip() + ("…" if len(text) > _LONGEST else "")


def wrapped(text: str, inner: float, most: int, length: Callable[[str], float]) -> list[str]:
    """``text`` as at most ``most`` lines no longer than ``inner``; what is left out shows as "…"."""
    lines = [""]
    for word in _words(text, inner, length):
        if length(lines[-1] + word.rstrip()) <= inner:
            lines[-1] += word if lines[-1] else word.lstrip()
        elif len(lines) == most:
            lines[-1] = _shortened(lines[-1], inner, length)
            break
        else:
            lines.append(word.lstrip())
    return [line.rstrip() for line in lines if line.strip()]


def _words(text: str, inner: float, length: Callable[[str], float]) -> Iterator[str]:
    """Where a line may break: after spaces, around Chinese and Japanese signs, anywhere in a word too long."""
    for word in re.findall(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef][。,、!?”」)]?\s*|[^\s\u2e80-\u9fff]+\s*", text):
        if length(word.rstrip()) <= inner:
            yield word
        else:
            yield from word


def _shortened(line: str, inner: float, length: Callable[[str], float]) -> str:
    while line and length(line.rstrip() + "…") > inner:
        line = line[:-1]
    return line.rstrip(" .,…") + "…"


def _panel(
    width: int, pad: int, unit: int, texts: tuple[tuple[Font, list[str]], ...], accent: colour.Floats, inks: Inks
) -> Image.Image:
    """A rounded panel with a bar of the picture's own colour at its side."""
    heights = [_line_height(font) for font, _ in texts]
    gap = unit // 60 if texts[1][1] else 0
    tall = sum(len(lines) * high for (_, lines), high in zip(texts, heights, strict=True)) + gap + 2 * pad
    panel = Image.new("RGBA", (width // 2 * 2, tall // 2 * 2), (*inks.panel[:3], 0))
    pen = ImageDraw.Draw(panel)
    _rounded(panel, pad, inks.panel[3])
    pen.rounded_rectangle((pad * 0.75, pad, pad * 0.75 + unit // 160, tall - pad), 3, fill=_rgb(accent))
    if inks.edge:
        pen.rounded_rectangle((0, 0, panel.width - 1, panel.height - 1), pad, outline=inks.edge, width=unit // 250 + 1)
    y = float(pad)
    for (font, lines), high, fill in zip(texts, heights, (inks.soft, inks.text), strict=True):
        for line in lines:
            pen.text((pad + unit // 60, y), line, font=font, fill=fill)
            y += high
        y += gap
    return panel


def _rounded(panel: Image.Image, radius: int, cover: int) -> None:
    large = Image.new("L", (panel.width * 2, panel.height * 2))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, large.width - 1, large.height - 1), radius * 2, fill=cover)
    panel.putalpha(large.reduce(2))


def _line_height(font: Font) -> int:
    return int(font.getbbox("Ågß國")[3] * 1.22) + 1


def _rgb(accent: colour.Floats) -> tuple[int, ...]:
    return (*(int(channel) for channel in accent), 255)
