"""Webhooks on their way to real receivers: signed, tried again on schedule, whoever dies or dawdles."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from rushes import config
from rushes.errors import InputBlocked, InputUnreachable
from rushes.fetch import Answer, Fetcher, Lookups
from rushes.store import accounts, webhooks
from rushes.store.webhooks import Delivery, DeliveryState, Try
from rushes.studio import Studio
from rushes.work.notify import SCHEDULE, SEND_SECONDS, Notifier, poster, signed
from tests.api.takes import ended, submit
from tests.conftest import START_SECONDS, Program, Server, free_port, serving
from tests.contract.samples import new_account
from tests.servers.internet import PUBLIC, Dials, Names
from tests.servers.receivers import Receiver

pytestmark = pytest.mark.anyio

BODY = '{"job_id":"1","success":true,"data":{"status":"completed","url":"http://a.example/é.mp4"}}'
JOB = "1"
SMALL = """
[models."pixverse5.5"]
provider = "sandbox"
sizes = { "9:16" = [72, 128] }
durations = [1]
"""


@dataclass
class Office:
    """A studio, a receiver its webhooks may reach although it is on loopback, and a clock that a test can move."""

    studio: Studio
    receiver: Receiver
    account_id: str

    async def tell(self, path: str, receiver: Receiver | None = None) -> str:
        """A delivery to the receiver's ``path``, due now; its id."""
        return await self.tell_url((receiver or self.receiver).url(path))

    async def tell_url(self, url: str) -> str:
        async with self.studio.store.write() as tx:
            return await webhooks.add(tx, self.account_id, JOB, url, BODY)

    async def row(self, delivery_id: str) -> Delivery:
        found = await webhooks.get(self.studio.store, delivery_id)
        assert found
        return found

    async def tries(self, delivery_id: str) -> list[Try]:
        return await webhooks.tries(self.studio.store, delivery_id)

    async def tried(self, delivery_id: str, times: int = 1) -> bool:
        return len(await self.tries(delivery_id)) >= times

    async def due(self) -> bool:
        return bool(await webhooks.lanes(self.studio.store))

    async def last(self, delivery_id: str) -> Try:
        """The latest try, once there is one."""
        await until(lambda: self.tried(delivery_id))
        return (await self.tries(delivery_id))[-1]

    def later(self, seconds: float) -> None:
        self.studio.store.clock_shift += round(seconds * 1000)


@asynccontextmanager
async def opened(data: Path, database_url: str | None) -> AsyncIterator[Office]:
    settings = config.load(data=data, database_url=database_url, allow_private_hosts=frozenset({"127.0.0.1"}))
    async with Receiver() as receiver, Studio.open(settings) as studio:
        yield Office(studio, receiver, await new_account(studio.store))


@pytest.fixture
async def office(tmp_path: Path, database_url: str | None) -> AsyncIterator[Office]:
    async with opened(tmp_path / "data", database_url) as made:
        yield made


@asynccontextmanager
async def notifying(office: Office) -> AsyncIterator[None]:
    """A notifier of this process until the block ends; the gate is opened first, so that nothing hangs in its hand."""
    stop, fetcher = asyncio.Event(), poster(office.studio.config)
    task = asyncio.create_task(Notifier(office.studio, fetcher).run(stop))
    try:
        yield
    finally:
        stop.set()
        office.receiver.gate.set()
        await task
        await fetcher.close()


async def until(true: Callable[[], Awaitable[bool]], seconds: float = START_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.02)


# What is sent


async def test_a_delivery_is_posted_as_it_was_written_and_signed(office: Office) -> None:
    told = await office.tell("/hook?token=1")
    async with notifying(office):
        tried = await office.last(told)
    [received] = office.receiver.received
    assert received.body.decode() == BODY
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"].startswith("Rushes/")
    assert received.id == told
    [secret] = await office.studio.deliveries.secrets(office.account_id)
    received.verify(secret)
    with pytest.raises(WebhookVerificationError):
        received.verify("whsec_" + "A" * 43 + "=")
    row = await office.row(told)
    assert (row.state, row.tries, row.run_at, row.owner) == (DeliveryState.DELIVERED, 1, None, None)
    assert (tried.status, tried.told) == (200, "thanks")


