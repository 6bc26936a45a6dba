"""The styles of an image: how each paints a view, and in what inks it is lettered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PIL import Image

from rushes.providers.sandbox.lettering import INKS, Inks
from rushes.providers.sandbox.styles import artistic, cartoon, futuristic, minimalist, photorealistic, vintage
from rushes.providers.sandbox.view import View


@dataclass(frozen=True, slots=True)
class Style:
    """A way of painting, and the inks of its lettering."""

    paint: Callable[[View], Image.Image]
    inks: Inks = INKS


PLAIN = Style(lambda view: view.picture)
"""As a video looks."""

_INK, _OIL, _PRINT, _BROWN, _GAS = (27, 19, 38), (255, 246, 228), (46, 44, 42), (74, 47, 26), (190, 246, 255)

STYLES: Mapping[str, Style] = {
    "photorealistic": Style(photorealistic.paint),
    "artistic": Style(artistic.paint, Inks((44, 30, 22, 225), (*_OIL, 255), (*_OIL, 190))),
    "cartoon": Style(cartoon.paint, Inks((255, 255, 255, 255), (*_INK, 255), (92, 84, 104, 255), (*_INK, 255))),
    "minimalist": Style(minimalist.paint, Inks((246, 242, 234, 255), (*_PRINT, 255), (120, 116, 110, 255))),
    "vintage": Style(vintage.paint, Inks((239, 227, 200, 255), (*_BROWN, 255), (134, 102, 68, 255))),
    "futuristic": Style(futuristic.paint, Inks((5, 8, 22, 225), (*_GAS, 255), (*_GAS, 190), (31, 216, 255, 255))),
}
"""By the names of :data:`rushes.catalogue.STYLES`."""
