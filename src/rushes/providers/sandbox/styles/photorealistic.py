"""Photorealistic: a lens and a film. Rough surfaces, one sharp distance, light that spreads, grain."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

from rushes.providers.sandbox.colour import Floats
from rushes.providers.sandbox.view import View, blurred, clouds, corners, grained, luma, pictured, pixels, vivid

_SHADOWS = np.array([-6, 2, 10], np.float32)
_LIGHTS = np.array([10, 4, -10], np.float32)


def paint(view: View) -> Image.Image:
    """The view as a photograph of it."""
    return _developed(view, _lit(view, _focused(view, _rough(view))))


def _rough(view: View) -> Image.Image:
    """Ground and water with a surface; the sky stays smooth."""
    surface = clouds(view.stage, 60, 3) * np.where(view.depths, np.float32(0.08), np.float32(0.008))
    return pictured(pixels(view.picture) * (1 + surface[:, :, None]))


def _focused(view: View, picture: Image.Image) -> Image.Image:
    """Sharp in the middle distance."""
    far = Image.composite(picture, blurred(picture, view.unit / 240), view.nearer(max(1, view.nearest - 2)))
    near = blurred(picture, view.unit / 70)
    return Image.composite(near, far, blurred(view.nearer(view.nearest), view.unit / 110))


def _lit(view: View, picture: Image.Image) -> Image.Image:
    """Bright things shine over what is beside them."""
    bright = picture.point(lambda value: max(0, value - 110) * 1.1)
    glow = ImageChops.screen(blurred(bright, view.unit / 40), blurred(bright, view.unit / 9))
    return ImageChops.screen(picture, glow.point(lambda value: value * 0.36))


def _developed(view: View, picture: Image.Image) -> Image.Image:
    """Contrast, cool shadows and warm lights, darker corners, grain."""
    colours = vivid(pixels(picture), 0.8)
    light = (luma(colours) / 255)[:, :, None]
    toned = colours + _SHADOWS * (1 - light) + _LIGHTS * light
    exposed = _contrast(toned) * (1 - 0.5 * corners(view.stage))[:, :, None]
    return pictured(exposed + grained(view.stage, 7)[:, :, None])


def _contrast(colours: Floats) -> Floats:
    share = np.clip(colours / 255, 0, 1)
    curved: Floats = 255 * (0.4 * share + 0.6 * share * share * (3 - 2 * share))
    return curved
