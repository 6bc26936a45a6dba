"""Cartoon: a few flat colours, each thing in its own, and dark outlines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from rushes.providers.sandbox.colour import Floats, mix
from rushes.providers.sandbox.view import View, blurred, ink, luma, pictured, pixels, vivid

_LINE = (27, 19, 38)
_HALOS = (0.2, 0.38, 0.66)
"""Where the sky's colours change: so far from the sun, in units."""
_LEAST = 5.0
"""Steps of light smaller than this are not worth a colour of their own."""


def paint(view: View) -> Image.Image:
    """The view as a drawing of it."""
    picture = pictured(_filled(view)).filter(ImageFilter.GaussianBlur(0.6))
    picture.paste(ink(vivid(view.stage.palette.sun, 1.4)), mask=ImageChops.multiply(view.disc(), view.sky()))
    picture.paste(_LINE, mask=_lines(view))
    return picture


def _filled(view: View) -> Floats:
    """The sky in rings around the sun, each other thing in at most three colours of its own."""
    colours, sky = vivid(pixels(view.picture), 1.45), view.depths == 0
    light = luma(pixels(blurred(view.picture, view.unit / 400)))
    colours[sky] = _rings(view)[sky]
    for depth in range(1, view.nearest + 1):
        _flatten(colours, light, view.depths == depth)
    return colours


def _rings(view: View) -> Floats:
    palette = view.stage.palette
    inks = np.stack([mix(palette.low, palette.sun, 0.5), palette.low, palette.middle, palette.top])
    rings: Floats = vivid(inks, 1.15).astype(np.float32)[np.digitize(_from_the_sun(view), _HALOS)]
    return rings


def _from_the_sun(view: View) -> Floats:
    x, y = view.stage.sun
    rows, columns = np.ogrid[: view.stage.height, : view.stage.width]
    away: Floats = np.hypot(columns - x, rows - y) / view.unit
    return away


def _flatten(colours: Floats, light: Floats, here: NDArray[np.bool_]) -> None:
    """One thing in three colours: its shade, its own, the light on it; each the mean of what it replaces."""
    if here.any():
        mean, deviation = float(light[here].mean()), max(float(light[here].std()), _LEAST)
        tones = np.digitize(light, (mean - 0.6 * deviation, mean + 0.9 * deviation))
        for tone in np.unique(tones[here]):
            those = here & (tones == tone)
            colours[those] = colours[those].mean(axis=0)


def _lines(view: View) -> Image.Image:
    """Thin where things are far away and small."""
    bold, fine = view.unit / 150, view.unit / 340
    lines = ImageChops.lighter(view.outlines(bold, view.nearest), view.outlines(fine))
    half = bold / view.stage.sun_radius / 2
    ring = ImageChops.subtract(view.disc(1 + half), view.disc(1 - half))
    return ImageChops.lighter(lines, ImageChops.multiply(ring, view.sky()))
