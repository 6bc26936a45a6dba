"""Arrivals: looked at together, answered each for itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rushes.errors import Unreadable
from rushes.media import Arrival, Examiner
from tests.media.clips import make

pytestmark = pytest.mark.anyio


def arrived(folder: Path, count: int) -> list[Arrival]:
    return [Arrival(make(folder / f"{n}.mp4", width=64, height=48, frames=6 + n), (), 0.0) for n in range(count)]


async def test_each_gets_its_own_answer_and_a_damaged_one_spoils_no_other(tmp_path: Path) -> None:
    arrivals = arrived(tmp_path, 20)
    arrivals[7].video.write_bytes(b"no video")
    examiner = Examiner()
    answers = await asyncio.gather(*map(examiner.examine, arrivals), return_exceptions=True)
    assert isinstance(answers.pop(7), Unreadable)
    lengths = [answer.facts.seconds for answer in answers if not isinstance(answer, BaseException)]
    assert lengths == sorted(set(lengths))
    assert len(lengths) == 19


async def test_whoever_stops_waiting_takes_no_answer_from_the_others(tmp_path: Path) -> None:
    arrivals = arrived(tmp_path, 6)
    examiner = Examiner()
    waiting = [asyncio.create_task(examiner.examine(arrival)) for arrival in arrivals]
    await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(60):
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert not [answer for answer in answers[1:] if isinstance(answer, BaseException)]


async def test_a_still_that_is_cut_off_or_of_another_kind_is_not_whole(tmp_path: Path) -> None:
    from PIL import Image

    [arrival] = arrived(tmp_path, 1)
    stills = tuple(tmp_path / name for name in ("preview.jpg", "thumbnail.jpg", "last_frame.png"))
    for still in stills:
        Image.new("RGB", (64, 48)).save(still, "JPEG" if still.name != "last_frame.png" else "PNG")
    stills[1].write_bytes(stills[1].read_bytes()[:-10])
    assert (await Examiner().examine(arrival._replace(stills=stills))).whole == (stills[0], stills[2])
    stills[2].write_bytes(stills[0].read_bytes())
    assert (await Examiner().examine(arrival._replace(stills=stills))).whole == (stills[0],)
