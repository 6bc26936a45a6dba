"""The kinds of scene: each a list of things to paint, far to near."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from rushes.media.encode import Plane, Planes
from rushes.providers.sandbox import ridges
from rushes.providers.sandbox.colour import Floats, mix, ramp, yuv
from rushes.providers.sandbox.layers import Bob, Element, Layer, Specks, Water, shaded
from rushes.providers.sandbox.stage import Stage, cut_out, even, sky

_WHITE = np.full(3, 255, np.float32)


def scene(kind: str, stage: Stage) -> list[Element]:
    """The things of a scene of ``kind`` (one of :data:`KINDS`), in the order to paint them."""
    return KINDS[kind](stage)


def _hills(stage: Stage) -> list[Element]:
    return [sky(stage), *_range(stage, ridges.rolling, 0.57, 5, wavelength=0.95, rise=0.075)]


def _peaks(stage: Stage) -> list[Element]:
    layers = _range(stage, ridges.jagged, 0.52, 4, wavelength=0.85, rise=0.13)
    return [sky(stage), *layers, *([_snowfall(stage)] if stage.palette.near.mean() > 200 else [])]


def _dunes(stage: Stage) -> list[Element]:
    return [sky(stage), *_range(stage, ridges.dunes, 0.6, 5, wavelength=1.25, rise=0.07)]


def _forest(stage: Stage) -> list[Element]:
    firs = (0.0, 0.055, 0.1, 0.16, 0.26)
    return [sky(stage), *_range(stage, ridges.rolling, 0.5, 5, wavelength=1.0, rise=0.06, firs=firs), _motes(stage)]


def _night(stage: Stage) -> list[Element]:
    firs = (0.0, 0.0, 0.05, 0.12)
    stars = Specks(90, 3, 0.0, 0.9, (int(stage.height * 0.5), stage.width), 5)
    return [sky(stage), stars, *_range(stage, ridges.rolling, 0.62, 4, wavelength=0.9, rise=0.08, firs=firs)]


def _snowfall(stage: Stage) -> Specks:
    size = max(3, stage.unit // 160)
    return Specks(110, size, 2.2 * stage.unit / 720, 0.85, (stage.height, stage.width), 3)


def _motes(stage: Stage) -> Specks:
    size = max(3, stage.unit // 140)
    return Specks(26, size, -0.5 * stage.unit / 720, 0.55, (stage.height, stage.width), 4)


# --- ranges of cut-out layers ---


def _range(
    stage: Stage,
    outline: Callable[[int, float, np.random.Generator], Floats],
    horizon: float,
    count: int,
    *,
    wavelength: float,
    rise: float,
    firs: tuple[float, ...] = (),
) -> list[Element]:
    """``count`` ridges from ``horizon`` (share of the height) to the bottom, each nearer, darker and faster."""
    layers: list[Element] = []
    for number in range(count):
        near = number / (count - 1)
        drift = stage.drift((0.17, 0.25, 0.5, 1.0, 2.0)[number + 5 - count])
        base = stage.height * (horizon + (0.9 - horizon) * near**1.1)
        line = outline(stage.width + drift.span, stage.unit * wavelength * (0.75 + 0.5 * near), stage.chance)
        ridge = base - line * stage.unit * rise * (0.8 + 0.5 * near)
        tall = stage.unit * firs[number] if firs else 0.0
        layers.append(cut_out(stage, ridge, drift, _haze(stage, near), tall))
    return layers


def _haze(stage: Stage, near: float) -> Floats:
    """A layer's colours from its ridge down: its own, fading into the haze that lies in the valley."""
    palette = stage.palette
    own = mix(palette.far, palette.near, near**0.85)
    haze = mix(own, palette.low, 0.62 * (1 - 0.75 * near))
    lit = mix(own, palette.sun, 0.10)
    return ramp([(0, lit), (0.04, own), (1, haze)], int(stage.height * (0.2 + 0.25 * near)))


# --- the sea ---


def _sea(stage: Stage) -> list[Element]:
    return [sky(stage, sideways=0.0), _water(stage), *(_swell(stage, number) for number in range(3))]


def _water(stage: Stage) -> Water:
    """From the horizon down, with two fields of glints that pass each other."""
    top = int(stage.height * 0.56) // 2 * 2
    rows, palette = stage.height - top, stage.palette
    shore = mix(palette.far, palette.low, 0.55)
    colours = ramp([(0, shore), (0.12, palette.far), (1, mix(palette.far, palette.near, 0.8))], rows)
    planes = shaded(np.zeros(stage.width, np.float32), rows, yuv(colours))
    drifts = stage.drift(0.5), stage.drift(-1.0)
    left, right = (_glints(stage, rows, stage.width + drift.span) for drift in drifts)
    return Water(top, planes, (left, right), _path(stage, rows), drifts)


