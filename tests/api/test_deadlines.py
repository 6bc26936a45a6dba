"""Slow, endless and malformed requests, byte by byte (over real sockets, against short limits)."""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.api import sockets
from tests.api.takes import VIDEOS
from tests.conftest import V1, Server, serving

PATH = (V1 + VIDEOS).encode()
LIMIT = 32 * 1024
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: "
POST = b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

TIMEOUT = (408, b'{"message":"Request Timeout"}')
TOO_LONG = (413, b'{"message":"Request Too Long"}')
BAD = (
    400,
    b'{"message":"Bad Request: this is no HTTP as it stands; in an address, percent-encode what is not plain ASCII."}',
)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits a second for a head, and five for a body."""
    limits = {"RUSHES_HEADER_SECONDS": "1", "RUSHES_BODY_SECONDS": "5"}
    with serving(tmp_path_factory.mktemp("strict") / "data", None, "--no-worker", settings=limits) as server:
        yield server


def to_the_end(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def sent(server: Server, request: bytes) -> bytes:
    """All that comes for these bytes until the server closes."""
    with sockets.connect(server) as connection:
        connection.sendall(request)
        return to_the_end(connection)


def keep_sending(connection: socket.socket, piece: bytes, pause: float) -> bytes:
    """Send a piece after each pause until the server says something; all that it says."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while not select.select([connection], [], [], pause)[0]:
            connection.sendall(piece)
    return to_the_end(connection)


def split(answers: bytes) -> list[bytes]:
    """Each answer of a connection."""
    return re.split(rb"(?=HTTP/1\.1 \d\d\d )", answers)[1:]


