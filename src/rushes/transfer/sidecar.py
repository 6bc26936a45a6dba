"""What lies beside a file, ``x.json`` beside ``x.mp4``: written when it goes out, read when it comes in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from rushes import ids
from rushes.errors import InvalidRequest
from rushes.model import Files, Kind

ENDINGS: Mapping[Kind, Mapping[str, str]] = {
    Kind.VIDEO: {
        "url": ".mp4",
        "previewImageUrl": "_preview.jpg",
        "thumbnailImageUrl": "_thumbnail.jpg",
        "lastFrameImageUrl": "_last_frame.png",
    },
    Kind.IMAGE: {"url": ".png"},
}
"""How an item's files end in a folder, by the link that names them, in the order of ``Files.all``."""

LONGEST_PROMPT = 5000
LONGEST_MODEL = 100
_LONGEST_URL = 2048
_LONGEST_SIDECAR = 2**20
LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999: ids have room for four digits."""
DAY_MS = 86_400_000
"""How far ahead of us the clock may be that dated a file: what is from later would stand first for ever."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RATIO = re.compile(r"[1-9][0-9]{0,3}:[1-9][0-9]{0,3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# PostgreSQL takes no NUL, UTF-8 no half of a pair.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody said of a file; ``None`` where they said nothing. All of it can be stored as it is."""

    prompt: str | None = None
    created: int | None = None
    """Milliseconds since the epoch."""
    model: str | None = None
    aspect_ratio: str | None = None
    style: str | None = None
    item_id: str | None = None
    file_id: str | None = None
    account_id: str | None = None
    """Whose library it was in."""
    first_frame: str | None = None
    extends: str | None = None
    references: tuple[str, ...] | None = None
    sha256: str | None = None
    """Of the MP4 or PNG."""
    job: Mapping[str, object] | None = None
    """The job that made it, as a sidecar tells it."""

    @property
    def input_urls(self) -> tuple[str, ...]:
        """Every file it was made from."""
        alone = (self.first_frame, self.extends)
        return (*(url for url in alone if url), *(self.references or ()))

    def over(self, other: Self) -> Self:
        """The same, and what ``other`` says where this says nothing."""
        missing = (field.name for field in fields(self) if getattr(self, field.name) is None)
        return replace(self, **{name: getattr(other, name) for name in missing})


def read(file: Path, kind: Kind) -> Told:
    """What the sidecar beside a video or an image tells; nothing where there is none for this kind of file, or where
    it is another program's. A bare item, as the API gives it, is taken too.

    Raises:
        InvalidRequest: it is no JSON: what it said would be lost.
    """
    told = _object(file.with_suffix(".json"))
    if told.get("kind", kind) != kind:
        return Told()
    item = told["item"] if isinstance(told.get("item"), dict) else told
    source = told["source"] if isinstance(told.get("source"), dict) else {}
    return of_item(item, kind).over(_of_origin(told, source, kind))


def _object(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_LONGEST_SIDECAR + 1))
    except OSError:
        return {}
    except (ValueError, RecursionError):
        complaint = f"{path.name} beside it cannot be read as JSON"
        raise InvalidRequest(f"{complaint}; mend it, or take it away to import the file as it is.") from None
    return told if isinstance(told, dict) else {}


def of_item(item: Mapping[str, Any], kind: Kind) -> Told:
    """What an item tells of itself, as the API shows it."""
    references = item.get("referenceImageUrls") if kind is Kind.VIDEO else [item.get("referenceImageUrl")]
    return Told(
        prompt=text(item.get("prompt"), LONGEST_PROMPT),
        created=moment(item.get("createdDate")),
        model=text(item.get("model"), LONGEST_MODEL),
        aspect_ratio=_fitting(_RATIO, item.get("aspectRatio")),
        style=text(item.get("style"), LONGEST_MODEL),
        item_id=_item_id(item.get("id"), kind),
        first_frame=_url(item.get("firstFrameImageUrl")),
        extends=_url(item.get("extendVideoUrl")),
        references=_urls(references),
    )


def _of_origin(told: Mapping[str, Any], source: Mapping[str, Any], kind: Kind) -> Told:
    sums = told.get("sha256", source.get("sha256"))
    job = told.get("job", source.get("job"))
    return Told(
        file_id=_uuid(told.get("fileId")),
        account_id=_uuid(told.get("accountId")),
        sha256=_fitting(_SHA256, sums.get("url")) if isinstance(sums, dict) else None,
        job=job if isinstance(job, dict) else None,
    )


def text(value: object, longest: int) -> str | None:
    """A text that can be stored, cut where it is too long; ``None`` where there is nothing to read in it."""
    kept = _NO_TEXT.sub("", value)[:longest] if isinstance(value, str) else ""
    return kept if kept.strip() else None


def moment(value: object) -> int | None:
    """An ISO 8601 time in milliseconds since the epoch, UTC where it names no offset; ``None``: no time after 1970."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if told is None:
        return None
    since = told if told.tzinfo else told.replace(tzinfo=UTC)
    milliseconds = round(since.timestamp() * 1000)
    return milliseconds if 0 <= milliseconds <= LATEST else None


def _fitting(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _item_id(value: object, kind: Kind) -> str | None:
    return _fitting(_ID, value) if kind is Kind.VIDEO else _uuid(value)


def _uuid(value: object) -> str | None:
    return value if isinstance(value, str) and ids.is_uuid(value) else None


def _url(value: object) -> str | None:
    told = text(value, _LONGEST_URL)
    return told if told and told.startswith(("https://", "http://")) else None


def _urls(values: object) -> tuple[str, ...] | None:
    told = values if isinstance(values, list) else []
    return tuple(url for url in map(_url, told[:3]) if url) or None


def outgoing(kept: bytes, item: Mapping[str, object], files: Files, kind: Kind, sums: Mapping[str, str]) -> str:
    """What is put beside an item's files in a folder: what was ``kept`` beside them here (it may have been lost), but
    with the item as it is told there, and the SHA-256 of each file by the name of its link.
    """
    try:
        told = json.loads(kept)
    except ValueError:
        told = {"version": 1, "kind": kind, "accountId": files.account_id, "fileId": files.file_id}
    return json.dumps({**told, "item": item, "sha256": sums}, ensure_ascii=False, indent=2) + "\n"
