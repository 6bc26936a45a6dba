"""A video that goes on from another: where the new part begins, when its maker gave the old one along with it.

Some vendors answer an extension with the new seconds, some with the whole; few say which. The result's length and the
frame where the old video would end in it tell.

PyAV and Pillow are imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.media.isolate import isolated
from rushes.media.join import cut
from rushes.media.probe import decoded, opened
from rushes.media.stills import examine_last, upright

if TYPE_CHECKING:
    from PIL.Image import Image

_LEAST_NEW = 1.0
"""Seconds: a result that is not so much longer than the old video does not hold it."""
_MOMENT = 0.01
"""Seconds before a video's end at which its last frame is surely shown."""
_SIDE = 16
_APART = 4.0
"""Steps of grey (of 255) from which on two frames are told apart through any encoder."""


@dataclass(frozen=True, slots=True)
class Source:
    """The video that is continued: its length, and how its last frame looks, in 16 x 16 points of grey."""

    seconds: float
    look: bytes

    def __str__(self) -> str:
        return f"{self.seconds:g} {b64encode(self.look).decode()}"

    @classmethod
    def read(cls, text: str) -> Source:
        """What ``str`` wrote."""
        seconds, _, look = text.partition(" ")
        return cls(float(seconds), b64decode(look))


async def source(video: Path, still: Path, *, seconds: float = 60) -> Source:
    """Write the true last frame of an untrusted MP4 to ``still`` as a PNG, and tell what will be known of it;
    or ``Unreadable``.
    """
    return await isolated(examine_source, video, still, seconds=seconds)


async def new_part(video: Path, begins_with: Source, asked: int, to: Path, *, seconds: float = 1800) -> bool:
    """Write the new part of a result to ``to``, from the old one's last frame on, if the result holds the old one too;
    whether it does. ``asked`` is how many new seconds were ordered. ``Unreadable`` if it is no video.
    """
    return await isolated(examine_new_part, video, begins_with, asked, to, seconds=seconds)


def examine_source(video: Path, still: Path) -> Source:
    """What :func:`source` does, in this process."""
    facts = examine_last(video, still)
    return Source(facts.seconds, _look(decoded(still)))


def examine_new_part(video: Path, begins_with: Source, asked: int, to: Path) -> bool:
    """What :func:`new_part` does, in this process."""
    if not _holds(video, begins_with, asked):
        return False
    cut(video, to, begins_with.seconds)
    return True


def _holds(video: Path, old: Source, asked: int) -> bool:
    """By the picture where the two can be told apart: does the old one's last frame open the result, or does it come
    where the old one ends? A picture that stands still says nothing; there the length decides.
    """
    with opened(video) as file:
        if file.header_seconds < old.seconds + _LEAST_NEW:
            return False
        opens = _distance(_look(upright(file.first())), old.look)
        comes = _distance(_look(upright(file.at((old.seconds - _MOMENT) / file.header_seconds))), old.look)
        if abs(opens - comes) >= _APART:
            return comes < opens
        return abs(file.header_seconds - old.seconds - asked) < abs(file.header_seconds - asked)


def _look(image: Image) -> bytes:
    from PIL.Image import Resampling

    return image.convert("L").resize((_SIDE, _SIDE), Resampling.BOX).tobytes()


def _distance(one: bytes, other: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
