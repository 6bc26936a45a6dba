"""Planes in, MP4 out: H.264, yuv420p, BT.709, the index before the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""Y at full size, U and V at half: limited range (16 to 235, 16 to 240), BT.709."""

_BT709 = 1
_LIMITED = 1


def encode(
    frames: Iterable[Planes],
    to: Path,
    *,
    width: int,
    height: int,
    fps: int = 24,
    crf: int = 20,
    preset: str = "ultrafast",
    x264: Mapping[str, str | int] | None = None,
) -> int:
    """Write ``frames`` to ``to`` as a fast-start MP4 without sound; return how many there were.

    ``width`` and ``height`` are even pixels. ``x264`` holds further settings of the encoder by their x264 names.
    One thread: the same frames give the same bytes, and a worker's other jobs keep their cores. Each frame is
    copied before the next is asked for, so the caller may draw them all into the same arrays.
    """
    with av.open(str(to), "w", format="mp4", options={"movflags": "+faststart"}) as mp4:
        stream = _h264(mp4, width, height, fps, {"crf": str(crf), "preset": preset, "threads": "1"}, x264 or {})
        frame = av.VideoFrame(width, height, "yuv420p")
        number = 0
        for planes in frames:
            _fill(frame, planes)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            mp4.mux(stream.encode(frame))
            number += 1
        mp4.mux(stream.encode(None))
    return number


def _h264(
    mp4: av.container.OutputContainer,
    width: int,
    height: int,
    fps: int,
    options: dict[str, str],
    x264: Mapping[str, str | int],
) -> VideoStream:
    params = ":".join(f"{name}={value}" for name, value in x264.items())
    stream = mp4.add_stream("libx264", rate=fps, options={**options, "x264-params": params})
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    codec = stream.codec_context
    codec.colorspace = codec.color_primaries = codec.color_trc = _BT709
    codec.color_range = _LIMITED
    return stream


def pixels(plane: VideoPlane) -> Plane:
    """The plane's pixels (rows, columns), to read and to write: no copy, without the padding of its lines."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def _fill(frame: av.VideoFrame, planes: Planes) -> None:
    for plane, given in zip(frame.planes, planes, strict=True):
        pixels(plane)[:] = given
