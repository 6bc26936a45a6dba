"""What a file is: a video's facts and frames, an image's size, or ``Unreadable`` with the reason.

PyAV and Pillow are imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rushes.errors import TooManyPixels, Unreadable
from rushes.media.isolate import isolated

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.ImageFile import ImageFile

MOST_SIDE = 8192
MOST_PIXELS = 67_108_864  # 8192 x 8192: what H.264, HEVC and the providers stop at
MOST_SECONDS = 30 * 60
IMAGE_FORMATS: dict[str, Literal["png", "jpeg", "webp"]] = {
    "PNG": "png",
    "JPEG": "jpeg",
    "MPO": "jpeg",  # what phones write: a JPEG with a second one behind it
    "WEBP": "webp",
}
EXIF_ORIENTATION = 0x0112
_SAME = 0.001
"""Seconds that two times may differ by for want of digits."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A video as it is shown: ``width`` and ``height`` in pixels after rotation, ``seconds`` of picture."""

    width: int
    height: int
    seconds: float
    frames_per_second: float
    codec: str
    has_audio: bool


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as it is shown: ``width`` and ``height`` in pixels after its EXIF orientation."""

    width: int
    height: int
    format: Literal["png", "jpeg", "webp"]


async def image(path: Path, *, seconds: float = 20) -> ImageFacts:
    """Decode a PNG, JPEG or WebP of at most 67 megapixels to its end; ``Unreadable`` if it is not one."""
    return await isolated(examine_image, path, seconds=seconds)


def examine_image(path: Path) -> ImageFacts:
    """What :func:`image` does, in this process."""
    return image_facts(decoded(path))


def decoded(path: Path) -> ImageFile:
    """The PNG, JPEG or WebP at ``path`` with all its pixels; of several pictures the first, as it is stored."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and is checked before anything is unpacked
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as opened:
            check_size(*opened.size)
            opened.load()
            opened.getexif()  # remembered, so that a broken one is found here
            return opened
    except Unreadable:
        raise
    except UnidentifiedImageError:  # its words name our path
        raise Unreadable("This is not a PNG, JPEG or WebP image.") from None
    except Exception as error:  # Pillow's readers raise anything: SyntaxError, struct.error, a bomb's own class
        raise Unreadable(f"This is not a readable PNG, JPEG or WebP image: {error}.") from error


def image_facts(decoded: ImageFile) -> ImageFacts:
    """What an image is that was just decoded."""
    width, height = decoded.size
    turned = decoded.getexif().get(EXIF_ORIENTATION) in (5, 6, 7, 8)
    kind = IMAGE_FORMATS[decoded.format or ""]
    return ImageFacts(height, width, kind) if turned else ImageFacts(width, height, kind)


def check_size(width: int, height: int) -> None:
    """Refuse what would take too much memory, and nothing at all."""
    if min(width, height) < 1:
        raise Unreadable("It has no pixels.")
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise TooManyPixels(f"It is {width} x {height} pixels; at most {MOST_SIDE} on a side are read.")


@contextmanager
def opened(path: Path) -> Iterator[Video]:
    """The MP4 or MOV at ``path``; what FFmpeg says against it, then or later, is ``Unreadable``."""
    import av

    # Named demuxer, files only: a playlist in disguise could make us read other files or the network.
    # Opening decodes no frame to guess by (a tenth of all the time): MP4 says everything, frames are checked anew.
    options = {"protocol_whitelist": "file", "max_pixels": str(MOST_PIXELS), "skip_frame": "all"}
    try:
        with av.open(str(path.absolute()), format="mov", options=options) as container:
            yield Video(container, _picture(container), path.stat().st_size)
    except av.FFmpegError as error:
        raise Unreadable(f"This is not a readable MP4 video: {error.strerror}.") from error


def _picture(container: InputContainer) -> VideoStream:
    """The video stream that players show; cover art is none."""
    if not container.streams:
        raise Unreadable("The file is cut off before its index, or is no MP4.")
    streams = [each for each in container.streams.video if not each.disposition & each.disposition.attached_pic]
    if not streams:
        raise Unreadable("The file has no video in it.")
    best = container.streams.best("video")
    return next((each for each in streams if each is best), streams[0])


