"""What a moving picture is painted with, far to near: sky, cut-out layers, water, drifting specks.

Everything is computed once, wider than the frame, and then only panned: a frame is a few copies of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rushes.media.encode import Plane, Planes
from rushes.providers.sandbox.colour import Floats, yuv

_GRAIN = np.random.default_rng(7).uniform(-0.5, 0.5, (128, 128)).astype(np.float32)


class Element(Protocol):
    """Something in the picture."""

    def solid(self, number: int) -> int:
        """The row from which on it covers the whole width in frame ``number``; farther things need not be there."""

    def paint(self, canvas: Planes, number: int, until: int) -> None:
        """Paint frame ``number`` over ``canvas``, down to row ``until``."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A pan at a steady beat: whole pixels a frame, or a pixel every few frames; no beat, no judder."""

    speed: float
    frames: int

    @property
    def span(self) -> int:
        """How many more columns than the frame the strip needs."""
        return self._moved(self.frames) + 2

    def at(self, number: int) -> int:
        """The strip's first visible column in frame ``number``; a negative speed moves to the right."""
        moved = self._moved(number)
        return moved if self.speed >= 0 else self.span - 2 - moved

    def _moved(self, number: int) -> int:
        pace = abs(self.speed)
        return number * round(pace) if pace >= 1 else number // max(1, round(1 / max(pace, 1e-3)))


@dataclass(frozen=True, slots=True)
class Bob:
    """A slow rise and fall: ``height`` pixels either way, once in ``period`` frames."""

    height: float = 0.0
    period: float = 100.0
    phase: float = 0.0

    def at(self, number: int) -> int:
        """Pixels down in frame ``number``."""
        return round(self.height * float(np.sin(2 * np.pi * (number / self.period + self.phase))))


@dataclass(slots=True)
class Sky:
    """The backdrop: planes larger than the frame, panned both ways."""

    planes: Planes
    across: Drift
    down: Drift

    def solid(self, number: int) -> int:
        """The sky covers everything."""
        return 0

    def paint(self, canvas: Planes, number: int, until: int) -> None:
        """Copy the visible part."""
        x, y = self.across.at(number), self.down.at(number)
        for plane, part, half in zip(canvas, self.planes, (0, 1, 1), strict=True):
            rows, columns = (until + half) >> half, plane.shape[1]
            top, left = y >> half, x >> half
            plane[:rows] = part[top : top + rows, left : left + columns]


class Layer:
    """A cut-out: outline, colours by depth below its ridge, drift and bob."""

    def __init__(
        self, cover: Floats, ridge: Floats, top: int, colours: Floats, drift: Drift, bob: Bob | None = None
    ) -> None:
        """``cover`` (rows, columns) from 0 to 1; ``ridge`` in rows of the frame; ``colours`` RGB by pixels below it.

        ``top`` is the frame row, even, of the first row of ``cover``.
        """
        self._top, self._drift, self._bob = top, drift, bob or Bob()
        self.planes = shaded(ridge - top, cover.shape[0], yuv(colours))
        self._keep = _keep(cover)
        full = np.flatnonzero((cover > 0.998).all(axis=1))
        self._ridged = int(full[0]) + (int(full[0]) & 1) if full.size else cover.shape[0]
        self._edge(cover)
        self._cut()

    def _edge(self, cover: Floats) -> None:
        """The pixels on the outline, column by column: too few to blend whole rows for."""
        columns, rows = np.nonzero(((cover > 0.02) & (cover < 0.98)).T)
        self._columns, self._rows = columns, rows
        self._share = cover[rows, columns]
        self._ink = self.planes[0][rows, columns].astype(np.float32) * self._share

    def _cut(self) -> None:
        for plane, keep in zip(self.planes, (self._keep[0], self._keep[1], self._keep[1]), strict=True):
            np.bitwise_and(plane, ~keep, out=plane)

    def solid(self, number: int) -> int:
        """See :class:`Element`."""
        return self._top + self._ridged + self._bob.at(number)

    def paint(self, canvas: Planes, number: int, until: int) -> None:
        """See :class:`Element`."""
        top, left = self._top + self._bob.at(number), self._drift.at(number)
        edge = self._blended(canvas[0], top, left, until)
        for plane, part, keep, half in zip(canvas, self.planes, self._keeps(), (0, 1, 1), strict=True):
            _lay(plane, part, keep, (top >> half, left >> half), self._ridged >> half, (until + half) >> half)
        canvas[0].reshape(-1)[edge[0]] = edge[1]

    def _keeps(self) -> Planes:
        return self._keep[0], self._keep[1], self._keep[1]

    def _blended(self, luma: Plane, top: int, left: int, until: int) -> tuple[NDArray[np.intp], Plane]:
        wide = luma.shape[1]
        first, last = np.searchsorted(self._columns, (left, left + wide))
        rows = self._rows[first:last] + top
        inside = (rows >= 0) & (rows < min(until, luma.shape[0]))
        places = (rows * wide + self._columns[first:last] - left)[inside]
        behind = luma.reshape(-1)[places] * (1 - self._share[first:last][inside])
        return places, (behind + self._ink[first:last][inside] + 0.5).astype(np.uint8)


