"""The order's reference images as a row of numbered cards, gently floating in a film."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from rushes.media.encode import Planes
from rushes.providers.sandbox.overlay import Overlay, Sheet

_PAPER = (250, 249, 246, 255)


class Cards:
    """The references floating over a film."""

    def __init__(self, references: tuple[bytes, ...], width: int, height: int) -> None:
        self._cards = [Overlay(card) for card in cards(references, width, height)]
        self._float = min(width, height) / 90

    def blend(self, canvas: Planes, number: int, strength: float) -> None:
        """Lay them over frame ``number``."""
        for place, card in enumerate(self._cards):
            down = round(self._float * math.sin(number / 24 * 1.7 + place * 1.1))
            card.blend(canvas, strength, down)


def cards(references: tuple[bytes, ...], width: int, height: int) -> list[Sheet]:
    """The references from left to right, in order."""
    unit, count = min(width, height), len(references)
    gap = unit // 30
    side = min(unit * 3 // 10, (width - gap * (count + 1)) // max(count, 1))
    first = (width - count * side - (count - 1) * gap) // 2
    drawn = [_card(reference, number, max(side, 16)) for number, reference in enumerate(references, 1)]
    top = int(height * 0.09)
    return [
        Sheet(card, first + number * (side + gap) + (side - card.width) // 2, top + (side - card.height) // 2)
        for number, card in enumerate(drawn)
    ]


def _card(reference: bytes, number: int, side: int) -> Image.Image:
    """A photograph on paper with a soft shadow, ``side`` pixels wide or high in all."""
    edge, border = max(2, side // 16), max(2, side // 24)
    with Image.open(io.BytesIO(reference)) as picture:
        inner = side - 2 * (edge + border)
        scale = max(inner, 4) / max(picture.size)
        size = max(4, round(picture.width * scale)), max(4, round(picture.height * scale))
        photo = picture.convert("RGB").resize(size)
    size = photo.width + 2 * (edge + border), photo.height + 2 * (edge + border)
    card = _shadow(size, edge)
    card.paste(_PAPER, (edge, edge, size[0] - edge, size[1] - edge))
    card.paste(photo, (edge + border, edge + border))
    _number(card, number, edge, side)
    return card


def _shadow(size: tuple[int, int], edge: int) -> Image.Image:
    shape = Image.new("L", size)
    ImageDraw.Draw(shape).rectangle((edge, edge, size[0] - edge, size[1] - edge), fill=130)
    card = Image.new("RGBA", size, (8, 10, 16, 0))
    card.putalpha(shape.filter(ImageFilter.GaussianBlur(edge / 2)))
    return card


def _number(card: Image.Image, number: int, edge: int, side: int) -> None:
    radius = max(7, side // 11)
    pen, centre = ImageDraw.Draw(card), (edge + radius * 1.15, edge + radius * 1.15)
    pen.circle(centre, radius, fill=(16, 18, 26, 255))
    pen.text(centre, str(number), font=ImageFont.load_default(radius * 1.3), fill="white", anchor="mm")
