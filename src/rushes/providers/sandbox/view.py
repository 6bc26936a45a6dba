"""One moment of a moving picture, taken apart: what the styles paint from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from rushes.media.encode import Plane
from rushes.providers.sandbox import colour
from rushes.providers.sandbox.colour import Floats
from rushes.providers.sandbox.picture import MovingPicture, blank
from rushes.providers.sandbox.stage import Stage

_FINE = 2


@dataclass(frozen=True, slots=True)
class View:
    """A picture, what each of its pixels belongs to (0 is the sky, then counted towards us), and its stage."""

    picture: Image.Image
    depths: Plane
    stage: Stage

    @property
    def unit(self) -> int:
        """The picture's shorter side, in pixels."""
        return self.stage.unit

    def disc(self, grown: float = 1.0) -> Image.Image:
        """The sun's whole disc at ``grown`` times its size, as a mask."""
        x, y = (_FINE * at for at in self.stage.sun)
        disc = Image.new("L", (self.stage.width * _FINE, self.stage.height * _FINE))
        ImageDraw.Draw(disc).circle((x, y), _FINE * grown * self.stage.sun_radius, fill=255)
        return disc.reduce(_FINE)

    def sky(self) -> Image.Image:
        """Where nothing hides the sky, as a mask with smooth edges."""
        return ImageChops.invert(self.nearer(1))

    def nearer(self, depth: int) -> Image.Image:
        """Everything from ``depth`` on towards us, as a mask with smooth edges."""
        mask = Image.fromarray(np.where(self.depths >= depth, np.uint8(255), np.uint8(0)))
        return mask.filter(ImageFilter.GaussianBlur(1.2)).point(_steeper)

    def outlines(self, width: float, depth: int = 1) -> Image.Image:
        """Lines ``width`` pixels wide around what lies from ``depth`` on towards us, as a mask."""
        things = np.where(self.depths >= depth, self.depths, 0)
        step = np.zeros(things.shape, np.uint8)
        step[:, 1:] |= things[:, 1:] != things[:, :-1]
        step[1:] |= things[1:] != things[:-1]
        wide = Image.fromarray(step * np.uint8(255)).filter(ImageFilter.MaxFilter(max(1, round(width / 2)) * 2 + 1))
        return wide.filter(ImageFilter.GaussianBlur(1.2)).point(_steeper)

    @property
    def nearest(self) -> int:
        """The depth of what is nearest."""
        return int(self.depths.max())


def _steeper(value: int) -> float:
    return max(0.0, min(255.0, (value - 128) * 2.2 + 128))


def view(moving: MovingPicture) -> View:
    """The first frame of ``moving``."""
    canvas = blank(moving.stage.width, moving.stage.height)
    moving.paint(canvas, 0)
    return View(colour.picture(canvas), moving.depths(0), moving.stage)


# --- light and colour, for every style ---


def pixels(picture: Image.Image) -> Floats:
    """The picture as numbers from 0 to 255: (rows, columns, 3), or (rows, columns) of a mask."""
    return np.asarray(picture, np.float32)


def pictured(numbers: Floats) -> Image.Image:
    """What :func:`pixels` took apart; numbers out of range are cut off."""
    return Image.fromarray(np.clip(numbers + 0.5, 0, 255).astype(np.uint8))


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """Out of focus; a large radius is done at a part of the size, which nobody can see."""
    part = max(1, int(radius // 4))
    if part == 1:
        return picture.filter(ImageFilter.GaussianBlur(radius))
    small = picture.reduce(part).filter(ImageFilter.GaussianBlur(radius / part))
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def ink(rgb: Floats) -> tuple[int, int, int]:
    """A colour as Pillow's pens take it."""
    red, green, blue = (int(channel) for channel in np.clip(rgb + 0.5, 0, 255))
    return red, green, blue


def luma(rgb: Floats) -> Floats:
    """How light each colour is, from 0 to 255."""
    light: Floats = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return light


def vivid(rgb: Floats, strength: float) -> Floats:
    """Colours ``strength`` times as far from grey."""
    grey = luma(rgb)[..., None]
    out: Floats = grey + (rgb - grey) * np.float32(strength)
    return out


def clouds(stage: Stage, knots: int, octaves: int) -> Floats:
    """Noise at every scale from ``knots`` across the picture on, about -1 to 1: (rows, columns)."""
    total = np.zeros((stage.height, stage.width), np.float32)
    for octave in range(octaves):
        across = knots * 2**octave
        grid = stage.chance.uniform(-1, 1, (across * stage.height // stage.unit, across * stage.width // stage.unit))
        layer = Image.fromarray(grid.astype(np.float32)).resize((stage.width, stage.height), Image.Resampling.BICUBIC)
        total += np.asarray(layer) * np.float32(0.55**octave)
    return total


def corners(stage: Stage) -> Floats:
    """0 in the middle, 1 in the corners, rising ever faster: (rows, columns)."""
    x = np.linspace(-1, 1, stage.width, dtype=np.float32)
    y = np.linspace(-1, 1, stage.height, dtype=np.float32)
    away: Floats = ((x[None, :] ** 2 + y[:, None] ** 2) / 2) ** 1.5
    return away


def grained(stage: Stage, strength: float) -> Floats:
    """Film grain: grey noise of that standard deviation, (rows, columns)."""
    noise: Floats = stage.chance.standard_normal((stage.height, stage.width), np.float32) * np.float32(strength)
    return noise
