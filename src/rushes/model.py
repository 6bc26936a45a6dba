"""The words: what an account, a key, a job and a video are, and how a job may move.

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
    JobState.FAILED: frozenset({JobState.CLEANED}),
    JobState.CANCELLED: frozenset({JobState.CLEANED}),
    JobState.CLEANED: frozenset(),
}

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

    prompt: str
    model: str
    aspect_ratio: str
    seconds: int
    first_frame_image_url: str | None = None
    extend_video_url: str | None = None
    reference_image_urls: tuple[str, ...] = ()
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One request on its way. The row is what the API shows, the queue entry and the lease in one."""

    id: str
    account_id: str
    item_id: str
    """The id its video will have."""
    request: VideoRequest
    credits: Decimal
    """What it costs here if it succeeds: the rate times the seconds asked for."""
    state: JobState
    created: int
    """Milliseconds since the epoch, by the database's clock, as every time here."""
    origin: str
    """Scheme and host the request came to: an input URL that starts with it may be our own."""
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
    error_code: str | None = None
    error_message: str | None = None
    claimed: int = 0
    """When its present worker took it."""


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
        return f"sidecars/{self.account_id}/{self.file_id}.json"

    @property
    def all(self) -> tuple[str, ...]:
        """Every name, the MP4 first."""
        return self.video, self.preview, self.thumbnail, self.last_frame, self.sidecar

    @property
    def _stem(self) -> str:
        return f"videos/user/{self.account_id}/{self.file_id}"


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


def milliseconds(timestamp: str) -> int:
    """A time as it goes out, in milliseconds since the epoch."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


def timestamp(milliseconds: int) -> str:
    """ISO 8601, UTC, milliseconds, ``Z``: how a time goes out."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
