"""A database that version 0.1 wrote (migrations 1 to 3) becomes today's, with everything in its place.

What that version wrote is spelled out here by hand: nothing of today's code may decide how it looked.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rushes import ids, store
from rushes.model import JobState, Kind, timestamp
from rushes.store import Store, Transaction, changes
from rushes.store.library import VIDEOS
from rushes.store.migrations import migrate, migrations
from tests.api.takes import ended
from tests.conftest import serving

LAST = 3
NOON = 1_775_000_000_000
SECRET = "5e" * 32
_TABLE = (
    "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied BIGINT NOT NULL)"
)

PROMPTS = [
    'a "quoted" heron',
    "back\\slash, \\u0041 and \\\\ two",
    "„leise“ 🎬 ñ 日本語 \u2028 line",
    "control \x01 \x1f and\ttab\nline",
    '"model":"none","aspectRatio":"7:7"',
    "it's 'single'; DROP TABLE videos; --",
    "$now :name %s %(x)s {item}",
    "ends with a backslash\\",
    '","model":"none',
    "a" * 5000,
]
MODELS = {"pixverse5.5": ("9:16", 720, 1280), "veo3.1": ("16:9", 1920, 1080), 'own/model "x"': ("1:1", 64, 64)}
OPEN = ["queued", "submitting", "waiting", "collecting"]
ENDED = ["completed", "failed", "cancelled", "cleaned"]
STATUS = {**dict.fromkeys(OPEN, "in-progress"), "cancelled": "failed"}
STATUS |= {state: state for state in ("completed", "failed", "cleaned")}


@dataclass
class OldVideo:
    """An item as it was stored."""

    id: str
    created: int
    file_id: str
    prompt: str
    model: str
    extra: dict[str, object]
    job_id: str | None = None

    def text(self, account_id: str) -> bytes:
        """The text that version 0.1 made of it."""
        ratio, width, height = MODELS[self.model]
        stem = f"\x01/videos/user/{account_id}/{self.file_id}"
        members = {
            "url": f"{stem}.mp4",
            "id": self.id,
            "prompt": self.prompt,
            "aspectRatio": ratio,
            "createdDate": timestamp(self.created),
            "model": self.model,
            "width": width,
            "height": height,
            "duration": "5s",
            "previewImageUrl": f"{stem}_preview.jpg",
            "thumbnailImageUrl": f"{stem}_thumbnail.jpg",
            "lastFrameImageUrl": f"{stem}_last_frame.png",
            **self.extra,
        }
        return ("{" + ",".join(_member(name, value) for name, value in members.items()) + "}").encode()


def _member(name: str, value: object) -> str:
    # Our own links stood there raw, behind the character that JSON never holds.
    if isinstance(value, str) and value.startswith("\x01/"):
        return f'"{name}":"{value}"'
    return f'"{name}":{json.dumps(value, ensure_ascii=False, separators=(",", ":"))}'


@dataclass
class OldJob:
    """A job as it was stored."""

    id: str
    state: str
    credits: str
    item_id: str

    @property
    def request(self) -> str:
        asked: dict[str, Any] = {
            "prompt": PROMPTS[2],
            "model": "pixverse5.5",
            "aspect_ratio": "9:16",
            "seconds": 5,
            "first_frame_image_url": None,
            "extend_video_url": None,
            "reference_image_urls": [],
            "webhook": None,
        }
        return json.dumps(asked, ensure_ascii=False)

    @property
    def ticket(self) -> str | None:
        if self.state not in ("waiting", "collecting"):
            return None
        facts: dict[str, Any] = {"model": "pixverse5.5", "prompt": PROMPTS[2], "width": 720, "height": 1280}
        return json.dumps({**facts, "seconds": 5, "submitted": 1775000000.0, "opening": None, "references": []})


@dataclass
class OldAccount:
    """An account with what it had."""

    name: str
    revision: int
    videos: list[OldVideo] = field(default_factory=list)
    jobs: list[OldJob] = field(default_factory=list)
    id: str = field(default_factory=ids.uuid)
    key: str = field(default_factory=ids.key)

    @property
    def oldest_first(self) -> list[OldVideo]:
        return sorted(self.videos, key=lambda video: (video.created, video.id))

    @property
    def open(self) -> list[OldJob]:
        return [job for job in self.jobs if job.state in OPEN]


def _videos(many: int, moments: Sequence[int], dice: random.Random) -> list[OldVideo]:
    """So many videos, most of which share their time with others."""
    extras: list[dict[str, object]] = [
        {},
        {"firstFrameImageUrl": 'https://a.example/ü.png?q="1"'},
        {"referenceImageUrls": ["https://a.example/1.png", "https://a.example/2.png"]},
        {"extendVideoUrl": "https://a.example/v.mp4"},
    ]
    made = [
        OldVideo(
            id=f"20260331233320000{dice.getrandbits(64):016x}",
            created=dice.choice(moments),
            file_id=ids.uuid(),
            prompt=PROMPTS[number % len(PROMPTS)],
            model=list(MODELS)[number % len(MODELS)],
            extra=extras[number % len(extras)],
        )
        for number in range(many)
    ]
    dice.shuffle(made)
    return made


def _jobs(states: Sequence[str], prices: Sequence[str]) -> list[OldJob]:
    return [
        OldJob(ids.uuid(), state, prices[number % len(prices)], ids.item_id(NOON + number))
        for number, state in enumerate(states)
    ]


def _past() -> list[OldAccount]:
    dice = random.Random(3)
    past = [
        OldAccount("many", 251, _videos(251, [NOON, NOON, NOON + 1, NOON - 5, NOON + 90], dice)),
        OldAccount("same time", 40, _videos(12, [NOON], dice), _jobs(ENDED, ["8.0"])),
        OldAccount("busy", 0, [], _jobs([*OPEN, *ENDED[1:], *OPEN], ["8.0", "12.8", "1.6", "0.1", "80"])),
        OldAccount("many jobs", 1, _videos(1, [NOON], dice), _jobs(["waiting"] * 500, ["0.1", "1.6", "0.7"])),
        OldAccount("empty", 0),
    ]
    past[1].videos[5].job_id = past[1].jobs[0].id
    return past


async def _write(opened: Store, past: list[OldAccount]) -> None:
    """A database as version 0.1 left it."""
    async with opened.write() as tx:
        await tx.rows(_TABLE)
        for migration in migrations(opened.engine):
            if migration.number <= LAST:
                for statement in migration.statements:
                    await tx.rows(statement)
                note = "INSERT INTO migrations (number, name, applied) VALUES (:number, :name, :now)"
                await tx.rows(note, number=migration.number, name=migration.name, now=tx.now)
        await tx.rows("INSERT INTO server (name, value) VALUES ('page tokens', :value)", value=SECRET)
        for account in past:
            await _write_account(tx, account)


async def _write_account(tx: Transaction, account: OldAccount) -> None:
    await tx.rows(
        "INSERT INTO accounts (id, name, created, revision) VALUES (:id, :name, :now, :revision)",
        id=account.id,
        name=account.name,
        now=NOON,
        revision=account.revision,
    )
    await tx.rows(
        "INSERT INTO keys (id, hash, account_id, label, created) VALUES (:id, :hash, :account_id, '', :now)",
        id=ids.uuid(),
        hash=hashlib.sha256(account.key.encode()).hexdigest(),
        account_id=account.id,
        now=NOON,
    )
    for job in account.jobs:
        await _write_job(tx, account.id, job)
    for video in account.videos:
        await tx.rows(
            "INSERT INTO videos (account_id, created, id, file_id, job_id, item) "
            "VALUES (:account_id, :created, :id, :file_id, :job_id, :item)",
            account_id=account.id,
            created=video.created,
            id=video.id,
            file_id=video.file_id,
            item=video.text(account.id),
            job_id=video.job_id,
        )


async def _write_job(tx: Transaction, account_id: str, job: OldJob) -> None:
    over = job.state in ENDED
    error = ("PROVIDER_ERROR", "It broke.") if job.state in ("failed", "cancelled") else (None, None)
    await tx.rows(
        "INSERT INTO jobs (id, account_id, item_id, request, origin, credits, created, state, run_at, attempt, tries, "
        "ticket, submitted, error_code, error_message, ended) VALUES (:id, :account_id, :item_id, :request, "
        "'http://a.example', :credits, :now, :state, :run_at, 1, 0, :ticket, :submitted, :code, :message, :ended)",
        id=job.id,
        account_id=account_id,
        item_id=job.item_id,
        request=job.request,
        credits=job.credits,
        now=tx.now,
        state=job.state,
        run_at=None if over else tx.now,
        ticket=job.ticket,
        submitted=tx.now if job.ticket else None,
        code=error[0],
        message=error[1],
        ended=tx.now if over else None,
    )
    if job.state == "collecting":
        await tx.rows(
            "INSERT INTO drafts (file_id, account_id, job_id, created) VALUES (:file_id, :account_id, :job_id, :now)",
            file_id=ids.uuid(),
            account_id=account_id,
            job_id=job.id,
            now=NOON,
        )


@pytest.fixture
def past(tmp_path: Path, database_url: str | None) -> list[OldAccount]:
    """What a database of each engine holds that version 0.1 wrote."""

    async def write() -> None:
        opened = await store.connect(tmp_path / "data", database_url)
        await _write(opened, written)
        assert [row[0] for row in await opened.rows("SELECT number FROM migrations ORDER BY number")] == [1, 2, 3]
        await opened.close()

    written = _past()
    asyncio.run(write())
    return written


@pytest.fixture
async def upgraded(past: list[OldAccount], tmp_path: Path, database_url: str | None) -> AsyncIterator[Store]:
    """The same, opened by today's Rushes."""
    opened = await store.open(tmp_path / "data", database_url)
    yield opened
    await opened.close()


