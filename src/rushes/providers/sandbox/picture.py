"""The moving picture behind everything: what a prompt looks like."""

from __future__ import annotations

import hashlib

import numpy as np

from rushes.media.encode import Plane, Planes
from rushes.providers.sandbox.palette import theme
from rushes.providers.sandbox.scenes import scene
from rushes.providers.sandbox.stage import Stage


class MovingPicture:
    """A scene of ``frames`` frames whose colours and shapes come from ``seed``, its kind from the prompt's words."""

    def __init__(self, prompt: str, seed: str, width: int, height: int, frames: int) -> None:
        chance = np.random.default_rng(list(hashlib.sha256(seed.encode(errors="backslashreplace")).digest()))
        self.theme = theme(prompt, chance)
        sun = float(chance.uniform(0.3, 0.7) * width), float(chance.uniform(0.3, 0.36) * height)
        self.stage = Stage(width, height, frames, self.theme.palette, chance, sun)
        self._elements = scene(self.theme.kind, self.stage)

    def paint(self, canvas: Planes, number: int) -> None:
        """Paint frame ``number`` over the whole of ``canvas``; far things only where near ones leave them visible."""
        until = [self.stage.height]
        for element in reversed(self._elements[1:]):
            until.append(min(until[-1], max(0, element.solid(number))))
        for element, last in zip(self._elements, reversed(until), strict=True):
            element.paint(canvas, number, last)

    def depths(self, number: int) -> Plane:
        """What each pixel of frame ``number`` belongs to: 0 is the sky, then counted towards us."""
        width, height = self.stage.width, self.stage.height
        black, white = blank(width, height), blank(width, height)
        depths = np.zeros((height, width), np.uint8)
        for place, element in enumerate(self._elements[1:], 1):
            black[0][:], white[0][:] = 16, 235
            for canvas in (black, white):
                element.paint(canvas, number, height)
            depths[black[0] == white[0]] = place  # where what was there before makes no difference
        return depths


def blank(width: int, height: int) -> Planes:
    """A canvas of that (even) size."""
    half = height // 2, width // 2
    return np.zeros((height, width), np.uint8), np.zeros(half, np.uint8), np.zeros(half, np.uint8)
