"""What a video opens with, as small encoded pictures. All of it is for :func:`rushes.media.isolate.isolated`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rushes.errors import InputNotAVideo, Unreadable
from rushes.media.picture import in_colour
from rushes.media.probe import decoded, opened
from rushes.media.stills import upright

if TYPE_CHECKING:
    from PIL.Image import Image

Frame = TypeVar("Frame")

CONTEXT = 9
"""Frames of a video that tell how it goes on: two of the latent frames of LTX-Video."""
_QUALITY = 95


def first_frame(picture: Path, width: int, height: int) -> tuple[bytes, ...]:
    """The picture, scaled and cut at its middle to cover the size."""
    from PIL import ImageOps

    return (_covering(ImageOps.exif_transpose(decoded(picture)), width, height),)


def last_frames(video: Path, width: int, height: int, fps: int) -> tuple[bytes, ...]:
    """The video's last frames in their order, likewise: up to :data:`CONTEXT`, as they are shown at ``fps``.

    Raises:
        InputNotAVideo: it cannot be decoded.
    """
    try:
        with opened(video) as file:
            seen = file.ending((CONTEXT - 1) / fps)
            return tuple(_covering(upright(frame), width, height) for frame in _sampled(seen, fps))
    except Unreadable as error:
        raise InputNotAVideo(f"The video to extend cannot be read: {error.sentence}") from error


def _sampled(seen: list[tuple[float, Frame]], fps: int) -> list[Frame]:
    """What a player that shows ``fps`` frames a second shows up to the last one."""
    last = seen[-1][0]
    instants = [last - number / fps for number in range(CONTEXT)]
    shown = [[frame for at, frame in seen if at <= instant + 1e-4][-1:] for instant in instants]
    return [frame for frames in reversed(shown) for frame in frames]


def _covering(picture: Image, width: int, height: int) -> bytes:
    from PIL import Image, ImageOps

    fitted = ImageOps.fit(in_colour(picture), (width, height), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    fitted.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()
