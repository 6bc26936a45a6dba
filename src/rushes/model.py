"""The words: what an account, a key, a job, a video and an image are, and how a job may move.

    queued ─→ submitting ─→ waiting ─→ collecting ─→ completed ─→ cleaned
      │           │            │            │
      └───────────┴────────────┴────────────┴──→ failed | cancelled

``docs/states.md`` tells it in words; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Kind(StrEnum):
    """What a job makes and a library holds. Text, because that is what rows hold."""

    VIDEO = "video"
    IMAGE = "image"


class JobState(StrEnum):
    """Where a job stands. Text, because that is what the row holds."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    WAITING = "waiting"
    COLLECTING = "collecting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CLEANED = "cleaned"

    @property
    def ended(self) -> bool:
        """Whether nothing more will be done for it."""
        return self in ENDED


MOVES: Mapping[JobState, frozenset[JobState]] = {
    # A provider that was surely not reached gives the job back: submitting → queued.
    JobState.QUEUED: frozenset({JobState.SUBMITTING, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUBMITTING: frozenset({JobState.QUEUED, JobState.WAITING, JobState.FAILED, JobState.CANCELLED}),
    JobState.WAITING: frozenset({JobState.COLLECTING, JobState.FAILED, JobState.CANCELLED}),
    JobState.COLLECTING: frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}),
    JobState.COMPLETED: frozenset({JobState.CLEANED}),
    # A person found the provider's ticket of a job whose outcome was unknown: failed → waiting.
    JobState.FAILED: frozenset({JobState.WAITING, JobState.CLEANED}),
    JobState.CANCELLED: frozenset({JobState.CLEANED}),
    JobState.CLEANED: frozenset(),
}

REPORTED, UNKNOWN, SETTLED = "reported", "unknown", "settled"
"""How a cost is known, where no price list says it: by the provider, not at all, by a person."""

ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.CLEANED})


@dataclass(frozen=True, slots=True)
class Account:
    """Whose library it is. ``revision`` grows with every change to what its lists show."""

    id: str
    name: str
    revision: int


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is kept: never the key itself."""

    id: str
    account_name: str
    label: str
    created: int
    revoked: int | None


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """What was asked for, defaults filled in. URLs are as sent; ``seconds`` is the duration asked for."""

    kind: ClassVar[Kind] = Kind.VIDEO

    prompt: str
    model: str
    aspect_ratio: str
    seconds: int
    first_frame_image_url: str | None = None
    extend_video_url: str | None = None
    reference_image_urls: tuple[str, ...] = ()
    webhook: str | None = None

    @property
    def input_urls(self) -> tuple[str, ...]:
        """Every file it points at."""
        alone = (self.first_frame_image_url, self.extend_video_url)
        return (*(url for url in alone if url), *self.reference_image_urls)


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What was asked for, defaults filled in."""

    kind: ClassVar[Kind] = Kind.IMAGE

    prompt: str
    model: str
    aspect_ratio: str
    style: str | None = None
    reference_image_url: str | None = None
    webhook: str | None = None

    @property
    def input_urls(self) -> tuple[str, ...]:
        """Every file it points at."""
        return (self.reference_image_url,) if self.reference_image_url else ()


Request = VideoRequest | ImageRequest


