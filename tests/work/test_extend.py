"""A video that is continued: by its provider, which may give the old part along with the new, or by its last frame."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from rushes import media
from rushes.model import Job, JobState, VideoFiles
from rushes.providers import Done, Pending
from rushes.store.library import VIDEOS
from tests.media import clips
from tests.work.conftest import Set, opened

pytestmark = pytest.mark.anyio


def film(folder: Path, first: int, frames: int) -> bytes:
    """A stretch of the one film."""
    return clips.film(folder / "stretch.mp4", first, frames, width=64, height=112).read_bytes()


async def link(on: Set, made: Job) -> str:
    """Where the video of a job is."""
    entry = await VIDEOS.entry(on.studio.store, made.account_id, made.item_id)
    assert entry
    return f"http://a.example/{VideoFiles(made.account_id, entry.file_id).video}"


async def facts(on: Set, made: Job) -> media.Facts:
    """What the video of a job is."""
    name = (await link(on, made)).removeprefix("http://a.example/")
    path = on.studio.config.data / "copy.mp4"
    await on.studio.blobs.copy(name, path)
    return await media.stills(path, on.studio.config.data)


@pytest.mark.parametrize("first", [0, 23], ids=["old and new", "new alone"])
async def test_only_the_new_part_enters_the_library(shoot: Set, tmp_path: Path, first: int) -> None:
    """Contract B6: "Extend gives the new segment only; it opens on the source's last frame"."""
    shoot.provider.downloads = [film(tmp_path, 0, 24), film(tmp_path, first, 72 - first)]
    old = await shoot.end(await shoot.submit())
    made = await shoot.end(await shoot.submit(extend_video_url=await link(shoot, old)))
    assert (made.state, made.source) == (JobState.COMPLETED, None)
    assert (await facts(shoot, made)).seconds == pytest.approx(49 / 24)
    assert shoot.provider.orders[-1].inputs.extend_video
    assert len(await shoot.left_on_disk()) == 10, "two videos, and no workspace"


async def test_what_is_known_of_the_old_part_is_kept_until_the_job_ends_whoever_ends_it(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    whole = film(tmp_path, 0, 72)
    async with opened(tmp_path / "data", database_url, film(tmp_path, 0, 24)) as before:
        old = await before.end(await before.submit())
        before.provider.polls = [Pending(0.1)]
        job = await before.submit(extend_video_url=await link(before, old))
        waiting = await before.step()
        assert waiting
        assert waiting.source
        assert len(waiting.source) < 800
        assert await before.studio.delete_item(old.account_id, old.kind, old.item_id)
    async with opened(tmp_path / "data", database_url, whole) as after:
        after.provider.polls = [Done("a source")]
        made = await after.end(job)
        assert (await facts(after, made)).seconds == pytest.approx(49 / 24)


async def test_a_provider_that_cannot_go_on_from_a_video_opens_with_its_last_frame(
    tmp_path: Path, database_url: str | None, clip: bytes
) -> None:
    """Contract B6: it opens on the source's last frame."""
    async with opened(tmp_path / "data", database_url, clip, route={"inputs": ["first_frame"]}) as on:
        made = await on.end(await on.submit())
        entry = await VIDEOS.entry(on.studio.store, made.account_id, made.item_id)
        assert entry
        await on.end(
            await on.submit(extend_video_url=f"http://a.example/{VideoFiles(made.account_id, entry.file_id).video}")
        )
        assert on.provider.orders[-1].inputs.extend_video is None
        with Image.open(io.BytesIO(on.provider.opening)) as opening:
            assert opening.size == (64, 112)
