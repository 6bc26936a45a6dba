"""The files a request points at, brought into a workspace and checked before anything is submitted."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rushes import media
from rushes.config import Config
from rushes.errors import InputNotAnImage, InputNotAVideo, InputUnreachable, Unreadable
from rushes.fetch import Fetcher
from rushes.model import Job
from rushes.providers import Inputs
from rushes.store import videos
from rushes.studio import Studio

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OWN_PATH = re.compile(
    rf"/(?P<name>videos/user/(?P<account>{_UUID})/(?P<file>{_UUID})"
    r"(?:\.mp4|_preview\.jpg|_thumbnail\.jpg|_last_frame\.png))"
)

Check = Callable[[Path], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class InputFiles:
    """Brings inputs in: ours from storage, all others through the guarded fetch."""

    studio: Studio
    fetcher: Fetcher

    async def gather(self, job: Job, folder: Path) -> Inputs:
        """Every input of a job as a local file.

        Raises:
            JobFailed: an input cannot be had or is not what it should be; the sentence names it.
        """
        request = job.request
        first, extend = request.first_frame_image_url, request.extend_video_url
        return Inputs(
            first_frame=await self._image(job, first, folder / "first_frame") if first else None,
            extend_video=await self._video(job, extend, folder / "extend_video") if extend else None,
            references=tuple(
                [
                    await self._image(job, url, folder / f"reference_{number}")
                    for number, url in enumerate(request.reference_image_urls, 1)
                ]
            ),
        )

    async def _image(self, job: Job, url: str, to: Path) -> Path:
        await self._bring(job, url, to, self.studio.config.input_image_bytes)
        try:
            await media.image(to)
        except Unreadable as error:
            raise InputNotAnImage(f"{_shown(url)} is not an image we can use: {error.sentence}") from error
        return to

    async def _video(self, job: Job, url: str, to: Path) -> Path:
        await self._bring(job, url, to, self.studio.config.input_video_bytes)
        try:
            await media.last_frame(to, to.with_suffix(".png"))
        except Unreadable as error:
            raise InputNotAVideo(f"{_shown(url)} is not a video we can continue: {error.sentence}") from error
        return to

    async def _bring(self, job: Job, url: str, to: Path, max_bytes: int) -> None:
        own = own_file(url, self.studio.config, job.origin)
        if own is None:
            await self.fetcher.fetch(url, to, max_bytes=max_bytes, seconds=self.studio.config.input_seconds)
        else:
            await self._copy(own, to)

    async def _copy(self, own: re.Match[str], to: Path) -> None:
        if await videos.has_file(self.studio.store, own["account"], own["file"]):
            with suppress(FileNotFoundError):
                return await self.studio.blobs.copy(own["name"], to)
        raise InputUnreachable(f"There is no file {own[0]} on this server (any more); send the link of one that is.")


def own_file(url: str, config: Config, origin: str) -> re.Match[str] | None:
    """The library's file that a URL of this server names; ``None`` for anybody else's URL."""
    for base in (config.public_url, origin, *config.url_aliases):
        if base and url.startswith(base.rstrip("/") + "/"):
            return _OWN_PATH.fullmatch(url.removeprefix(base.rstrip("/")).partition("?")[0].partition("#")[0])
    return None


def _shown(url: str) -> str:
    # A query string may be a signature: it is not repeated.
    return url.partition("?")[0]
