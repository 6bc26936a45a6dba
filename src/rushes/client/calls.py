"""What is decided about a call without making one: where it goes, whether it may be sent again and when, what an
answer means. Shared by the two clients.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2

from rushes import __version__, wire
from rushes.client.items import Item
from rushes.errors import (
    AnswerLost,
    BadAnswer,
    InvalidQuery,
    NotSaved,
    RushesError,
    ServerUnreachable,
    StillRunning,
    TooMany,
    Unavailable,
)

E = TypeVar("E", bound=RushesError)

USER_AGENT = f"Rushes/{__version__} (client)"
LONGEST_ANSWER = 64 * 2**20
"""Bytes of JSON: a page has some hundred thousand."""

TRIES = 5
"""How often a call is sent at most."""

OnBytes = Callable[[int, int | None], object]
"""Called with the bytes that have come, and how many there are where that is known."""

_V1 = "/pictoryapis/v1"
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_FIRST_LOOK = 0.25
_SHORTEST_LOOK = 1.0
_LONGEST_LOOK = 10.0
_LONGEST_ASKED = 24 * 3600.0
_MAY_PASS = frozenset({429, 500, 502, 503, 504})
# A gateway's word that it has lost sight of a request which it had passed on.
_OUT_OF_SIGHT = frozenset({502, 504})
# To do these twice is to do them once. (A PUT is an upload here, to a link of its own each time.)
_HARMLESS = frozenset({"GET", "PUT"})
# No byte of the request has left: it is as if it had never been made.
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
# Where a server leads that does not mean to be followed; it would lead there again.
_ASTRAY = (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API."""

    method: str
    path: str
    params: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    once: str = ""
    """The ``Idempotency-Key`` of a POST: the same for each time it is sent."""
    tries: int = TRIES
    seconds: float = inf
    """The time-out of each try, where it is shorter than the client's."""

    @property
    def told(self) -> dict[str, str]:
        """The parameters that say something, as text."""
        return {name: str(value) for name, value in self.params.items() if value is not None}

    @property
    def sent(self) -> dict[str, object] | None:
        """The body without what says nothing: not every server takes ``null`` for that."""
        return None if self.body is None else {name: value for name, value in self.body.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def announces(self) -> bool:
        """Whether the server honours idempotency keys: only Rushes says its version."""
        return "rushes-version" in self.headers

    def json(self) -> Any:
        """The body.

        Raises:
            BadAnswer: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            told = f"The server answered {self.status} with something that is not JSON; is this the address of the API?"
            raise self._named(BadAnswer(told)) from None

    def error(self) -> RushesError:
        """What it says, when it is no success."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            body = None
        error = self._named(wire.raised(self.status, body))
        wait = retry_after(self.headers)
        if isinstance(error, TooMany | Unavailable) and wait is not None:
            error.retry_after = wait
        return error

    def _named(self, error: E) -> E:
        error.status = self.status
        error.request_id = self.headers.get("x-request-id") or self.headers.get("x-amzn-requestid")
        return error


def base(url: str) -> str:
    """Where the API begins on the server at ``url``, which may name only the host.

    Raises:
        InvalidQuery: it is no address of a server.
    """
    if not _leads_somewhere(url) or any(sign in url for sign in "?#@"):
        raise InvalidQuery(f"{url!r} is not the address of a server, such as http://127.0.0.1:8700.")
    return url.rstrip("/").removesuffix(_V1).removesuffix("/pictoryapis") + _V1


def link(told: object) -> str:
    """A link that a server gives.

    Raises:
        BadAnswer: it leads nowhere.
    """
    if not isinstance(told, str) or not _leads_somewhere(told):
        raise BadAnswer(f"The server gives {told!r} as a link, which is none.")
    return told


def _leads_somewhere(url: str) -> bool:
    try:
        httpx2.URL(url)
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (httpx2.InvalidURL, ValueError):
        return False


def header(told: str, what: str) -> str:
    """What a header can hold, without the spaces and line ends around it that come of copying.

    Raises:
        InvalidQuery: it holds something else.
    """
    told = told.strip()
    if not told.isascii() or not told.isprintable():
        raise InvalidQuery(f"The {what} holds a character that cannot be sent; was something else copied along?")
    return told


def new_key() -> str:
    """An idempotency key for one intention."""
    return secrets.token_urlsafe(18)


def chunks(path: Path, size: int) -> Iterator[bytes]:
    """A file in pieces of so many bytes."""
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk


def check_readable(path: Path) -> None:
    """Raises NotSaved when a file cannot be read."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise NotSaved(f"{path} cannot be read: {error.strerror}.") from error


def size(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


def segment(name: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    return quote(name, safe="", errors="surrogatepass").replace(".", "%2E")


def target(to: Path, item: Item) -> Path:
    """Where an item's file goes: ``to``, or under its id where that is a folder.

    Raises:
        BadAnswer: the id is no name of a file, and might lead out of the folder.
    """
    if not to.is_dir():
        return to
    name = f"{item.id}{item.suffix}"
    if not _PLAIN.fullmatch(item.id):
        raise BadAnswer(
            f"The server gives {item.id!r} as an id, which can be no name of a file; say where it is to go."
        )
    return to / name


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait, a day at most; ``None`` where it does not ask."""
    told = headers.get("retry-after", "")
    seconds = float(told) if told.isdecimal() else _until(_moment(told), _moment(headers.get("date", "")))
    return None if seconds is None else min(seconds, _LONGEST_ASKED)


def _until(then: datetime | None, now: datetime | None) -> float | None:
    # By the server's clock where it tells the time: ours may be another.
    return None if then is None else max((then - (now or datetime.now(UTC))).total_seconds(), 0)


def _moment(told: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(told)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def doubtful(outcome: httpx2.RequestError | Answer) -> bool:
    """Whether it is open what became of the request: it may have been taken. 429 is said before anything is done."""
    if isinstance(outcome, Answer):
        return outcome.status in _MAY_PASS and outcome.status != 429
    return not isinstance(outcome, _UNSENT)


def decides(refusal: RushesError) -> bool:
    """Whether an answer that does not announce a Rushes is none of one: what may pass can be a gateway's word."""
    return refusal.status is not None and refusal.status < 500 and refusal.status not in _MAY_PASS


@dataclass
class Tries:
    """How often one call is sent, and how long is waited before it is sent again."""

    call: Call
    left: int = field(init=False)
    pause: float = _FIRST_PAUSE
    lost: bool = False
    """Whether one of them may have been taken, though nobody knows."""

    def __post_init__(self) -> None:
        self.left = max(self.call.tries - 1, 0)

    def after_loss(self, error: httpx2.RequestError, *, repeatable: bool, began: bool = False) -> float:
        """Seconds to wait after a try that got no answer, or of one that ``began`` not all.

        Raises:
            ServerUnreachable: that was the last; AnswerLost: it must not be sent again, or was the last of which one
            may have been taken; BadAnswer: it was led astray.
        """
        if isinstance(error, _ASTRAY):
            raise BadAnswer(f"The server leads on to where nothing can be had ({_why(error)}).") from error
        self._note(lost=doubtful(error))
        if self.left and repeatable:
            return self._next(None)
        raise (_lost(self.call, _why(error)) if self.lost else unreachable(error, began=began)) from error

    def after_answer(self, answer: Answer, *, repeatable: bool) -> float:
        """Seconds to wait after an answer that is no success.

        Raises:
            RushesError: that answer, when waiting does not help or is not safe; AnswerLost: the same, where it says
            nothing of a try before it which may have been taken.
        """
        wait, may_pass = retry_after(answer.headers), answer.status in _MAY_PASS
        self._note(lost=answer.status in _OUT_OF_SIGHT)
        if may_pass and repeatable and self.left and (wait or 0) <= _LONGEST_PAUSE:
            return self._next(wait)
        error = answer.error()
        if may_pass and self.lost:
            raise _lost(self.call, error.sentence.rstrip("."), error.status, error.request_id) from error
        # Whoever sends it again because it is said to help must not pay for it twice.
        error.retryable = error.retryable and (repeatable or self.call.method in _HARMLESS)
        raise error

    def _note(self, *, lost: bool) -> None:
        self.lost |= lost and self.call.method not in _HARMLESS

    def _next(self, asked: float | None) -> float:
        self.left -= 1
        pause, self.pause = self.pause, self.pause * 2
        # Spread out, so that many clients that met the same fault do not come back as one.
        return max(asked or 0, pause * random.uniform(0.75, 1.25))  # noqa: S311


@dataclass
class Wait:
    """How long a job is waited for, and how often looked at."""

    job_id: str
    timeout: float | None
    began: float = field(default_factory=time.monotonic)
    interval: float = _FIRST_LOOK

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds until its end."""
        return inf if self.timeout is None else self.timeout - self.seconds

    def look(self) -> dict[str, Any]:
        """How a look is taken: once, since the next comes anyway, and in not much more than the time there is."""
        return {"tries": 1, "timeout": max(self.left, _SHORTEST_LOOK)}

    def next(self, error: RushesError | None) -> float:
        """Seconds until the next look, after one that found it under way, or failed.

        Raises:
            RushesError: ``error``, where the next would fail too; StillRunning: there is no time for a next.
        """
        if error is not None and not error.retryable:
            raise error
        asked = (error.retry_after or 0.0) if isinstance(error, TooMany | Unavailable) else 0.0
        if self.left <= asked:
            goes_on = (
                "it goes on" if error is None else "the server does not answer at present, and knows how it stands"
            )
            raise StillRunning(
                f"Job {self.job_id} had not ended after {self.timeout:g} seconds; {goes_on}.", self.job_id
            )
        interval, self.interval = self.interval, min(self.interval * 1.4, _LONGEST_LOOK)
        return max(asked, min(interval, self.left))


def _lost(call: Call, why: str, status: int | None = None, request_id: str | None = None) -> AnswerLost:
    lost = AnswerLost(
        f"{call.method} {call.path} was sent and its answer never came ({why}): the server may have done it"
        f"{', and charged for it' if call.method == 'POST' else ''}. It is not sent again by itself; look at what the "
        "server has first."
    )
    lost.status, lost.request_id = status, request_id
    return lost


def unreachable(error: httpx2.RequestError, *, began: bool) -> ServerUnreachable:
    """No answer, or one that breaks off, told for people."""
    where = f"The server at {error.request.url.host}:{error.request.url.port or ''}".rstrip(":")
    if began and doubtful(error):
        return ServerUnreachable(f"{where} answered and broke off in the middle each time ({_why(error)}); try later.")
    return ServerUnreachable(f"{where} did not answer ({_why(error)}); check its address, and that it runs.")


def _why(error: httpx2.RequestError) -> str:
    return str(error).rstrip(".") or type(error).__name__
