"""The videos and the images of an account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, Unpack, overload

from rushes.client import calls, items
from rushes.client.calls import OnBytes
from rushes.client.items import Image, Job, Json, OnProgress, Page, Video
from rushes.client.options import Filters, ImageOptions, VideoOptions, params
from rushes.errors import InvalidQuery, NotFound, RushesError

if TYPE_CHECKING:
    from rushes.client.synchronous import Client

T = TypeVar("T", bound=Video | Image)

# A list that another server gives may lag behind its jobs.
_LOOKS_FOR_ITEM = 4
_NEWEST_ITEMS = 300


class _Library(Generic[T]):
    """The videos, or the images, of an account."""

    def __init__(self, client: Client, path: str, parse: Callable[[Json], T]) -> None:
        self._client = client
        self._path = path
        self._parse = parse

    def list(self, **filters: Unpack[Filters]) -> Iterator[T]:
        """Every item, newest first, a page of them asked for when it is needed."""
        for page in self.pages(**filters):
            for told in page.items:
                yield items.read(self._parse, told)

    def pages(self, token: str | None = None, **filters: Unpack[Filters]) -> Iterator[Page]:
        """The pages of the list as they come, beginning at a ``token``."""
        for page in self._client.pages(self._path, token, params=params(filters)):
            yield page

    def get(self, item_id: str) -> T:
        """One item. Rushes only."""
        return items.read(self._parse, self._client.ask("GET", f"{self._path}/{calls.segment(item_id)}"))

    def delete(self, item_id: str) -> None:
        """Delete an item with its files, for good. Rushes only."""
        self._client.ask("DELETE", f"{self._path}/{calls.segment(item_id)}")

    def download(self, item: T, to: Path, *, on_bytes: OnBytes | None = None) -> Path:
        """Save an item's file as ``to``, or in ``to`` under its id where that is a folder."""
        target = calls.target(to, item)
        return self._client.download(item.url, target, suffix=item.suffix, on_bytes=on_bytes)

    def _submit(self, body: Mapping[str, object], idempotency_key: str | None) -> Job:
        answer = self._client.ask("POST", self._path, body=body, idempotency_key=idempotency_key)
        return Job(items.read(items.submitted, answer), "in-progress", None, None, None, None, answer)

    def made(self, job: Job) -> T:
        """The item that a completed job made: whatever goes wrong in finding it, its file is told."""
        try:
            return self._found(job)
        except RushesError as error:
            error.sentence = (
                f"Job {job.id} is completed, its file is at {job.url}; its item was not found: {error.sentence}"
            )
            error.args = (error.sentence,)
            raise

    def _found(self, job: Job) -> T:
        if self._client.is_rushes():
            detail = self._client.jobs.show(job.id)
            return self.get(detail.item_id or job.id)
        for look in range(_LOOKS_FOR_ITEM):
            sleep(look)
            seen = 0
            for item in self.list():
                seen += 1
                if item.url == job.url:
                    return item
                if seen == _NEWEST_ITEMS:
                    break
        raise NotFound("The library does not list it (yet).")

    def _link(self, given: str | Path | Video | Image) -> str:
        if isinstance(given, Path):
            return self._client.upload(given)
        return given if isinstance(given, str) else given.url


class Videos(_Library[Video]):
    """The videos of an account."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, "/aistudio/videos", items.video)

    @overload
    def generate(
        self,
        prompt: str,
        *,
        wait: Literal[True] = True,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[VideoOptions],
    ) -> Video: ...

    @overload
    def generate(
        self,
        prompt: str,
        *,
        wait: Literal[False],
        idempotency_key: str | None = None,
        **options: Unpack[VideoOptions],
    ) -> Job: ...

    @overload
    def generate(
        self,
        prompt: str,
        *,
        wait: bool,
        idempotency_key: str | None = None,
        **options: Unpack[VideoOptions],
    ) -> Video | Job: ...

    def generate(
        self,
        prompt: str,
        *,
        wait: bool = True,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[VideoOptions],
    ) -> Video | Job:
        """Have a video made, and wait for it; with ``wait=False`` only its job, which goes on by itself.

        Raises:
            JobFailed: it could not be made; StillRunning: not within ``timeout`` seconds.
        """
        job = self._submit(self._body(prompt, options), idempotency_key)
        if not wait:
            return job
        return self.made(self._client.jobs.wait(job.id, timeout=timeout, on_progress=on_progress))

    def _body(self, prompt: str, options: VideoOptions) -> Mapping[str, object]:
        first, extend, seconds = options.get("first_frame"), options.get("extend"), options.get("duration")
        references = options.get("references")
        if isinstance(first, Video):
            first = _last_frame(first)
        return {
            "prompt": prompt,
            "model": options.get("model"),
            "aspectRatio": options.get("aspect_ratio"),
            "duration": f"{seconds:g}s" if isinstance(seconds, int | float) else seconds,
            "firstFrameImageUrl": self._link(first) if first else None,
            "extendVideoUrl": self._link(extend) if extend else None,
            "referenceImageUrls": None if references is None else [self._link(each) for each in references],
            "webhook": options.get("webhook"),
        }


class Images(_Library[Image]):
    """The images of an account."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, "/aistudio/images", items.image)

    @overload
    def generate(
        self,
        prompt: str,
        *,
        wait: Literal[True] = True,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[ImageOptions],
    ) -> Image: ...

    @overload
    def generate(
        self,
        prompt: str,
        *,
        wait: Literal[False],
        idempotency_key: str | None = None,
        **options: Unpack[ImageOptions],
    ) -> Job: ...

    @overload
    def generate(
        self,
        prompt: str,
        *,
        wait: bool,
        idempotency_key: str | None = None,
        **options: Unpack[ImageOptions],
    ) -> Image | Job: ...

    def generate(
        self,
        prompt: str,
        *,
        wait: bool = True,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[ImageOptions],
    ) -> Image | Job:
        """Have an image made, and wait for it; with ``wait=False`` only its job, which goes on by itself.

        Raises:
            JobFailed: it could not be made; StillRunning: not within ``timeout`` seconds.
        """
        reference = options.get("reference")
        body = {
            "prompt": prompt,
            "model": options.get("model"),
            "aspectRatio": options.get("aspect_ratio"),
            "style": options.get("style"),
            "referenceImageUrl": self._link(reference) if reference else None,
            "webhook": options.get("webhook"),
        }
        job = self._submit(body, idempotency_key)
        if not wait:
            return job
        return self.made(self._client.jobs.wait(job.id, timeout=timeout, on_progress=on_progress))


def _last_frame(video: Video) -> str:
    if video.last_frame_image_url is None:
        raise InvalidQuery(f"Video {video.id} has no last frame to begin with; continue it with extend.")
    return video.last_frame_image_url
