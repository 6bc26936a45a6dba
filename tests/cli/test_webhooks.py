"""``rushes webhooks``: what was sent, again, and with which secret."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rushes import config
from rushes.store import accounts, webhooks
from rushes.studio import Studio
from rushes.work.notify import Notifier, poster
from tests.cli.running import rushes
from tests.servers.receivers import Receiver

pytestmark = pytest.mark.anyio

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Desk:
    """A folder with the accounts `default` and `studio b`, and the commands of its operator."""

    def __init__(self, data: Path, receiver: Receiver) -> None:
        self.data = data
        self.receiver = receiver

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = {"RUSHES_ALLOW_PRIVATE_HOSTS": "127.0.0.1", "RUSHES_DATA": str(self.data)}
        return await asyncio.to_thread(rushes, "webhooks", *arguments, cwd=self.data.parent, **settings)

    async def said(self, *arguments: str) -> str:
        """What a command that goes well prints."""
        run = await self.run(*arguments)
        assert run.returncode == 0, run.stderr
        return run.stdout

    async def refused(self, *arguments: str) -> str:
        """The one sentence of a command that does not."""
        run = await self.run(*arguments)
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (1, "", 1), run.stderr
        return re.sub(r"^(Error|rushes): ", "", run.stderr).removesuffix("\n")

    async def listed(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (await self.said("list", "--json", *arguments)).splitlines()]

    @asynccontextmanager
    async def studio(self) -> AsyncIterator[Studio]:
        told = config.load(data=self.data, allow_private_hosts=frozenset({"127.0.0.1"}))
        async with Studio.open(told) as studio:
            yield studio

    async def told(self, path: str, account: str = "default") -> str:
        """A delivery that has been tried once."""
        delivery_id = await self.due(self.receiver.url(path), account)
        await self.tried(delivery_id)
        return delivery_id

    async def due(self, url: str, account: str = "default") -> str:
        """A delivery that has not."""
        async with self.studio() as studio, studio.store.write() as tx:
            account_id = (await accounts.named(tx, account)).id
            return await webhooks.add(tx, account_id, "the-job", url, '{"a":1}')

    async def tried(self, delivery_id: str, times: int = 1) -> None:
        """Send what is due until that one has been tried so often."""
        async with self.studio() as studio:
            stop, fetcher = asyncio.Event(), poster(studio.config)
            task = asyncio.create_task(Notifier(studio, fetcher).run(stop))
            async with asyncio.timeout(30):
                while len(await webhooks.tries(studio.store, delivery_id)) < times:
                    await asyncio.sleep(0.02)
            stop.set()
            await task
            await fetcher.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Receiver() as receiver:
        made = Desk(tmp_path / "data", receiver)
        async with made.studio() as studio:
            for account in ("default", "studio b"):
                await studio.create_key(account, "")
        yield made


async def test_a_list_is_newest_first_aligned_and_never_shows_a_query(desk: Desk) -> None:
    first, second = await desk.told("/hook?token=1"), await desk.told("/status/500?token=1", "studio b")
    lines = (await desk.said("list")).splitlines()
    url = desk.receiver.url("")
    assert re.fullmatch(rf"{second}  {MOMENT}  due        1 try    studio b  {url}/status/500", lines[0])
    assert re.fullmatch(rf"{first}  {MOMENT}  delivered  1 try    default   {url}/hook", lines[1])
    assert [told["id"] for told in await desk.listed()] == [second, first]
    assert [told["id"] for told in await desk.listed("-n", "1")] == [second]
    [told] = await desk.listed("--account", "default")
    assert list(told) == ["id", "account", "job", "url", "created", "state", "tries", "due"]
    assert (told["id"], told["job"], told["state"], told["due"]) == (first, "the-job", "delivered", None)


async def test_an_empty_list_is_empty(desk: Desk) -> None:
    assert await desk.said("list") == await desk.said("list", "--json") == ""


async def test_one_is_shown_with_what_was_sent_and_every_try(desk: Desk) -> None:
    asked = await desk.told("/status/500")
    shown = (await desk.said("show", asked)).splitlines()
    assert shown[:4] == [
        f"id       {asked}",
        "account  default",
        "job      the-job",
        f"url      {desk.receiver.url('/status/500')}",
    ]
    assert shown[-2] == 'body     {"a":1}'
    assert re.fullmatch(rf"      1  {MOMENT}   +\d+ ms  500  as asked", shown[-1])
    told = json.loads(await desk.said("show", asked, "--json"))
    [tried] = told["log"]
    assert (told["body"], tried["status"], tried["told"]) == ('{"a":1}', 500, "as asked")


async def test_what_a_receiver_answers_cannot_reach_the_terminal(desk: Desk) -> None:
    shown = await desk.said("show", await desk.told("/odd"))
    assert all(character.isprintable() or character == "\n" for character in shown)


async def test_a_url_with_an_escape_in_it_cannot_reach_the_terminal(desk: Desk) -> None:
    asked = await desk.due("http://hooks.test/\x1b]0;x\x07\u202e")
    for shown in (await desk.said("list"), await desk.said("show", asked)):
        assert "http://hooks.test/ ]0;x" in shown
        assert all(character.isprintable() or character == "\n" for character in shown)


async def test_a_replay_makes_it_due_again(desk: Desk) -> None:
    asked = await desk.told("/status/410")
    assert [told["state"] for told in await desk.listed()] == ["gone"]
    await desk.said("replay", asked)
    [told] = await desk.listed()
    assert (told["id"], told["state"], told["tries"]) == (asked, "due", 0)


async def test_a_test_sends_one_signed_event_now_and_is_kept(desk: Desk) -> None:
    assert re.fullmatch(
        r"The webhook answered 200 in \d+ ms, saying \"thanks\"\.\n", await desk.said("test", desk.receiver.url("/a"))
    )
    [received] = desk.receiver.received
    received.verify((await desk.said("secret")).strip())
    assert json.loads(received.body)["data"] == {"status": "test"}
    [told] = await desk.listed()
    assert (told["id"], told["job"], told["state"], told["due"]) == (received.id, None, "delivered", None)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("/status/500?token=1", r"The webhook answered 500 in \d+ ms, saying \"as asked\"\."),
        ("/status/410?token=1", r"The webhook answered 410 in \d+ ms, saying \"as asked\"\."),
        ("/redirect?/hook", r"The webhook answered 307 in \d+ ms\."),
        ("/reset?token=1", r"The webhook at 127\.0\.0\.1 was not reached: it hung up\."),
        ("http://10.0.0.1/?token=1", r"10\.0\.0\.1 is a private .* Name a webhook that is open to all, or ask .*"),
    ],
)
async def test_a_test_that_is_not_taken_exits_1_and_is_not_tried_again(desk: Desk, url: str, sentence: str) -> None:
    said = await desk.refused("test", desk.receiver.url(url) if url.startswith("/") else url)
    assert re.fullmatch(sentence, said)
    [told] = await desk.listed()
    assert (told["state"], told["tries"], told["due"]) == ("failed", 1, None)
    assert len(desk.receiver.received) == (1 if url.startswith("/") else 0)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("hooks.test", "The address of the webhook is not an http or https URL. Send one that is."),
        ("ftp://hooks.test/", "The address of the webhook is not an http or https URL. Send one that is."),
        ("http://hooks.test/\x1b]0;x\x07", "The URL of the webhook does not name its host plainly. Write it out."),
        (
            "http://me:hunter2@hooks.test/",
            "The URL at hooks.test holds a name or a password. Name a webhook that needs neither.",
        ),
    ],
)
async def test_a_test_of_a_url_that_is_none_is_refused_and_leaves_nothing(desk: Desk, url: str, sentence: str) -> None:
    assert await desk.refused("test", url) == sentence
    assert await desk.listed() == []


async def test_a_test_that_is_replayed_is_sent_once_again_and_no_more(desk: Desk) -> None:
    await desk.refused("test", desk.receiver.url("/status/500"))
    [told] = await desk.listed()
    await desk.said("replay", told["id"])
    await desk.tried(told["id"], 2)
    [told] = await desk.listed()
    assert (told["state"], told["tries"], told["due"]) == ("failed", 1, None)


async def test_a_secret_is_printed_and_rotated(desk: Desk) -> None:
    old = await desk.said("secret")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", old)
    assert await desk.said("secret") == old
    assert await desk.said("secret", "--account", "studio b") != old
    new = await desk.said("rotate", "--hours", "0.5")
    assert new != old
    assert await desk.said("secret") == new
    await desk.said("test", desk.receiver.url("/during"))
    last = await desk.said("rotate", "--hours", "0")
    await desk.said("test", desk.receiver.url("/after"))
    during, after = desk.receiver.received
    for secret in (old, new):
        during.verify(secret.strip())
    after.verify(last.strip())
    assert len(after.headers["webhook-signature"].split()) == 1


async def test_hours_are_a_number(desk: Desk) -> None:
    run = await desk.run("rotate", "--hours", "nan")
    assert (run.returncode, run.stderr.splitlines()[-1]) == (
        2,
        "Error: Invalid value for --hours: nan is no number of hours.",
    )


@pytest.mark.parametrize("arguments", [["show", "msg_x"], ["replay", "msg_x"]], ids=" ".join)
async def test_an_unknown_delivery_is_told(desk: Desk, arguments: list[str]) -> None:
    assert await desk.refused(*arguments) == "There is no delivery msg_x; `rushes webhooks list` shows the ids."


@pytest.mark.parametrize("arguments", [["list"], ["test", "http://127.0.0.1"], ["secret"], ["rotate"]], ids=" ".join)
async def test_an_unknown_account_is_told(desk: Desk, arguments: list[str]) -> None:
    said = await desk.refused(*arguments, "--account", "nobody")
    assert said == "There is no account nobody; `rushes accounts list` shows them."
