"""Outlines of what the scenes are cut from: hills, peaks, waves, dunes, trees, houses."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from rushes.providers.sandbox.colour import Floats

_FINE = 2
"""Trees and houses are drawn this many times larger and reduced, for smooth edges."""


def rolling(width: int, wavelength: float, chance: np.random.Generator) -> Floats:
    """A smooth ridge: ``width`` heights from -1 (valley) to 1 (hilltop)."""
    x = np.arange(width) / wavelength
    line = np.zeros(width)
    for octave in range(4):
        line += _sine(x, 1.9**octave, 0.42**octave, chance)
    return _spread(line)


def jagged(width: int, wavelength: float, chance: np.random.Generator) -> Floats:
    """A mountain ridge: sharp peaks, rough slopes."""
    line = np.zeros(width)
    for octave in range(7):
        step = wavelength / 2 / 2**octave
        n = int(width / step) + 3
        # Large peaks alternate with valleys; the roughness upon them is free.
        knots = chance.uniform(-1, 1, n) if octave else np.where(np.arange(n) % 2, 1, -1) * chance.uniform(0.3, 1, n)
        places = (np.arange(n) + chance.uniform(-0.3, 0.3, n)) * step
        line += np.interp(np.arange(width), places, knots) * 0.47**octave
    return _spread(line)


def dunes(width: int, wavelength: float, chance: np.random.Generator) -> Floats:
    """A dune's back: slow rise, sharp crest, quick fall."""
    x = np.arange(width) / wavelength + 0.35 * np.sin(np.arange(width) / wavelength * 2.1 + chance.uniform(0, 6))
    phase = (x + chance.uniform()) % 1
    crest = np.where(phase < 0.68, (phase / 0.68) ** 1.6, ((1 - phase) / 0.32) ** 1.25)
    return _spread(crest + _sine(x, 0.37, 0.35, chance))


def silk(width: int, wavelength: float, chance: np.random.Generator) -> Floats:
    """One long, calm fold."""
    x = np.arange(width) / wavelength
    return _spread(_sine(x, 1, 1, chance) + _sine(x, 1.83, 0.33, chance))


def trees(ridge: Floats, height: float, top: int, bottom: int, chance: np.random.Generator) -> Floats:
    """How much of each pixel the firs that stand on ``ridge`` (rows) cover: rows ``top`` to ``bottom``, 0 to 1."""
    picture = Image.new("L", (len(ridge) * _FINE, (bottom - top) * _FINE))
    pen = ImageDraw.Draw(picture)
    x = 0.0
    while x < len(ridge):
        tall = height * chance.uniform(0.45, 1) ** 1.2
        foot = float(ridge[int(x)]) - top + height * 0.2
        pen.polygon(_fir(x * _FINE, foot * _FINE, tall * _FINE, chance), fill=255)
        x += height * chance.uniform(0.1, 0.34)
    return np.asarray(picture.reduce(_FINE), np.float32) / 255


def _fir(x: float, foot: float, tall: float, chance: np.random.Generator) -> list[tuple[float, float]]:
    tiers = 7
    half = tall * float(chance.uniform(0.17, 0.23))
    right: list[tuple[float, float]] = []
    for tier in range(1, tiers + 1):
        y, wide = foot - tall * (1 - tier / tiers), half * (tier / tiers) ** 0.9
        right += [(wide, y), (wide * 0.55, y - tall * 0.012)]
    left = [(x - dx, y) for dx, y in reversed(right)]
    return [(x, foot - tall), *((x + dx, y) for dx, y in right), (x, foot + tall), *left]


def houses(
    ridge: Floats, unit: float, top: int, bottom: int, chance: np.random.Generator
) -> list[tuple[int, int, int]]:
    """A skyline along ``ridge``: (left, right, roof row) of each house."""
    found = []
    x = -int(chance.uniform(0, unit))
    while x < len(ridge):
        wide = int(unit * chance.uniform(0.5, 1.25))
        roof = ridge[min(max(x, 0), len(ridge) - 1)] + unit * chance.uniform(-1.7, 0.5)
        found.append((x, x + wide, int(np.clip(roof, top, bottom - 2))))
        x += wide + int(unit * chance.choice([0, 0, 0.06, 0.14]))
    return found


def _sine(x: Floats, frequency: float, strength: float, chance: np.random.Generator) -> Floats:
    jitter = chance.uniform(0.85, 1.15)
    return np.asarray(np.sin(x * 2 * np.pi * frequency * jitter + chance.uniform(0, 2 * np.pi)) * strength)


def _spread(line: Floats) -> Floats:
    low, high = float(np.min(line)), float(np.max(line))
    return np.asarray((line - low) / (high - low) * 2 - 1, np.float32)
