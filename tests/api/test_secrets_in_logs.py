"""Logs never hold a key, a webhook secret or a signed link, whatever goes well or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from rushes import ids
from rushes.studio import Studio
from tests.api import sockets
from tests.api.takes import Json, ended
from tests.conftest import START_SECONDS, V1, Server, free_port, serving, wait_until
from tests.servers.receivers import Receiver

SIGNED = "X-Amz-Signature=5ecre75ecre75ecre75ecre75ecre7&X-Amz-Credential=AKIAHERON"
FAULTS = ["fail", "refuse", "reject", "retired", "unavailable", "damaged", "empty", "not-a-video", "nonsense"]
PNG = {"Content-Type": "image/png"}


@dataclass
class Noise:
    """A server of the test's own, and every secret that it has been told or has given out."""

    server: Server
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """What all its processes have printed so far."""
        return "".join(path.read_text() for path in sorted(self.server.data.parent.glob("*.log")))

    def leaks(self) -> list[str]:
        return [name for name, secret in self.secrets.items() if secret in self.log]

    def key(self) -> str:
        made = self.server.key()
        self.secrets[f"key {len(self.secrets)}"] = made.removeprefix(ids.KEY_PREFIX)
        return made


@pytest.fixture
def noise(tmp_path: Path, database_url: str | None) -> Iterator[Noise]:
    settings = {"RUSHES_SWEEP_SECONDS": "1", "RUSHES_LEASE_SECONDS": "2", "RUSHES_ALLOW_PRIVATE_HOSTS": "127.0.0.1"}
    with serving(tmp_path / "data", database_url, settings=settings) as server:
        yield Noise(server)


def ask(api: httpx2.Client, **told: object) -> str:
    answer = api.post("/aistudio/videos", json={"prompt": "a heron lifts off", **told})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["jobId"])


def test_no_key_is_logged_however_it_was_sent(noise: Noise) -> None:
    key = noise.key()
    with noise.server.client(key) as api:
        revoked = noise.key()
        noise.server.do(lambda studio: _revoke_all_but(studio, key))
        bad = {name: noise.key()[:-1] + "!" for name in ("cut", "quoted")}
        for sent in (key, revoked, *bad.values(), f"Basic {key}", f"{key},{key}", key * 9):
            for path in ("/aistudio/videos", "/jobs/x", "/quota", "/nothing"):
                api.get(path, headers={"Authorization": sent})
                api.post(path, headers={"Authorization": sent}, content=b"{")
        for query in (f"key={key}", f"nextPageKey={key}", f"limit={key}"):
            assert api.get(f"/aistudio/videos?{query}").status_code in (200, 400)
        assert api.get(f"/jobs/{key}").status_code == 404
        assert api.get("/aistudio/videos", headers={"Idempotency-Key": key}).status_code == 200
    raw = key.encode()
    for target, headers in [
        (b"/\xff", [b"Authorization: " + raw]),
        (f"{V1}/quota".encode(), [b"Authorization: " + raw, b"Broken " + raw]),
        (f"{V1}/quota".encode(), [b"Content-Length: x" + raw, b"Authorization: " + raw]),
    ]:
        assert sockets.ask(noise.server, target, b"Host: a", *headers).status >= 400
    assert noise.leaks() == []


def test_no_key_and_no_signature_is_logged_where_a_client_has_put_it_by_mistake(noise: Noise) -> None:
    """Into the path, which the line about a change tells, or into the request's own name."""
    key = noise.key()
    with noise.server.client(key) as api:
        link = _announced(api, noise)["signedUrl"]
        assert api.delete(f"/jobs/{key}/clean").status_code == 404
        assert api.post("/jobs/x/cancel", headers={"X-Request-Id": key}).status_code == 404
        for spelled in (link.replace("?", "%3F"), link.replace("?", "%3F").replace("=", "%253D")):
            assert httpx2.put(spelled, content=b"png", headers=PNG, trust_env=False).status_code == 404
    assert noise.leaks() == []


async def _revoke_all_but(studio: Studio, key: str) -> None:
    for (name,) in await studio.store.rows("SELECT id FROM keys WHERE hash <> :hash", hash=ids.key_hash(key)):
        assert await studio.revoke_key(name)


