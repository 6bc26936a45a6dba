"""Makes the clips the media tests read: a frame tells its number by its grey, and its top left by white.

Made by code, so that no binary is kept in the repository and each test says what is special about its file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

RATE = 24
STEP = 8
"""Greys between one frame's number and the next: far more than a codec's error."""


def grey(number: int) -> int:
    """The grey of frame ``number`` (0 to 25)."""
    return 20 + STEP * number


def numbered(number: int, width: int, height: int) -> Picture:
    """A grey picture with a white square of a quarter of each side at the top left."""
    picture = np.full((height, width, 3), grey(number), np.uint8)
    picture[: height // 4, : width // 4] = 255
    return picture


def make(
    path: Path,
    *,
    frames: int = 24,
    width: int = 96,
    height: int = 64,
    picture: Callable[[int, int, int], Picture] = numbered,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    key_every: int = 8,
    b_frames: int = 0,
    first_pts: int = 0,
    pts: Callable[[int], int] = lambda number: number,
    sound: float = 0.0,
    turn: tuple[int, bool, bool] = (0, False, False),
    format: str = "mp4",  # noqa: A002  # FFmpeg's word
    movflags: str = "",
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write a clip. ``turn``: degrees counter-clockwise, mirrored, upside down; as its display matrix."""
    flags = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", format=format, options=flags) as container:
        stream: Any = container.add_stream(codec, rate=RATE, options=dict(options or _sharp(codec, b_frames)))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.gop_size = key_every
        if any(turn):
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        voice: Any = container.add_stream("aac", rate=48000) if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, width, height), "rgb24")
            frame.pts, frame.time_base = first_pts + pts(number), Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice:
            _silence(container, voice, sound)
    return path


STEP_OF_FILM = 3
"""Greys between one frame of the film and the next."""


def film(path: Path, first: int, frames: int, **how: Any) -> Path:
    """A stretch of one film in which every frame is a little lighter than the one before (0 to 78), as :func:`make`
    writes it.
    """

    def lighter(number: int, width: int, height: int) -> Picture:
        return np.full((height, width, 3), film_grey(first + number), np.uint8)

    return make(path, frames=frames, picture=lighter, **how)


def film_grey(number: int) -> int:
    """The grey of the film's frame ``number``."""
    return 16 + STEP_OF_FILM * number


def _sharp(codec: str, b_frames: int) -> dict[str, str]:
    if codec != "libx264":
        return {}
    return {"preset": "veryfast", "qp": "8", "bf": str(b_frames), "sc_threshold": "0"}


def _silence(container: Any, stream: Any, seconds: float) -> None:
    for number in range(int(seconds * 48000) // 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 48000, number * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def plain(path: Path, yuv: tuple[int, int, int], colourspace: int, full_range: bool) -> Path:
    """One colour, given as it is stored, tagged with its matrix (1: BT.709, 6: BT.601) and range."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.colorspace = colourspace
        stream.codec_context.color_range = 2 if full_range else 1
        planes = np.concatenate([np.full(n, v, np.uint8) for n, v in zip((4096, 1024, 1024), yuv, strict=True)])
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(planes.reshape(96, 64), "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            frame.colorspace, frame.color_range = colourspace, 2 if full_range else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound_only(path: Path, seconds: float = 1) -> Path:
    """An MP4 with nothing to see."""
    with av.open(str(path), "w", format="mp4") as container:
        _silence(container, container.add_stream("aac", rate=48000), seconds)
    return path


def trim(path: Path, *, start: int, end: int) -> Path:
    """Rewrite the video's edit list so that players show frames ``start`` to ``end`` (exclusive) only."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    _, media_time = struct.unpack_from(">Ii", data, at)
    movie_scale, ticks = 1000, 512  # what FFmpeg's muxer writes: the movie in ms, a 24th as 512 of 12288
    duration = round((end - start) * movie_scale / RATE)
    struct.pack_into(">Ii", data, at, duration, media_time + start * ticks)
    path.write_bytes(data)
    return path


def spoil(path: Path, number: int) -> Path:
    """Overwrite one stored frame with noise."""
    with av.open(str(path)) as container:
        entry = container.streams.video[0].index_entries[number]
        place, size = entry.pos, entry.size
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    return path
