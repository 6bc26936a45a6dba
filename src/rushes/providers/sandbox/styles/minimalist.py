"""Minimalist: a disc, two shapes, and paper."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rushes.providers.sandbox.colour import Floats, mix, parse
from rushes.providers.sandbox.view import View, ink, luma, vivid

PAPER = parse("f6f2ea")

_MOST = 0.42
"""How much of the picture the shapes may fill: the rest is empty."""
_LEAST = 0.05


def paint(view: View) -> Image.Image:
    """The view as a poster of it."""
    palette = view.stage.palette
    picture = Image.new("RGB", view.picture.size, ink(mix(PAPER, palette.low, 0.12)))
    disc, far, near = _inks(view)
    picture.paste(disc, mask=view.disc(1.2))
    for depth, fill in zip(_depths(view), (far, near), strict=False):
        picture.paste(fill, mask=view.nearer(depth))
    return picture


def _inks(view: View) -> tuple[tuple[int, int, int], ...]:
    """Colours of the disc, the far shape, the near one: strong, middling, dark."""
    palette = view.stage.palette
    disc = max((palette.low, palette.middle, palette.far, palette.sun), key=np.ptp)
    near = min((palette.top, palette.near), key=luma)
    return ink(vivid(disc, 1.2)), ink(_readable(palette.far)), ink(near)


def _readable(rgb: Floats) -> Floats:
    """No lighter than can be told from the paper."""
    return rgb * min(1.0, 170 / max(float(luma(rgb)), 1.0))


def _depths(view: View) -> list[int]:
    """From which things on the two shapes begin."""
    shares = {depth: float((view.depths >= depth).mean()) for depth in range(1, view.nearest + 1)}
    fitting = [depth for depth, share in shares.items() if _LEAST <= share <= _MOST]
    return sorted({fitting[0], fitting[-1]}) if fitting else [view.nearest]
