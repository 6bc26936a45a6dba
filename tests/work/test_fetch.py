"""The way out to users' URLs: what comes in, within which limits, and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushes.errors import BadSetting, InputBlocked, InputTooLarge, InputUnreachable, StorageFull
from rushes.fetch import Fetcher
from tests.deploy.proxies import certify
from tests.servers.files import FileServer, content
from tests.servers.internet import PUBLIC, Dials, Names

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    async with FileServer() as server:
        yield server


@pytest.fixture
def dials(server: FileServer) -> Dials:
    return Dials(server.port)


@pytest.fixture
def fetcher(dials: Dials) -> Fetcher:
    """Its internet is one public host, ``files.test``."""
    return Fetcher(resolver=Names({"files.test": [PUBLIC]}), open_socket=dials, idle_seconds=0.5)


async def get(fetcher: Fetcher, url: str, to: Path, max_bytes: int = 1 << 20, seconds: float = 10) -> bytes:
    path = to / "file"
    await fetcher.fetch(url, path, max_bytes=max_bytes, seconds=seconds)
    return path.read_bytes()


# What comes in whole


async def test_a_file_arrives_whole(fetcher: Fetcher, dials: Dials, tmp_path: Path) -> None:
    assert await get(fetcher, "http://files.test:9000/file/300000", tmp_path) == content(300_000)
    assert dials.addresses == [PUBLIC]


async def test_an_empty_file_is_a_file(fetcher: Fetcher, tmp_path: Path) -> None:
    assert await get(fetcher, "http://files.test/file/0", tmp_path, max_bytes=0) == b""


async def test_what_was_there_before_is_replaced(fetcher: Fetcher, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1000))
    assert await get(fetcher, "http://files.test/file/3", tmp_path) == content(3)


async def test_real_sockets_reach_an_allowed_address(server: FileServer, tmp_path: Path) -> None:
    fetcher = Fetcher(frozenset({"127.0.0.1"}))
    assert await get(fetcher, f"http://127.0.0.1:{server.port}/file/10", tmp_path) == content(10)
    await fetcher.close()


async def test_the_system_resolves_names_when_no_resolver_is_given(server: FileServer, tmp_path: Path) -> None:
    url = f"http://localhost:{server.port}/file/10"
    assert await get(Fetcher(frozenset({"localhost"})), url, tmp_path) == content(10)
    with pytest.raises(InputBlocked, match="localhost"):
        await get(Fetcher(), url, tmp_path)


@pytest.mark.parametrize(
    "path",
    ["/a?sig=a%2Fb%2bc+d%7E'(!*)&x=%e2%82%ac", "/%7Euser/%2E%2E/x;y=1", "/?a&&b=", "/{x}|^`"],
)
async def test_a_signed_url_is_sent_as_it_is_spelled(fetcher: Fetcher, tmp_path: Path, path: str) -> None:
    assert await get(fetcher, f"http://files.test{path}", tmp_path) == path.encode()
    assert await get(fetcher, f"http://files.test/to?http://files.test{path}", tmp_path) == path.encode()


async def test_what_a_url_cannot_hold_is_quoted(fetcher: Fetcher, tmp_path: Path) -> None:
    assert await get(fetcher, "http://files.test/né e?ü#part", tmp_path) == b"/n%C3%A9%20e?%C3%BC"


async def test_it_says_who_it_is_and_nothing_more(fetcher: Fetcher, server: FileServer, tmp_path: Path) -> None:
    await get(fetcher, "http://files.test/hops/3?secret=1", tmp_path)
    for request in server.requests:
        assert request.headers["User-Agent"].startswith("Rushes/")
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Referer", "Authorization"} & set(request.headers)


async def test_the_environment_names_no_proxy(
    fetcher: Fetcher, server: FileServer, dials: Dials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
    await get(fetcher, "http://files.test/file/1", tmp_path)
    assert dials.addresses == [PUBLIC]


# Limits


@pytest.mark.parametrize("kind", ["file", "gzip"])
async def test_the_limit_is_exact(fetcher: Fetcher, tmp_path: Path, kind: str) -> None:
    url = f"http://files.test/{kind}/100000"
    assert await get(fetcher, url, tmp_path, max_bytes=100_000) == content(100_000)
    with pytest.raises(InputTooLarge, match=r"files\.test has more than 99,999 bytes"):
        await get(fetcher, url, tmp_path, max_bytes=99_999)


async def test_a_file_that_announces_too_much_is_not_begun(fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(InputTooLarge):
        await get(fetcher, "http://files.test/file/1001", tmp_path, max_bytes=1000)
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("path", ["/endless", "/gzip/50000000"])
async def test_a_body_without_a_length_is_cut_at_the_limit(fetcher: Fetcher, tmp_path: Path, path: str) -> None:
    with pytest.raises(InputTooLarge):
        await get(fetcher, f"http://files.test{path}", tmp_path, max_bytes=1_000_000)
    assert (tmp_path / "file").stat().st_size <= 1_000_000


async def test_bytes_beyond_the_announced_length_are_not_the_file(fetcher: Fetcher, tmp_path: Path) -> None:
    with contextlib.suppress(InputUnreachable):  # how it is told depends on what arrives together
        assert await get(fetcher, "http://files.test/beyond", tmp_path) == content(4)


async def test_the_time_is_for_the_whole_file(fetcher: Fetcher, tmp_path: Path) -> None:
    with pytest.raises(InputUnreachable, match=r"files\.test .* longer than 0\.2 seconds") as raised:
        await get(fetcher, "http://files.test/drip?sig=secret", tmp_path, seconds=0.2)
    assert "secret" not in said(raised.value)


async def test_a_full_disk_is_not_the_links_fault(fetcher: Fetcher) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no full device")
    with pytest.raises(StorageFull):
        await fetcher.fetch("http://files.test/file/100000", Path("/dev/full"), max_bytes=1 << 20, seconds=10)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://files.test/cut?sig=secret", "cut off"),
        ("http://files.test/silent?sig=secret", "silent"),
        ("http://files.test/hangup?sig=secret", "hung up"),
        ("http://files.test/garbage?sig=secret", "could not be read"),
        ("http://files.test/status/404?sig=secret", "answered 404"),
        ("http://files.test/status/204?sig=secret", "answered 204"),
        ("http://files.test/status/206?sig=secret", "answered 206"),
        ("http://files.test/status/302?sig=secret", "answered 302"),
        ("http://files.test/loop?sig=secret", "more than 5 times"),
        ("http://files.test/hops/6?sig=secret", "more than 5 times"),
        ("https://files.test/file/1?sig=secret", "no secure connection"),
        ("http://gone.test/file/1?sig=secret", "name was not found"),
    ],
)
async def test_no_file_comes(fetcher: Fetcher, tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(InputUnreachable, match=why) as raised:
        await get(fetcher, url, tmp_path)
    assert url.split("/")[2] in raised.value.sentence
    assert "secret" not in said(raised.value)


def said(error: BaseException) -> str:
    """All that a log would show of an error but the lines of code."""
    return "".join(traceback.TracebackException(type(error), error, None, lookup_lines=False).format())


@pytest.mark.parametrize("verb", ["fetch", "post"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, verb: str) -> None:
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certify(tmp_path)
    shown.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    heard = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        writer.close()

    fetcher = Fetcher(frozenset({"127.0.0.1"}))
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=shown) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(InputUnreachable, match="no secure connection"):
            await (get(fetcher, url, tmp_path) if verb == "fetch" else fetcher.post(url, b"{}", {}, seconds=10))
    assert heard == []


@pytest.mark.parametrize(
    ("told", "wait"), [("7", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None)], ids=repr
)
async def test_how_long_to_wait_is_told_where_it_is_seconds(
    fetcher: Fetcher, tmp_path: Path, told: str, wait: float | None
) -> None:
    with pytest.raises(InputUnreachable) as raised:
        await get(fetcher, f"http://files.test/later?{told.replace(' ', '%20')}", tmp_path)
    assert (raised.value.status, raised.value.retry_after) == (503, wait)


async def test_no_cookie_comes_back_where_connections_are_kept(
    server: FileServer, dials: Dials, tmp_path: Path
) -> None:
    fetcher = Fetcher(resolver=Names({"files.test": [PUBLIC]}), open_socket=dials, keep_connections=True)
    for _ in range(2):
        assert await get(fetcher, "http://files.test/hops/2", tmp_path) == content(100)
    await fetcher.close()
    assert server.connections == 1
    assert [request.headers.get("Cookie") for request in server.requests] == [None] * 6


async def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        fetcher = Fetcher(frozenset({"127.0.0.0/8"}))
        with pytest.raises(InputUnreachable, match="no connection"):
            await get(fetcher, f"http://127.0.0.1:{bound.getsockname()[1]}/", tmp_path)


async def test_a_cancelled_fetch_ends(fetcher: Fetcher, server: FileServer, tmp_path: Path) -> None:
    fetching = asyncio.create_task(get(fetcher, "http://files.test/drip", tmp_path))
    async with asyncio.timeout(5):
        while not (tmp_path / "file").exists():
            await asyncio.sleep(0)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching


# Redirects


@pytest.mark.parametrize("hops", [1, 2, 5])
async def test_redirects_are_followed(fetcher: Fetcher, dials: Dials, tmp_path: Path, hops: int) -> None:
    assert await get(fetcher, f"http://files.test/hops/{hops}", tmp_path) == content(100)
    assert dials.addresses == [PUBLIC] * (hops + 1)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://127.0.0.1:{port}/file/1",
        "http://[::1]:{port}/",
        "//127.0.0.1:{port}/file/1",
        "//localhost:{port}/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0x7f.1:{port}/",
        "http://me:secret@files.test/file/1",
        "http://files.test:25/",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "ftp://files.test/",
        "gopher://127.0.0.1:6379/_",
        "data:text/plain,hello",
        "javascript:alert(1)",
        "http://[::1",
    ],
)
async def test_a_redirect_is_guarded_like_a_first_url(
    server: FileServer, dials: Dials, tmp_path: Path, location: str
) -> None:
    names = Names({"files.test": [PUBLIC], "localhost": ["127.0.0.1 ::1"]})
    fetcher = Fetcher(resolver=names, open_socket=dials)
    with pytest.raises(InputBlocked):
        await get(fetcher, "http://files.test/to?" + location.format(port=server.port), tmp_path)
    assert (dials.addresses, server.connections) == ([PUBLIC], 1)


async def test_an_exception_does_not_follow_a_redirect(server: FileServer, tmp_path: Path) -> None:
    fetcher = Fetcher(frozenset({"nas.test"}), resolver=Names({}, "127.0.0.1"))
    for onward in ("other.test", "127.0.0.1", "localhost", "sub.nas.test"):
        url = f"http://nas.test:{server.port}/to?http://{onward}:{server.port}/file/1"
        with pytest.raises(InputBlocked):
            await get(fetcher, url, tmp_path)
    assert {request.path for request in server.requests} == {"/to"}


# Exceptions


@pytest.mark.parametrize(
    "entry", ["nas.test", "NAS.Test", "nas.test.", "127.0.0.1", "127.0.0.0/8", "127.0.0.9/8", "0.0.0.0/0"]
)
@pytest.mark.parametrize("host", ["nas.test", "NAS.TEST", "nas.test."])
async def test_an_exception_opens_its_host(server: FileServer, tmp_path: Path, entry: str, host: str) -> None:
    fetcher = Fetcher(frozenset({entry}), resolver=Names({"nas.test": ["127.0.0.1"], "NAS.TEST": ["127.0.0.1"]}))
    assert await get(fetcher, f"http://{host}:{server.port}/file/9", tmp_path) == content(9)


@pytest.mark.parametrize(
    "entry", ["other.test", "test", "nas", "sub.nas.test", "127.0.0.2", "10.0.0.0/8", "::1", "::ffff:127.0.0.2"]
)
async def test_an_exception_opens_nothing_else(server: FileServer, tmp_path: Path, entry: str) -> None:
    fetcher = Fetcher(frozenset({entry}), resolver=Names({"nas.test": ["127.0.0.1"]}))
    for host in ("nas.test", "127.0.0.1", "[::ffff:127.0.0.1]"):
        with pytest.raises(InputBlocked):
            await get(fetcher, f"http://{host}:{server.port}/file/9", tmp_path)
    assert server.connections == 0


async def test_an_exception_may_be_spelled_in_its_own_script(server: FileServer, tmp_path: Path) -> None:
    fetcher = Fetcher(frozenset({"bücher.test"}), resolver=Names({"xn--bcher-kva.test": ["127.0.0.1"]}))
    assert await get(fetcher, f"http://Bücher.test:{server.port}/file/9", tmp_path) == content(9)


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "http://nas", "nas:9000", "127.1", "a b", "*.nas", "a..b"])
def test_an_exception_that_can_never_match_is_refused_at_the_start(entry: str) -> None:
    with pytest.raises(BadSetting, match="RUSHES_ALLOW_PRIVATE_HOSTS"):
        Fetcher(frozenset({entry}))


async def test_fetches_at_once_do_not_share_an_exception(server: FileServer, tmp_path: Path) -> None:
    names = Names({"nas.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]})
    fetcher = Fetcher(frozenset({"nas.test"}), resolver=names)
    urls = [f"http://{host}:{server.port}/file/{n}" for n in range(20) for host in ("nas.test", "other.test")]

    async def outcome(n: int, url: str) -> type[Exception] | None:
        try:
            await fetcher.fetch(url, tmp_path / str(n), max_bytes=99, seconds=10)
        except InputBlocked as error:
            return type(error)
        return None

    outcomes = await asyncio.gather(*(outcome(n, url) for n, url in enumerate(urls)))
    assert outcomes == [None, InputBlocked] * 20
    assert {request.host.split(":")[0] for request in server.requests} == {"nas.test"}


async def test_an_open_connection_is_not_lent_to_the_next_fetch(server: FileServer, tmp_path: Path) -> None:
    names = Names({"nas.test": ["127.0.0.1", "10.0.0.1"], "other.test": ["127.0.0.1"]})
    fetcher = Fetcher(frozenset({"nas.test"}), resolver=names, open_socket=Dials(server.port))
    await get(fetcher, f"http://nas.test:{server.port}/file/1", tmp_path)
    await get(fetcher, f"http://nas.test:{server.port}/file/1", tmp_path)
    with pytest.raises(InputBlocked):
        await get(fetcher, f"http://other.test:{server.port}/file/1", tmp_path)
    assert server.connections == 2


async def test_closing_closes_the_resolver() -> None:
    names = Names({})
    await Fetcher(resolver=names).close()
    assert names.closed
