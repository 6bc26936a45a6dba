"""What is laid over a picture, whatever it shows: lettering and cards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rushes.media.encode import Planes
from rushes.providers.sandbox import colour


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture with transparency (RGBA), and where its upper left corner goes, in pixels."""

    picture: Image.Image
    left: int
    top: int

    def lay(self, onto: Image.Image) -> None:
        """Lay it on an RGB picture."""
        onto.paste(self.picture, (self.left, self.top), self.picture)


class Overlay:
    """A sheet ready to be blended onto frames, at any height and strength; its place is rounded to even pixels."""

    def __init__(self, sheet: Sheet) -> None:
        width, height = (side // 2 * 2 for side in sheet.picture.size)
        picture = sheet.picture.crop((0, 0, width, height))
        self.left, self.top = sheet.left // 2 * 2, sheet.top // 2 * 2
        alpha = picture.getchannel("A")
        self._alphas = [np.asarray(part, np.uint16) * 256 // 255 for part in (alpha, alpha.reduce(2))]
        self._colours = colour.planes(picture)
        self._full = self._weighed(256)

    def blend(self, canvas: Planes, strength: float = 1.0, down: int = 0) -> None:
        """Lay it over ``canvas``, ``strength`` from 0 to 1, moved ``down`` pixels."""
        layers = self._full if strength >= 1 else self._weighed(round(256 * max(strength, 0)))
        for plane, (keep, ink), half in zip(canvas, layers, (0, 1, 1), strict=True):
            top, left = (self.top + down) >> half, self.left >> half
            box = plane[top : top + keep.shape[0], left : left + keep.shape[1]]
            mixed = box * keep
            mixed += ink
            mixed >>= 8
            box[...] = mixed

    def _weighed(self, strength: int) -> list[tuple[np.ndarray, np.ndarray]]:
        shares = [alpha.astype(np.uint32) * strength >> 8 for alpha in self._alphas]
        parts = zip(self._colours, (shares[0], shares[1], shares[1]), strict=True)
        return [((256 - share).astype(np.uint16), (plane * share).astype(np.uint16)) for plane, share in parts]
