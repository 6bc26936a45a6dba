"""A real Rushes behind a real nginx and a real Caddy, set up by the files of `deploy/proxy`."""

from __future__ import annotations

import http.client
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from rushes.config import Config
from tests.api.takes import completed, submit
from tests.conftest import V1, Server, serving
from tests.deploy import proxies
from tests.deploy.places import DEPLOY, program, ran
from tests.deploy.proxies import Ports, Proxy, proxying

pytestmark = pytest.mark.xdist_group("proxies")  # one server and one video for all of them

KINDS = {"nginx": proxies.nginx, "caddy": proxies.caddy}
BIG = random.Random(5).randbytes(2**20) * 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes a proxy on its own machine."""
    with serving(tmp_path_factory.mktemp("behind") / "data", settings={"RUSHES_TRUSTED_PROXIES": "127.0.0.1"}) as it:
        yield it


@pytest.fixture(scope="module")
def film(server: Server) -> tuple[str, dict[str, Any]]:
    """A key, and a video of its account as the server itself tells it."""
    key = server.key()
    with server.client(key) as api:
        return key, completed(api, submit(api, aspectRatio="1:1"))


@pytest.fixture(scope="module", params=sorted(KINDS))
def proxy(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Each proxy in turn, before that server."""
    with proxying(KINDS[request.param], tmp_path_factory.mktemp(request.param), server.url) as proxy:
        yield proxy


@dataclass(frozen=True)
class Front:
    """What is seen from outside."""

    proxy: Proxy
    http: httpx2.Client
    key: str
    path: str
    content: bytes

    def get(self, method: str = "GET", **headers: str) -> httpx2.Response:
        """The video, asked for with those headers."""
        return self.http.request(method, self.path, headers=headers)


@pytest.fixture
def front(proxy: Proxy, server: Server, film: tuple[str, dict[str, Any]]) -> Iterator[Front]:
    """The video through the proxy, beside its bytes as the server itself sends them."""
    key, item = film
    content = httpx2.get(item["url"], trust_env=False).content
    with proxy.client() as http:
        yield Front(proxy, http, key, urlsplit(item["url"]).path, content)


# --- files ---


def test_a_whole_video_arrives_as_it_is_with_the_servers_own_words_about_it(front: Front, server: Server) -> None:
    answer, own = front.get(), httpx2.get(server.url + front.path, trust_env=False)
    assert (answer.status_code, answer.content) == (200, front.content)
    for name in ("content-type", "content-length", "etag", "last-modified", "accept-ranges", "cache-control"):
        assert answer.headers[name] == own.headers[name]
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("bytes=0-1", 0, 1), ("bytes=100-", 100, None), ("bytes=-7", -7, None)]
)
def test_a_range_gives_206_and_just_those_bytes(front: Front, asked: str, first: int, last: int | None) -> None:
    answer = front.get(Range=asked)
    expected = front.content[first : None if last is None else last + 1]
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"].endswith(f"/{len(front.content)}")


def test_a_range_behind_the_end_is_refused_and_a_changed_file_comes_whole(front: Front) -> None:
    answer = front.get(Range=f"bytes={len(front.content)}-")
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(front.content)}")
    whole = front.get(Range="bytes=0-1", **{"If-Range": '"another"'})
    assert (whole.status_code, whole.content) == (200, front.content)


def test_head_tells_the_length_and_a_known_tag_costs_no_body(front: Front) -> None:
    head = front.get("HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(front.content))
    known = front.get(**{"If-None-Match": head.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_many_viewers_at_once_get_their_own_parts(front: Front) -> None:
    def part(number: int) -> bool:
        first = number * 997 % len(front.content)
        return front.get(Range=f"bytes={first}-{first + 500}").content == front.content[first : first + 501]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(part, range(64)))


# --- the API ---


def test_links_start_with_the_scheme_and_host_that_the_client_called(front: Front) -> None:
    with front.proxy.client(front.key) as api:
        forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
        for headers in ({}, forged):
            [item] = api.get(f"{V1}/aistudio/videos", headers=headers).json()["items"]
            assert item["url"] == front.proxy.url + front.path
            assert api.get(item["thumbnailImageUrl"]).status_code == 200


def test_text_is_compressed_and_its_tag_still_known(front: Front, server: Server) -> None:
    answer = front.http.get("/openapi.json")
    assert answer.headers["content-encoding"] == "gzip"
    own = httpx2.get(f"{server.url}/openapi.json", trust_env=False).text
    assert answer.text == own.replace(server.url, front.proxy.url)
    tagged = front.http.get("/gallery/gallery.css")
    again = front.http.get("/gallery/gallery.css", headers={"If-None-Match": tagged.headers["etag"]})
    assert (tagged.headers["content-encoding"], again.status_code) == ("gzip", 304)


def test_an_upload_goes_through_whole_and_comes_back(front: Front) -> None:
    with front.proxy.client(front.key) as api:
        asked = {"fileName": "big.mp4", "contentType": "video/mp4"}
        data = api.post(f"{V1}/media/generateurl", json=asked).json()["data"]
        assert data["signedUrl"].startswith(f"{front.proxy.url}/uploads/user/")
        answer = front.http.put(data["signedUrl"], content=BIG, headers={"Content-Type": "video/mp4"})
        assert (answer.status_code, answer.content) == (200, b'{"success":true}')
        assert front.http.get(data["url"]).content == BIG
    said = "".join(file.read_text() for file in front.proxy.folder.glob("*log"))
    assert "signature=" not in said


@pytest.mark.parametrize(
    "path", ["/metrics", "/readyz", "/%6detrics", "//metrics", "/gallery/../metrics", "/metrics?x"]
)
def test_what_is_for_those_who_watch_is_refused_from_outside(front: Front, server: Server, path: str) -> None:
    address = urlsplit(front.proxy.url)
    assert httpx2.get(f"{server.url}/metrics", trust_env=False).status_code == 200
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=front.proxy.trusting)
    connection.request("GET", path)  # as it stands: other clients tidy a path first
    answer = connection.getresponse()
    assert answer.status in (301, 308, 404)
    assert b"rushes_jobs" not in answer.read()
    connection.close()


def test_plain_http_is_sent_on_to_https(front: Front) -> None:
    answer = httpx2.get(f"{front.proxy.plain_url}/docs", trust_env=False)
    assert answer.status_code in (301, 308)
    assert answer.headers["location"].startswith("https://127.0.0.1")


def test_the_gallery_is_there(front: Front) -> None:
    answer = front.http.get("/")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")


# --- the files themselves ---


def test_nginx_finds_no_fault_with_its_file(tmp_path: Path) -> None:
    proxies.certify(tmp_path)
    ran(*proxies.nginx(tmp_path, "127.0.0.1:8700", Ports(8443, 8080)), "-t")


def test_caddy_finds_no_fault_with_its_file_as_it_stands() -> None:
    caddy = program("caddy", "apt-get install caddy")
    ran(caddy, "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "proxy" / "Caddyfile"))


@pytest.mark.parametrize(
    ("file", "words"), [("nginx.conf", "client_max_body_size 1g;"), ("Caddyfile", "max_size 1GiB")]
)
def test_both_let_the_largest_upload_through(file: str, words: str) -> None:
    assert Config.model_fields["input_video_bytes"].default == 2**30
    assert words in (DEPLOY / "proxy" / file).read_text()