@pytest.mark.anyio
async def test_it_is_brought_up_to_date_once(upgraded: Store) -> None:
    known = [migration.number for migration in migrations(upgraded.engine)]
    assert [row[0] for row in await upgraded.rows("SELECT number FROM migrations ORDER BY number")] == known
    assert await migrate(upgraded) == []


@pytest.mark.anyio
async def test_model_and_ratio_are_those_in_the_items_text(past: list[OldAccount], upgraded: Store) -> None:
    for account in past:
        sql = "SELECT id, model, aspect_ratio FROM videos WHERE account_id = :id"
        found = {row[0]: row[1:] for row in await upgraded.rows(sql, id=account.id)}
        assert found == {video.id: (video.model, MODELS[video.model][0]) for video in account.videos}


@pytest.mark.anyio
async def test_stored_items_are_untouched_to_the_byte(past: list[OldAccount], upgraded: Store) -> None:
    for account in past:
        sql = "SELECT id, item FROM videos WHERE account_id = :id"
        found = {row[0]: bytes(row[1]) for row in await upgraded.rows(sql, id=account.id)}
        assert found == {video.id: video.text(account.id) for video in account.videos}


@pytest.mark.anyio
async def test_revisions_count_the_items_in_the_order_in_which_they_were_made(
    past: list[OldAccount], upgraded: Store
) -> None:
    for account in past:
        sql = "SELECT id, revision FROM videos WHERE account_id = :id ORDER BY revision"
        found = await upgraded.rows(sql, id=account.id)
        assert found == [(video.id, number) for number, video in enumerate(account.oldest_first, 1)]
        [(revision,)] = await upgraded.rows("SELECT revision FROM accounts WHERE id = :id", id=account.id)
        assert revision >= max(account.revision, len(account.videos))
        if account.videos:
            assert revision > account.revision, "a copy of a page from before is not taken for today's"


