"""Items that come from elsewhere with their files: are they whole, and are they what they are said to be?

PyAV and Pillow are imported inside functions: the main process imports this module and never decodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rushes.errors import RushesError, Unreadable
from rushes.media.isolate import isolated
from rushes.media.probe import Facts, Video, check_size, opened

# What a still is, by how its name ends, and how its file does.
_FORMATS = {".jpg": ("JPEG", b"\xff\xd9"), ".png": ("PNG", b"IEND\xaeB`\x82")}
# A length that is told rounded to the second may be as far off.
_ROUNDED = 0.3
_MOST = 16
_LOOKERS = 2
# Those that come within so many seconds share a process.
_GATHERING = 0.03
_SECONDS = 30.0


class Arrival(NamedTuple):
    """A video that has come, its stills, and how many seconds it is said to have."""

    video: Path
    stills: tuple[Path, ...]
    seconds: float


class Found(NamedTuple):
    """What an arrival is: its facts, and those of its stills that are whole pictures."""

    facts: Facts
    whole: tuple[Path, ...]


class Examiner:
    """Looks at untrusted arrivals in processes of their own. Those that come while it looks are looked at together:
    half of what a small video costs is its process. One that takes its process down is looked at again alone.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Arrival, asyncio.Future[Found]]] = []
        self._lookers: set[asyncio.Task[None]] = set()

    async def examine(self, arrival: Arrival) -> Found:
        """What it is.

        Raises:
            Unreadable: the MP4 is cut off, or no video; Unavailable: no process could be had.
        """
        found: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, found))
        if len(self._lookers) < _LOOKERS:
            # A task of its own: whoever asked may be stopped, and the others still get their answers.
            looker = asyncio.create_task(self._look())
            self._lookers.add(looker)
            looker.add_done_callback(self._lookers.discard)
        return await found

    async def _look(self) -> None:
        await asyncio.sleep(_GATHERING)
        while self._waiting:
            some, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            answers = await _together([arrival for arrival, _ in some])
            for (_, found), answer in zip(some, answers, strict=True):
                _answer(found, answer)


def _answer(found: asyncio.Future[Found], answer: Found | RushesError) -> None:
    if found.done():  # nobody waits for it any more
        return
    if isinstance(answer, RushesError):
        found.set_exception(answer)
    else:
        found.set_result(answer)


async def _together(arrivals: Sequence[Arrival]) -> Sequence[Found | RushesError]:
    try:
        return await isolated(examine_arrivals, list(arrivals), seconds=_SECONDS * len(arrivals))
    except RushesError as error:
        if len(arrivals) == 1 or not isinstance(error, Unreadable):
            return [error] * len(arrivals)
        return [(await _together([arrival]))[0] for arrival in arrivals]


def examine_arrivals(arrivals: list[Arrival]) -> list[Found | Unreadable]:
    """What :class:`Examiner` has done, in this process."""
    return [_examined(arrival) for arrival in arrivals]


def _examined(arrival: Arrival) -> Found | Unreadable:
    try:
        with opened(arrival.video) as file:
            facts = _facts(file, arrival.seconds)
    except Unreadable as error:
        return error
    return Found(facts, tuple(still for still in arrival.stills if _is_whole(still)))


def _facts(file: Video, told_seconds: float) -> Facts:
    """A video that is as long as it was said to be has no reason to be decoded to its end."""
    first = file.first()
    if abs(file.header_seconds - told_seconds) <= _ROUNDED:
        return file.facts(first, None)
    _, last = file.tail(0)
    return file.facts(first, last)


def _is_whole(still: Path) -> bool:
    """Its size can be read, and it does not end early; no pixel is unpacked, which would cost more than all else."""
    from PIL import Image

    try:
        kind, end = _FORMATS[still.suffix]
        with Image.open(still, formats=(kind,)) as found:
            check_size(*found.size)
        with still.open("rb") as file:
            file.seek(-len(end), 2)
            return file.read() == end
    except Exception:  # noqa: BLE001  (Pillow's readers raise anything; whatever it is, it is no whole picture)
        return False
