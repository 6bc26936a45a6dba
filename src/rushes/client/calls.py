"""What is decided about a call without making one: where it goes, whether it may be sent again and when, what an
answer means. Shared by the two clients.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from rushes import __version__, wire
from rushes.client.items import Item
from rushes.errors import AnswerLost, BadAnswer, InvalidQuery, RushesError, ServerUnreachable, TooMany

USER_AGENT = f"Rushes/{__version__} (client)"
LONGEST_ANSWER = 64 * 2**20
"""Bytes of JSON: a page has some hundred thousand."""

OnBytes = Callable[[int, int | None], object]
"""Called with the bytes that have come, and how many there are where that is known."""

_V1 = "/pictoryapis/v1"
_TRIES = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_MAY_PASS = frozenset({429, 500, 502, 503, 504})
# No byte of the request has left: it is as if it had never been made.
_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API."""

    method: str
    path: str
    params: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    once: str = ""
    """The ``Idempotency-Key`` of a POST: the same for each time it is sent."""

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
        except ValueError:
            told = f"The server answered {self.status} with something that is not JSON; is this the address of the API?"
            raise BadAnswer(told) from None

    def error(self) -> RushesError:
        """What it says, when it is no success."""
        try:
            body = json.loads(self.body)
        except ValueError:
            body = None
        error = wire.raised(self.status, body)
        error.request_id = self.headers.get("x-request-id") or self.headers.get("x-amzn-requestid")
        wait = retry_after(self.headers)
        if isinstance(error, TooMany) and wait is not None:
            error.retry_after = wait
        return error


def base(url: str) -> str:
    """Where the API begins on the server at ``url``, which may name only the host.

    Raises:
        InvalidQuery: it is no address of a server.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidQuery(f"{url!r} is not the address of a server, such as http://127.0.0.1:8700.")
    return url.rstrip("/").removesuffix(_V1).removesuffix("/pictoryapis") + _V1


def new_key() -> str:
    """An idempotency key for one intention."""
    return secrets.token_urlsafe(18)


def chunks(path: Path, size: int) -> Iterator[bytes]:
    """A file in pieces of so many bytes."""
    with path.open("rb") as file:
        while chunk := file.read(size):
            yield chunk


def size(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


def segment(name: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    return quote(name, safe="").replace(".", "%2E")


def target(to: Path, item: Item) -> Path:
    """Where an item's file goes: ``to``, or under its id where that is a folder."""
    return to / f"{item.id}{item.suffix}" if to.is_dir() else to


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait; ``None`` where it does not, or gives a date."""
    told = headers.get("retry-after", "")
    return float(told) if told.isdecimal() else None


@dataclass
class Tries:
    """How often one call is sent, and how long is waited before it is sent again."""

    call: Call
    left: int = _TRIES - 1
    pause: float = _FIRST_PAUSE

    def after_loss(self, error: httpx2.RequestError, *, repeatable: bool) -> float:
        """Seconds to wait after a try that got no answer.

        Raises:
            ServerUnreachable: that was the last; AnswerLost: it must not be sent again.
        """
        if not isinstance(error, _UNSENT) and not repeatable:
            raise _lost(self.call, error) from error
        if not self.left:
            raise unreachable(error) from error
        return self._next(None)

    def after_answer(self, answer: Answer, *, repeatable: bool) -> float:
        """Seconds to wait after an answer that is no success.

        Raises:
            RushesError: that answer, when waiting does not help or is not safe.
        """
        wait = retry_after(answer.headers)
        # 429 is said before anything is done.
        safe = answer.status == 429 or (answer.status in _MAY_PASS and repeatable)
        if not safe or not self.left or (wait or 0) > _LONGEST_PAUSE:
            raise answer.error()
        return self._next(wait)

    def _next(self, asked: float | None) -> float:
        self.left -= 1
        pause, self.pause = self.pause, self.pause * 2
        # Spread out, so that many clients that met the same fault do not come back as one.
        return max(asked or 0, pause * random.uniform(0.75, 1.25))  # noqa: S311


def _lost(call: Call, error: httpx2.RequestError) -> AnswerLost:
    return AnswerLost(
        f"{call.method} {call.path} was sent and the connection broke before the answer ({_why(error)}): the server "
        "may have done it, and charged for it. It was not sent again; look at the server's jobs first."
    )


def unreachable(error: httpx2.RequestError) -> ServerUnreachable:
    """No answer, told for people."""
    return ServerUnreachable(f"The server did not answer ({_why(error)}); check its address, and that it runs.")


def _why(error: httpx2.RequestError) -> str:
    return str(error).rstrip(".") or type(error).__name__