@pytest.mark.anyio
async def test_the_change_feed_lists_everything_oldest_first(past: list[OldAccount], upgraded: Store) -> None:
    for account in past:
        listed = await changes.after(upgraded, account.id, 0, 10_000)
        told = [(change.kind, change.item_id, change.created, bytes(change.item or b"")) for change in listed]
        assert told == [(Kind.VIDEO, video.id, video.created, video.text(account.id)) for video in account.oldest_first]


@pytest.mark.anyio
async def test_what_is_added_or_deleted_afterwards_comes_after_it(past: list[OldAccount], upgraded: Store) -> None:
    for account in past[:2]:
        gone = account.oldest_first[0]
        async with upgraded.write() as tx:
            assert await VIDEOS.remove(tx, account.id, gone.id)
        listed = await changes.after(upgraded, account.id, 0, 10_000)
        assert (listed[-1].item_id, listed[-1].item) == (gone.id, None)
        assert [change.item_id for change in listed[:-1]] == [video.id for video in account.oldest_first[1:]]


@pytest.mark.anyio
async def test_jobs_under_way_and_what_they_hold_are_counted(past: list[OldAccount], upgraded: Store) -> None:
    for account in past:
        sql = "SELECT under_way, held, spent, month, credit_limit FROM accounts WHERE id = :id"
        [counted] = await upgraded.rows(sql, id=account.id)
        millionths = sum(round(float(job.credits) * 10) * 100_000 for job in account.open)
        assert counted == (len(account.open), millionths, 0, 0, None), account.name


