"""Futuristic: neon in the dark. Glowing outlines, a striped sun, a grid on the ground, scan lines."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from rushes.providers.sandbox.colour import Floats, mix, parse
from rushes.providers.sandbox.view import View, blurred, ink, luma, pictured, pixels

_NIGHT = parse("070614")
_COOL = parse("1fd8ff")


def paint(view: View) -> Image.Image:
    """The view on a screen of the year 2099."""
    warm = _neon(view)
    light = ImageChops.screen(_traced(view, warm), _sun(view, warm))
    return _scanned(view, ImageChops.screen(_dark(view, warm), _glowing(view, light)))


def _neon(view: View) -> Floats:
    """The palette's strongest colour, as a tube of gas shines in it."""
    palette = view.stage.palette
    rgb = max((palette.low, palette.middle, palette.far), key=np.ptp)
    pure = (rgb - rgb.min() * 0.92) / max(float(np.ptp(rgb)), 1.0)
    neon: Floats = np.clip(pure * 255, 24, 255)
    return neon


def _dark(view: View, warm: Floats) -> Image.Image:
    """Everything almost black, nearer is blacker; above the horizon the sky glows."""
    height = view.stage.height
    up = np.arange(height, dtype=np.float32) / height
    glow = np.exp(-(((up - 0.6) / 0.22) ** 2))[:, None, None] * (view.depths == 0)[:, :, None]
    share = (luma(pixels(view.picture)) / 255)[:, :, None] ** 1.4
    black = (1 - view.depths / max(1, view.nearest) * 0.75)[:, :, None]
    return pictured(_NIGHT + mix(_COOL, warm, 0.6) * share * black * 0.22 + warm * glow * 0.42)


def _traced(view: View, warm: Floats) -> Image.Image:
    """The outlines and the grid, cool far away and warm near by."""
    height = view.stage.height
    near = np.clip((np.arange(height, dtype=np.float32) / height - 0.5) / 0.25, 0, 1)[:, None, None]
    colours = pictured(np.broadcast_to(_COOL + (warm - _COOL) * near, (height, view.stage.width, 3)))
    lines = ImageChops.lighter(view.outlines(view.unit / 500), _grid(view))
    return Image.composite(colours, Image.new("RGB", colours.size), lines)


def _grid(view: View) -> Image.Image:
    """Lines to a point on the horizon, and across, on whatever lies nearest."""
    width, height = view.picture.size
    grid, horizon = Image.new("L", view.picture.size), height * 0.5
    pen, line = ImageDraw.Draw(grid), max(1, view.unit // 500)
    for number in range(-24, 25):
        pen.line(((width / 2 + number * width * 0.02, horizon), (width / 2 + number * width * 0.16, height)), 105, line)
    for number in range(1, 15):
        y = horizon + (height - horizon) * (number / 14) ** 2.2
        pen.line(((0, y), (width, y)), 105, line)
    return ImageChops.multiply(grid, view.nearer(max(1, view.nearest - 2)))


def _sun(view: View, warm: Floats) -> Image.Image:
    """A disc with slits that widen downwards."""
    (x, y), radius = view.stage.sun, view.stage.sun_radius * 1.25
    disc = ImageChops.multiply(view.disc(1.25), view.sky())
    pen = ImageDraw.Draw(disc)
    for number in range(6):
        top = y + radius * (-0.1 + 0.19 * number)
        pen.rectangle((x - radius, top, x + radius, top + radius * (0.025 + 0.016 * number)), 0)
    return Image.composite(Image.new("RGB", disc.size, ink(warm)), Image.new("RGB", disc.size), disc)


def _glowing(view: View, light: Image.Image) -> Image.Image:
    near, wide = blurred(light, view.unit / 170), blurred(light, view.unit / 45)
    halo = ImageChops.add(near.point(lambda value: value * 1.2), wide.point(lambda value: value * 1.35))
    return ImageChops.screen(light, halo)


def _scanned(view: View, picture: Image.Image) -> Image.Image:
    """Every other pair of rows darker."""
    rows = np.arange(view.stage.height) // max(1, view.unit // 360) % 2
    return pictured(pixels(picture) * np.where(rows, 0.72, 1.0).astype(np.float32)[:, None, None])
