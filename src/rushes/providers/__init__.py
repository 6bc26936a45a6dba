"""What a provider is: submit an order, poll its ticket, download what it made.

A provider is a class with the methods of :class:`Provider`; ``rushes.toml`` names it by a word of :data:`PROVIDERS`
or by a dotted path. Rushes calls ``submit`` at most once for a job unless the provider says it is idempotent, stores
the ticket before the first ``poll``, and may call ``poll`` and ``download`` any number of times, from any worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from rushes.errors import JobFailed
from rushes.model import Kind


@dataclass(frozen=True, slots=True)
class Inputs:
    """The request's input files, fetched and checked; each path is a local file that lives until ``submit`` returns.

    An image has at most one reference and nothing else.
    """

    first_frame: Path | None = None
    extend_video: Path | None = None
    references: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """One video or image to make. ``job_id`` is a uuid fit to be an idempotency key; sizes are pixels."""

    job_id: str
    model: str
    prompt: str
    aspect_ratio: str
    width: int
    height: int
    seconds: int
    """The length of a video; 0 for an image."""
    inputs: Inputs = field(default_factory=Inputs)
    kind: Kind = Kind.VIDEO
    style: str | None = None
    """One of :data:`rushes.catalogue.STYLES`, for an image that was asked for in one."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not ready: ask again after ``poll_after`` seconds. ``progress`` runs from 0 to 1 where it is known."""

    poll_after: float
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Ready: ``source`` is whatever this provider's ``download`` needs (a URL, its own ticket)."""

    source: str
    cost: Decimal | None = None
    """What the provider charged, in US dollars; ``None`` where it does not say."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Ended without a result, for good; ``cost`` is what was charged all the same."""

    error: JobFailed
    cost: Decimal | None = None


class Provider(Protocol):
    """One vendor, or one way of drawing.

    ``submit`` raises :class:`~rushes.errors.ProviderUnreachable` only when nothing can have been accepted, and
    :class:`~rushes.errors.JobFailed` when the provider said no; any other failure is an unknown outcome.
    ``poll`` and ``download`` raise ``ProviderUnreachable`` for what may pass.
    """

    idempotent: bool
    """Whether a second ``submit`` with the same ``job_id`` gives the first one's ticket and costs nothing."""

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    async def submit(self, order: Order) -> str:
        """Send the order; return the ticket (text) that finds it again."""

    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask how the order stands."""

    async def download(self, done: Done, to: Path) -> None:
        """Write the finished MP4 (of an image, the PNG, JPEG or WebP) to ``to``, streamed, over what is there."""
