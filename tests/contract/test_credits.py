"""AI credits: held at submit, charged when an item enters its library, exact, and never overspent."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from rushes import config, ids, store
from rushes.api.credits import _month
from rushes.errors import (
    InsufficientCredits,
    JobFinished,
    JobNotFinished,
    LeaseLost,
    ProviderFailed,
    TooMany,
)
from rushes.model import Balance, Image, ImageRequest, Item, Job, JobState, Kind, LedgerEntry, Request, VideoRequest
from rushes.store import accounts, credits, jobs
from rushes.studio import Studio
from tests.api.takes import VIDEOS, ended, submit
from tests.conftest import ENGINES, V1, Server, serving
from tests.contract.samples import job, new_account, submitted, video_of
from tests.contract.test_idempotency import taking_requests

T = TypeVar("T")

IMAGES = "/aistudio/images"
VIDEO = VideoRequest("a heron lifts off", "pixverse5.5", "9:16", 5)
"""1.6 x 5 = 8 credits."""
IMAGE = ImageRequest("a heron lifts off", "flux-schnell", "1:1")
"""0.6 credits."""
PRICES: dict[str, tuple[Request, Decimal]] = {
    "video": (VIDEO, Decimal(8)),
    "image": (IMAGE, Decimal("0.6")),
    "long": (VideoRequest("a heron lifts off", "pixverse5.5", "1:1", 8), Decimal("12.8")),
}
DAY_MS = 24 * 3600 * 1000
MOST_JOBS = 5
DEFAULT_LIMIT = Decimal(40)


@pytest.fixture(scope="module", params=ENGINES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """What it accepts stays under way."""
    with taking_requests(request, tmp_path_factory.mktemp("desk")) as server:
        yield server


@pytest.fixture
def named(desk: Server) -> str:
    """A new account, by its name."""
    return ids.uuid()


@pytest.fixture
def api(desk: Server, named: str) -> Iterator[httpx2.Client]:
    """A client of that account."""
    with desk.client(desk.key(named)) as client:
        yield client


def limit(server: Server, name: str, amount: Decimal | None) -> None:
    assert server.do(lambda studio: studio.money.set_credits(name, amount))


def image(api: httpx2.Client) -> httpx2.Response:
    return api.post(IMAGES, json={"prompt": "a heron lifts off", "model": "flux-schnell"})


def video(api: httpx2.Client) -> httpx2.Response:
    return api.post(VIDEOS, json={"prompt": "a heron lifts off"})


def job_ids(api: httpx2.Client) -> list[str]:
    return [item["data"]["jobId"] for item in api.get("/jobs").json()["items"]]


def quota(api: httpx2.Client) -> Any:
    return api.get("/quota").json()["aiCredits"]


async def at_once(server: Server, key: str, many: int, ask: Callable[[httpx2.AsyncClient], Any]) -> list[Any]:
    """Ask so many times at once, each over a connection of its own."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {"Authorization": key}
    async with httpx2.AsyncClient(
        base_url=server.url + V1, headers=headers, timeout=60, limits=limits, trust_env=False
    ) as client:
        return list(await asyncio.gather(*(ask(client) for _ in range(many))))


def made(job: Job, file_id: str, created: int) -> Item:
    """What a job makes."""
    if isinstance(job.request, VideoRequest):
        return video_of(job, file_id, created=created)
    return Image(file_id, job.account_id, job.id, job.request, created, 1024, 1024)


async def enter(studio: Studio, job: Job) -> Job:
    """Take a held job to its end, the good one."""
    for state in (JobState.SUBMITTING, JobState.WAITING, JobState.COLLECTING):
        job = await studio.keep(job, replace(job, state=state, ticket="ticket"))
    files = await studio.announce_files(job)
    return await studio.enter(job, made(job, files.file_id, await studio.now()))


async def bought(studio: Studio, account_id: str, request: Request) -> Job:
    """Something asked for, made and charged."""
    asked = await submitted(studio, account_id, request, "http://a.example")
    [held] = [each for each in await studio.turns.claim(ids.uuid(), 1000) if each.id == asked.id]
    return await enter(studio, held)