def test_no_signature_of_an_input_is_logged_when_it_cannot_be_had(noise: Noise) -> None:
    """Nor told: a job's error is read by whoever holds any key of the account."""
    noise.secrets |= {"signature": SIGNED.partition("=")[2].partition("&")[0], "credential": "AKIAHERON"}
    port, own = free_port(), noise.server.url
    links = [
        f"http://127.0.0.1:{port}/heron.png?{SIGNED}",
        f"https://no-such-host.invalid/heron.png?{SIGNED}",
        f"http://169.254.169.254/latest?{SIGNED}",
        f"http://93.184.216.34:6379/heron.png?{SIGNED}",
        f"{own}/uploads/user/{ids.uuid()}/{ids.uuid()}.png?{SIGNED}",
        f"{own}/videos/user/{ids.uuid()}/{ids.uuid()}.mp4?{SIGNED}#{SIGNED}",
        f"http://[::1]:{port}/heron.png?{SIGNED}",
    ]
    with noise.server.client(noise.key()) as api:
        for link in links:
            for name in ("firstFrameImageUrl", "extendVideoUrl"):
                job = ended(api, ask(api, **{name: link}))
                assert job["data"]["error_code"].startswith("INPUT_"), job
                told = job["data"]["error_message"]
                assert [secret for secret in noise.secrets.values() if secret in told] == [], told
    assert noise.leaks() == []


def test_no_signature_of_an_input_is_logged_when_it_is_not_what_it_should_be(noise: Noise) -> None:
    """It is fetched from our own uploads, with a query string that a client may well have left in place."""
    noise.secrets["signature"] = SIGNED.partition("=")[2].partition("&")[0]
    noise.secrets["password"] = "hunter2"
    with noise.server.client(noise.key()) as api:
        told = {"prompt": "a heron lifts off", "webhook": f"http://somebody:hunter2@example.invalid/?{SIGNED}"}
        assert api.post("/aistudio/videos", json=told).status_code == 400
        upload = _announced(api, noise)
        sent = httpx2.put(upload["signedUrl"], content=b"no picture", headers=PNG, trust_env=False)
        assert sent.status_code == 200
        for name, code in (("firstFrameImageUrl", "INPUT_NOT_AN_IMAGE"), ("extendVideoUrl", "INPUT_NOT_A_VIDEO")):
            for query in (upload["signedUrl"], f"{upload['url']}?{SIGNED}"):
                job = ended(api, ask(api, **{name: query}))
                assert job["data"]["error_code"] == code, job
                assert [secret for secret in noise.secrets.values() if secret in job["data"]["error_message"]] == []
    assert noise.leaks() == []


def _announced(api: httpx2.Client, noise: Noise) -> Json:
    data: Json = api.post("/media/generateurl", json={"fileName": "a.png", "contentType": "image/png"}).json()["data"]
    query = urlsplit(data["signedUrl"]).query
    noise.secrets[f"upload {len(noise.secrets)}"] = query.rpartition("signature=")[2]
    return data


def test_no_signed_link_is_logged_whatever_is_sent_to_it(noise: Noise) -> None:
    with noise.server.client(noise.key()) as api:
        data = _announced(api, noise)
        link = data["signedUrl"]
        wrong = [
            ("PUT", link, {"Content-Type": "image/jpeg"}),
            ("PUT", link + "0", PNG),
            ("PUT", link.replace("expires=", "expires=9"), PNG),
            ("PUT", link.replace(data["key"][-20:], "x.png"), PNG),
            ("GET", link, {}),
            ("POST", link, PNG),
        ]
        for method, url, headers in wrong:
            assert httpx2.request(method, url, headers=headers, trust_env=False).status_code >= 400
        _hang_up(noise.server, link)
        assert httpx2.put(link, content=b"png", headers=PNG, trust_env=False).status_code in (200, 409)
        assert httpx2.put(link, content=b"another", headers=PNG, trust_env=False).status_code == 409
    assert noise.leaks() == []


def _hang_up(server: Server, link: str) -> None:
    """An upload whose sender goes away half-way."""
    parts = urlsplit(link)
    head = (
        f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\n"
    )
    with sockets.connect(server) as connection:
        connection.sendall(head.encode() + b"half")


