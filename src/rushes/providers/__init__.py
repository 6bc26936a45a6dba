"""What a provider is: submit an order, poll its ticket, download what it made.

A provider is a subclass of :class:`Provider`; ``rushes.toml`` names it by a word of :data:`.routes.PROVIDERS` or by a
dotted path. Rushes calls ``submit`` at most once for a job unless the provider says it is idempotent, stores the
ticket before the first ``poll``, and may call ``poll``, ``download`` and ``cancel`` any number of times, from any
worker.

One vocabulary tells what went wrong, whoever the vendor is:

=============================  ==============================================================================
raised                         means
=============================  ==============================================================================
``ProviderUnreachable``        nothing was accepted, or nothing can be said now: asked again later, at ``retry_after``
``ContentRejected``            moderation refused the prompt, an input or the result
``ModelUnavailable``           the key is not taken, the balance is empty, the settings are wrong: the operator's
``ModelRetired``               the vendor no longer has the model
``InputNotAnImage`` …          an input is not what this vendor takes
``ProviderFailed``             it refused the request, failed, lost the job, or delivered something else
anything else, in ``submit``   the order may have been accepted: the job ends as ``OUTCOME_UNKNOWN``
=============================  ==============================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from rushes.catalogue import Input
from rushes.errors import BadSetting, JobFailed
from rushes.model import Kind

MOST_BYTES = 2 * 2**30
"""What a result may have at most."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The request's input files, fetched and checked; each path is a local file that lives until ``submit`` returns.

    An image has at most one reference and nothing else.
    """

    first_frame: Path | None = None
    extend_video: Path | None = None
    references: tuple[Path, ...] = ()

    @property
    def begins(self) -> Input | None:
        """Which of them there is; ``None``: words alone."""
        return next((each for each in Input if getattr(self, each)), None)


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
    result: Path = Path("result")
    """Where a provider that answers at once may leave the finished file."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What ``submit`` gives in place of a ticket when the vendor answered at once: the file is at ``order.result``."""

    cost: Decimal | None = None
    """As in :class:`Done`."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not ready: ask again after ``poll_after`` seconds. ``progress`` runs from 0 to 1 where it is known."""

    poll_after: float
    progress: float | None = None
    position: int | None = None
    """The place in the provider's queue, from 1, where it is known."""


@dataclass(frozen=True, slots=True)
class Done:
    """Ready: ``source`` is whatever this provider's ``download`` needs (a URL, its own ticket)."""

    source: str
    cost: Decimal | None = None
    """What the provider says it charged, in US dollars; ``None`` where it does not say."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Ended without a result, for good; ``cost`` is what was charged all the same, ``None`` where that is unknown."""

    error: JobFailed
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a route can be asked for; a request is checked against it before anything is queued."""

    inputs: frozenset[Input] = frozenset(Input)
    most_references: int = 3
    sizes: Mapping[str, tuple[int, int]] | None = None
    """Pixels (width, height) by aspect ratio, default first; ``None``: what the catalogue says."""
    durations: tuple[int, ...] | None = None
    """Seconds, default first; likewise."""
    needs_input: bool = False
    """Whether a video is made from words alone never: one of the ``inputs`` must come along."""


@dataclass(frozen=True, slots=True)
class Price:
    """What the provider's price list says, in US dollars; ``table`` names the list and its version."""

    dollars: Decimal
    per_second: bool
    table: str

    def of(self, seconds: int) -> Decimal:
        """The price of one item, of so many ``seconds`` where it is a video."""
        return self.dollars * seconds if self.per_second else self.dollars


@dataclass(frozen=True, slots=True)
class Setup:
    """What a provider is made from: one route, with what is set for all routes of its provider."""

    model: str
    """The public name."""
    kind: Kind = Kind.VIDEO
    options: Mapping[str, Any] = field(default_factory=dict)
    """What ``[providers.<name>]`` and ``[models."<model>"]`` hold beside what Rushes reads; the latter wins."""
    secret: Callable[[str], str | None] = lambda name: None
    """The value of an environment variable, or the text of the file that ``<variable>_FILE`` names."""
    allow_private_hosts: frozenset[str] = frozenset()

    def key(self, usual: str) -> str | None:
        """The vendor's key: from the file of the option ``key_file``, or from the variable of ``key_env``, or from the
        ``usual`` one.

        Raises:
            BadSetting: the file cannot be read.
        """
        if path := self.options.get("key_file"):
            try:
                return _key(Path(path).read_text().strip(), f"{path}, the key_file of {self.model},")
            except (OSError, UnicodeDecodeError) as error:
                raise BadSetting(f"{path}, the key_file of {self.model}, cannot be read: {error}.") from error
        name = self.options.get("key_env", usual)
        return _key(self.secret(name), name)


def _key(text: str | None, where: str) -> str | None:
    if text and not (text.isascii() and text.isprintable()):
        raise BadSetting(f"{where} holds no key: more than one line, or letters that no key has.")
    return text


class Provider(ABC):
    """One vendor, or one way of drawing, for one model.

    ``submit`` raises :class:`~rushes.errors.ProviderUnreachable` only when nothing can have been accepted, and
    :class:`~rushes.errors.JobFailed` when the provider said no; any other failure is an unknown outcome.
    ``poll`` and ``download`` raise ``ProviderUnreachable`` for what may pass.
    """

    idempotent: bool = False
    """Whether a second ``submit`` with the same ``job_id`` gives the first one's ticket and costs nothing."""
    capabilities: Capabilities = Capabilities()
    price: Price | None = None
    """What an item costs by the price list, where there is one."""

    @abstractmethod
    def __init__(self, setup: Setup) -> None:
        """Raises :class:`~rushes.errors.BadSetting` for an option it does not know or a key that is missing."""

    def seconds(self, asked: int, begins: Input | None) -> int:
        """How long a video is made, and charged for, when ``asked`` seconds are to begin with that input, or with words
        alone.
        """
        return asked

    @abstractmethod
    async def submit(self, order: Order) -> str | Delivered:
        """Send the order; return the ticket (text) that finds it again, whatever becomes of the route's settings."""

    @abstractmethod
    async def poll(self, ticket: str) -> Pending | Done | Refused:
        """Ask how the order stands."""

    @abstractmethod
    async def download(self, done: Done, to: Path) -> None:
        """Write the finished MP4 (of an image, the PNG, JPEG or WebP) to ``to``, streamed, over what is there."""

    async def cancel(self, ticket: str) -> Decimal | None:
        """Ask the provider to stop, where it can; what it charges all the same, ``None`` where that is unknown."""
        return None

    async def check(self) -> str | None:
        """Try key and model without spending; what was found to be right, or ``None`` where nothing can be tried.

        Raises:
            ModelUnavailable, ModelRetired, ProviderUnreachable: as ``submit`` would.
        """
        return None

    async def close(self) -> None:  # noqa: B027  (most have nothing to let go of)
        """Let go of connections."""