async def balance(studio: Studio, account_id: str) -> Balance:
    return await credits.balance(studio.store, account_id, studio.config.credits_per_month, await studio.now())


# "Credits are held at submit and charged when a video enters the library"


def test_credits_are_held_at_submit_and_are_free_again_when_the_job_ends_without_a_video(
    desk: Server, named: str, api: httpx2.Client
) -> None:
    limit(desk, named, Decimal(10))
    first = video(api)
    assert first.status_code == 200
    assert video(api).status_code == 402
    assert quota(api) == {"used": 0, "limit": 10}
    assert api.get("/aicredits/usage").json() == [], "holds are not ledger rows"
    job_id = first.json()["data"]["jobId"]
    assert api.post(f"/jobs/{job_id}/cancel").status_code == 200
    assert video(api).status_code == 200
    assert quota(api) == {"used": 0, "limit": 10}


def test_credits_are_charged_when_the_item_enters_its_library_and_a_failed_job_costs_nothing(server: Server) -> None:
    with server.client() as own:
        failing = submit(own, "goes wrong [sandbox: fail]")
        assert ended(own, failing)["data"]["status"] == "failed"
        assert quota(own)["used"] == 0
        assert own.get("/aicredits/usage").json() == []
        pictured = image(own).json()["data"]["jobId"]
        filmed = submit(own)
        for job_id, price in ((pictured, 0.6), (filmed, 8)):
            assert ended(own, job_id)["data"]["aiCreditsUsed"] == price
        assert quota(own)["used"] == 8.6
        lines = own.get("/aicredits/usage").json()
        told = {(line["type"], line["amount"], line["source"]) for line in lines}
        assert told == {("debit", 0.6, "Text-to-Image"), ("debit", 8, "Text-to-Video")}
        assert own.delete(f"/jobs/{filmed}/clean").status_code == 200
        assert quota(own)["used"] == 8.6, "what was made was paid for"


