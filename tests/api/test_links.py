"""Where our links start (B5), and that nobody's Host can break an answer."""

from __future__ import annotations

import json
import re

import pytest

from tests.api import sockets
from tests.api.conftest import Take, beside
from tests.api.library import ALWAYS, UUID
from tests.api.takes import VIDEOS
from tests.conftest import V1, Server

PATH = V1 + VIDEOS


def links(take: Take, *headers: bytes, server: Server | None = None) -> set[str]:
    """What the links of an item, and of its job, start with."""
    asked = [b"Authorization: " + take.key.encode(), *headers]
    told = server or take.server
    listed = sockets.ask(told, PATH.encode(), *asked)
    shown = sockets.ask(told, f"{V1}/jobs/{take.job_id}".encode(), *asked)
    assert (listed.status, shown.status) == (200, 200)
    facts = [json.loads(listed.body)["items"][0], json.loads(shown.body)["data"]]
    names = ("url", "previewImageUrl", "thumbnailImageUrl", "lastFrameImageUrl")
    return {fact[name].partition("/videos/user/")[0] for fact in facts for name in names}


@pytest.mark.parametrize("host", ["studio.example", "studio.example:8080", "[::1]:8700", "10.0.0.7", "my_nas.local"])
def test_links_start_with_the_host_of_the_request(take: Take, host: str) -> None:
    assert links(take, f"Host: {host}".encode()) == {f"http://{host}"}


def test_links_start_with_the_public_url_if_set(sqlite_take: Take) -> None:
    with beside(sqlite_take.server, public_url="https://films.example/studio/") as other:
        headers = [b"Host: other.example", b"X-Forwarded-Host: third.example"]
        assert links(sqlite_take, *headers, server=other) == {"https://films.example/studio"}


def test_forwarded_headers_count_from_a_proxy_named_as_trusted(sqlite_take: Take) -> None:
    headers = [b"Host: inner", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: films.example, inner"]
    with beside(sqlite_take.server, trusted_proxies="203.0.113.9, 127.0.0.1") as other:
        assert links(sqlite_take, *headers, server=other) == {"https://films.example"}
        assert links(sqlite_take, headers[0], headers[1], server=other) == {"https://inner"}
    assert links(sqlite_take, *headers) == {"http://inner"}


def test_forwarded_headers_of_anybody_else_do_not_count(sqlite_take: Take) -> None:
    with beside(sqlite_take.server, trusted_proxies="203.0.113.9") as other:
        headers = [b"Host: films.example", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil.example"]
        assert links(sqlite_take, *headers, server=other) == {"http://films.example"}


HOSTILE = [
    b'a"b.example',
    b'","items":[],"x":"',
    b"a\\b.example",
    b"\\u0022",
    b"<script>alert(1)</script>",
    b"a.example/../..",
    b"user@a.example",
    b"a.example?x#y",
    b"a b.example",
    b"a\x0bb\x85",
    b"a\x01b",
    b"\xe9vil.example",
    b"a.example:port",
    b"a.example\t",
    b"",
    b"[::1",
    b"a" * 5000 + b'"',
]


@pytest.mark.parametrize("name", [b"Host", b"X-Forwarded-Host", b"X-Forwarded-Proto"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_host_cannot_break_the_json(sqlite_take: Take, name: bytes, value: bytes) -> None:
    key = b"Authorization: " + sqlite_take.key.encode()
    host = [] if name == b"Host" else [b"Host: a.example"]
    answer = sockets.ask(sqlite_take.server, PATH.encode(), key, *host, name + b": " + value)
    if answer.status == 400:  # what the HTTP parser itself turns away
        return
    assert answer.status == 200
    body = json.loads(answer.body)
    assert list(body) == ["items"]
    [item] = body["items"]
    assert list(item) == ALWAYS
    assert re.fullmatch(rf"https?://[\w.:\[\]-]+/videos/user/{UUID}/{UUID}\.mp4", item["url"], re.ASCII)
    assert {name: item[name] for name in ("id", "prompt")} == {
        name: sqlite_take.item[name] for name in ("id", "prompt")
    }


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_host_cannot_break_the_page(sqlite_take: Take, value: bytes) -> None:
    page, document = (sockets.ask(sqlite_take.server, path, b"Host: " + value) for path in (b"/docs", b"/openapi.json"))
    assert page.status == document.status
    if page.status == 400:
        return
    assert page.status == 200
    [told] = json.loads(document.body)["servers"]
    assert re.fullmatch(r"https?://[\w.:\[\]-]+", told["url"], re.ASCII)
    assert f"The base URL is <code>{told['url']}{V1}</code>".encode() in page.body
    assert b"<script" not in page.body


def test_without_a_host_links_start_with_the_address_that_was_reached(sqlite_take: Take) -> None:
    assert links(sqlite_take) == {sqlite_take.server.url}
