"""Artistic: oil on canvas. Strokes that follow the shapes, broad ones first, in thick paint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from rushes.providers.sandbox.colour import Floats
from rushes.providers.sandbox.view import View, blurred, clouds, ink, luma, pictured, pixels, vivid

_LIGHT_FROM = 2
"""Pixels between a stroke's lit side and its shade."""

_FINEST = 6
"""Pixels of width up to which a stroke is a plain line."""


@dataclass(frozen=True, slots=True)
class _Brush:
    """How wide and how long its strokes are, how far apart, as parts of the unit; where detail is less, none."""

    width: float
    length: float
    apart: float
    detail: float


_BRUSHES = (
    _Brush(1 / 46, 1 / 11, 1 / 76, 0.0),
    _Brush(1 / 80, 1 / 22, 1 / 110, 4.0),
    _Brush(1 / 180, 1 / 48, 1 / 170, 11.0),
)


def paint(view: View) -> Image.Image:
    """The view as a painting of it."""
    colours = vivid(pixels(blurred(view.picture, view.unit / 300)), 1.35)
    canvas, paste = view.picture.copy(), Image.new("L", view.picture.size, 128)
    colour_pen, paste_pen = ImageDraw.Draw(canvas), ImageDraw.Draw(paste)
    along = _directions(view)
    for brush in _BRUSHES:
        width = round(brush.width * view.unit)
        for path, rgb, thick in _strokes(view, brush, colours, along):
            _stroke(colour_pen, path, width, rgb)
            _stroke(paste_pen, path, width, thick)
    return _varnished(canvas, paste)


def _directions(view: View) -> Floats:
    """Which way the brush goes at each place: around the sun, along the hills; radians."""
    down, right = np.gradient(luma(pixels(blurred(view.picture, view.unit / 50))))
    calm_down, calm_right = np.gradient(luma(pixels(blurred(view.picture, view.unit / 8))))
    turn = clouds(view.stage, 4, 2) * 0.35
    directions: Floats = np.arctan2(right + 6 * calm_right, -down - 6 * calm_down - 0.02) + turn
    return directions


_Path = list[tuple[float, float]]


def _strokes(
    view: View, brush: _Brush, colours: Floats, along: Floats
) -> Iterator[tuple[_Path, tuple[int, int, int], int]]:
    """Path, colour and thickness of each stroke, in no order that could be seen."""
    chance, half = view.stage.chance, brush.length * view.unit / 2
    places = _places(view, brush)
    tints, thicks = chance.normal(0, 9, len(places)), chance.integers(70, 186, len(places))
    for (x, y), tint, thick in zip(places, tints, thicks, strict=True):
        angle = along[y, x]
        dx, dy = half * np.cos(angle), half * np.sin(angle)
        yield [(x - dx, y - dy), (x, y), (x + dx, y + dy)], ink(colours[y, x] + tint), int(thick)


def _places(view: View, brush: _Brush) -> np.ndarray:
    """(x, y) of the strokes of one brush: everywhere, or where there is detail."""
    step = max(2, round(brush.apart * view.unit))
    x, y = np.meshgrid(np.arange(0, view.stage.width, step), np.arange(0, view.stage.height, step))
    spots = np.stack([x.ravel(), y.ravel()], axis=1) + view.stage.chance.integers(-step, step + 1, (x.size, 2))
    spots = spots.clip(0, (view.stage.width - 1, view.stage.height - 1))
    kept = spots[_detail(view, brush)[spots[:, 1], spots[:, 0]] >= brush.detail]
    return view.stage.chance.permutation(kept)


def _detail(view: View, brush: _Brush) -> Floats:
    light, plain = view.picture.convert("L"), blurred(view.picture.convert("L"), brush.width * view.unit)
    detail: Floats = np.abs(pixels(light) - pixels(plain))
    return detail


def _stroke(pen: ImageDraw.ImageDraw, path: _Path, width: int, fill: tuple[int, int, int] | int) -> None:
    """Round at both ends."""
    pen.line(path, fill, width)
    if width > _FINEST:  # of a finer one nobody sees the ends
        for end in (path[0], path[-1]):
            pen.circle(end, width / 2, fill)


def _varnished(canvas: Image.Image, paste: Image.Image) -> Image.Image:
    """With the light falling on the paint from the upper left."""
    height = pixels(blurred(paste, 1.2))
    relief = height - np.roll(height, (_LIGHT_FROM, _LIGHT_FROM), (0, 1))
    return pictured(pixels(canvas) + np.clip(relief * 0.45, -26, 26)[:, :, None])