def _glints(stage: Stage, rows: int, columns: int) -> Plane:
    """Streaks of light, thin at the horizon and broad near by."""
    lines = 64
    knots = stage.chance.uniform(0, 1, (lines, columns // max(1, stage.unit // 24))).astype(np.float32)
    wide = np.asarray(Image.fromarray(knots).resize((columns, lines), Image.Resampling.BICUBIC))
    at = np.log1p(np.arange(rows) / (rows / 12)) / np.log(13) * (lines - 1.001)
    line, share = at.astype(int), (at % 1)[:, None].astype(np.float32)
    field = wide[line] * (1 - share) + wide[line + 1] * share
    glints: Plane = (np.clip((field - 0.42) * 5, 0, 1) * 235).astype(np.uint8)
    return glints


def _path(stage: Stage, rows: int) -> Plane:
    """How bright a glint may be: the sun's path towards us, a faint shimmer elsewhere."""
    y = np.arange(rows, dtype=np.float32)[:, None] / rows
    x = (np.arange(stage.width, dtype=np.float32)[None, :] - stage.sun[0]) / stage.unit
    path = np.exp(-((x / (0.07 + 0.3 * y)) ** 2)) * (1 - 0.45 * y)
    light, base = float(yuv(stage.palette.sun)[0]), float(yuv(stage.palette.far)[0])
    return (base * 0.75 + (light - base * 0.75) * path).clip(16, 235).astype(np.uint8)


def _swell(stage: Stage, number: int) -> Layer:
    """A wave in front: long, slow, lit along its crest."""
    near = (number + 1) / 3
    drift = stage.drift((0.5, -1.0, 1.0)[number])
    ridge = stage.height * (0.74 + 0.085 * number) + stage.unit * 0.022 * (1 + near) * ridges.silk(
        stage.width + drift.span, stage.unit * (0.6 + 0.3 * near), stage.chance
    )
    palette = stage.palette
    own = mix(palette.far, palette.near, 0.35 + 0.5 * near)
    foam = mix(palette.far, _WHITE, 0.45)
    colours = ramp(
        [(0, mix(own, foam, 0.4)), (0.03, mix(own, foam, 0.16)), (0.5, own), (1, palette.near)],
        int(stage.height * 0.24),
    )
    bob = Bob(stage.unit * 0.011 * (1 + near), 88 + 22 * number, float(stage.chance.uniform()))
    return cut_out(stage, ridge, drift, colours, 0.0, bob)


# --- the city ---


def _city(stage: Stage) -> list[Element]:
    return [sky(stage), *(_street(stage, number) for number in range(4))]


def _street(stage: Stage, number: int) -> Layer:
    """A row of houses; the nearer ones have lit windows."""
    near, drift = number / 3, stage.drift((0.17, 0.25, 0.5, 1.0)[number])
    width, unit = even(stage.width + drift.span), stage.unit * (0.085 + 0.05 * near)
    base = stage.height * (0.46 + 0.3 * near) - stage.unit * 0.09 * ridges.rolling(width, stage.unit, stage.chance)
    top = max(0, int(base.min() - unit * 1.8) // 2 * 2)
    found = ridges.houses(base, unit, top, stage.height, stage.chance)
    cover = np.zeros((stage.height - top, width), np.float32)
    for left, right, roof in found:
        cover[roof - top :, max(left, 0) : right] = 1
    layer = Layer(cover, np.full(width, top, np.float32), top, _haze(stage, near), drift)
    if number >= 1:
        _light_windows(stage, layer.planes, found, top, near)
    return layer


def _light_windows(stage: Stage, planes: Planes, found: list[tuple[int, int, int]], top: int, near: float) -> None:
    pitch = max(6, int(stage.unit * (0.012 + 0.012 * near)) // 2 * 2)
    inks = yuv(mix(stage.palette.far, stage.palette.sun, 0.35 + 0.6 * near)).round()
    for left, right, roof in found:
        lit = stage.chance.uniform(0.12, 0.5)
        for y in range((roof - top + pitch) // 2 * 2, planes[0].shape[0] - pitch, pitch * 3 // 4 * 2):
            for x in range((left + pitch) // 2 * 2, right - pitch, pitch):
                if x > 0 and stage.chance.random() < lit:
                    _pane(planes, inks, x, y, pitch // 2)


def _pane(planes: Planes, inks: Floats, x: int, y: int, size: int) -> None:
    for plane, ink, half in zip(planes, inks, (1, 2, 2), strict=True):
        plane[y // half : (y + size * 3 // 2) // half, x // half : (x + size) // half] = ink


# --- silk ---


def _silk(stage: Stage) -> list[Element]:
    """Folds of coloured cloth from the top to the bottom, passing each other."""
    palette, count = stage.palette, 7
    stops = [(0.0, palette.top), (0.3, palette.middle), (0.55, palette.low), (0.8, palette.far), (1.0, palette.near)]
    owns = ramp(stops, count + 1)
    return [sky(stage), *(_fold(stage, number / count, owns[number]) for number in range(count))]


def _fold(stage: Stage, near: float, own: Floats) -> Layer:
    drift = stage.drift(float(stage.chance.choice([-1.0, -0.5, 0.5, 1.0])))
    wavelength = max(stage.width, stage.unit * 1.2) * float(stage.chance.uniform(0.75, 1.2))
    line = ridges.silk(stage.width + drift.span, wavelength, stage.chance)
    ridge = stage.height * (0.1 + 0.84 * near) + line * stage.height * 0.055
    palette = stage.palette
    colours = ramp(
        [
            (0, mix(own, palette.sun, 0.42)),
            (0.08, mix(own, palette.sun, 0.2)),
            (0.4, own),
            (1, mix(own, palette.near, 0.4)),
        ],
        int(stage.height * 0.26),
    )
    bob = Bob(stage.height * 0.012, float(stage.chance.uniform(110, 190)), float(stage.chance.uniform()))
    return cut_out(stage, ridge, drift, colours, 0.0, bob)


KINDS: Mapping[str, Callable[[Stage], list[Element]]] = {
    "hills": _hills,
    "peaks": _peaks,
    "dunes": _dunes,
    "forest": _forest,
    "night": _night,
    "sea": _sea,
    "city": _city,
    "silk": _silk,
}
