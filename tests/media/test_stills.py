"""Each way a video can be odd, named once: the stills are the right frames, the right way up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rushes.errors import Unreadable
from rushes.media import Facts, last_frame, stills
from rushes.media.stills import LAST_FRAME, PREVIEW, THUMBNAIL, examine, examine_last

from . import clips

Box = tuple[float, float, float, float]

TOP_LEFT: Box = (0.0, 0.0, 0.25, 0.25)
TOP_RIGHT: Box = (0.75, 0.0, 1.0, 0.25)
BOTTOM_LEFT: Box = (0.0, 0.75, 0.25, 1.0)
BOTTOM_RIGHT: Box = (0.75, 0.75, 1.0, 1.0)


def patch(path: Path, box: Box = BOTTOM_RIGHT) -> tuple[float, float, float]:
    """The colour in the middle of a part of an image, given in shares of its sides."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), float)
    y, x = int((box[1] + box[3]) / 2 * len(pixels)), int((box[0] + box[2]) / 2 * len(pixels[0]))
    red, green, blue = pixels[y - 4 : y + 4, x - 4 : x + 4].mean((0, 1))
    return red, green, blue


def number(path: Path, box: Box = BOTTOM_RIGHT) -> float:
    """The number of the frame that an image shows."""
    return round((sum(patch(path, box)) / 3 - clips.grey(0)) / clips.STEP, 1)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


ONE_SECOND = Facts(width=96, height=64, seconds=1.0, frames_per_second=24.0, codec="h264", has_audio=False)
Maker = Callable[[Path], Path]

VIDEOS: dict[str, tuple[Maker, Facts]] = {
    "plain": (clips.make, ONE_SECOND),
    "one key frame": (lambda p: clips.make(p, key_every=250), ONE_SECOND),
    "only key frames": (lambda p: clips.make(p, key_every=1), ONE_SECOND),
    "b-frames": (lambda p: clips.make(p, b_frames=3), ONE_SECOND),
    "b-frames, one key frame": (lambda p: clips.make(p, b_frames=3, key_every=250), ONE_SECOND),
    "moov in front": (lambda p: clips.make(p, movflags="faststart"), ONE_SECOND),
    "fragmented": (
        lambda p: clips.make(p, movflags="frag_keyframe+empty_moov+default_base_moof"),
        ONE_SECOND,
    ),
    "fragmented, b-frames": (
        lambda p: clips.make(p, b_frames=2, movflags="frag_keyframe+empty_moov"),
        ONE_SECOND,
    ),
    "starts late": (lambda p: clips.make(p, first_pts=30, b_frames=2), ONE_SECOND),
    "mov": (lambda p: clips.make(p, format="mov"), ONE_SECOND),
    "sound as long": (lambda p: clips.make(p, sound=1), Facts(96, 64, 1.0, 24.0, "h264", True)),
    "sound 4 s longer": (
        lambda p: clips.make(p, sound=5, b_frames=2),
        Facts(96, 64, 1.0, 24.0, "h264", True),
    ),
    "hevc, 10 bits": (
        lambda p: clips.make(p, codec="libx265", pixels="yuv420p10le", options={"x265-params": "log-level=none:qp=8"}),
        Facts(96, 64, 1.0, 24.0, "hevc", False),
    ),
    "av1": (
        lambda p: clips.make(p, codec="libsvtav1", options={"crf": "8", "preset": "10"}),
        Facts(96, 64, 1.0, 24.0, "av1", False),
    ),
    "vp9": (
        lambda p: clips.make(p, codec="libvpx-vp9", options={"crf": "8"}),
        Facts(96, 64, 1.0, 24.0, "vp9", False),
    ),
    "10 bits": (lambda p: clips.make(p, pixels="yuv420p10le"), ONE_SECOND),
    "odd size": (
        lambda p: clips.make(p, width=97, height=65, pixels="yuv444p"),
        Facts(97, 65, 1.0, 24.0, "h264", False),
    ),
    "alpha": (
        lambda p: clips.make(p, codec="png", pixels="rgba", format="mov"),
        Facts(96, 64, 1.0, 24.0, "png", False),
    ),
    "one frame": (lambda p: clips.make(p, frames=1), Facts(96, 64, 1 / 24, 24.0, "h264", False)),
}


@pytest.mark.parametrize("name", VIDEOS)
def test_stills_are_the_first_and_the_true_last_frame(name: str, tmp_path: Path) -> None:
    maker, expected = VIDEOS[name]
    video = maker(tmp_path / "video.mp4")
    facts = examine(video, tmp_path)
    last = 0 if name == "one frame" else 23
    assert facts.seconds == pytest.approx(expected.seconds, abs=1e-5)
    assert replace(facts, seconds=expected.seconds) == expected
    assert number(tmp_path / PREVIEW) == pytest.approx(0, abs=0.3)
    assert number(tmp_path / LAST_FRAME) == pytest.approx(last, abs=0.3)
    for still in (PREVIEW, THUMBNAIL, LAST_FRAME):
        assert size(tmp_path / still) == (expected.width, expected.height)
        assert min(patch(tmp_path / still, TOP_LEFT)) > 240
    assert examine_last(video, tmp_path / "again.png") == facts
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / LAST_FRAME).read_bytes()


