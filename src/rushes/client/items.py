"""What a server answers, typed. Each keeps the JSON it was read from: what is not named here is not lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from rushes.errors import BadAnswer

Json = Mapping[str, Any]

T = TypeVar("T")

_ENDED = frozenset({"completed", "failed", "cleaned"})


@dataclass(frozen=True, slots=True)
class Video:
    """A finished video. Links are permanent and open to whoever has them."""

    url: str
    id: str
    prompt: str
    aspect_ratio: str
    created: datetime
    model: str
    width: int
    height: int
    duration: float
    """Seconds."""
    preview_image_url: str | None
    thumbnail_image_url: str | None
    last_frame_image_url: str | None
    first_frame_image_url: str | None
    reference_image_urls: tuple[str, ...]
    extend_video_url: str | None
    json: Json = field(repr=False)

    @property
    def suffix(self) -> str:
        """How its file's name ends."""
        return ".mp4"


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image."""

    url: str
    id: str
    prompt: str
    aspect_ratio: str
    created: datetime
    model: str
    width: int
    height: int
    style: str | None
    reference_image_url: str | None
    json: Json = field(repr=False)

    @property
    def suffix(self) -> str:
        """How its file's name ends."""
        return ".png"


Item = Video | Image


@dataclass(frozen=True, slots=True)
class Job:
    """How a job stands. What it made is there once it is completed."""

    id: str
    status: str
    """``in-progress``, ``completed``, ``failed`` or ``cleaned``. A word beside these is one for being under way."""
    url: str | None
    credits: float | None
    """AI credits charged, once it is completed."""
    error_code: str | None
    error_message: str | None
    json: Json = field(repr=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _ENDED


@dataclass(frozen=True, slots=True)
class JobDetail:
    """All that Rushes tells of a job; other servers do not."""

    id: str
    kind: str
    model: str
    prompt: str
    state: str
    """One of ``docs/states.md``."""
    waiting_for: str | None
    progress: float | None
    """0 to 1, where the provider says."""
    created: datetime
    item_id: str | None
    error_code: str | None
    error_message: str | None
    credits: float
    """AI credits that it costs if it succeeds."""
    cost: float | None
    """US dollars that the provider charged; ``None``: not known."""
    cost_source: str | None
    """How that is known: ``reported``, a price list, ``settled``, ``unknown``."""
    provider: str | None
    json: Json = field(repr=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.waiting_for is None


@dataclass(frozen=True, slots=True)
class Progress:
    """How a job that is waited for goes on."""

    job_id: str
    seconds: float
    """Since the wait began."""
    state: str
    waiting_for: str | None
    progress: float | None
    """0 to 1, where it is known."""


AWAY = "the server to answer"
"""What a job waits for, as far as can be told, while its server is away."""

OnProgress = Callable[[Progress], object]


@dataclass(frozen=True, slots=True)
class Quota:
    """AI credits of this month."""

    used: float
    limit: float
    json: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Model:
    """What a server can be asked for by this name."""

    name: str
    kind: str
    configured: bool
    provider: str | None
    aspect_ratios: tuple[str, ...]
    """The first is the default."""
    durations: tuple[str, ...]
    """The first is the default; empty for images."""
    credits: float
    """AI credits a second of video, or an image."""
    inputs: tuple[str, ...]
    needs_input: bool
    """Whether one of them must come along: nothing is made from words alone."""
    json: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """One item that entered a library, or was deleted from it."""

    kind: str
    id: str
    created: datetime
    item: Item | None
    """``None``: it was deleted."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A stretch of the change feed, oldest first."""

    changes: tuple[Change, ...]
    since: str
    """What to ask with next, now or in a year."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, as it came."""

    items: list[Json]
    token: str | None
    """Asks for the next page; ``None`` on the last."""


def read(parse: Callable[[Json], T], told: object) -> T:
    """What ``parse`` makes of an answer.

    Raises:
        BadAnswer: it is not what it should be.
    """
    try:
        return parse(told)  # type: ignore[arg-type]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadAnswer(f"The server's answer is not one of this API: {type(error).__name__} {error}.") from error


def page(told: Json) -> Page:
    """``GET`` of a list."""
    items, token = told["items"], told.get("nextPageKey")
    if not isinstance(items, list) or not (token is None or isinstance(token, str)):
        raise TypeError("items or nextPageKey is of another type")
    return Page(items, token or None)


def video(told: Json) -> Video:
    """An item of ``GET /aistudio/videos``."""
    return Video(
        _text(told, "url"),
        _text(told, "id"),
        _text(told, "prompt"),
        _text(told, "aspectRatio"),
        datetime.fromisoformat(told["createdDate"]),
        _text(told, "model"),
        int(_number(told, "width")),
        int(_number(told, "height")),
        float(_text(told, "duration").removesuffix("s")),
        _text_or_none(told, "previewImageUrl"),
        _text_or_none(told, "thumbnailImageUrl"),
        _text_or_none(told, "lastFrameImageUrl"),
        _text_or_none(told, "firstFrameImageUrl"),
        _texts(told, "referenceImageUrls"),
        _text_or_none(told, "extendVideoUrl"),
        told,
    )


def image(told: Json) -> Image:
    """An item of ``GET /aistudio/images``."""
    return Image(
        _text(told, "url"),
        _text(told, "id"),
        _text(told, "prompt"),
        _text(told, "aspectRatio"),
        datetime.fromisoformat(told["createdDate"]),
        _text(told, "model"),
        int(_number(told, "width")),
        int(_number(told, "height")),
        _text_or_none(told, "style"),
        _text_or_none(told, "referenceImageUrl"),
        told,
    )


def submitted(told: Json) -> str:
    """The job's id, of the answer to a submission."""
    return _text(told["data"], "jobId")


def job(told: Json) -> Job:
    """``GET /jobs/{id}``; an item of ``GET /jobs`` has its id elsewhere."""
    data = told["data"]
    return Job(
        id=_text(told, "job_id") if told.get("job_id") else _text(data, "jobId"),
        status=_text(data, "status"),
        url=_text_or_none(data, "url"),
        credits=_number_or_none(data, "aiCreditsUsed"),
        error_code=_said(data, "error_code"),
        error_message=_said(data, "error_message"),
        json=told,
    )


def job_detail(told: Json) -> JobDetail:
    """``GET /aistudio/jobs/{id}``."""
    error = told["error"] or {}
    return JobDetail(
        id=_text(told, "jobId"),
        kind=_text(told, "kind"),
        model=_text(told, "model"),
        prompt=_text(told, "prompt"),
        state=_text(told, "state"),
        waiting_for=_text_or_none(told, "waitingFor"),
        progress=_number_or_none(told, "progress"),
        created=datetime.fromisoformat(told["createdDate"]),
        item_id=_text_or_none(told, "itemId"),
        error_code=_said(error, "code"),
        error_message=_said(error, "message"),
        credits=_number(told, "credits"),
        cost=_number_or_none(told, "cost"),
        cost_source=_said(told, "costSource"),
        provider=_text_or_none(told, "provider"),
        json=told,
    )


def quota(told: Json) -> Quota:
    """``GET /quota``."""
    credits = told["aiCredits"]
    return Quota(_number(credits, "used"), _number(credits, "limit"), told)


def model(told: Json) -> Model:
    """An item of ``GET /aistudio/models``."""
    return Model(
        name=_text(told, "model"),
        kind=_text(told, "kind"),
        configured=bool(told["configured"]),
        provider=_text_or_none(told, "provider"),
        aspect_ratios=_texts(told, "aspectRatios"),
        durations=_texts(told, "durations"),
        credits=_number(told, "creditsPerSecond" if "creditsPerSecond" in told else "credits"),
        inputs=_texts(told, "inputs"),
        needs_input=bool(told.get("needsInput")),
        json=told,
    )


def changes(told: Json) -> tuple[Changes, bool]:
    """``GET /aistudio/changes``, and whether more follows."""
    return Changes(tuple(_change(each) for each in told["changes"]), _text(told, "since")), bool(told["more"])


def _change(told: Json) -> Change:
    parse = video if told["kind"] == "video" else image
    created = datetime.fromisoformat(told["createdDate"])
    item = parse(told["item"]) if "item" in told else None
    return Change(_text(told, "kind"), _text(told, "id"), created, item)


def _text(told: Json, name: str) -> str:
    value = told[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _text_or_none(told: Json, name: str) -> str | None:
    return None if told.get(name) is None else _text(told, name)


def _texts(told: Json, name: str) -> tuple[str, ...]:
    values = told.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{name} is no list of texts")
    return tuple(values)


def _number(told: Json, name: str) -> float:
    value = told[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is no number")
    return value


def _number_or_none(told: Json, name: str) -> float | None:
    return None if told.get(name) is None else _number(told, name)


def _said(told: Json, name: str) -> str | None:
    # The vendor has numbers for some.
    return None if told.get(name) is None else str(told[name])
