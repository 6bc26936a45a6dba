"""What every answer carries (contract B11): CORS for any origin, and the version, exactly once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from rushes import __version__, ids
from rushes.model import ImageFiles
from rushes.studio import Studio
from tests.api import sockets
from tests.api.library import account_of, enter, video
from tests.conftest import V1, Server, serving

ORIGIN = {"Origin": "https://player.example"}
EXPOSED = {"ETag", "Retry-After", "Content-Range", "Rushes-Version", "Idempotent-Replayed", "X-Request-Id"}
ALLOWED = {"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Range"}
UUID = "5b0a3c0e-2f6c-4d5a-9a43-0d9b8f1e2a77"

# Every path of the API, and the methods it is routed for.
ROUTES = {
    f"{V1}/aistudio/videos": {"GET", "HEAD", "POST"},
    f"{V1}/aistudio/images": {"GET", "HEAD", "POST"},
    f"{V1}/aistudio/videos/x": {"GET", "HEAD", "DELETE"},
    f"{V1}/aistudio/images/x": {"GET", "HEAD", "DELETE"},
    f"{V1}/aistudio/jobs": {"GET", "HEAD"},
    f"{V1}/aistudio/jobs/{UUID}": {"GET", "HEAD"},
    f"{V1}/aistudio/models": {"GET", "HEAD"},
    f"{V1}/aistudio/changes": {"GET", "HEAD"},
    f"{V1}/jobs": {"GET", "HEAD"},
    f"{V1}/jobs/{UUID}": {"GET", "HEAD"},
    f"{V1}/jobs/{UUID}/clean": {"DELETE"},
    f"{V1}/jobs/{UUID}/cancel": {"POST"},
    f"{V1}/quota": {"GET", "HEAD"},
    f"{V1}/aicredits/usage": {"GET", "HEAD"},
    f"{V1}/media/generateurl": {"POST"},
    f"/videos/user/{UUID}/{UUID}.mp4": {"GET", "HEAD"},
    f"/images/user/{UUID}/{UUID}.png": {"GET", "HEAD"},
    f"/uploads/user/{UUID}/{UUID}.png": {"GET", "HEAD", "PUT"},
    "/healthz": {"GET", "HEAD"},
    "/readyz": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
}
every_route = pytest.mark.parametrize("path", list(ROUTES))


def words(value: str) -> set[str]:
    return set(value.split(", "))


def carries_all(answer: httpx2.Response) -> None:
    """Contract: "every answer carries Rushes-Version exactly once"; "any origin, no credentials"."""
    assert answer.headers.get_list("rushes-version") == [__version__], answer.status_code
    assert answer.headers.get_list("access-control-allow-origin") == ["*"], answer.status_code
    [exposed] = answer.headers.get_list("access-control-expose-headers")
    assert words(exposed) == EXPOSED
    assert "access-control-allow-credentials" not in answer.headers


@dataclass(frozen=True)
class Visitor:
    """A client of an account with 101 videos, and a picture by its link."""

    server: Server
    api: httpx2.Client
    picture: str

    def ask(self, method: str, path: str, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.api.request(method, f"{self.server.url}{path}", headers={**ORIGIN, **named})


@pytest.fixture
def visitor(server: Server) -> Iterator[Visitor]:
    key = server.key()
    account_id = account_of(server, key)
    enter(server, *(video(account_id, number) for number in range(101)))
    files = ImageFiles(account_id, ids.uuid())
    server.do(lambda studio: _hang(studio, files.image))
    with server.client(key) as api:
        yield Visitor(server, api, f"/{files.image}")


async def _hang(studio: Studio, name: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    with studio.blobs.workspace() as folder:
        (folder / "picture").write_bytes(out.getvalue())
        await studio.blobs.put(name, folder / "picture")


# --- before it asks ---


@every_route
def test_options_without_a_key_is_204_with_what_is_allowed(server: Server, path: str) -> None:
    """Contract: "OPTIONS without a key is 204"; "allowed headers …, methods as routed"."""
    asks = {**ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    answer = httpx2.options(f"{server.url}{path}", headers=asks, trust_env=False)
    assert (answer.status_code, answer.content) == (204, b"")
    carries_all(answer)
    assert words(answer.headers["access-control-allow-methods"]) == ROUTES[path] | {"OPTIONS"}
    assert words(answer.headers["allow"]) == ROUTES[path] | {"OPTIONS"}
    assert words(answer.headers["access-control-allow-headers"]) == ALLOWED
    assert "content-length" not in answer.headers


def test_options_of_an_unknown_path_is_404(server: Server) -> None:
    answer = httpx2.options(f"{server.url}/nothing", headers=ORIGIN, trust_env=False)
    assert (answer.status_code, answer.content) == (404, b'{"message":"Not Found"}')
    carries_all(answer)


# --- HEAD ---


@every_route
def test_head_works_where_get_does(visitor: Visitor, path: str) -> None:
    """Contract: "HEAD works where GET does"; the headers are those of GET, the body is left out."""
    if "GET" not in ROUTES[path]:
        answer = visitor.ask("HEAD", path)
        assert answer.status_code == 405
        carries_all(answer)
        return
    key = b"Authorization: " + visitor.api.headers["authorization"].encode()
    got, head = (
        sockets.ask(visitor.server, path.encode(), b"Host: a", key, method=method) for method in (b"GET", b"HEAD")
    )
    assert (head.status, head.body) == (got.status, b"")
    if path == "/metrics":  # its numbers move
        return
    differing = {"date", "x-request-id"}
    assert {name: value for name, value in head.headers.items() if name not in differing} == {
        name: value for name, value in got.headers.items() if name not in differing
    }


# --- every answer ---


@every_route
def test_every_method_of_every_route_carries_all(visitor: Visitor, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = visitor.ask(method, path)
        carries_all(answer)
        if method not in ROUTES[path] | {"OPTIONS"}:
            assert answer.status_code == 405
            assert words(answer.headers["allow"]) == ROUTES[path] | {"OPTIONS"}


@pytest.mark.parametrize("path", ["/aistudio/videos", "/aistudio/images"])
def test_lists_carry_all_on_every_way_through_them(visitor: Visitor, path: str) -> None:
    """Contract: "200, 304, 4xx … lists on the fast path and HEAD of lists"."""
    full = f"{V1}{path}"
    first = visitor.ask("GET", full)
    for method in ("GET", "HEAD"):
        answers = {
            200: [
                visitor.ask(method, full),
                visitor.ask(method, f"{full}?limit=1"),
                visitor.ask(method, f"{full}?model=x"),
            ],
            304: [visitor.ask(method, full, If_None_Match=first.headers["etag"])],
            400: [visitor.ask(method, f"{full}?nextPageKey=x"), visitor.ask(method, f"{full}?limit=0")],
            401: [visitor.ask(method, full, Authorization="x")],
        }
        for status, told in answers.items():
            for answer in told:
                assert answer.status_code == status
                carries_all(answer)
                assert "vary" not in answer.headers


def test_a_page_behind_a_token_carries_all(visitor: Visitor) -> None:
    token = visitor.ask("GET", f"{V1}/aistudio/videos").json()["nextPageKey"]
    answer = visitor.ask("GET", f"{V1}/aistudio/videos?nextPageKey={token}")
    assert len(answer.json()["items"]) == 1
    carries_all(answer)


def test_files_carry_all(visitor: Visitor) -> None:
    """Contract: "files": whole, in part, unchanged, beyond, unknown."""
    whole = visitor.ask("GET", visitor.picture)
    answers = {
        200: whole,
        206: visitor.ask("GET", visitor.picture, Range="bytes=0-3"),
        304: visitor.ask("GET", visitor.picture, If_None_Match=whole.headers["etag"]),
        416: visitor.ask("GET", visitor.picture, Range="bytes=99999-"),
        404: visitor.ask("GET", visitor.picture.replace(".png", ".jpg")),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        carries_all(answer)
    assert answers[206].headers["content-range"].startswith("bytes 0-3/")


def test_changes_and_their_mistakes_carry_all(visitor: Visitor) -> None:
    answers = {
        200: [visitor.api.post("/aistudio/images", json={"prompt": "a red fox"})],
        400: [visitor.api.post("/aistudio/images", json={}), visitor.api.post("/aistudio/images", content=b"x")],
        404: [visitor.api.delete("/aistudio/images/x"), visitor.api.get("/nothing"), visitor.api.get(f"/jobs/{UUID}")],
        409: [visitor.api.delete(f"/jobs/{running(visitor)}/clean")],
        413: [visitor.api.post("/aistudio/images", content=b" " * (2**20 + 1))],
    }
    for status, told in answers.items():
        for answer in told:
            assert answer.status_code == status
            carries_all(answer)


def running(visitor: Visitor) -> str:
    body = {"prompt": "never ends [sandbox: stall]"}
    return str(visitor.api.post("/aistudio/images", json=body).json()["data"]["jobId"])


def test_a_500_carries_all(tmp_path: Path) -> None:
    """Contract: "5xx": on the fast path and behind the routes."""
    with serving(tmp_path / "data", None, "--no-worker") as server, server.client() as api:

        async def ruin(studio: Studio) -> None:
            async with studio.store.write() as tx:
                await tx.rows("DROP TABLE videos")

        server.do(ruin)
        for path in ("/aistudio/videos", "/aistudio/videos?limit=1", "/aistudio/videos/x"):
            for method in ("GET", "HEAD"):
                answer = api.request(method, path)
                assert answer.status_code == 500
                carries_all(answer)


def test_a_503_carries_all(tmp_path: Path) -> None:
    with serving(tmp_path / "data", None, "--no-worker") as server:
        work = server.data / "media" / ".work"
        work.rmdir()
        answer = httpx2.get(f"{server.url}/readyz", trust_env=False)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        carries_all(answer)
