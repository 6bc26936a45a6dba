"""A video's stills: preview.jpg, thumbnail.jpg and last_frame.png, in one pass over the file.

PyAV and Pillow are imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.media.isolate import isolated
from rushes.media.probe import Facts, Video, display_matrix, opened

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from PIL.Image import Image

PREVIEW, THUMBNAIL, LAST_FRAME = "preview.jpg", "thumbnail.jpg", "last_frame.png"
THUMBNAIL_SIDE = 480
THUMBNAIL_AT = 1 / 3
"""Where in the video a thumbnail is looked for: past a fade-in, before the end gives the story away."""
CONTENT = 12.0
"""Standard deviation of grey (of 255) from which on a still shows something: black and fades stay below."""
PNG_OPTIONS = {"compression_level": "1", "pred": "mixed"}
"""zlib's level 6 takes three times as long for a file 5 % smaller."""


async def stills(video: Path, folder: Path, *, seconds: float = 60) -> Facts:
    """Write the three stills of an untrusted MP4 into ``folder``; its facts, or ``Unreadable``."""
    return await isolated(examine, video, folder, seconds=seconds)


async def last_frame(video: Path, to: Path, *, seconds: float = 60) -> Facts:
    """Write the true last frame of an untrusted MP4 to ``to`` as a PNG, to go on from; facts or ``Unreadable``."""
    return await isolated(examine_last, video, to, seconds=seconds)


def examine(video: Path, folder: Path) -> Facts:
    """What :func:`stills` does, in this process."""
    with opened(video) as file:
        first = file.first()
        passed, last = file.tail(THUMBNAIL_AT)
        facts = file.facts(first, last)
        opening, ending = upright(first), upright(last)
        opening.save(folder / PREVIEW, quality=90)
        save_png(ending, folder / LAST_FRAME)
        _thumbnail(_candidates(file, passed, opening, ending)).save(folder / THUMBNAIL, quality=85)
    return facts


def examine_last(video: Path, to: Path) -> Facts:
    """What :func:`last_frame` does, in this process."""
    with opened(video) as file:
        first = file.first()
        _, last = file.tail(0)
        save_png(upright(last), to)
        return file.facts(first, last)


def upright(frame: VideoFrame) -> Image:
    """The frame as RGB, turned and mirrored as the file says; angles other than right ones are left alone."""
    from PIL.Image import Transpose

    turns = {
        (-1, 0, 0, 1): Transpose.FLIP_LEFT_RIGHT,
        (1, 0, 0, -1): Transpose.FLIP_TOP_BOTTOM,
        (-1, 0, 0, -1): Transpose.ROTATE_180,
        (0, 1, 1, 0): Transpose.TRANSPOSE,
        (0, -1, -1, 0): Transpose.TRANSVERSE,
        (0, 1, -1, 0): Transpose.ROTATE_270,  # Pillow turns counter-clockwise
        (0, -1, 1, 0): Transpose.ROTATE_90,
    }
    image: Image = frame.to_image(threads=1)  # type: ignore[no-untyped-call]
    turn = turns.get(display_matrix(frame) or (1, 0, 0, 1))
    return image if turn is None else image.transpose(turn)


def save_png(image: Image, path: Path) -> None:
    """Write an RGB image as a PNG without loss: the same pixels give the same bytes."""
    # FFmpeg's encoder takes half of Pillow's time for a file of the same size.
    import av

    encoder = av.VideoCodecContext.create("png", "w")
    encoder.width, encoder.height = image.size
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1, 1)
    encoder.options, encoder.thread_count = dict(PNG_OPTIONS), 1
    frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]
    path.write_bytes(b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))))


def _candidates(file: Video, passed: VideoFrame | None, opening: Image, ending: Image) -> Iterator[Image]:
    """Stills for a thumbnail, the likeliest first; one is only sought if those at hand show nothing."""
    if passed:
        yield upright(passed)
    yield opening
    if not passed and (near := file.key_frame(THUMBNAIL_AT)):
        yield upright(near)
    yield ending


def _thumbnail(candidates: Iterator[Image]) -> Image:
    """The first that shows something, else the one that shows most; small."""
    seen: list[Image] = []
    for image in candidates:
        seen.append(_small(image))
        if _content(seen[-1]) >= CONTENT:
            return seen[-1]
    return max(seen, key=_content)


def _small(image: Image) -> Image:
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2)
    return small


def _content(image: Image) -> float:
    from PIL.ImageStat import Stat

    return Stat(image.convert("L")).stddev[0]
