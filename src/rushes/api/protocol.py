"""HTTP/1.1 at the socket: uvicorn's protocol, with limits on how long and how slow a request's head may be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from rushes import ids, logs, wire
from rushes.api.answers import HEADERS
from rushes.config import Config

LONGEST_HEAD = 32 * 2**10
"""Bytes of a request's line and headers together."""

_MOST_WAITING = 100
_LINGER_SECONDS = 2
_NO_HTTP = "Bad Request: this is no HTTP as it stands; in an address, percent-encode what is not plain ASCII."
_MESSAGE: Mapping[int, str] = {400: _NO_HTTP, **wire.MESSAGE}


def protocol(config: Config) -> type[HttpToolsProtocol]:
    """The protocol with this configuration's limits, as ``uvicorn.Config(http=…)`` takes it."""

    class Configured(_Limited):
        header_seconds = config.header_seconds
        body_seconds = config.body_seconds

    return Configured


class _Limited(HttpToolsProtocol):
    """Refuses a head that is too long or too slow, and what is not HTTP; hangs up on whoever says nothing.

    A connection has one timer. It looks now and then whether the connection is overdue: a request only notes when
    that will be, which costs less than the timer that uvicorn itself starts after each. What we are answering is
    never overdue.
    """

    header_seconds: float
    body_seconds: float
    url: bytes | None  # type: ignore[assignment]  # None until the first byte of a head, which makes it b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._room = LONGEST_HEAD
        self._idle = False
        self._deaf = False
        self._refusal: int | None = None
        self._last_words = _LastWords(self, transport)
        self.url = None
        self._due = self.loop.time() + self.header_seconds
        self._timer = self.loop.call_later(self.header_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    # A request comes

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._idle:
            self._idle = False
            self._due = self.loop.time() + self.header_seconds
        if len(data) < self._room:
            self._parse(data)
        else:
            self._parse_in_parts(memoryview(data))

    def _parse_in_parts(self, rest: memoryview) -> None:
        while rest and not self._deaf:
            part, rest = rest[: self._room], rest[self._room :]
            self._parse(part)
            if not self._room:
                self._refuse(413)

    def _parse(self, part: bytes | memoryview) -> None:
        self._room -= len(part)  # given back at the end of a head, and by every piece of a body
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            # We speak nothing else, and the parser now takes a body for the next request.
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(429 if len(self.pipeline) >= _MOST_WAITING else 400)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _MOST_WAITING:
            raise httptools.HttpParserError
        super().on_headers_complete()
        name = self._name()
        self.scope["request_id"] = name.decode()  # type: ignore[typeddict-unknown-key]
        self.cycle.default_headers = [*self.server_state.default_headers, (b"x-request-id", name)]
        self.cycle.transport = self._last_words
        self._room = LONGEST_HEAD
        self.url = None

    def _name(self) -> bytes:
        """What the request calls itself, so that a proxy's log and ours name the same; or a name of our own."""
        for name, value in self.headers:
            if name == b"x-request-id" and logs.REQUEST_ID.fullmatch(value):
                return value
        return ids.uuid().encode()

    def on_body(self, body: bytes) -> None:
        self._room = LONGEST_HEAD
        super().on_body(body)

    # It was answered

    def on_response_complete(self) -> None:
        """What uvicorn does, without a timer of its own for each idle time."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal:
            self._hang_up(self._refusal)
        else:
            self._due = self.loop.time() + self._patience()

    def _patience(self) -> float:
        if self.cycle.more_body:
            # Answered before all of it came: the rest is read, and dropped.
            return self.body_seconds
        self._idle = self.url is None
        return self.timeout_keep_alive if self._idle else self.header_seconds

    def _look(self) -> None:
        wait = self.header_seconds
        if not self._is_answering():
            wait = min(wait, self._due - self.loop.time())
        if wait > 0:
            self._timer = self.loop.call_later(wait, self._look)
        elif self.url is None:
            self.transport.close()
        else:
            self._refuse(408)

    def _is_answering(self) -> bool:
        # There is none before the first request, whatever uvicorn's types say.
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]

    # It is refused

    def _refuse(self, status: int) -> None:
        """Listen no more; answer so, when all that was asked before is answered; hang up."""
        self._deaf = True
        if not self._is_answering():
            self._hang_up(status)
        elif self.cycle.more_body:
            self._give_up(status)
        else:
            self._refusal = status

    def _give_up(self, status: int) -> None:
        """The application has the request whose body went wrong: to it the client is gone."""
        if self.cycle.response_started or self.pipeline:
            self.transport.close()
            return
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self._hang_up(status)

    def _hang_up(self, status: int) -> None:
        body = wire.dumps({"message": _MESSAGE[status]}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"x-request-id", ids.uuid().encode()),
            *HEADERS,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *([(b"retry-after", b"1")] if status == 429 else []),
        ]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self._linger()

    def close_answered(self) -> None:
        """Close after an answer; softly, when the rest of the request is still on its way."""
        if self.cycle.more_body and not self.transport.is_closing():
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """End our side; close when the client has ended its own, or has had time to read our answer.

        To close on somebody who is still sending is to reset the connection, and the answer may be lost with it.
        """
        self._deaf = True
        self._timer.cancel()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        self.transport.write_eof()


class _LastWords(asyncio.Transport):
    """The transport as an answer sees it: to close it may take a moment."""

    def __init__(self, connection: _Limited, transport: asyncio.Transport) -> None:
        super().__init__()
        # The transport's own, so that nothing stands between an answer and its socket.
        self.write = transport.write  # type: ignore[method-assign]
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.close = connection.close_answered  # type: ignore[method-assign]