@pytest.mark.anyio
async def test_the_month_is_the_calendars_in_utc(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    await at(studio, datetime(2026, 12, 31, 23, 59, 0, tzinfo=UTC))
    under_way = await submitted(studio, account_id, IMAGE, "http://a.example")
    [held] = await studio.turns.claim("worker", 1)
    await bought(studio, account_id, VIDEO)
    assert await balance(studio, account_id) == (Decimal(8), Decimal("0.6"), Decimal(1_000_000))
    await at(studio, datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert await balance(studio, account_id) == (Decimal(0), Decimal("0.6"), Decimal(1_000_000))
    # What was asked for last month is charged in the month it enters in.
    assert (await enter(studio, held)).id == under_way.id
    assert await balance(studio, account_id) == (Decimal("0.6"), Decimal(0), Decimal(1_000_000))


async def at(studio: Studio, moment: datetime) -> None:
    """Move the database's clock there."""
    studio.store.clock_shift += int(moment.timestamp() * 1000) - await studio.now()


@pytest.mark.anyio
async def test_a_new_month_has_room_again(studio: Studio) -> None:
    account_id = await limited(studio, Decimal(10))
    await at(studio, datetime(2027, 4, 30, 12, tzinfo=UTC))
    await bought(studio, account_id, VIDEO)
    with pytest.raises(InsufficientCredits):
        await studio.submit(account_id, VIDEO, "http://a.example")
    await at(studio, datetime(2027, 5, 1, 0, 0, 1, tzinfo=UTC))
    await bought(studio, account_id, VIDEO)
    with pytest.raises(InsufficientCredits):
        await studio.submit(account_id, VIDEO, "http://a.example")


async def limited(studio: Studio, amount: Decimal) -> str:
    """A new account with a limit of its own, by its id."""
    name = ids.uuid()
    async with studio.store.write() as tx:
        account = await accounts.named(tx, name)
    assert await studio.money.set_credits(name, amount)
    return account.id


@pytest.mark.anyio
async def test_a_charge_that_was_late_for_its_month_does_not_lose_what_the_next_month_has_spent(
    studio: Studio, tmp_path: Path, database_url: str | None
) -> None:
    """A change has the time of its beginning: one begun before midnight may come to the row after one begun later."""
    account_id = await limited(studio, Decimal(20))
    await at(studio, datetime(2027, 6, 1, 0, 0, 30, tzinfo=UTC))
    late = await submitted(studio, account_id, IMAGE, "http://a.example")
    [held] = await studio.turns.claim("worker", 1)
    await bought(studio, account_id, VIDEO)
    june = studio.store.clock_shift
    studio.store.clock_shift -= 60_000
    assert (await enter(studio, held)).id == late.id
    with pytest.raises(InsufficientCredits):
        await studio.submit(account_id, PRICES["long"][0], "http://a.example")
    studio.store.clock_shift = june
    assert (await balance(studio, account_id)).spent == Decimal(8)
    with pytest.raises(InsufficientCredits):
        await studio.submit(account_id, PRICES["long"][0], "http://a.example")


# "an account without a limit of its own has the server's default, a number"


def test_an_account_without_a_limit_of_its_own_has_the_servers_default_a_number(
    tmp_path: Path, database_url: str | None
) -> None:
    setting = {"RUSHES_CREDITS_PER_MONTH": "12.5"}
    with serving(tmp_path / "data", database_url, "--no-worker", settings=setting) as server:
        name = ids.uuid()
        with server.client(server.key(name)) as own:
            assert quota(own) == {"used": 0, "limit": 12.5}
            assert [video(own).status_code, video(own).status_code] == [200, 402]
            limit(server, name, Decimal(16))
            assert quota(own) == {"used": 0, "limit": 16}
            assert [video(own).status_code, video(own).status_code] == [200, 402]
            limit(server, name, Decimal(15))
            assert image(own).status_code == 402, "a limit below what is held lets nothing in"
            limit(server, name, None)
            assert quota(own) == {"used": 0, "limit": 12.5}
            limit(server, name, Decimal(0))
            assert quota(own) == {"used": 0, "limit": 0}


def test_a_limit_for_an_account_that_is_not_there_is_told(desk: Server) -> None:
    assert desk.do(lambda studio: studio.money.set_credits("nobody", Decimal(1))) is False


# '402 {"code":"INSUFFICIENT_CREDITS","message":…}: nothing was queued'


@pytest.mark.parametrize("ask", [video, image])
def test_without_room_it_is_402_with_a_code_and_a_sentence_and_nothing_was_queued(
    desk: Server, named: str, api: httpx2.Client, ask: Callable[[httpx2.Client], httpx2.Response]
) -> None:
    limit(desk, named, Decimal("0.599999"))
    answer = ask(api)
    assert answer.status_code == 402
    assert list(answer.json()) == ["code", "message"]
    assert answer.json()["code"] == "INSUFFICIENT_CREDITS"
    assert "0.599999" in answer.json()["message"]
    assert job_ids(api) == []
    assert desk.do(lambda studio: counters(studio, named)) == (0, 0)


async def counters(studio: Studio, name: str) -> tuple[int, int]:
    """Millionths held, and jobs under way."""
    [(held, under_way)] = await studio.store.rows("SELECT held, under_way FROM accounts WHERE name = :name", name=name)
    return int(held), int(under_way)


def test_exactly_what_is_left_can_be_spent(desk: Server, named: str, api: httpx2.Client) -> None:
    limit(desk, named, Decimal("1.8"))
    assert [image(api).status_code for _ in range(4)] == [200, 200, 200, 402]


# "no way to overspend by racing"


def test_200_submits_at_once_against_a_limit_of_10_take_exactly_what_fits(desk: Server, named: str) -> None:
    key = desk.key(named)
    limit(desk, named, Decimal(10))

    async def one(client: httpx2.AsyncClient) -> int:
        answer = await client.post(IMAGES, json={"prompt": "a heron lifts off", "model": "flux-schnell"})
        return answer.status_code

    statuses = Counter(asyncio.run(at_once(desk, key, 200, one)))
    assert statuses == {200: 16, 402: 184}
    with desk.client(key) as own:
        assert len(job_ids(own)) == 16
        assert quota(own) == {"used": 0, "limit": 10}
    assert desk.do(lambda studio: counters(studio, named)) == (9_600_000, 16)


# jobs_per_account


def test_too_many_jobs_under_way_are_429_with_retry_after_and_nothing_queued(
    tmp_path: Path, database_url: str | None
) -> None:
    setting = {"RUSHES_JOBS_PER_ACCOUNT": "3"}
    with serving(tmp_path / "data", database_url, "--no-worker", settings=setting) as server:
        key = server.key()

        async def one(client: httpx2.AsyncClient) -> httpx2.Response:
            return await client.post(VIDEOS, json={"prompt": "a heron lifts off"})

        answers = asyncio.run(at_once(server, key, 40, one))
        assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 37}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.content == b'{"message":"Too Many Requests"}'
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        with server.client(key) as own, server.client() as other:
            assert len(job_ids(own)) == 3
            assert video(other).status_code == 200, "another account's jobs do not count"
            assert own.post(f"/jobs/{job_ids(own)[0]}/cancel").status_code == 200
            assert [video(own).status_code, image(own).status_code] == [200, 429]
            assert len(job_ids(own)) == 4


def test_room_comes_back_when_a_job_completes_and_when_one_fails(tmp_path: Path, database_url: str | None) -> None:
    setting = {"RUSHES_JOBS_PER_ACCOUNT": "1"}
    with serving(tmp_path / "data", database_url, settings=setting) as server, server.client() as own:
        for prompt in ("goes wrong [sandbox: fail]", "a heron lifts off", "a heron lifts off"):
            answer = own.post(IMAGES, json={"prompt": prompt})
            assert answer.status_code == 200, answer.text
            ended(own, answer.json()["data"]["jobId"])


# GET /quota


def test_the_quota_is_told_to_the_byte(desk: Server, named: str, api: httpx2.Client) -> None:
    limit(desk, named, Decimal(22000))
    desk.do(lambda studio: spend(studio, named, [Decimal(690)]))
    assert api.get("/quota").content == (
        b'{"videoMinutes":{"used":0,"limit":0},"transcriptionMinutes":{"used":0,"limit":0},'
        b'"elevenLabsVoiceOverMinutes":{"used":0,"limit":0},"aiCredits":{"used":690,"limit":22000}}'
    )


async def spend(studio: Studio, name: str, amounts: list[Decimal], request: Request = VIDEO) -> None:
    """Charge amounts, one after the other."""
    async with studio.store.write() as tx:
        account = await accounts.named(tx, name)
        for amount in amounts:
            each = job(account.id, request=request, credits=amount)
            await credits.hold(tx, each, studio.config.credits_per_month, 10)
            await credits.charge(tx, each)


async def ledger(studio: Studio, account_id: str) -> list[LedgerEntry]:
    """All of an account's lines."""
    return [entry async for some in credits.entries(studio.store, account_id, 0, 2**60) for entry in some]


@pytest.mark.parametrize(
    ("amount", "many", "told"),
    [("0.6", 3000, "1800"), ("1.6", 2001, "3201.6"), ("4.1", 3, "12.3"), ("0.000249", 1001, "0.249249")],
)
def test_thousands_of_charges_sum_exactly(
    desk: Server, named: str, api: httpx2.Client, amount: str, many: int, told: str
) -> None:
    desk.do(lambda studio: spend(studio, named, [Decimal(amount)] * many))
    used = json.loads(api.get("/quota").text, parse_float=Decimal)["aiCredits"]["used"]
    assert used == Decimal(told)
    lines = json.loads(api.get("/aicredits/usage").text, parse_float=Decimal)
    names = [line["transactionId"] for line in lines]
    assert names == sorted(names, reverse=True), "newest first, those of one moment too"
    assert {line["amount"] for line in lines} == {Decimal(amount)}
    assert sum(line["amount"] for line in lines) == Decimal(told)


# GET /aicredits/usage?year=&month=

LINE = ["transactionId", "type", "amount", "source", "description", "plan", "transactionDate"]


def test_the_usage_is_a_bare_array_newest_first_with_these_members(
    desk: Server, named: str, api: httpx2.Client
) -> None:
    desk.do(lambda studio: spend(studio, named, [Decimal("0.6")], IMAGE))
    desk.do(lambda studio: spend(studio, named, [Decimal(8)]))
    lines = api.get("/aicredits/usage").json()
    assert [list(line) for line in lines] == [LINE, LINE]
    assert [line["source"] for line in lines] == ["Text-to-Video", "Text-to-Image"]
    assert [line["amount"] for line in lines] == [8, 0.6]
    for line in lines:
        assert line["type"] in ("debit", "credit")
        assert re.fullmatch(r"[0-9]{17}[0-9a-f]{32}", line["transactionId"])
        written = re.sub(r"[^0-9]", "", line["transactionDate"])
        assert line["transactionId"].startswith(written)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["transactionDate"])
        assert line["description"]
        assert line["plan"]
    assert len({line["transactionId"] for line in lines}) == 2