class Video:
    """An open video. Every method finds its own place in the file: any order of calls is right."""

    def __init__(self, container: InputContainer, stream: VideoStream, size: int) -> None:
        self._container = container
        self._stream = stream
        self._size = size
        stream.thread_count = 1  # more gain a tenth here and cost address space; the worker runs many of us
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        check_size(stream.width, stream.height)
        self._check_length(self.header_seconds)
        self._check_whole()

    def first(self) -> VideoFrame:
        """The first frame that is shown."""
        frame = next(self._frames_from(0), None)
        if frame is None:
            raise Unreadable("Not one frame of the video can be decoded.")
        check_size(frame.width, frame.height)
        return frame

    def key_frame(self, share: float) -> VideoFrame | None:
        """The key frame at or before ``share`` (0 to 1) of the video's time."""
        return next((frame for frame in self._frames_from(share) if frame.key_frame), None)

    def tail(self, share: float) -> tuple[VideoFrame | None, VideoFrame]:
        """The true last frame; before it, the one shown at ``share`` of the time if the way led past it."""
        passed, last = self._walk(1, share)
        if last is None:  # the seek came out behind every key frame that can be decoded
            passed, last = self._walk(0, share)
        self._check_whole()  # again: a fragmented file shows its parts only as they are read
        if last is None:
            raise Unreadable("Not one frame of the video can be decoded.")
        check_size(last.width, last.height)
        return passed, last

    def ending(self, seconds: float) -> list[tuple[float, VideoFrame]]:
        """What is shown in the ``seconds`` up to the true last frame, in order: each frame, and when it appears."""
        length = self.header_seconds
        for back in (2 * seconds, length):  # twice as far: the last frame takes its time too
            kept = self._latest(1 - back / length if length > back else 0, seconds)
            if kept and kept[0][0] <= kept[-1][0] - seconds + _SAME:
                break
        self._check_whole()
        if not kept:
            raise Unreadable("Not one frame of the video can be decoded.")
        for _, frame in kept:
            check_size(frame.width, frame.height)
        return kept

    def _latest(self, start: float, seconds: float) -> list[tuple[float, VideoFrame]]:
        kept: deque[tuple[float, VideoFrame]] = deque()
        for frame in self._frames_from(start):
            at = self._seconds(_pts(frame))
            if kept and at < kept[-1][0]:
                continue
            kept.append((at, frame))
            while len(kept) > 1 and kept[1][0] <= at - seconds + _SAME:  # a far key frame must not fill the memory
                kept.popleft()
        return list(kept)

    @property
    def header_seconds(self) -> float:
        """What the file itself says of its picture's length."""
        return self._seconds(self._stream.duration or 0)

    def facts(self, first: VideoFrame, last: VideoFrame | None) -> Facts:
        """What the video is. Its time is that of its frames, where the last is at hand: a header may speak for the
        sound, or lie.
        """
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(0)
        width, height = shown_size(first)
        seconds = self.header_seconds
        if last is not None:
            one = self._seconds(last.duration) or (float(1 / rate) if rate else 0.0)
            seconds = self._seconds(_pts(last) - _pts(first)) + one
        self._check_length(seconds)
        codec = self._stream.codec_context.codec.canonical_name
        has_audio = bool(self._container.streams.audio)
        return Facts(width, height, round(seconds, 6), round(float(rate), 6), codec, has_audio)

    def _walk(self, start: float, share: float) -> tuple[VideoFrame | None, VideoFrame | None]:
        passed = last = None
        for frame in self._frames_from(start):
            if last is None or _pts(frame) >= _pts(last):
                last = frame
            if _pts(frame) <= self._instant(share):
                passed = frame
        return passed, last

    def _frames_from(self, share: float) -> Iterator[VideoFrame]:
        """Frames in the order shown, from the key frame at or before ``share`` of the video's time."""
        from av.error import InvalidDataError

        self._container.seek(self._instant(share), stream=self._stream)
        for packet in self._container.demux(self._stream):
            try:
                frames = self._stream.decode(packet)
            except InvalidDataError:
                continue  # as players do: one broken frame is not the end of a video
            yield from frames

    def _instant(self, share: float) -> int:
        return (self._stream.start_time or 0) + int((self._stream.duration or 0) * share)

    def _seconds(self, ticks: int) -> float:
        return float(ticks * (self._stream.time_base or 0))

    def _check_length(self, seconds: float) -> None:
        if seconds > MOST_SECONDS:
            raise Unreadable(f"It is {seconds:.0f} seconds long; at most {MOST_SECONDS} are read.")

    def _check_whole(self) -> None:
        """A download that broke off still opens and plays for a while: its index tells."""
        for stream in self._container.streams:
            if any(entry.pos + entry.size > self._size for entry in stream.index_entries):
                raise Unreadable("The file is cut off before its end.")


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """The signs of a, b, c and d: a pixel at (x, y) is shown at (ax + cy, bx + dy); None if it stays."""
    side_data: Any = frame.side_data  # its stub knows other kinds only
    try:
        cells = struct.unpack("=9i", bytes(side_data["DISPLAYMATRIX"]))
    except KeyError:
        return None
    a, b, c, d = ((cell > 0) - (cell < 0) for cell in (cells[0], cells[1], cells[3], cells[4]))
    return a, b, c, d


def shown_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height after rotation."""
    matrix = display_matrix(frame)
    swapped = matrix is not None and matrix[0] == matrix[3] == 0 != matrix[1]
    return (frame.height, frame.width) if swapped else (frame.width, frame.height)


def _pts(frame: VideoFrame) -> int:
    return frame.pts if frame.pts is not None else 0
