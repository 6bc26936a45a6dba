"""What lists and requests may be told beside what they need; ``None`` says nothing, as leaving it away does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from rushes.client.items import Image, Video


class Filters(TypedDict, total=False):
    """Which items a list shows. Rushes knows them all; the vendor passes over what it does not know."""

    model: str | None
    aspect_ratio: str | None
    created_after: datetime | str | None
    created_before: datetime | str | None
    q: str | None
    """Words of the prompt."""
    continues: str | None
    """The id of the item that they were made from."""
    continued_by: str | None
    """The id of an item that was made from them."""
    page_size: int | None
    """Items a request, 1 to 100."""


class VideoOptions(TypedDict, total=False):
    """What a video may be asked for beside its prompt. Of ``first_frame``, ``extend`` and ``references`` only one."""

    model: str | None
    aspect_ratio: str | None
    duration: str | float | None
    """``"8s"``, or seconds."""
    first_frame: str | Path | Video | Image | None
    """A link, a file to upload, or an item: a video gives its last frame."""
    extend: str | Path | Video | None
    references: Sequence[str | Path | Image] | None
    webhook: str | None


class ImageOptions(TypedDict, total=False):
    """What an image may be asked for beside its prompt."""

    model: str | None
    aspect_ratio: str | None
    style: str | None
    reference: str | Path | Image | None
    webhook: str | None


def params(filters: Filters) -> Mapping[str, object]:
    """Filters as the query string has them."""
    return {
        "limit": filters.get("page_size"),
        "model": filters.get("model"),
        "aspectRatio": filters.get("aspect_ratio"),
        "createdAfter": _time(filters.get("created_after")),
        "createdBefore": _time(filters.get("created_before")),
        "q": filters.get("q"),
        "continues": filters.get("continues"),
        "continuedBy": filters.get("continued_by"),
    }


def _time(given: datetime | str | None) -> str | None:
    return given.isoformat() if isinstance(given, datetime) else given