def refusal(answer: bytes) -> tuple[int, bytes]:
    """Status and body of a last answer, which says in full what it is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.lower().split(b"\r\n")
    assert {b"content-type: application/json", b"connection: close", b"content-length: %d" % len(body)} < {*headers}
    return int(status.split()[1]), body


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def ask(connection: socket.socket, request: bytes = HEALTH) -> int:
    """The status of one short answer on a connection that stays open."""
    connection.sendall(request)
    answer = connection.recv(65536)
    while not answer.endswith(b"}"):
        answer += connection.recv(65536)
    return status(answer)


def until_a_head_is_overdue(server: Server) -> None:
    """Return when the server has closed on somebody who connected after this was called and said nothing."""
    assert sent(server, b"") == b""


# Slow


@pytest.mark.parametrize("start", [b"G", HALF, HALF + b"\r\n", b"\r\nGET /healthz"])
def test_a_head_that_stops_coming_is_408(strict: Server, start: bytes) -> None:
    assert refusal(sent(strict, start)) == TIMEOUT


@pytest.mark.parametrize("piece", [b"a", b"\r\nX-Slow: a"])
def test_a_head_that_comes_in_drips_is_408(strict: Server, piece: bytes) -> None:
    with sockets.connect(strict) as connection:
        connection.sendall(HALF)
        assert refusal(keep_sending(connection, piece, 0.05)) == TIMEOUT


def test_a_connection_that_says_nothing_is_closed_without_a_word(strict: Server) -> None:
    assert sent(strict, b"") == b""


def test_the_next_head_on_a_connection_may_not_take_longer(strict: Server) -> None:
    with sockets.connect(strict) as connection:
        assert ask(connection) == 200
        connection.sendall(HALF)
        assert refusal(to_the_end(connection)) == TIMEOUT


def test_nor_one_that_began_together_with_the_request_before(strict: Server) -> None:
    first, last = split(sent(strict, HEALTH + HALF))
    assert (status(first), refusal(last)) == (200, TIMEOUT)


def test_blank_lines_between_requests_hold_no_connection_open(strict: Server) -> None:
    with sockets.connect(strict) as connection:
        assert ask(connection) == 200
        assert keep_sending(connection, b"\r\n", 0.05) == b""


def test_a_connection_that_was_idle_for_longer_serves_again(strict: Server) -> None:
    with sockets.connect(strict) as connection:
        assert ask(connection) == 200
        until_a_head_is_overdue(strict)
        until_a_head_is_overdue(strict)
        assert ask(connection) == 200


def test_a_body_may_take_longer_than_a_head(strict: Server) -> None:
    body = json.dumps({"prompt": "a slow river"}).encode()
    head = POST + b"Authorization: %s\r\nContent-Length: %d\r\n\r\n" % (strict.key().encode(), len(body))
    with sockets.connect(strict) as connection:
        connection.sendall(head + body[:9])
        until_a_head_is_overdue(strict)
        assert ask(connection, body[9:]) == 200


def test_a_body_that_stops_coming_is_408(strict: Server) -> None:
    key = b"Authorization: %s\r\n" % strict.key().encode()
    assert refusal(sent(strict, POST + key + b"Content-Length: 9\r\n\r\n{")) == TIMEOUT


def test_two_hundred_who_drip_keep_nobody_waiting(strict: Server) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(sockets.connect(strict)) for _ in range(200)]
        for connection in slow:
            connection.sendall(HALF)
        with ThreadPoolExecutor(len(slow)) as pool:
            ends = [pool.submit(keep_sending, connection, b"a", 0.1) for connection in slow]
            served = 0
            while not all(end.done() for end in ends):
                served += status(sent(strict, LAST)) == 200
        assert served > 10
        assert [refusal(end.result()) for end in ends] == [TIMEOUT] * len(slow)


# Long


def head(length: int, line: Callable[[int], bytes]) -> bytes:
    """A request of so many bytes, and no body."""
    start = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    filled = start + line(length - len(start) - 2) + b"\r\n"
    assert len(filled) == length
    return filled


def one(length: int) -> bytes:
    return b"X-Long: %s\r\n" % (b"a" * (length - 10))


def many(length: int) -> bytes:
    return b"X-Short: a\r\n" * (length // 12 - 1) + one(length % 12 + 12)


@pytest.mark.parametrize("line", [one, many])
def test_a_head_of_32_kib_is_taken_and_one_byte_more_is_413(strict: Server, line: Callable[[int], bytes]) -> None:
    assert status(sent(strict, head(LIMIT, line))) == 200
    assert refusal(sent(strict, head(LIMIT + 1, line))) == TOO_LONG
    assert refusal(sent(strict, head(40 * 1024, line))) == TOO_LONG


def test_it_is_413_however_it_is_cut(strict: Server) -> None:
    long = head(LIMIT + 1, one)
    with sockets.connect(strict) as connection:
        assert ask(connection) == 200
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(long), 1000):
            connection.sendall(long[start : start + 1000])
        assert refusal(to_the_end(connection)) == TOO_LONG


def test_a_long_line_is_413(strict: Server) -> None:
    assert refusal(sent(strict, b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 40 * 1024))) == TOO_LONG


@pytest.mark.parametrize("piece", [b"a" * 9999, b"a: b\r\n" * 999, b"\r\n" * 9999, b" " * 9999])
def test_a_head_that_never_ends_is_413(strict: Server, piece: bytes) -> None:
    start = b"" if piece.isspace() and b"\r" in piece else HALF
    with sockets.connect(strict) as connection:
        connection.sendall(start)
        assert refusal(keep_sending(connection, piece, 0)) == TOO_LONG


def test_trailers_that_never_end_are_413(strict: Server) -> None:
    key = b"Authorization: %s\r\n" % strict.key().encode()
    with sockets.connect(strict) as connection:
        connection.sendall(POST + key + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
        assert refusal(keep_sending(connection, b"a: b\r\n" * 999, 0)) == TOO_LONG


def test_a_body_that_says_how_much_too_long_it_is_is_413_before_it_is_sent(strict: Server) -> None:
    key = b"Authorization: %s\r\n" % strict.key().encode()
    waiting = POST + key + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    assert refusal(sent(strict, waiting % (2**20 + 1))) == TOO_LONG


# One after another


def test_requests_sent_at_once_are_answered_in_turn(strict: Server) -> None:
    missing = b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n"
    found = split(sent(strict, HEALTH + missing + head(LIMIT, many).replace(b"close", b"open!") + missing + LAST))
    assert [status(answer) for answer in found] == [200, 404, 200, 404, 200]


def test_what_was_asked_before_is_answered_before_a_refusal(strict: Server) -> None:
    *before, last = split(sent(strict, HEALTH * 3 + b"nonsense\r\n\r\n" + HEALTH))
    assert [status(answer) for answer in before] == [200] * 3
    assert refusal(last) == BAD


def test_whoever_asks_without_waiting_for_answers_is_stopped(strict: Server) -> None:
    *before, last = split(sent(strict, HEALTH * 50_000))
    assert len(before) >= 100
    assert {status(answer) for answer in before} == {200}
    assert refusal(last) == (429, b'{"message":"Too Many Requests"}')
    assert b"\r\nretry-after: 1\r\n" in last.lower(), "contract A6: with Retry-After"


# Malformed


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # how TLS begins
        b"GET /healthz HTTP/7.5\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHo st: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: one\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400(strict: Server, request_: bytes) -> None:
    assert refusal(sent(strict, request_)) == BAD


def test_a_body_that_is_not_http_is_400(strict: Server) -> None:
    key = b"Authorization: %s\r\n" % strict.key().encode()
    assert refusal(sent(strict, POST + key + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")) == BAD


def test_a_protocol_we_do_not_speak_is_answered_in_ours(strict: Server) -> None:
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    [only] = split(sent(strict, upgrade + HEALTH))
    assert status(only) == 200


# Answered before it was read


def test_the_rest_of_a_refused_body_is_no_request(strict: Server) -> None:
    body = HEALTH * 10_000
    with sockets.connect(strict) as connection:
        assert ask(connection, POST + b"Content-Length: %d\r\n\r\n" % len(body)) == 401
        connection.sendall(body)
        assert ask(connection, b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n") == 404


def test_the_rest_of_a_refused_body_is_not_waited_for_for_ever(strict: Server) -> None:
    with sockets.connect(strict) as connection:
        assert ask(connection, CHUNKED) == 401
        assert keep_sending(connection, b"1\r\na\r\n", 0.05) == b""


def test_a_refusal_reaches_a_client_that_is_still_sending(strict: Server) -> None:
    closing = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % 2**24
    assert refusal(sent(strict, closing + b" " * 2**24))[0] == 401


def break_off(server: Server, request: bytes, option: bytes) -> None:
    """Send this much, and be gone: with a goodbye, or without."""
    with sockets.connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        connection.sendall(request)
        until_a_head_is_overdue(server)


GOODBYE, RESET = struct.pack("ii", 0, 0), struct.pack("ii", 1, 0)


def test_a_client_that_breaks_off_is_no_error_of_ours(tmp_path: Path) -> None:
    limits = {"RUSHES_HEADER_SECONDS": "0.2"}
    with serving(tmp_path / "data", None, "--no-worker", settings=limits) as server:
        key = b"Authorization: %s\r\n" % server.key().encode()
        for option in (GOODBYE, RESET):
            break_off(server, HALF[:50], option)
            break_off(server, POST + key + b"Content-Length: 100\r\n\r\n{", option)
            break_off(server, POST + key + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", option)
            break_off(server, POST + b"Content-Length: 100\r\n\r\n{", option)
            break_off(server, HEALTH * 1000, option)
        log = tmp_path / f"serve-{urlsplit(server.url).port}.log"
    # the server has stopped: whatever it had to say is there
    assert "ready on" in log.read_text()
    assert "Traceback" not in log.read_text()