@dataclass(frozen=True, slots=True)
class Job:
    """One request on its way. The row is what the API shows, the queue entry and the lease in one."""

    id: str
    account_id: str
    item_id: str
    """The id its video will have. An image's is its file's uuid, so that it is empty until there is one."""
    request: Request
    credits: Decimal
    """What it costs here if it succeeds."""
    state: JobState
    created: int
    """Milliseconds since the epoch, by the database's clock, as every time here."""
    origin: str
    """Scheme and host the request came to: an input URL that starts with it may be our own."""
    cost: Decimal | None = None
    """What the provider charged, in US dollars; ``None`` while that is unknown, which is not 0."""
    provider: str = ""
    """The word of the provider that has it, or will be asked."""
    estimate: Decimal | None = None
    """What it was expected to cost at the provider, in US dollars, and is held of the budgets; ``None``: no idea."""
    cost_source: str | None = None
    """How ``cost`` is known: by a price list (its name and day), or :data:`REPORTED` …; ``None``: nothing was sent."""
    owner: str | None = None
    """The worker that holds it; ``None`` while nobody does."""
    attempt: int = 0
    """Counts claims; with ``owner`` it fences a worker that comes back late."""
    tries: int = 0
    """Counts set-backs in a row, for the growing wait between them."""
    ticket: str | None = None
    """The provider's name for it, stored before the first poll."""
    submitted: int | None = None
    """When the provider gave the ticket."""
    progress: float | None = None
    position: int | None = None
    """Its place in the provider's queue."""
    source: str | None = None
    """What is known of the video that its provider goes on from, as :class:`rushes.media.Source` writes it."""
    set_back: str | None = None
    """The sentence of the last set-back, while the job waits for it to pass."""
    error_code: str | None = None
    error_message: str | None = None
    request_id: str | None = None
    """The request that asked for it, as its answer and the logs name it."""
    trace: str | None = None
    """Where its trace goes on, as ``traceparent`` says it."""
    claimed: int = 0
    """When its present worker took it."""

    @property
    def kind(self) -> Kind:
        """What it makes."""
        return self.request.kind


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """The names of a video's four files, the same in storage and in links, and of its sidecar, which has no link."""

    account_id: str
    file_id: str

    @property
    def video(self) -> str:
        """The MP4."""
        return f"{self._stem}.mp4"

    @property
    def preview(self) -> str:
        """The first frame, full size, JPEG."""
        return f"{self._stem}_preview.jpg"

    @property
    def thumbnail(self) -> str:
        """A good still, longest side 480, JPEG."""
        return f"{self._stem}_thumbnail.jpg"

    @property
    def last_frame(self) -> str:
        """The true last frame, full size, PNG."""
        return f"{self._stem}_last_frame.png"

    @property
    def sidecar(self) -> str:
        """The item and its job as JSON: enough to rebuild the library from the files alone."""
        return _sidecar(self.account_id, self.file_id)

    @property
    def links(self) -> dict[str, str]:
        """The names that an item's links lead to, by the link, in the order of ``all``."""
        stills = {"previewImageUrl": self.preview, "thumbnailImageUrl": self.thumbnail}
        return {"url": self.video, **stills, "lastFrameImageUrl": self.last_frame}

    @property
    def all(self) -> tuple[str, ...]:
        """Every name, the MP4 first and the sidecar last."""
        return self.video, self.preview, self.thumbnail, self.last_frame, self.sidecar

    @property
    def inputs(self) -> tuple[str, ...]:
        """Copies of what it was made from, where it came from elsewhere with them; never served."""
        return _inputs(self.account_id, self.file_id)

    @property
    def _stem(self) -> str:
        return f"videos/user/{self.account_id}/{self.file_id}"


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The names of an image's file and of its sidecar."""

    account_id: str
    file_id: str

    @property
    def image(self) -> str:
        """The PNG."""
        return f"images/user/{self.account_id}/{self.file_id}.png"

    @property
    def sidecar(self) -> str:
        """The item and its job as JSON."""
        return _sidecar(self.account_id, self.file_id)

    @property
    def links(self) -> dict[str, str]:
        """The name that an item's link leads to, by the link."""
        return {"url": self.image}

    @property
    def all(self) -> tuple[str, ...]:
        """Every name, the PNG first and the sidecar last."""
        return self.image, self.sidecar

    @property
    def inputs(self) -> tuple[str, ...]:
        """Copies of what it was made from, where it came from elsewhere with them; never served."""
        return _inputs(self.account_id, self.file_id)


def result_name(account_id: str, job_id: str) -> str:
    """Where what a provider sent is kept while it is no item yet, or never will be one; never served."""
    return f"results/{account_id}/{job_id}"


def _sidecar(account_id: str, file_id: str) -> str:
    return f"sidecars/{account_id}/{file_id}.json"


def _inputs(account_id: str, file_id: str) -> tuple[str, ...]:
    # A request takes no more than three.
    return tuple(f"inputs/{account_id}/{file_id}_{number}" for number in (1, 2, 3))


Files = VideoFiles | ImageFiles

FILES: Mapping[Kind, type[VideoFiles] | type[ImageFiles]] = {Kind.VIDEO: VideoFiles, Kind.IMAGE: ImageFiles}


@dataclass(frozen=True, slots=True)
class Video:
    """A finished video: the request that made it, and the facts read from its file."""

    id: str
    account_id: str
    file_id: str
    """The uuid in its files' names."""
    job_id: str | None
    request: VideoRequest
    created: int
    width: int
    height: int
    seconds: float
    """The length read from the file."""

    @property
    def files(self) -> VideoFiles:
        """The names of its files."""
        return VideoFiles(self.account_id, self.file_id)


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image. Its id is its file's uuid."""

    file_id: str
    account_id: str
    job_id: str | None
    request: ImageRequest
    created: int
    width: int
    height: int

    @property
    def id(self) -> str:
        """What the library calls it."""
        return self.file_id

    @property
    def files(self) -> ImageFiles:
        """The names of its files."""
        return ImageFiles(self.account_id, self.file_id)


Item = Video | Image


class Change(NamedTuple):
    """One item that entered an account's libraries, with its stored text, or one that was deleted."""

    revision: int
    kind: Kind
    item_id: str
    created: int
    """When the item was made."""
    item: bytes | None
    """``None``: it was deleted."""


class Balance(NamedTuple):
    """An account's month: AI credits charged, held by jobs under way, and the limit of the two together."""

    spent: Decimal
    held: Decimal
    limit: Decimal


class LedgerEntry(NamedTuple):
    """One line of an account's ledger of AI credits."""

    id: str
    type: str
    amount: Decimal
    source: str
    description: str
    created: int


def milliseconds(timestamp: str) -> int:
    """A time as it goes out, in milliseconds since the epoch."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


def timestamp(milliseconds: int) -> str:
    """ISO 8601, UTC, milliseconds, ``Z``: how a time goes out."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
