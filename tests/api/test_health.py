"""``/healthz`` and ``/readyz``: for whoever watches the process, without a key."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx2
import pytest

from tests.conftest import Server, serving


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_healthy_server_says_so_without_a_key(server: Server, path: str) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False) as http:
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"
        assert answer.headers["content-type"] == "application/json"
        head = http.head(path)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(answer.content)))
        wrong = http.post(path)
        assert (wrong.status_code, wrong.content) == (405, b'{"message":"Method Not Allowed"}')
        assert set(wrong.headers["allow"].split(", ")) >= {"GET", "HEAD"}


def test_ready_names_the_database_and_the_storage(server: Server) -> None:
    body = httpx2.get(f"{server.url}/readyz", trust_env=False).json()
    assert body == {"status": "ok", "database": "ok", "storage": "ok"}


def test_a_server_whose_folder_is_gone_is_up_but_not_ready_and_says_why(tmp_path: Path) -> None:
    with serving(tmp_path / "data", None, "--no-worker") as server, server.client() as api:
        shutil.move(tmp_path / "data" / "media", tmp_path / "away")
        answer = httpx2.get(f"{server.url}/readyz", trust_env=False)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        body = answer.json()
        assert (body["status"], body["database"]) == ("unavailable", "ok")
        assert len(body["storage"]) > 10
        assert str(tmp_path) not in answer.text
        assert httpx2.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        # the library is still listed
        assert api.get("/aistudio/videos").content == b'{"items":[]}'
        shutil.move(tmp_path / "away", tmp_path / "data" / "media")
        assert httpx2.get(f"{server.url}/readyz", trust_env=False).status_code == 200