async def test_during_a_rotation_both_secrets_sign_and_then_the_new_one_alone(office: Office) -> None:
    [old] = await office.studio.deliveries.secrets(office.account_id)
    new = await office.studio.deliveries.rotate_secret(office.account_id, 24)
    async with notifying(office):
        await office.last(await office.tell("/during"))
        office.later(24 * 3600 + 1)
        await office.last(await office.tell("/after"))
    during, after = office.receiver.received
    assert len(during.headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        during.verify(secret)
    after.verify(new)
    with pytest.raises(WebhookVerificationError):
        after.verify(old)


async def test_each_account_signs_with_its_own_secret(office: Office) -> None:
    other = Office(office.studio, office.receiver, await new_account(office.studio.store))
    async with notifying(office):
        for teller in (office, other):
            await office.last(await teller.tell("/hook"))
    for received, teller in zip(office.receiver.received, (office, other), strict=True):
        [secret] = await office.studio.deliveries.secrets(teller.account_id)
        received.verify(secret)


# What is answered


@pytest.mark.parametrize(
    ("path", "state", "status", "told"),
    [
        ("/hook", DeliveryState.DELIVERED, 200, "thanks"),
        ("/status/204", DeliveryState.DELIVERED, 204, ""),
        ("/status/299", DeliveryState.DELIVERED, 299, "as asked"),
        ("/status/410", DeliveryState.GONE, 410, "as asked"),
        ("/status/304", DeliveryState.DUE, 304, ""),
        ("/status/404", DeliveryState.DUE, 404, "as asked"),
        ("/status/503", DeliveryState.DUE, 503, "as asked"),
        ("/redirect?http://127.0.0.1:{port}/hook", DeliveryState.DUE, 307, ""),
        ("/redirect?http://10.0.0.1/hook", DeliveryState.DUE, 307, ""),
        ("/redirect?https://example.com/hook", DeliveryState.DUE, 307, ""),
        ("/reset-body", DeliveryState.DELIVERED, 200, "only this"),
        ("/odd", DeliveryState.DELIVERED, 200, "[2J � rm -rf /"),
        ("/reset?token=1", DeliveryState.DUE, None, "The webhook at 127.0.0.1 was not reached: it hung up."),
    ],
)
async def test_an_answer_decides_and_is_noted(
    office: Office, path: str, state: DeliveryState, status: int | None, told: str
) -> None:
    asked = await office.tell(path.format(port=office.receiver.port))
    async with notifying(office):
        tried = await office.last(asked)
    assert (tried.status, tried.told) == (status, told)
    row = await office.row(asked)
    assert (row.state, row.owner) == (state, None)
    assert len(office.receiver.received) == 1, "no redirect was followed"


async def test_where_nobody_answers_the_log_says_why_and_never_repeats_the_query(office: Office) -> None:
    port = office.receiver.port
    urls = {
        f"http://127.0.0.1:{free_port()}/?token=1": "no connection could be made",
        f"https://127.0.0.1:{port}/?token=1": "no secure connection",
        f"http://127.0.0.2:{port}/?token=1": "private or reserved",
        f"http://10.0.0.1:{port}/?token=1": "RUSHES_ALLOW_PRIVATE_HOSTS",
        f"http://localhost.invalid:{port}/?token=1": "its name was not found",
        f"http://me:token=1@127.0.0.1:{port}/": "holds a name or a password",
        "http://127.1/?token=1": "does not name its host plainly",
    }
    asked = {await office.tell_url(url): why for url, why in urls.items()}
    async with notifying(office):
        for delivery_id, why in asked.items():
            tried = await office.last(delivery_id)
            assert tried.status is None
            assert why in tried.told
            assert "token" not in tried.told
    assert {(await office.row(asking)).state for asking in asked} == {DeliveryState.DUE}
    assert office.receiver.received == []


async def test_an_answer_without_end_is_cut_and_counts(office: Office) -> None:
    asked = await office.tell("/huge")
    async with notifying(office):
        tried = await office.last(asked)
    assert (tried.status, (await office.row(asked)).state) == (200, DeliveryState.DELIVERED)
    assert tried.told == "x" * 2000
    assert office.receiver.written < 64 * 2**20, "no more than what sockets hold was ever taken"


async def test_a_try_ends_after_15_seconds_however_it_is_spun_out(tmp_path: Path) -> None:
    """One engine is enough for a test that takes so long."""
    async with opened(tmp_path, None) as office:
        gate, head, body = [await office.tell(path) for path in ("/gate", "/drip-head", "/drip")]
        async with notifying(office):
            for asked in (gate, head, body):
                await until(lambda asked=asked: office.tried(asked), 3 * SEND_SECONDS)  # type: ignore[misc]
        for asked in (gate, head):
            [tried] = await office.tries(asked)
            assert (tried.status, tried.told) == (
                None,
                "The webhook at 127.0.0.1 was not reached: it did not answer within 15 seconds.",
            )
            assert (await office.row(asked)).state is DeliveryState.DUE
        [tried] = await office.tries(body)
        assert (tried.status, set(tried.told)) == (200, {"."})
        assert (await office.row(body)).state is DeliveryState.DELIVERED


# The way out


@asynccontextmanager
async def posting(table: dict[str, list[str]]) -> AsyncIterator[tuple[Fetcher, Receiver, Dials]]:
    """An internet of these names, whose every address leads to one receiver."""
    async with Receiver() as receiver:
        dials = Dials(receiver.port)
        yield Fetcher(resolver=Names(table), open_socket=dials), receiver, dials


async def test_a_name_that_leads_home_the_second_time_is_not_dialled_again() -> None:
    async with posting({"hooks.test": [PUBLIC, "127.0.0.1", "10.0.0.1", "::1"]}) as (fetcher, receiver, dials):
        assert await fetcher.post("http://hooks.test/a", b"{}", {}, seconds=10) == Answer(200, "thanks")
        for _ in range(3):
            with pytest.raises(InputBlocked, match="private or reserved"):
                await fetcher.post("http://hooks.test/a", b"{}", {}, seconds=10)
        assert (dials.addresses, len(receiver.received)) == ([PUBLIC], 1)


@pytest.mark.parametrize(
    "url", ["http://hooks.test:25/", "http://hooks.test:6000/", "http://169.254.169.254/", "ftp://a/"]
)
async def test_where_a_download_may_not_lead_a_webhook_may_not_either(url: str) -> None:
    async with posting({"hooks.test": [PUBLIC]}) as (fetcher, receiver, dials):
        with pytest.raises(InputBlocked):
            await fetcher.post(url, b"{}", {}, seconds=10)
        assert (dials.addresses, receiver.received) == ([], [])


@pytest.mark.parametrize("path", ["/gate", "/drip-head"])
async def test_the_limit_is_for_the_whole_answer(path: str) -> None:
    async with posting({"hooks.test": [PUBLIC]}) as (fetcher, _, _):
        with pytest.raises(InputUnreachable, match=r"^The webhook at hooks\.test .* within 0\.2 seconds\.$"):
            await fetcher.post(f"http://hooks.test{path}?token=1", b"{}", {}, seconds=0.2)
        answer = await fetcher.post("http://hooks.test/drip", b"{}", {}, seconds=0.2)
        assert answer.status == 200
        assert len(answer.beginning) < 1000, "not waited for until it was enough"


async def test_names_are_looked_up_by_the_system_in_threads_of_their_own(office: Office) -> None:
    fetcher = Fetcher(frozenset({"localhost"}), resolver=Lookups(1))
    url = f"http://localhost:{office.receiver.port}/hook"
    assert await fetcher.post(url, b"{}", {}, seconds=10) == Answer(200, "thanks")
    await fetcher.close()


# The schedule


async def test_the_schedule_is_exact_and_then_the_delivery_has_failed(office: Office) -> None:
    assert list(SCHEDULE) == [5, 300, 1800, 7200, 18000, 36000, 36000]
    asked = await office.tell("/status/500")
    for times, wait in enumerate(SCHEDULE, 1):
        before = await office.studio.now()
        async with notifying(office):
            await until(lambda times=times: office.tried(asked, times))  # type: ignore[misc]
        after = await office.studio.now()
        row = await office.row(asked)
        assert row.run_at is not None
        assert before + wait * 1000 <= row.run_at <= after + wait * 1000
        assert (row.state, row.tries) == (DeliveryState.DUE, times)
        office.later((row.run_at - await office.studio.now()) / 1000 - 2)
        assert not await office.due()
        office.later(2)
        assert await office.due()
    async with notifying(office):
        await until(lambda: office.tried(asked, len(SCHEDULE) + 1))
    row = await office.row(asked)
    assert (row.state, row.run_at) == (DeliveryState.FAILED, None)
    assert {received.id for received in office.receiver.received} == {asked}
    assert len(office.receiver.received) == len(SCHEDULE) + 1
    [secret] = await office.studio.deliveries.secrets(office.account_id)
    for received in office.receiver.received:
        received.verify(secret)


async def test_a_receiver_that_recovers_is_told_then(office: Office) -> None:
    asked = await office.tell("/flaky")
    async with notifying(office):
        await office.last(asked)
        office.later(6)
        await until(lambda: office.tried(asked, 2))
    assert (await office.row(asked)).state is DeliveryState.DELIVERED
    assert [tried.status for tried in await office.tries(asked)] == [500, 200]


async def test_a_replay_starts_over_under_the_same_id(office: Office) -> None:
    asked = await office.tell("/status/410")
    async with notifying(office):
        await office.last(asked)
        assert await office.studio.deliveries.replay(asked)
        await until(lambda: office.tried(asked, 2))
    assert [received.id for received in office.receiver.received] == [asked, asked]
    assert (await office.row(asked)).tries == 1


# Whoever dawdles or dies


async def test_of_1000_deliveries_those_to_others_arrive_while_one_receiver_hangs(office: Office) -> None:
    async with Receiver() as quick:
        async with office.studio.store.write() as tx:
            urls = [office.receiver.url("/gate")] * 200 + [quick.url(f"/{number}") for number in range(800)]
            for url in urls:
                await webhooks.add(tx, office.account_id, JOB, url, BODY)

        async def all_arrived() -> bool:
            return len(quick.received) >= 800

        async with notifying(office):
            await until(all_arrived, 120)
            hanging = len(office.receiver.received)
            assert 0 < hanging <= 10, "it keeps its own waiting and no more places than its own"
            assert not office.receiver.gate.is_set()
    assert {received.path for received in quick.received} == {f"/{number}" for number in range(800)}
    assert len({received.id for received in quick.received}) == len(quick.received) == 800


async def test_an_account_whose_receivers_all_hang_leaves_places_for_the_others(office: Office) -> None:
    other = await new_account(office.studio.store)
    async with AsyncExitStack() as open_:
        slow = [await open_.enter_async_context(Receiver()) for _ in range(25)]
        async with office.studio.store.write() as tx:
            for receiver in slow * 10:
                await webhooks.add(tx, office.account_id, JOB, receiver.url("/gate"), BODY)

        async def held() -> bool:
            return sum(len(receiver.received) for receiver in slow) >= 100

        async with notifying(office):
            await until(held)
            async with office.studio.store.write() as tx:
                await webhooks.add(tx, other, JOB, office.receiver.url("/hook"), BODY)
            await until(lambda: asyncio.sleep(0, bool(office.receiver.received)), SEND_SECONDS / 2)
            assert sum(len(receiver.received) for receiver in slow) == 100, "as many as it leaves free, and no more"
            for receiver in slow:
                receiver.gate.set()


def settings(folder: Path, database_url: str | None) -> dict[str, str]:
    return {
        "RUSHES_DATA": str(folder / "data"),
        "RUSHES_DATABASE_URL": database_url or "",
        "RUSHES_ALLOW_PRIVATE_HOSTS": "127.0.0.1",
    }


@asynccontextmanager
async def worker(folder: Path, database_url: str | None) -> AsyncIterator[Program]:
    """``rushes worker`` as a process of its own until the block ends; killed if it still runs then."""
    program = Program(["worker"], settings(folder, database_url))
    program.start(folder / "worker.log")
    assert program.process
    assert program.log
    try:
        yield program
    finally:
        if program.process.poll() is None:
            os.killpg(program.process.pid, 9)
        program.process.wait()
        program.log.close()


async def test_after_a_kill_in_the_middle_of_a_send_it_is_sent_again_under_the_same_id(
    office: Office, tmp_path: Path, database_url: str | None
) -> None:
    asked = await office.tell("/gate")
    async with worker(tmp_path, database_url) as first:
        await until(lambda: _heard(office, 1))
        assert first.process
        os.killpg(first.process.pid, 9)
    row = await office.row(asked)
    assert (row.state, row.tries, row.attempt) == (DeliveryState.DUE, 0, 1)
    assert not await office.due(), "its lease must end first"
    office.later(SEND_SECONDS + office.studio.config.lease_seconds)
    office.receiver.gate.set()
    async with notifying(office):
        await office.last(asked)
    assert [received.id for received in office.receiver.received] == [asked, asked]
    assert (await office.row(asked)).state is DeliveryState.DELIVERED


async def _heard(office: Office, times: int) -> bool:
    return len(office.receiver.received) >= times


async def test_a_lease_outlasts_the_longest_try(office: Office) -> None:
    await office.tell("/hook")
    [lane] = await webhooks.lanes(office.studio.store)
    assert await office.studio.deliveries.claim("a worker", {lane: 1}, SEND_SECONDS)
    office.later(SEND_SECONDS + office.studio.config.lease_seconds - 5)
    assert not await office.due(), "nobody else sends what may still be on its way"
    office.later(6)
    assert await office.due()


async def test_a_notifier_that_is_stopped_finishes_what_ends_soon(office: Office) -> None:
    asked = await office.tell("/gate")
    stop, fetcher = asyncio.Event(), poster(office.studio.config)
    task = asyncio.create_task(Notifier(office.studio, fetcher).run(stop))
    await until(lambda: _heard(office, 1))
    stop.set()
    for _ in range(100):  # turns of the loop, until it must have seen it
        await asyncio.sleep(0)
    assert not task.done()
    office.receiver.gate.set()
    await task
    await fetcher.close()
    assert (await office.row(asked)).state is DeliveryState.DELIVERED


async def test_a_worker_that_is_stopped_gives_back_what_does_not_end_soon(
    office: Office, tmp_path: Path, database_url: str | None
) -> None:
    asked = await office.tell("/gate")
    async with worker(tmp_path, database_url) as first:
        await until(lambda: _heard(office, 1))
        assert first.process
        first.process.terminate()
        assert await asyncio.to_thread(first.process.wait, 30) == 0
    row = await office.row(asked)
    assert (row.state, row.owner, row.tries) == (DeliveryState.DUE, None, 0)
    assert await office.due(), "nobody need wait for its lease"
    async with worker(tmp_path, database_url) as second:
        await until(lambda: _heard(office, 2))
        office.receiver.gate.set()
        await office.last(asked)
        assert second.process
        second.process.terminate()
        assert await asyncio.to_thread(second.process.wait, 30) == 0
    row = await office.row(asked)
    assert (row.state, row.tries) == (DeliveryState.DELIVERED, 1)
    assert [received.id for received in office.receiver.received] == [asked, asked]


async def test_what_was_put_off_is_sent_by_whoever_runs_then(office: Office) -> None:
    asked = [await office.tell(f"/flaky/{number}") for number in range(5)]
    async with notifying(office):
        for delivery_id in asked:
            await office.last(delivery_id)
    office.later(6)
    async with notifying(office):
        for delivery_id in asked:
            await until(lambda delivery_id=delivery_id: office.tried(delivery_id, 2))  # type: ignore[misc]
    assert {(await office.row(delivery_id)).state for delivery_id in asked} == {DeliveryState.DELIVERED}
    assert {received.id for received in office.receiver.received} == set(asked)


# From the submission to the webhook


@pytest.fixture
def serving_webhooks(tmp_path: Path, database_url: str | None) -> Iterator[Server]:
    (tmp_path / "rushes.toml").write_text(SMALL)
    told = {"RUSHES_ALLOW_PRIVATE_HOSTS": "127.0.0.1", "RUSHES_CONFIG": str(tmp_path / "rushes.toml")}
    with serving(tmp_path / "data", database_url, settings=told) as server:
        yield server


async def test_a_webhook_gets_what_the_job_answers_to_the_byte_whatever_its_end(serving_webhooks: Server) -> None:
    async with Receiver() as receiver:
        key = await asyncio.to_thread(serving_webhooks.key, "films")
        with serving_webhooks.client(key) as api:
            api.headers["Host"] = "films.example:8443"
            told = await asyncio.to_thread(_three_ends, api, receiver)
            await until(lambda: _all_told(receiver, 3), 60)
            for path, job_id in told.items():
                [received] = [received for received in receiver.received if received.path == path]
                assert received.body == api.get(f"/jobs/{job_id}").content
                received.verify(await asyncio.to_thread(_secret, serving_webhooks))
        bodies = {received.path: received.body.decode() for received in receiver.received}
    assert len(re.findall(r'"http://films\.example:8443/videos/user/', bodies["/completed"])) == 4
    assert '"success":false,"data":{"status":"failed","error_code":"PROVIDER_ERROR"' in bodies["/failed"]
    assert '"success":false,"data":{"status":"failed","error_code":"CANCELLED"' in bodies["/cancelled"]


def _three_ends(api: httpx2.Client, receiver: Receiver) -> dict[str, str]:
    """The jobs of each end, by the path that was told of it; one whose receiver hangs holds none of them up."""
    submit(api, "a red fox", webhook=receiver.url("/gate"))
    told = {
        "/completed": submit(api, "a red fox – „leise“ 🎬", webhook=receiver.url("/completed")),
        "/failed": submit(api, "a red fox [sandbox: fail]", webhook=receiver.url("/failed")),
        "/cancelled": submit(api, "a red fox [sandbox: stall]", webhook=receiver.url("/cancelled")),
    }
    api.post(f"/jobs/{told['/cancelled']}/cancel").raise_for_status()
    for job_id in told.values():
        ended(api, job_id)
    return told


async def _all_told(receiver: Receiver, ends: int) -> bool:
    return len({received.path for received in receiver.received} - {"/gate"}) == ends


def _secret(server: Server) -> str:
    async def first(studio: Studio) -> str:
        account = await accounts.find(studio.store, "films")
        assert account
        return (await studio.deliveries.secrets(account.id))[0]

    return str(server.do(first))


# What the docs say


def sample(language: str) -> str:
    """The code of that language in docs/webhooks.md."""
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    [code] = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(code)


def python_says(secret: str, headers: dict[str, str], body: bytes) -> bool:
    scope: dict[str, Any] = {}
    exec(sample("python"), scope)
    return bool(scope["verify"](secret, headers, body))


def javascript_says(secret: str, headers: dict[str, str], body: bytes) -> bool:
    told = f"verify({json.dumps(secret)}, {json.dumps(headers)}, Buffer.from({json.dumps(list(body))}))"
    run = subprocess.run(["node", "-p", f"{sample('javascript')}\n{told}"], capture_output=True, check=True, timeout=60)
    return {b"true\n": True, b"false\n": False}[run.stdout]


VERIFIERS = [python_says, javascript_says] if shutil.which("node") else [python_says]


@pytest.mark.parametrize("genuine", VERIFIERS)
def test_the_samples_of_the_docs_tell_genuine_from_forged(genuine: Callable[..., bool]) -> None:
    one, two, other = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in range(3))
    delivery = Delivery("msg_1", "", "", None, "", BODY, 0, DeliveryState.DUE, 0, None)
    headers, body = signed(delivery, [one, two], int(time.time())), BODY.encode()
    assert genuine(one, headers, body)
    assert genuine(two, headers, body)
    assert not genuine(other, headers, body)
    assert not genuine(one, headers, body + b" ")
    assert not genuine(one, {**headers, "webhook-id": "msg_2"}, body)
    assert not genuine(one, signed(delivery, [one, two], int(time.time()) - 301), body)