def test_usage_is_of_one_month_this_one_unless_another_is_named(desk: Server, named: str, api: httpx2.Client) -> None:
    """Default this month; a month alone means this year."""
    now = datetime.now(UTC)
    moments = [
        datetime(2025, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC),
    ]
    for moment in moments:
        desk.do(partial(spend_at, name=named, moment=moment))
    desk.do(lambda studio: spend(studio, named, [Decimal(7)]))
    assert dates(api, "year=2025&month=12") == ["2025-12-31T23:59:59.999Z"]
    assert dates(api, "year=2026&month=1") == ["2026-01-01T00:00:00.000Z"]
    assert dates(api, "year=2026&month=01") == ["2026-01-01T00:00:00.000Z"]
    assert dates(api, "year=2024&month=2") == ["2024-02-29T23:59:59.999Z"]
    assert dates(api, "year=2024&month=3") == []
    assert dates(api, f"month={now.month}") == dates(api, "") == dates(api, "year=&month=")
    assert [date[:7] for date in dates(api, "")] == [f"{now:%Y-%m}"]


def test_a_month_alone_is_of_the_year_that_it_is() -> None:
    def told(*day: int) -> int:
        return int(datetime(*day, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]

    assert _month(b"month=3", told(2031, 6, 1)) == (told(2031, 3, 1), told(2031, 4, 1))
    assert _month(b"", told(2031, 12, 31)) == (told(2031, 12, 1), told(2032, 1, 1))


async def spend_at(studio: Studio, name: str, moment: datetime) -> None:
    async with studio.store.write() as tx:
        account = await accounts.named(tx, name)
        each = job(account.id, credits=Decimal(1))
        await credits.hold(tx, each, studio.config.credits_per_month, 10)
        tx.now = int(moment.timestamp() * 1000)
        await credits.charge(tx, each)


def dates(api: httpx2.Client, query: str) -> list[str]:
    return [line["transactionDate"] for line in api.get(f"/aicredits/usage?{query}").raise_for_status().json()]


@pytest.mark.parametrize(
    ("query", "named_field"),
    [
        ("year=2026", "month"),
        ("year=2026&month=", "month"),
        ("month=13", "month"),
        ("month=0", "month"),
        ("month=jan", "month"),
        ("month=-1", "month"),
        ("month=1.5", "month"),
        ("year=x&month=1", "year"),
        ("year=0&month=1", "year"),
        ("year=99999&month=1", "year"),
        ("month=%D9%A3", "month"),
    ],
)
def test_a_year_alone_or_what_is_no_month_is_400(api: httpx2.Client, query: str, named_field: str) -> None:
    """A year alone is 400 INVALID_REQUEST."""
    answer = api.get(f"/aicredits/usage?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
    assert [field["name"] for field in answer.json()["fields"]] == [named_field]


def test_another_accounts_ledger_is_not_seen(desk: Server, named: str, api: httpx2.Client) -> None:
    desk.do(lambda studio: spend(studio, ids.uuid(), [Decimal(7)]))
    assert api.get("/aicredits/usage").content == b"[]"
    assert quota(api)["used"] == 0


# "spent, held, under_way and ledger always agree"


class Books(RuleBasedStateMachine):
    """Jobs of one account that are asked for, fail, are cancelled, enter and are cleaned in any order, in any month."""

    runner: asyncio.Runner
    studio: Studio

    def __init__(self) -> None:
        super().__init__()
        self.name = ids.uuid()
        self.limit: Decimal | None = None
        self.spent = Counter[int]()  # in millionths, as a dict of months
        self.open: dict[str, Decimal] = {}
        self.held: dict[str, Job] = {}
        self.over: dict[str, str] = {}

    def do(self, act: Awaitable[T]) -> T:
        async def it() -> T:
            return await act

        return self.runner.run(it())

    @initialize()
    def begin(self) -> None:
        self.do(self.studio.create_key(self.name, ""))
        account = self.do(accounts.find(self.studio.store, self.name))
        assert account
        self.account_id = account.id

    @property
    def month(self) -> int:
        moment = datetime.fromtimestamp(self.do(self.studio.now()) / 1000, UTC)
        return moment.year * 12 + moment.month

    @rule(what=st.sampled_from(sorted(PRICES)))
    def ask(self, what: str) -> None:
        request, price = PRICES[what]
        room = DEFAULT_LIMIT if self.limit is None else self.limit
        needed = Decimal(self.spent[self.month]) / 1_000_000 + sum(self.open.values()) + price
        if len(self.open) >= MOST_JOBS:
            with pytest.raises(TooMany):
                self.do(self.studio.submit(self.account_id, request, "http://a.example"))
        elif needed > room:
            with pytest.raises(InsufficientCredits):
                self.do(self.studio.submit(self.account_id, request, "http://a.example"))
        else:
            self.open[self.do(submitted(self.studio, self.account_id, request, "http://a.example")).id] = price

    @rule()
    def claim(self) -> None:
        claimed = self.do(self.studio.turns.claim(ids.uuid(), 1000))
        self.held.update({job.id: job for job in claimed if job.id in self.open})

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        if held := self.pick(data, self.held):
            self.end(held, self.studio.fail(self.held.pop(held), ProviderFailed("It broke; try again.")))

    @rule(data=st.data())
    def enter(self, data: st.DataObject) -> None:
        if held := self.pick(data, self.held):
            price = self.open.get(held)
            self.end(held, enter(self.studio, self.held.pop(held)))
            if price is not None:
                self.spent[self.month] += int(price * 1_000_000)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Also what a worker holds: it finds out when it comes back."""
        if asked := self.pick(data, {**self.open, **self.over}):
            if asked in self.over:
                with pytest.raises(JobFinished):
                    self.do(self.studio.cancel_job(self.account_id, asked))
            else:
                self.do(self.studio.cancel_job(self.account_id, asked))
                self.open.pop(asked)
                self.over[asked] = ""

    @rule(data=st.data())
    def clean(self, data: st.DataObject) -> None:
        if asked := self.pick(data, {**self.open, **self.over}):
            if asked in self.open:
                with pytest.raises(JobNotFinished):
                    self.do(self.studio.clean_job(self.account_id, asked))
            else:
                self.do(self.studio.clean_job(self.account_id, asked))

    @rule(amount=st.one_of(st.none(), st.decimals(0, 60, places=1)))
    def limit_it(self, amount: Decimal | None) -> None:
        assert self.do(self.studio.money.set_credits(self.name, amount))
        self.limit = amount

    @rule()
    def next_month(self) -> None:
        self.studio.store.clock_shift += 31 * DAY_MS

    def pick(self, data: st.DataObject, among: dict[str, Any]) -> str | None:
        """One of them by its place, because ids are others in each run."""
        return list(among)[data.draw(st.integers(0, len(among) - 1))] if among else None

    def end(self, job_id: str, act: Awaitable[Job]) -> None:
        if job_id in self.open:
            self.do(act)
            self.open.pop(job_id)
            self.over[job_id] = ""
        else:
            with pytest.raises(LeaseLost):
                self.do(act)

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "account_id"):
            return
        spent = Decimal(self.spent[self.month]) / 1_000_000
        limit = DEFAULT_LIMIT if self.limit is None else self.limit
        assert self.do(balance(self.studio, self.account_id)) == (spent, sum(self.open.values()), limit)
        assert self.under_way() == len(self.open) == self.open_rows()
        entries = self.do(ledger(self.studio, self.account_id))
        by_month = Counter[int]()
        for entry in entries:
            moment = datetime.fromtimestamp(entry.created / 1000, UTC)
            by_month[moment.year * 12 + moment.month] += int(entry.amount * 1_000_000)
        assert +by_month == +self.spent

    def under_way(self) -> int:
        sql = "SELECT under_way FROM accounts WHERE id = :id"
        [(found,)] = self.do(self.studio.store.rows(sql, id=self.account_id))
        return int(found)

    def open_rows(self) -> int:
        sql = "SELECT count(*) FROM jobs WHERE account_id = :id AND ended IS NULL"
        [(found,)] = self.do(self.studio.store.rows(sql, id=self.account_id))
        return int(found)

    def teardown(self) -> None:
        for job_id in self.open:
            self.do(self.studio.cancel_job(self.account_id, job_id))


def test_spent_held_under_way_and_ledger_always_agree(tmp_path: Path, database_url: str | None) -> None:
    told = config.load(
        data=tmp_path, database_url=database_url, credits_per_month=DEFAULT_LIMIT, jobs_per_account=MOST_JOBS
    )
    with asyncio.Runner() as runner:
        opening = Studio.open(told)
        studio = runner.run(_entered(opening.__aenter__()))
        runner.run(at(studio, datetime(2027, 1, 15, 12, tzinfo=UTC)))
        Books.runner, Books.studio = runner, studio
        try:
            run_state_machine_as_test(
                Books,
                settings=settings(
                    max_examples=15,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(_entered(opening.__aexit__(None, None, None)))


async def _entered(act: Awaitable[T]) -> T:
    return await act


@pytest.mark.anyio
async def test_many_ends_at_once_leave_the_books_right(
    studio: Studio, tmp_path: Path, database_url: str | None
) -> None:
    """Entries, failures and cancellations of one account from several processes' stores at the same time."""
    account_id = await new_account(studio.store)
    for number in range(30):
        await studio.submit(account_id, (VIDEO, IMAGE)[number % 2], "http://a.example")
    held = await studio.turns.claim("worker", 100)
    other = replace(studio, store=await store.open(tmp_path, database_url))
    acts = [
        (enter, _fail, _cancel)[number % 3]((studio, other)[number // 3 % 2], job) for number, job in enumerate(held)
    ]
    acts += [_cancel((studio, other)[number % 2], job) for number, job in enumerate(held)]
    outcome = await asyncio.gather(*acts, return_exceptions=True)
    await other.store.close()
    assert {type(end) for end in outcome if isinstance(end, BaseException)} <= {LeaseLost, JobFinished}
    rows = [await jobs.get(studio.store, account_id, job.id) for job in held]
    entered = [job for job in rows if job and job.state is JobState.COMPLETED]
    assert all(job and job.state.ended for job in rows)
    spent = sum((job.credits for job in entered), Decimal(0))
    assert await balance(studio, account_id) == (spent, Decimal(0), Decimal(1_000_000))
    assert await studio.store.rows("SELECT held, under_way FROM accounts") == [(0, 0)]
    entries = await ledger(studio, account_id)
    assert sum(entry.amount for entry in entries) == spent
    assert Counter(entry.source for entry in entries) == Counter(
        {Kind.VIDEO: "Text-to-Video", Kind.IMAGE: "Text-to-Image"}[job.kind] for job in entered
    )


async def _fail(studio: Studio, job: Job) -> Job:
    return await studio.fail(job, ProviderFailed("It broke; try again."))


async def _cancel(studio: Studio, job: Job) -> Job:
    await studio.cancel_job(job.account_id, job.id)
    return job