@pytest.mark.anyio
async def test_every_job_is_what_it_was(past: list[OldAccount], upgraded: Store) -> None:
    from rushes.store import jobs

    for job in past[2].jobs:
        row = await jobs.get(upgraded, past[2].id, job.id)
        assert row
        assert (row.state, row.kind, row.item_id, str(row.credits)) == (job.state, Kind.VIDEO, job.item_id, job.credits)
        assert (row.ticket, row.cost, row.set_back, row.request.prompt) == (job.ticket, None, None, PROMPTS[2])


def _token(account_id: str, video: OldVideo) -> str:
    """The token that version 0.1 gave out for what follows a video."""
    context = f"{account_id}\x00videos\x00".encode()
    key = hashlib.blake2b(context, key=bytes.fromhex(SECRET)).digest()
    body = b"\x01" + video.created.to_bytes(8, signed=True) + video.id.encode()
    mac = hashlib.blake2b(body, key=key, digest_size=16).digest()
    return base64.urlsafe_b64encode(mac + body).rstrip(b"=").decode()


def _pages(account: OldAccount, origin: str) -> Iterator[tuple[str, bytes]]:
    """Each page that version 0.1 gave: its token, and its bytes."""
    newest, token = account.oldest_first[::-1], ""
    for start in range(0, max(len(newest), 1), 100):
        page, more = newest[start : start + 100], len(newest) > start + 100
        items = b",".join(video.text(account.id).replace(b"\x01", origin.encode()) for video in page)
        after = _token(account.id, page[-1]) if more else ""
        yield token, b'{"items":[' + items + (b'],"nextPageKey":"' + after.encode() + b'"}' if more else b"]}")
        token = after


def test_pages_and_tokens_are_the_same_and_open_jobs_go_on(
    past: list[OldAccount], tmp_path: Path, database_url: str | None
) -> None:
    settings = {"RUSHES_LEASE_SECONDS": "2"}
    with serving(tmp_path / "data", database_url, "--no-worker", settings=settings) as server:
        for account in past:
            with server.client(account.key) as api:
                for token, page in _pages(account, server.url):
                    answer = api.get("/aistudio/videos", params={"nextPageKey": token} if token else {})
                    assert (answer.status_code, answer.content) == (200, page)
        for account in past[1:3]:
            with server.client(account.key) as api:
                told = [api.get(f"/jobs/{job.id}").json()["data"]["status"] for job in account.jobs]
                assert told == [STATUS[job.state] for job in account.jobs]
        server.do(_forget_others)
    with serving(tmp_path / "data", database_url, settings=settings) as server, server.client(past[2].key) as api:
        for job in past[2].open:
            assert ended(api, job.id)["data"]["status"] == "completed"
        made = {item["id"] for item in api.get("/aistudio/videos").json()["items"]}
        assert made == {job.item_id for job in past[2].open}
        assert api.get("/quota").json()["aiCredits"]["used"] == round(
            sum(float(job.credits) for job in past[2].open), 1
        )
        listed = api.get("/aistudio/changes").json()["changes"]
        assert {change["id"] for change in listed} == made


async def _forget_others(studio: Any) -> None:
    """Only a few of the jobs under way are made."""
    async with studio.store.write() as tx:
        await tx.rows(
            "UPDATE jobs SET state = 'failed', run_at = NULL, ended = 1, error_code = 'CANCELLED' "
            "WHERE account_id = (SELECT id FROM accounts WHERE name = 'many jobs')"
        )


def test_the_states_written_here_are_all_there_are() -> None:
    assert {*OPEN, *ENDED} == {str(state) for state in JobState}
