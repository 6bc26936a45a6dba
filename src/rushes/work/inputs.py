"""The files a request points at, brought into a workspace and checked before anything is submitted."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rushes import media
from rushes.config import Config
from rushes.errors import InputNotAnImage, InputNotAVideo, InputTooLarge, InputUnreachable, TooManyPixels, Unreadable
from rushes.fetch import Fetcher
from rushes.model import Job, VideoRequest
from rushes.providers import Inputs
from rushes.store import uploads
from rushes.store.library import IMAGES, VIDEOS
from rushes.studio import Studio

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OWN_PATH = re.compile(
    rf"/(?P<name>(?P<kind>videos|images|uploads)/user/(?P<account>{_UUID})/(?P<file>{_UUID})"
    r"(?:\.mp4|_preview\.jpg|_thumbnail\.jpg|_last_frame\.png|\.[a-z0-9]{2,4}))"
)

_PORTS = {"http": ":80", "https": ":443"}


class Gathered(NamedTuple):
    """A request's inputs, and what is to be known later of the video that the provider itself goes on from."""

    inputs: Inputs
    source: media.Source | None = None


@dataclass(frozen=True, slots=True)
class InputFiles:
    """Brings inputs in: ours from storage, all others through the guarded fetch."""

    studio: Studio
    fetcher: Fetcher

    async def gather(self, job: Job, folder: Path, *, extends: bool = True) -> Gathered:
        """Every input of a job as a local file. Where the provider cannot go on from a video (``extends``), it opens
        with the video's last frame instead.

        Raises:
            JobFailed: an input cannot be had or is not what it should be; the sentence names it.
        """
        request = job.request
        if not isinstance(request, VideoRequest):
            return Gathered(Inputs(references=await self._references(job, request.input_urls, folder)))
        if request.extend_video_url:
            video, still = folder / "extend_video", folder / "last_frame.png"
            source = await self._video(job, request.extend_video_url, video, still)
            return Gathered(Inputs(extend_video=video), source) if extends else Gathered(Inputs(first_frame=still))
        first = request.first_frame_image_url
        return Gathered(
            Inputs(
                first_frame=await self._image(job, first, folder / "first_frame") if first else None,
                references=await self._references(job, request.reference_image_urls, folder),
            )
        )

    def parents(self, job: Job) -> frozenset[str]:
        """The uuids in the names of the files of this account that a job was made from."""
        own = (own_file(url, self.studio.config, job.origin) for url in job.request.input_urls)
        return frozenset(match["file"] for match in own if match and match["account"] == job.account_id)

    async def _references(self, job: Job, urls: tuple[str, ...], folder: Path) -> tuple[Path, ...]:
        return tuple([await self._image(job, url, folder / f"reference_{n}") for n, url in enumerate(urls, 1)])

    async def _image(self, job: Job, url: str, to: Path) -> Path:
        await self._bring(job, url, to, self.studio.config.input_image_bytes)
        try:
            await media.image(to)
        except TooManyPixels as error:
            raise InputTooLarge(f"{_shown(url)} is too large: {error.sentence} Send a smaller one.") from error
        except Unreadable as error:
            complaint = f"{_shown(url)} is not an image we can use: {error.sentence}"
            raise InputNotAnImage(f"{complaint} Send a whole PNG, JPEG or WebP.") from error
        return to

    async def _video(self, job: Job, url: str, to: Path, still: Path) -> media.Source:
        await self._bring(job, url, to, self.studio.config.input_video_bytes)
        try:
            return await media.source(to, still)
        except TooManyPixels as error:
            raise InputTooLarge(f"{_shown(url)} is too large: {error.sentence} Send a smaller one.") from error
        except Unreadable as error:
            complaint = f"{_shown(url)} is not a video we can continue: {error.sentence}"
            raise InputNotAVideo(f"{complaint} Send a whole MP4 or MOV.") from error

    async def _bring(self, job: Job, url: str, to: Path, max_bytes: int) -> None:
        own = own_file(url, self.studio.config, job.origin)
        if own is None:
            await self.fetcher.fetch(url, to, max_bytes=max_bytes, seconds=self.studio.config.input_seconds)
        else:
            await self._copy(own, to)

    async def _copy(self, own: re.Match[str], to: Path) -> None:
        if await self._is_kept(own):
            with suppress(FileNotFoundError):
                return await self.studio.blobs.copy(own["name"], to)
        raise InputUnreachable(f"There is no file {own[0]} on this server (any more); send the link of one that is.")

    async def _is_kept(self, own: re.Match[str]) -> bool:
        sql = self.studio.store
        if own["kind"] == "uploads":
            return await uploads.is_there(sql, own["account"], own["name"])
        return await (IMAGES if own["kind"] == "images" else VIDEOS).has_file(sql, own["account"], own["file"])


def own_file(url: str, config: Config, origin: str) -> re.Match[str] | None:
    """The library's file that a URL of this server names; ``None`` for anybody else's URL."""
    url = _plain(url)
    for base in (config.public_url, config.media_url, origin, *config.url_aliases):
        if base and url.startswith(begins := _plain(base.rstrip("/") + "/")):
            return _OWN_PATH.fullmatch(url[len(begins) - 1 :].partition("?")[0].partition("#")[0])
    return None


def _plain(url: str) -> str:
    """The same address in one spelling: scheme and host in small letters, no port that goes without saying."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    scheme, host = scheme.lower(), host.lower()
    return f"{scheme}://{host.removesuffix(_PORTS.get(scheme, ' '))}{slash}{path}"


def _shown(url: str) -> str:
    # A query string may be a signature: it is not repeated.
    return url.partition("?")[0]
