"""Colours as the encoder wants them: BT.709, limited range."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray
from PIL import Image

from rushes.media.encode import Planes, pixels

Floats = NDArray[np.floating[Any]]

_MATRIX = np.array(
    [
        [0.2126, 0.7152, 0.0722],
        [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.5],
        [0.5, -0.7152 / 1.5748, -0.0722 / 1.5748],
    ],
    np.float32,
)
_SCALE = np.array([219, 224, 224], np.float32) / 255
_OFFSET = np.array([16, 128, 128], np.float32)
# Without these swscale rounds roughly, and differently on different processors.
_CAREFULLY = int(Interpolation.BICUBIC) | int(Interpolation.ACCURATE_RND) | int(Interpolation.BITEXACT)


def yuv(rgb: Floats) -> Floats:
    """Colours (…, 3) from 0 to 255 as Y, U, V (…, 3), not yet rounded."""
    out: Floats = (rgb @ _MATRIX.T) * _SCALE + _OFFSET
    return out


def parse(hexadecimal: str) -> Floats:
    """``"ff8800"`` as three numbers from 0 to 255."""
    return np.array(list(bytes.fromhex(hexadecimal)), np.float32)


def mix(one: Floats, other: Floats, share: float) -> Floats:
    """The colour ``share`` of the way from ``one`` to ``other``."""
    out: Floats = one + (other - one) * np.float32(share)
    return out


def ramp(stops: list[tuple[float, Floats]], n: int) -> Floats:
    """A gradient of ``n`` colours through ``stops``, each at its place from 0 to 1."""
    at = np.linspace(0, 1, n)
    places = [place for place, _ in stops]
    channels = [np.interp(at, places, [colour[c] for _, colour in stops]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def planes(picture: Image.Image) -> Planes:
    """A picture of even size as planes."""
    frame = av.VideoFrame.from_ndarray(np.array(picture.convert("RGB")), format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=_CAREFULLY,
        threads=1,
    )
    y, u, v = (pixels(plane).copy() for plane in frame.planes)
    return y, u, v


def picture(planes: Planes) -> Image.Image:
    """Planes of even size as a picture."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, given in zip(frame.planes, planes, strict=True):
        pixels(plane)[:] = given
    rgb = frame.reformat(
        format="rgb24",
        src_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.MPEG,
        interpolation=_CAREFULLY,
        threads=1,
    )
    return Image.fromarray(rgb.to_ndarray())