def test_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    video = clips.make(tmp_path / "video.mp4")
    assert asyncio.run(stills(video, tmp_path)) == ONE_SECOND
    assert asyncio.run(last_frame(video, tmp_path / "to.png")) == ONE_SECOND
    assert (tmp_path / "to.png").read_bytes() == (tmp_path / LAST_FRAME).read_bytes()
    with pytest.raises(Unreadable, match="not a readable MP4"):
        asyncio.run(stills(tmp_path / LAST_FRAME, tmp_path))


def test_one_broken_frame_is_not_the_end(tmp_path: Path) -> None:
    video = clips.spoil(clips.make(tmp_path / "video.mp4", key_every=250), 12)
    assert examine(video, tmp_path) == ONE_SECOND


def test_an_edit_list_says_which_frames_are_shown(tmp_path: Path) -> None:
    video = clips.trim(clips.make(tmp_path / "video.mp4", b_frames=2), start=5, end=20)
    facts = examine(video, tmp_path)
    assert facts.seconds == pytest.approx(15 / 24, abs=0.001)
    assert number(tmp_path / PREVIEW) == pytest.approx(5, abs=0.3)
    assert number(tmp_path / LAST_FRAME) == pytest.approx(19, abs=0.3)


@pytest.mark.parametrize(
    ("turn", "corner", "shown"),
    [
        ((0, False, False), TOP_LEFT, (96, 64)),
        ((90, False, False), BOTTOM_LEFT, (64, 96)),
        ((180, False, False), BOTTOM_RIGHT, (96, 64)),
        ((-90, False, False), TOP_RIGHT, (64, 96)),
        ((0, True, False), TOP_RIGHT, (96, 64)),
        ((0, False, True), BOTTOM_LEFT, (96, 64)),
    ],
)
def test_pictures_are_turned_as_players_show_them(
    turn: tuple[int, bool, bool], corner: Box, shown: tuple[int, int], tmp_path: Path
) -> None:
    facts = examine(clips.make(tmp_path / "video.mp4", turn=turn), tmp_path)
    assert (facts.width, facts.height) == shown
    for still in (PREVIEW, THUMBNAIL, LAST_FRAME):
        assert size(tmp_path / still) == shown
        bright = [
            box for box in (TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT) if patch(tmp_path / still, box)[0] > 240
        ]
        assert bright == [corner]


RED_ISH = (200, 60, 30)


@pytest.mark.parametrize(
    ("name", "matrix", "full_range"),
    [("709", 1, False), ("709", 1, True), ("601", 6, False), ("601", 6, True)],
)
def test_colours_are_right_for_each_matrix_and_range(name: str, matrix: int, full_range: bool, tmp_path: Path) -> None:
    examine(clips.plain(tmp_path / "video.mp4", stored(RED_ISH, name, full_range), matrix, full_range), tmp_path)
    assert patch(tmp_path / LAST_FRAME) == pytest.approx(RED_ISH, abs=3)
    assert patch(tmp_path / PREVIEW) == pytest.approx(RED_ISH, abs=5)


def stored(rgb: tuple[int, int, int], name: str, full_range: bool) -> tuple[int, int, int]:
    """RGB as Y, Cb and Cr by the standards' own formulas."""
    red, green, blue = (value / 255 for value in rgb)
    kr, kb = {"709": (0.2126, 0.0722), "601": (0.299, 0.114)}[name]
    y = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - y) / (2 - 2 * kb), (red - y) / (2 - 2 * kr)
    if full_range:
        return round(255 * y), round(128 + 255 * cb), round(128 + 255 * cr)
    return round(16 + 219 * y), round(128 + 224 * cb), round(128 + 224 * cr)


def fading_in(number: int, width: int, height: int) -> clips.Picture:
    """Black for four frames, then a picture."""
    return clips.numbered(number, width, height) if number >= 4 else np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize("key_every", [4, 250])
def test_the_thumbnail_shows_something(key_every: int, tmp_path: Path) -> None:
    examine(clips.make(tmp_path / "video.mp4", picture=fading_in, key_every=key_every), tmp_path)
    assert number(tmp_path / THUMBNAIL) == pytest.approx(8, abs=0.5)
    assert patch(tmp_path / PREVIEW) == pytest.approx((0, 0, 0), abs=3)


def flash(number: int, width: int, height: int) -> clips.Picture:
    """Black but for the last frame."""
    return clips.numbered(number, width, height) if number == 23 else np.zeros((height, width, 3), np.uint8)


def test_the_thumbnail_is_the_end_if_all_else_is_black(tmp_path: Path) -> None:
    examine(clips.make(tmp_path / "video.mp4", picture=flash), tmp_path)
    assert number(tmp_path / THUMBNAIL) == pytest.approx(23, abs=0.5)


@pytest.mark.parametrize(
    ("width", "height", "small"), [(720, 1280, (270, 480)), (1280, 720, (480, 270)), (480, 64, (480, 64))]
)
def test_the_thumbnail_is_480_at_most(width: int, height: int, small: tuple[int, int], tmp_path: Path) -> None:
    examine(clips.make(tmp_path / "video.mp4", width=width, height=height, frames=3), tmp_path)
    assert size(tmp_path / THUMBNAIL) == small
    assert size(tmp_path / PREVIEW) == (width, height)
