"""Vintage: an old print. Sepia, faded blacks, dust and scratches, burnt corners, a paper border."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from rushes.providers.sandbox.colour import Floats, parse, ramp
from rushes.providers.sandbox.view import View, blurred, clouds, corners, grained, ink, luma, pictured, pixels

PAPER = parse("efe3c8")

_TONES = ramp([(0, parse("2e1d10")), (0.45, parse("93693f")), (0.8, parse("dcbc8a")), (1, parse("f7e8c6"))], 256)
_SPECKS = 90
_SCRATCHES = 7


def paint(view: View) -> Image.Image:
    """The view as a photograph found in an attic."""
    print_ = pictured(_toned(view) + grained(view.stage, 9)[:, :, None])
    _wear(view, print_)
    _border(view, print_)
    return print_


def _toned(view: View) -> Floats:
    """In browns only, faded in patches, burnt towards the corners."""
    light = luma(pixels(blurred(view.picture, view.unit / 700)))
    low, high = np.percentile(light, (1, 99))
    spread = (light - low) / max(high - low, 1) * 235 + 12
    faded = spread + clouds(view.stage, 3, 3) * 13
    burnt = faded * (1 - 0.75 * corners(view.stage))
    return np.asarray(_TONES[np.clip(burnt, 0, 255).astype(np.uint8)])


def _wear(view: View, print_: Image.Image) -> None:
    """Dust, and scratches along the way the film was wound."""
    pen, chance, (width, height) = ImageDraw.Draw(print_), view.stage.chance, print_.size
    for _ in range(_SPECKS):
        size = view.unit / 1000 * chance.uniform(0.7, 2.4)
        pen.circle((chance.uniform(0, width), chance.uniform(0, height)), size, fill=ink(PAPER - 20))
    for _ in range(_SCRATCHES):
        x, y, long = chance.uniform(0, width), chance.uniform(0, height), height * chance.uniform(0.1, 0.6)
        pen.line(((x, y), (x + chance.uniform(-6, 6), y + long)), ink(PAPER - 35), 1)


def _border(view: View, print_: Image.Image) -> None:
    """The paper around the print, rounded within."""
    wide = view.unit // 44
    frame = Image.new("L", print_.size, 255)
    box = (wide, wide, print_.width - 1 - wide, print_.height - 1 - wide)
    ImageDraw.Draw(frame).rounded_rectangle(box, wide * 0.7, fill=0)
    paper = pictured(PAPER + grained(view.stage, 3)[:, :, None])
    print_.paste(paper, mask=frame)
