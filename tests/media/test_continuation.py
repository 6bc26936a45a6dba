"""What a provider gives for an extension: the new part is kept, whether the old one came with it or not."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from rushes import media
from rushes.errors import Unreadable
from rushes.media import Source

from . import clips

pytestmark = pytest.mark.anyio


def is_film(path: Path, first: int, end: int) -> bool:
    """Whether these are the frames of the film from the ``first`` to before the ``end``; an encoder may skip one."""
    with av.open(str(path)) as container:
        means = [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]
    wanted = [clips.film_grey(number) for number in range(first, end)]
    assert means == pytest.approx(wanted, abs=1.5 * clips.STEP_OF_FILM)
    return abs(means[0] - wanted[0]) < clips.STEP_OF_FILM / 2


async def new_part(tmp_path: Path, old: Path, result: Path, asked: int) -> Path | None:
    found = await media.source(old, tmp_path / "still.png")
    told = Source.read(str(found))  # as it comes back from the job's row
    new = tmp_path / "new.mp4"
    is_cut = await media.new_part(result, told, asked, new)
    assert is_cut is new.exists()
    return new if is_cut else None


@pytest.mark.parametrize("how", [{}, {"b_frames": 2}, {"key_every": 250}, {"first_pts": 24}, {"sound": 3.0}])
async def test_the_old_part_is_left_away_and_the_new_one_opens_on_its_last_frame(
    tmp_path: Path, how: dict[str, object]
) -> None:
    """Contract B6: "Extend gives the new segment only; it opens on the source's last frame"."""
    old = clips.film(tmp_path / "old.mp4", 0, 24)
    new = await new_part(tmp_path, old, clips.film(tmp_path / "result.mp4", 0, 72, **how), 2)
    assert new
    assert is_film(new, 23, 72)
    if "sound" in how:
        with av.open(str(new)) as container:
            heard = container.streams.audio[0]
            assert float((heard.duration or 0) * (heard.time_base or 0)) == pytest.approx(49 / 24, abs=0.05)


@pytest.mark.parametrize(
    ("old_frames", "new_frames", "asked"),
    [(24, 54, 2), (12, 60, 2), (24, 12, 1), (12, 48, 5), (24, 24, 1)],
    ids=["longer", "much longer", "shorter", "of another length than was asked", "as long"],
)
async def test_the_new_part_alone_stays_as_it_is(tmp_path: Path, old_frames: int, new_frames: int, asked: int) -> None:
    old = clips.film(tmp_path / "old.mp4", 0, old_frames)
    result = clips.film(tmp_path / "result.mp4", old_frames - 1, new_frames)
    before = result.read_bytes()
    assert await new_part(tmp_path, old, result, asked) is None
    assert result.read_bytes() == before


@pytest.mark.parametrize(("asked", "holds"), [(2, True), (3, False)])
async def test_of_a_picture_that_stands_still_the_length_tells(tmp_path: Path, asked: int, holds: bool) -> None:
    def still(number: int, width: int, height: int) -> clips.Picture:
        return clips.numbered(9, width, height)

    old = clips.make(tmp_path / "old.mp4", frames=24, picture=still)
    result = clips.make(tmp_path / "result.mp4", frames=72, picture=still)
    assert (await new_part(tmp_path, old, result, asked) is not None) is holds


async def test_another_length_than_was_asked_for_is_told_by_the_picture(tmp_path: Path) -> None:
    """Vendors have lengths of their own: 8 seconds asked, 1 made, behind the old one's 1."""
    old = clips.film(tmp_path / "old.mp4", 0, 24)
    new = await new_part(tmp_path, old, clips.film(tmp_path / "result.mp4", 0, 48), 8)
    assert new
    assert is_film(new, 23, 48)


async def test_a_new_part_that_fades_in_is_not_taken_for_a_whole(tmp_path: Path) -> None:
    """It opens on black, which is like neither end of a scene that hardly moves."""

    def calm(number: int, width: int, height: int) -> clips.Picture:
        return clips.numbered(9, width, height)

    def fading(number: int, width: int, height: int) -> clips.Picture:
        return calm(number, width, height) if number > 1 else calm(number, width, height) // 40

    old = clips.make(tmp_path / "old.mp4", frames=24, picture=calm)
    result = clips.make(tmp_path / "result.mp4", frames=60, picture=fading)
    assert await new_part(tmp_path, old, result, 2) is None


async def test_a_turned_whole_keeps_its_last_frame(tmp_path: Path) -> None:
    old = clips.film(tmp_path / "old.mp4", 0, 24, turn=(90, False, False))
    new = await new_part(tmp_path, old, clips.film(tmp_path / "result.mp4", 0, 72, turn=(90, False, False)), 2)
    assert new
    assert is_film(new, 23, 72)


async def test_what_is_no_video_is_said_to_be_none(tmp_path: Path) -> None:
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"<html>gone</html>" * 100)
    with pytest.raises(Unreadable):
        await media.new_part(junk, Source(1.0, bytes(256), bytes(256)), 2, tmp_path / "new.mp4")
    with pytest.raises(Unreadable):
        await media.source(junk, tmp_path / "still.png")
    assert not (tmp_path / "new.mp4").exists()
