"""A video that goes on from another: where the new part begins, when its maker gave the old one along with it.

Some vendors answer an extension with the new seconds, some with the whole; few say which. How the result opens, or else
its length, tells.

PyAV and Pillow are imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.media.isolate import isolated
from rushes.media.join import ENCODER_MEMORY, cut
from rushes.media.probe import decoded, opened
from rushes.media.stills import examine_last, upright

if TYPE_CHECKING:
    from PIL.Image import Image

_LEAST_NEW = 1.0
"""Seconds: a result that is not so much longer than the old video does not hold it."""
_SIDE = 16
_APART, _ALIKE = 4.0, 16.0
"""Steps of grey (of 255): from the one on two frames are told apart through any encoder, up to the other they may be
the same."""


@dataclass(frozen=True, slots=True)
class Source:
    """The video that is continued: its length, and how its first and last frames look, in 16 x 16 points of grey."""

    seconds: float
    first: bytes
    last: bytes

    def __str__(self) -> str:
        return f"{self.seconds:g} {b64encode(self.first).decode()} {b64encode(self.last).decode()}"

    @classmethod
    def read(cls, text: str) -> Source:
        """What ``str`` wrote."""
        seconds, first, last = text.split(" ")
        return cls(float(seconds), b64decode(first), b64decode(last))


async def source(video: Path, still: Path, *, seconds: float = 60) -> Source:
    """Write the true last frame of an untrusted MP4 to ``still`` as a PNG, and tell what will be known of it;
    or ``Unreadable``.
    """
    return await isolated(examine_source, video, still, seconds=seconds)


async def new_part(video: Path, begins_with: Source, asked: int, to: Path, *, seconds: float = 1800) -> bool:
    """Write the new part of a result to ``to``, from the old one's last frame on, if the result holds the old one too;
    whether it does. ``asked`` is how many new seconds were ordered. ``Unreadable`` if it is no video.
    """
    return await isolated(examine_new_part, video, begins_with, asked, to, seconds=seconds, memory=ENCODER_MEMORY)


def examine_source(video: Path, still: Path) -> Source:
    """What :func:`source` does, in this process."""
    facts = examine_last(video, still)
    with opened(video) as file:
        return Source(facts.seconds, _look(upright(file.first())), _look(decoded(still)))


def examine_new_part(video: Path, begins_with: Source, asked: int, to: Path) -> bool:
    """What :func:`new_part` does, in this process."""
    if not _holds(video, begins_with, asked):
        return False
    cut(video, to, begins_with.seconds)
    return True


def _holds(video: Path, old: Source, asked: int) -> bool:
    """By how it opens: as the old one does, or on its last frame? A picture that stands still, or fades in, says
    nothing of that; there the length decides.
    """
    with opened(video) as file:
        if file.header_seconds < old.seconds + _LEAST_NEW:
            return False
        opening = _look(upright(file.first()))
        like_old, like_new = _distance(opening, old.first), _distance(opening, old.last)
        if abs(like_old - like_new) >= _APART and min(like_old, like_new) <= _ALIKE:
            return like_old < like_new
        return abs(file.header_seconds - old.seconds - asked) < abs(file.header_seconds - asked)


def _look(image: Image) -> bytes:
    from PIL.Image import Resampling

    return image.convert("L").resize((_SIDE, _SIDE), Resampling.BOX).tobytes()


def _distance(one: bytes, other: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
