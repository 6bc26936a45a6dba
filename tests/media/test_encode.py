"""Planes in, MP4 out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from rushes.media.encode import Planes, encode, pixels

RED = (63, 102, 240)
"""Pure red in BT.709, limited range; in BT.601 these planes would be another colour."""


def plain(count: int, width: int, height: int, colour: tuple[int, int, int] = RED) -> Iterator[Planes]:
    canvas = [np.empty((height >> half, width >> half), np.uint8) for half in (0, 1, 1)]
    for _ in range(count):
        for plane, value in zip(canvas, colour, strict=True):
            plane[:] = value
        yield canvas[0], canvas[1], canvas[2]


def test_every_frame_arrives_at_its_time(tmp_path: Path) -> None:
    to = tmp_path / "a.mp4"
    assert encode(plain(30, 96, 64), to, width=96, height=64, fps=24) == 30
    with av.open(str(to)) as mp4:
        stream = mp4.streams.video[0]
        times = [frame.time for frame in mp4.decode(stream)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 24
    assert times == pytest.approx([number / 24 for number in range(30)])


def test_colours_come_back_because_the_file_says_which_they_are(tmp_path: Path) -> None:
    encode(plain(3, 96, 64), tmp_path / "a.mp4", width=96, height=64)
    with av.open(str(tmp_path / "a.mp4")) as mp4:
        frame = next(mp4.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)
        red, green, blue = frame.to_ndarray(format="rgb24")[32, 48]
    assert red > 250
    assert max(green, blue) < 6


def test_the_index_stands_before_the_pictures(tmp_path: Path) -> None:
    encode(plain(3, 96, 64), tmp_path / "a.mp4", width=96, height=64)
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_one_array_may_carry_every_frame(tmp_path: Path) -> None:
    def growing() -> Iterator[Planes]:
        for number, planes in enumerate(plain(10, 96, 64)):
            planes[0][:] = 20 + 20 * number
            yield planes

    encode(growing(), tmp_path / "a.mp4", width=96, height=64, crf=1)
    with av.open(str(tmp_path / "a.mp4")) as mp4:
        greys = [int(pixels(frame.planes[0]).mean()) for frame in mp4.decode(video=0)]
    assert all(later > earlier + 10 for earlier, later in pairwise(greys))


def test_planes_of_another_size_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        encode(plain(1, 64, 64), tmp_path / "a.mp4", width=96, height=64)
