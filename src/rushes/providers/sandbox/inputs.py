"""The order's files as small encoded pictures. All of it is for :func:`rushes.media.isolate.isolated`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image, ImageOps

from rushes.errors import InputNotAnImage, InputNotAVideo, JobFailed, Unreadable
from rushes.media.picture import in_colour
from rushes.providers import Inputs

_REFERENCE = 384
"""Pixels of a reference's longer side: as large as it is ever shown."""
_SLACK = 1.6
"""A lossless opening may be this much larger than the JPEG."""


def read(inputs: Inputs, width: int, height: int) -> tuple[bytes | None, tuple[bytes, ...]]:
    """The opening frame (covering ``width`` by ``height``, PNG or JPEG) and the references (JPEG).

    Raises :class:`InputNotAnImage` or :class:`InputNotAVideo`.
    """
    opening = None
    if inputs.extend_video is not None:
        opening = _covering(last_frame(inputs.extend_video), width, height)
    elif inputs.first_frame is not None:
        opening = _covering(_image(inputs.first_frame, "The first frame"), width, height)
    references = (_image(path, f"Reference {n}") for n, path in enumerate(inputs.references, 1))
    return opening, tuple(_small(picture) for picture in references)


def unreadable(inputs: Inputs, error: Unreadable) -> JobFailed:
    """What an input that crashed or stalled its reader is to the client."""
    kind = InputNotAVideo if inputs.extend_video is not None else InputNotAnImage
    return kind(error.sentence)


def last_frame(video: Path) -> Image.Image:
    """The frame shown last in ``video``, upright."""
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise InputNotAVideo("The video to extend has no picture.")
            frame = _latest(_tail(container)) or _latest(_all(container))
            if frame is None:
                raise InputNotAVideo("The video to extend has no frame that can be decoded.")
            return _upright(frame)
    except av.error.FFmpegError as error:
        raise InputNotAVideo(f"The video to extend cannot be read: {error.strerror}.") from None


def _tail(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """From the last keyframe on. Sought in the picture's own stream: sound may run on after it."""
    stream = container.streams.video[0]
    if stream.duration is None:
        return
    container.seek((stream.start_time or 0) + stream.duration, stream=stream, backward=True)
    yield from container.decode(stream)


def _all(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    container.seek(0)
    yield from container.decode(container.streams.video[0])


def _latest(frames: Iterator[av.VideoFrame]) -> av.VideoFrame | None:
    latest: av.VideoFrame | None = None
    try:
        for frame in frames:
            if latest is None or (frame.pts or 0) >= (latest.pts or 0):
                latest = frame
    except av.error.FFmpegError:
        # A damaged end: the last frame that could be decoded is the last one anybody saw.
        return latest
    return latest


def _upright(frame: av.VideoFrame) -> Image.Image:
    picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def _image(path: Path, what: str) -> Image.Image:
    """The picture at ``path``, turned as its camera meant it; transparency lies on white."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                picture.load()
                return in_colour(ImageOps.exif_transpose(picture))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputNotAnImage(f"{what} is not an image that can be read.") from None


def _covering(picture: Image.Image, width: int, height: int) -> bytes:
    """Scaled and cropped around the middle; lossless where that costs little (drawings, flat colours)."""
    if picture.size != (width, height):
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    lossy, lossless = io.BytesIO(), io.BytesIO()
    picture.save(lossy, "JPEG", quality=96, subsampling=0)
    picture.save(lossless, "PNG", compress_level=1)
    small_enough = len(lossless.getvalue()) <= _SLACK * len(lossy.getvalue())
    return (lossless if small_enough else lossy).getvalue()


def _small(picture: Image.Image) -> bytes:
    picture.thumbnail((_REFERENCE, _REFERENCE))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, subsampling=0)
    return out.getvalue()
