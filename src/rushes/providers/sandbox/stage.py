"""Where scenes are built: the frame, the sky over it, and cutting a layer out of a ridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rushes.media.encode import Plane, Planes
from rushes.providers.sandbox import ridges
from rushes.providers.sandbox.colour import Floats, mix, ramp, yuv
from rushes.providers.sandbox.layers import Bob, Drift, Layer, Sky, grain
from rushes.providers.sandbox.palette import Palette


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scene is built for; ``unit`` is the frame's shorter side, ``sun`` (x, y) in pixels."""

    width: int
    height: int
    frames: int
    palette: Palette
    chance: np.random.Generator
    sun: tuple[float, float]

    @property
    def unit(self) -> int:
        """The frame's shorter side, in pixels."""
        return min(self.width, self.height)

    @property
    def sun_radius(self) -> float:
        """Half of how wide the sun, or the moon, is; pixels."""
        return self.unit * (0.07 if self.palette.dark else 0.1)

    def drift(self, speed: float) -> Drift:
        """A pan of ``speed`` pixels a frame in a 720-pixel picture, and as much in any other."""
        return Drift(speed * self.unit / 720, self.frames)


def sky(stage: Stage, *, sideways: float = 0.25) -> Sky:
    """Three colours downwards, light around the sun, streaks of cloud, the sun itself; it sinks as the film runs."""
    across, down = stage.drift(sideways), stage.drift(-0.34)
    height, width = even(stage.height + down.span), even(stage.width + across.span)
    centre = stage.sun[0] + across.at(0), stage.sun[1] + down.at(0)
    small = _air(stage, height // 4 + 1, width // 4 + 1, centre)
    y, u, v = (small[:, :, channel] for channel in range(3))
    planes = _grown(y, height, width), _grown(u, height // 2, width // 2), _grown(v, height // 2, width // 2)
    _hang_sun(stage, planes, centre)
    return Sky(planes, across, down)


def _air(stage: Stage, rows: int, columns: int, centre: tuple[float, float]) -> Floats:
    """The sky at a quarter of its size: nothing in it is sharp."""
    palette, (x, y) = stage.palette, centre
    heights = ramp([(0, palette.top), (0.36, palette.middle), (0.64, palette.low), (1, palette.low)], rows)
    far = np.hypot(np.arange(columns) * 4 - x, (np.arange(rows)[:, None] * 4 - y) * 1.15) / stage.unit
    light = (0.5 * np.exp(-((far / 0.2) ** 1.1)) + 0.35 * np.exp(-((far / 0.6) ** 2)))[:, :, None]
    cloud = _clouds(stage, rows, columns)[:, :, None] * (0.16 if palette.dark else 0.4)
    air = heights[:, None, :] + (palette.sun - heights[:, None, :]) * light * (0.6 if palette.dark else 1)
    return yuv((air + (mix(palette.low, palette.sun, 0.5) - air) * cloud).astype(np.float32))


def _clouds(stage: Stage, rows: int, columns: int) -> Floats:
    total = np.zeros((rows, columns), np.float32)
    for octave, strength in enumerate((1.0, 0.6, 0.35)):
        knots = stage.chance.uniform(-1, 1, (5 * 2**octave + 2, 3 * 2**octave + 2)).astype(np.float32)
        total += np.asarray(Image.fromarray(knots).resize((columns, rows), Image.Resampling.BICUBIC)) * strength
    envelope = np.sin(np.linspace(0.1, np.pi, rows)) ** 1.5
    clouds: Floats = np.clip(total * 0.8 - 0.12, 0, 1) * envelope[:, None].astype(np.float32)
    return clouds


def _hang_sun(stage: Stage, planes: Planes, centre: tuple[float, float]) -> None:
    """The disc itself, the one sharp thing in the sky."""
    inks = yuv(stage.palette.sun)
    for plane, ink, half in zip(planes, inks, (1, 2, 2), strict=True):
        r, x, y = stage.sun_radius / half, centre[0] / half, centre[1] / half
        left, top, size = max(0, int(x - r) - 2), max(0, int(y - r) - 2), int(2 * r) + 5
        box = plane[top : top + size, left : left + size]
        rows, columns = np.ogrid[top : top + box.shape[0], left : left + box.shape[1]]
        share = np.clip(r - np.hypot(columns - x, rows - y), 0, 1)
        box[...] = box + (ink - box) * share + 0.5


def _grown(plane: Floats, height: int, width: int) -> Plane:
    full = np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
    return (full + grain(full.shape) + 0.5).astype(np.uint8)


def cut_out(stage: Stage, ridge: Floats, drift: Drift, colours: Floats, firs: float, bob: Bob | None = None) -> Layer:
    """A layer that fills what lies under ``ridge`` (rows), with firs of that height on it where there are any."""
    top = max(0, int(ridge.min() - firs) - 2) // 2 * 2
    # A layer that rises must still reach the frame's last row.
    bottom = stage.height + (even(bob.height) if bob else 0)
    cover = under(ridge, top, bottom)
    if firs:
        cover = np.maximum(cover, ridges.trees(ridge, firs, top, bottom, stage.chance))
    return Layer(cover, _smooth(ridge, stage.unit // 14) - firs * 0.5, top, colours, drift, bob)


def _smooth(line: Floats, width: int) -> Floats:
    """Without its roughness: colours that followed every notch would hang down as streaks."""
    padded = np.pad(line, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.full(width, 1 / width, np.float32), mode="valid").astype(np.float32)


def under(ridge: Floats, top: int, bottom: int) -> Floats:
    """How much of each pixel of rows ``top`` to ``bottom`` lies under ``ridge``, from 0 to 1."""
    depth = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - ridge[None, :]
    depth /= np.sqrt(1 + np.gradient(ridge) ** 2)[None, :]
    depth += 0.5
    return np.clip(depth, 0, 1, out=depth)


def even(length: float) -> int:
    """An even number of pixels, at least ``length``: chroma has half as many."""
    return int(length) // 2 * 2 + 2