def shaded(ridge: Floats, rows: int, colours: Floats) -> Planes:
    """Planes of colours by depth under ``ridge``; dithered, or wide gradients would show as steps."""
    depth = np.arange(rows, dtype=np.float32)[:, None] - ridge[None, :]
    y = _looked_up(depth, colours[:, 0])
    quarter = depth[::2, ::2]
    return y, _looked_up(quarter, colours[:, 1]), _looked_up(quarter, colours[:, 2])


def _looked_up(depth: Floats, colours: Floats) -> Plane:
    levels = max(1.0, float(np.ptp(colours)))
    # One level's width of jitter is exactly what hides the edge between two levels.
    width = min(len(colours) / levels, 7.0)
    index = depth + grain(depth.shape) * width
    np.clip(index, 0, len(colours) - 1, out=index)
    found: Plane = np.rint(colours).astype(np.uint8).take(index.astype(np.int16))
    return found


def grain(shape: tuple[int, ...]) -> Floats:
    """Even noise from -0.5 to 0.5, always the same."""
    rows, columns = shape
    return np.tile(_GRAIN, (rows // 128 + 1, columns // 128 + 1))[:rows, :columns]


def _keep(cover: Floats) -> tuple[Plane, Plane]:
    """255 where what is behind stays, 0 where the layer is: for luma and for chroma."""
    quarter = cover[::2, ::2]
    return tuple(np.where(part < 0.5, 255, 0).astype(np.uint8) for part in (cover, quarter))  # type: ignore[return-value]


def _lay(plane: Plane, part: Plane, keep: Plane, at: tuple[int, int], ridged: int, until: int) -> None:
    """Masked where the outline runs, a plain copy below."""
    (top, left), wide = at, plane.shape[1]
    last = min(until, plane.shape[0], top + part.shape[0])
    first, middle = max(top, 0), max(min(top + ridged, last), 0)
    cut = plane[first:middle]
    cut &= keep[first - top : middle - top, left : left + wide]
    cut |= part[first - top : middle - top, left : left + wide]
    plane[middle:last] = part[middle - top : last - top, left : left + wide]


@dataclass(slots=True)
class Water:
    """A sea to the bottom of the frame, with the light's path glittering on it."""

    top: int
    planes: Planes
    glitter: tuple[Plane, Plane]
    path: Plane
    drifts: tuple[Drift, Drift]

    def solid(self, number: int) -> int:
        """See :class:`Element`."""
        return self.top

    def paint(self, canvas: Planes, number: int, until: int) -> None:
        """Two fields of glints pass over each other: where either shines, under the light, it glitters."""
        rows, wide = until - self.top, canvas[0].shape[1]
        for plane, part, half in zip(canvas, self.planes, (0, 1, 1), strict=True):
            plane[self.top >> half : (until + half) >> half] = part[: (rows + half) >> half]
        left, right = (
            field[:rows, drift.at(number) : drift.at(number) + wide]
            for field, drift in zip(self.glitter, self.drifts, strict=True)
        )
        shine = np.minimum(np.minimum(left, right), self.path[:rows])
        luma = canvas[0][self.top : until]
        np.maximum(luma, shine, out=luma)


class Specks:
    """Soft dots that fall, rise or float: snow, stars' twinkle, sparks."""

    def __init__(self, count: int, size: int, fall: float, light: float, canvas: tuple[int, int], seed: int) -> None:
        """``size`` is the largest dot's radius; ``fall`` pixels a frame, downwards; ``canvas`` (height, width)."""
        chance = np.random.default_rng(seed)
        self._height, self._width = canvas
        self._x, self._y = chance.uniform(0, self._width, count), chance.uniform(0, self._height, count)
        self._near = chance.uniform(0.35, 1, count) ** 1.5
        self._phase, self._fall = chance.uniform(0, 2 * np.pi, count), fall
        at = np.arange(-size, size + 1)
        distance = np.hypot(at[:, None], at[None, :]).astype(np.float32)
        radius = np.maximum(1.2, size * self._near)[:, None, None]
        self._dots = light * self._near[:, None, None] * np.clip(1 - distance / radius, 0, 1) ** 1.3
        self._square = at

    def solid(self, number: int) -> int:
        """Specks cover nothing."""
        return 1 << 20

    def paint(self, canvas: Planes, number: int, until: int) -> None:
        """See :class:`Element`."""
        y = (self._y + number * self._fall * self._near) % self._height
        x = (self._x + 14 * np.sin(number / 40 + self._phase) * self._near) % self._width
        rows = np.clip(y.astype(int)[:, None] + self._square, 0, self._height - 1)
        columns = np.clip(x.astype(int)[:, None] + self._square, 0, self._width - 1)
        places = rows[:, :, None] * self._width + columns[:, None, :]
        flat = canvas[0].reshape(-1)
        behind = flat[places]
        glow = self._dots * (0.7 + 0.3 * np.sin(number / 9 + self._phase * 3))[:, None, None]
        flat[places] = (behind + (235 - behind) * glow).astype(np.uint8)
