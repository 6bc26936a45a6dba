"""What an ID on the command line means: an image by its uuid, a video otherwise, ``last``, a job."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from rushes.errors import NotFound

if TYPE_CHECKING:
    from rushes.client import Item, Job, Video
    from rushes.client.asynchronous import AsyncClient
    from rushes.client.synchronous import Client
    from rushes.client.synchronous.library import Images, Videos

LAST = "last"
"""The newest video; among jobs, the newest job."""

# 33 characters where it was made; one that came from elsewhere keeps its own.
_VIDEO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_IMAGE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def kind_of(word: str) -> str | None:
    """``video`` or ``image``, by the form of an id; ``None``: it is none."""
    if _IMAGE.fullmatch(word):
        return "image"
    return "video" if _VIDEO.fullmatch(word) else None


class ItemId(click.ParamType[str]):
    """The id of an item, or ``last``."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id itself; refused where it can be none."""
        if kind_of(value) is None:
            self.fail(f"{value!r} is no id: `rushes list` shows them, and `last` is the newest video.", param, ctx)
        return value


def found(client: Client, word: str) -> Item:
    """The item of an ID.

    Raises:
        NotFound: there is none.
    """
    if word == LAST:
        return newest(client)
    try:
        return _of_id(client, library(client, kind_of(word)), word)
    except NotFound:
        raise _no_item(word) from None


async def found_async(client: AsyncClient, word: str) -> Item:
    """What :func:`found` finds, by the asynchronous client.

    Raises:
        NotFound: there is none.
    """
    items = client.images if kind_of(word) == "image" else client.videos
    try:
        if word != LAST and await client.is_rushes():
            return await items.get(word)
        async for item in items.list(page_size=1 if word == LAST else None):
            if word in (LAST, item.id):
                return item
    except NotFound:
        pass
    raise _no_item(word)


def _no_item(word: str) -> NotFound:
    if word == LAST:
        return NotFound('There is no video in this account yet; `rushes generate "…"` makes one.')
    if kind_of(word) == "video":
        return NotFound(f"There is no video {word} in this account; `rushes list` shows the ids.")
    return NotFound(
        f"There is no image {word} in this account; `rushes list --images` shows the ids. "
        f"If it is a job's, `rushes jobs show {word}` tells of it."
    )


def library(client: Client, kind: str | None) -> Videos | Images:
    """Where the items of a kind are."""
    return client.images if kind == "image" else client.videos


def newest(client: Client) -> Video:
    """The newest video.

    Raises:
        NotFound: there is none yet.
    """
    for video in client.videos.list(page_size=1):
        return video
    raise _no_item(LAST)


def _of_id(client: Client, items: Videos | Images, item_id: str) -> Item:
    return items.get(item_id) if client.is_rushes() else _first(items, lambda item: item.id == item_id)


def _first(items: Videos | Images, wanted: Callable[[Item], bool]) -> Item:
    # Other servers tell of one item only in their list.
    for item in items.list():
        if wanted(item):
            return item
    raise NotFound("The server's list does not have it.")


def job_id(client: Client, word: str) -> str:
    """The id of a job, or, for ``last``, that of the newest.

    Raises:
        NotFound: there is none yet.
    """
    if word != LAST:
        return word
    for job in client.jobs.list():
        return job.id
    raise NotFound('There is no job in this account yet; `rushes generate "…"` starts one.')


def made(client: Client, job: Job, kind: str) -> Item:
    """The item of a completed job: whatever goes wrong in finding it, its file is told.

    Raises:
        NotFound: it has been deleted, or the server does not list it yet.
    """
    return library(client, kind).made(job)