def test_no_webhook_and_its_secret_is_logged_when_jobs_end(noise: Noise) -> None:
    """A webhook's own URL may carry a secret too."""
    noise.secrets["webhook token"] = "wh5ecre7wh5ecre7"
    hook = f"http://127.0.0.1:{free_port()}/hook?token=wh5ecre7wh5ecre7"
    with noise.server.client(noise.key()) as api:
        for told in ({"prompt": "a heron [sandbox: fail]"}, {"prompt": "a heron lifts off", "duration": "5s"}):
            ended(api, ask(api, webhook=hook, **told))
        job_id = ask(api, webhook=hook, prompt="a heron [sandbox: stall]")
        assert api.post(f"/jobs/{job_id}/cancel").status_code == 200
    noise.secrets |= {f"webhook secret {secret[:8]}": secret for secret in noise.server.do(_webhook_secrets)}
    assert noise.leaks() == []


@pytest.mark.anyio
async def test_no_secret_that_signs_is_logged_however_its_receiver_behaves(noise: Noise) -> None:
    async with Receiver() as receiver:
        hooks = [receiver.url(f"/{path}?token=wh5ecre7wh5ecre7") for path in ("thank", "status/500", "reset", "odd")]
        await asyncio.to_thread(_end_jobs, noise, hooks)
        async with asyncio.timeout(START_SECONDS):
            while len({request.path for request in receiver.received}) < len(hooks):
                await asyncio.sleep(0.02)
        secrets = await asyncio.to_thread(noise.server.do, _webhook_secrets)
        assert len(secrets) == 1, "the account's"
        receiver.received[0].verify(secrets[0])
        noise.secrets |= {"webhook token": "wh5ecre7wh5ecre7", "webhook secret": secrets[0].removeprefix("whsec_")}
        noise.secrets["how such secrets begin"] = "whsec_"
    assert noise.leaks() == []


def _end_jobs(noise: Noise, hooks: list[str]) -> None:
    with noise.server.client(noise.key()) as api:
        for hook in hooks:
            ended(api, ask(api, webhook=hook, prompt="a heron [sandbox: fail]"))


async def _webhook_secrets(studio: Studio) -> list[str]:
    return [row[0] for row in await studio.store.rows("SELECT secret FROM webhook_secrets")]


def test_no_secret_is_logged_when_providers_fail(noise: Noise) -> None:
    key = noise.key()
    noise.secrets |= {name: secret.hex() for name, secret in noise.server.do(_own_secrets).items()}
    with noise.server.client(key) as api:
        jobs = [ask(api, prompt=f"a heron [sandbox: {word}]") for word in FAULTS]
        jobs.append(ask(api, prompt="a heron [sandbox: flaky 2s]"))
        for job_id in jobs:
            ended(api, job_id)
    assert "job" in noise.log, "the worker's set-backs are logged"
    assert noise.leaks() == []


def test_no_secret_is_in_the_trace_of_a_mistake_of_ours(noise: Noise) -> None:
    with noise.server.client(noise.key()) as api:
        upload = _announced(api, noise)
        noise.server.do(_lose_tables)
        told = {"prompt": "a heron lifts off", "firstFrameImageUrl": f"https://a.example/heron.png?{SIGNED}"}
        noise.secrets["signature"] = SIGNED.partition("=")[2].partition("&")[0]
        assert api.post("/aistudio/videos", json=told).status_code == 500
        assert api.get("/jobs").status_code == 500
        put = httpx2.put(upload["signedUrl"], content=b"png", headers=PNG, trust_env=False)
        assert put.status_code == 500
    assert "Traceback" in noise.log, "what went wrong is told in the log"
    assert noise.leaks() == []


async def _lose_tables(studio: Studio) -> None:
    async with studio.store.write() as tx:
        for table in ("jobs", "uploads"):
            await tx.rows(f"ALTER TABLE {table} RENAME TO {table}_elsewhere")


async def _own_secrets(studio: Studio) -> dict[str, bytes]:
    return {"page tokens": studio.secret, "uploads": studio.upload_secret}


def test_the_search_would_find_a_secret_in_the_log(noise: Noise) -> None:
    """Or none of the tests above proves anything."""
    noise.secrets["address"] = noise.server.url
    wait_until(lambda: noise.leaks() == ["address"], what="the address in the log")
