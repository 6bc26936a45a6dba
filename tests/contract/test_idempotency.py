"""``Idempotency-Key``: the same request again is answered again and carried out once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx2
import psycopg
import pytest

from rushes import ids
from rushes.errors import IdempotencyKeyReused
from rushes.model import VideoRequest
from rushes.store import idempotency
from rushes.store.idempotency import KEPT_MS, Once
from rushes.studio import Given, Studio
from rushes.work.sweep import sweep
from tests.api.library import account_of
from tests.api.takes import VIDEOS, Json
from tests.conftest import ENGINES, V1, Server, serving
from tests.contract.samples import new_account

IMAGES, UPLOADS = "/aistudio/images", "/media/generateurl"
BODIES: dict[str, Json] = {
    VIDEOS: {"prompt": "a heron lifts off"},
    IMAGES: {"prompt": "a heron lifts off", "model": "flux-schnell"},
    UPLOADS: {"fileName": "heron.png", "contentType": "image/png"},
}
ROWS = {VIDEOS: "jobs", IMAGES: "jobs", UPLOADS: "uploads"}
MANY = 100
REQUEST = VideoRequest("a heron lifts off", "pixverse5.5", "9:16", 5)


@contextmanager
def taking_requests(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    """An API of two processes that only takes requests, on the database that the fixture's parameter names; shared by
    tests that each use an account of their own.
    """
    url = None
    if request.param == "postgres":
        url, name = request.getfixturevalue("postgres"), f"t{ids.uuid().replace('-', '')}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url = url.replace("/postgres?", f"/{name}?")
    with serving(folder / "data", url, "--no-worker", "--processes", "2") as server:
        yield server


@pytest.fixture(scope="module", params=ENGINES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with taking_requests(request, tmp_path_factory.mktemp("desk")) as server:
        yield server


@pytest.fixture
def key(desk: Server) -> str:
    """A key to a new account."""
    return desk.key()


@pytest.fixture
def api(desk: Server, key: str) -> Iterator[httpx2.Client]:
    """A client of that account."""
    with desk.client(key) as client:
        yield client


def post(api: httpx2.Client, path: str, key: str, body: Json | None = None) -> httpx2.Response:
    headers = {"Idempotency-Key": key}
    if path.endswith("/cancel"):
        return api.post(path, headers=headers)
    return api.post(path, json=body or BODIES[path], headers=headers)


def job_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["jobId"])


def replayed(answer: httpx2.Response) -> bool:
    assert answer.headers.get("idempotent-replayed") in (None, "true")
    return "idempotent-replayed" in answer.headers


def rows(server: Server, key: str, table: str) -> int:
    """How many the account of a key has."""
    sql = {
        "jobs": "SELECT count(*) FROM jobs WHERE account_id = :id",
        "uploads": "SELECT count(*) FROM uploads WHERE account_id = :id",
        "idempotency": "SELECT count(*) FROM idempotency WHERE account_id = :id",
    }[table]
    account_id = account_of(server, key)
    return int(server.do(lambda studio: studio.store.rows(sql, id=account_id))[0][0])


def all_at_once(server: Server, key: str, path: str, bodies: list[Json | None]) -> list[httpx2.Response]:
    """One request a body, at once, each over a connection of its own, under one idempotency key."""

    async def ask() -> list[httpx2.Response]:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        headers = {"Authorization": key, "Idempotency-Key": "the same"}
        async with httpx2.AsyncClient(
            base_url=server.url + V1, headers=headers, timeout=60, limits=limits, trust_env=False
        ) as client:
            return list(await asyncio.gather(*(client.post(path, json=body) for body in bodies)))

    return asyncio.run(ask())


# "the same key and body give the same answer and the same job, however many at once"


@pytest.mark.parametrize("path", BODIES)
def test_100_identical_requests_at_once_are_one_job_and_100_equal_answers(desk: Server, key: str, path: str) -> None:
    answers = all_at_once(desk, key, path, [BODIES[path]] * MANY)
    assert Counter(answer.status_code for answer in answers) == {200: MANY}
    assert len({answer.content for answer in answers}) == 1
    assert Counter(map(replayed, answers)) == {True: MANY - 1, False: 1}
    assert rows(desk, key, ROWS[path]) == 1


def test_100_identical_cancellations_at_once_are_one_and_all_succeed(desk: Server, key: str) -> None:
    with desk.client(key) as api:
        path = f"/jobs/{job_of(api.post(VIDEOS, json=BODIES[VIDEOS]))}/cancel"
        answers = all_at_once(desk, key, path, [None] * MANY)
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, b'{"success":true}')}
        assert Counter(map(replayed, answers)) == {True: MANY - 1, False: 1}
        assert api.post(path).status_code == 409, "without the key it is another request"


@pytest.mark.parametrize("path", BODIES)
def test_the_same_key_and_body_give_the_same_answer(desk: Server, key: str, api: httpx2.Client, path: str) -> None:
    """Idempotent-Replayed: true on replays."""
    answers = [post(api, path, "take 1") for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    assert [replayed(answer) for answer in answers] == [False, True, True]
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert rows(desk, key, ROWS[path]) == 1
    assert post(api, path, "take 2").content != answers[0].content
    assert rows(desk, key, ROWS[path]) == 2


def test_without_the_header_every_request_is_a_new_one(api: httpx2.Client) -> None:
    for headers in ({}, {"Idempotency-Key": ""}):
        answers = [api.post(VIDEOS, json=BODIES[VIDEOS], headers=headers) for _ in range(2)]
        assert len({job_of(answer) for answer in answers}) == 2
        assert not any(map(replayed, answers))


def test_the_answer_is_the_same_whatever_became_of_the_job(api: httpx2.Client) -> None:
    first = post(api, VIDEOS, "take")
    for method, act in (("POST", "cancel"), ("DELETE", "clean")):
        assert api.request(method, f"/jobs/{job_of(first)}/{act}").status_code == 200
        again = post(api, VIDEOS, "take")
        assert (again.content, replayed(again)) == (first.content, True)


def test_the_answer_outlives_the_server(tmp_path: Path, database_url: str | None) -> None:
    with serving(tmp_path / "data", database_url, "--no-worker") as server, server.client() as api:
        first, opens = post(api, VIDEOS, "take"), api.headers["authorization"]
    with serving(tmp_path / "data", database_url, "--no-worker") as server, server.client(opens) as api:
        again = post(api, VIDEOS, "take")
    assert (replayed(first), replayed(again), again.content) == (False, True, first.content)


# 'the same key with another body is 422 {"code":"IDEMPOTENCY_KEY_REUSED",…}'


@pytest.mark.parametrize("path", BODIES)
def test_the_same_key_with_another_body_is_422(desk: Server, key: str, api: httpx2.Client, path: str) -> None:
    post(api, path, "take")
    other = {**BODIES[path], "prompt": "another heron", "fileName": "another.png"}
    answer = post(api, path, "take", other)
    assert (answer.status_code, list(answer.json())) == (422, ["code", "message"])
    assert answer.json()["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert not replayed(answer)
    assert rows(desk, key, ROWS[path]) == 1
    assert replayed(post(api, path, "take")), "the first answer stands"


def test_two_bodies_at_once_under_one_key_are_one_job_of_one_of_them(desk: Server, key: str) -> None:
    bodies: list[Json | None] = [{"prompt": f"heron number {number % 2}"} for number in range(40)]
    answers = all_at_once(desk, key, VIDEOS, bodies)
    assert Counter(answer.status_code for answer in answers) == {200: 20, 422: 20}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert rows(desk, key, "jobs") == 1


# "at most 255 characters"


def test_a_key_has_at_most_255_characters(desk: Server, key: str, api: httpx2.Client) -> None:
    longest = "k" * 255
    assert job_of(post(api, VIDEOS, longest)) == job_of(post(api, VIDEOS, longest))
    for path in (*BODIES, f"/jobs/{ids.uuid()}/cancel"):
        answer = post(api, path, longest + "k")
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), path
        assert [field["name"] for field in answer.json()["fields"]] == ["Idempotency-Key"]
    assert rows(desk, key, "jobs") == 1


@pytest.mark.parametrize("text", ["'; DROP TABLE jobs; --", "%s :name $now", '"quoted"', "a\tb", "ü"])
def test_a_key_is_any_text(api: httpx2.Client, text: str) -> None:
    headers = {"Idempotency-Key": text.encode("latin-1")}
    first, again = (api.post(VIDEOS, json=BODIES[VIDEOS], headers=headers) for _ in range(2))  # type: ignore[arg-type]
    assert job_of(first) == job_of(again)


# "kept 24 h, for one account and route"


def test_another_account_or_another_route_is_a_new_request(desk: Server, api: httpx2.Client) -> None:
    first = post(api, VIDEOS, "take")
    with desk.client() as other:
        assert job_of(post(other, VIDEOS, "take")) != job_of(first)
    pictured = post(api, IMAGES, "take", BODIES[VIDEOS])
    assert (job_of(pictured) != job_of(first), replayed(pictured)) == (True, False)
    cancelled = [post(api, f"/jobs/{job_of(each)}/cancel", "take") for each in (first, pictured)]
    assert [(each.status_code, replayed(each)) for each in cancelled] == [(200, False), (200, False)]
    for each in (first, pictured):
        assert api.get(f"/jobs/{job_of(each)}").json()["data"]["error_code"] == "CANCELLED"


@pytest.mark.anyio
async def test_after_24_hours_it_is_a_new_request(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    first = await ask(studio, account_id)
    studio.store.clock_shift = KEPT_MS - 60_000
    assert await ask(studio, account_id) == Given(first.text, replayed=True)
    with pytest.raises(IdempotencyKeyReused):
        await ask(studio, account_id, "another body")
    studio.store.clock_shift = KEPT_MS
    second = await ask(studio, account_id, "another body")
    assert (second.replayed, second.text == first.text) == (False, False)
    assert await ask(studio, account_id, "another body") == Given(second.text, replayed=True)
    with pytest.raises(IdempotencyKeyReused):
        await ask(studio, account_id)


async def ask(studio: Studio, account_id: str, body_hash: str = "a body") -> Given:
    return await studio.submit(account_id, REQUEST, "http://a.example", Once(VIDEOS, "take", body_hash))


@pytest.mark.anyio
async def test_answers_are_forgotten_when_their_day_is_over_and_not_before(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    await ask(studio, account_id)
    studio.store.clock_shift = KEPT_MS - 60_000
    await studio.submit(account_id, REQUEST, "http://a.example", Once(VIDEOS, "younger", "a body"))
    await sweep(studio)
    assert await _names(studio) == {"take", "younger"}
    studio.store.clock_shift = KEPT_MS
    await sweep(studio)
    assert await _names(studio) == {"younger"}


async def _names(studio: Studio) -> set[str]:
    return {row[0] for row in await studio.store.rows("SELECT name FROM idempotency")}


@pytest.mark.anyio
async def test_more_old_answers_than_a_batch_are_all_forgotten(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    async with studio.store.write() as tx:
        for number in range(1203):
            assert await idempotency.claim(tx, account_id, Once(VIDEOS, str(number), "a body"), "{}") is None
    studio.store.clock_shift = KEPT_MS
    await sweep(studio)
    assert await _names(studio) == set()


# "only a 200 is kept"


def test_a_400_is_not_kept(api: httpx2.Client) -> None:
    for path in BODIES:
        bad = {**BODIES[path], "prompt": "no", "contentType": "text/html"}
        assert post(api, path, "take", bad).status_code == 400
        answer = post(api, path, "take")
        assert (answer.status_code, replayed(answer)) == (200, False)


def test_a_402_is_not_kept_however_many_at_once(desk: Server) -> None:
    name = ids.uuid()
    key = desk.key(name)
    desk.do(lambda studio: studio.money.set_credits(name, Decimal(0)))
    answers = all_at_once(desk, key, VIDEOS, [BODIES[VIDEOS]] * 30)
    assert Counter(answer.status_code for answer in answers) == {402: 30}
    assert (rows(desk, key, "jobs"), rows(desk, key, "idempotency")) == (0, 0)
    desk.do(lambda studio: studio.money.set_credits(name, None))
    with desk.client(key) as api:
        answer = post(api, VIDEOS, "the same")
        assert (answer.status_code, replayed(answer)) == (200, False)
        desk.do(lambda studio: studio.money.set_credits(name, Decimal(0)))
        assert replayed(post(api, VIDEOS, "the same")), "a replay costs nothing"


def test_a_429_is_not_kept(tmp_path: Path, database_url: str | None) -> None:
    setting = {"RUSHES_JOBS_PER_ACCOUNT": "1"}
    with serving(tmp_path / "data", database_url, "--no-worker", settings=setting) as server, server.client() as api:
        job_id = job_of(post(api, VIDEOS, "first"))
        assert post(api, VIDEOS, "second").status_code == 429
        assert replayed(post(api, VIDEOS, "first")), "a replay needs no room"
        api.post(f"/jobs/{job_id}/cancel").raise_for_status()
        answer = post(api, VIDEOS, "second")
        assert (answer.status_code, replayed(answer)) == (200, False)


def test_a_404_and_a_409_of_a_cancellation_are_not_kept(desk: Server, key: str, api: httpx2.Client) -> None:
    unknown = f"/jobs/{ids.uuid()}/cancel"
    assert [post(api, unknown, "take").status_code for _ in range(2)] == [404, 404]
    path = f"/jobs/{job_of(api.post(VIDEOS, json=BODIES[VIDEOS]))}/cancel"
    assert api.post(path).status_code == 200
    answers = [post(api, path, "take") for _ in range(2)]
    assert [(each.status_code, replayed(each)) for each in answers] == [(409, False)] * 2
    assert rows(desk, key, "idempotency") == 0


# A change that is not committed keeps nothing


@pytest.mark.anyio
async def test_an_answer_is_kept_with_its_job_or_not_at_all(studio: Studio) -> None:
    account_id = await new_account(studio.store)
    once = Once(VIDEOS, "take", "a body")

    async def fail() -> None:
        async with studio.store.write() as tx:
            assert await idempotency.claim(tx, account_id, once, "lost") is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    given = await studio.submit(account_id, REQUEST, "http://a.example", once)
    assert (given.replayed, list(json.loads(given.text))) == (False, ["success", "data"])


@pytest.mark.parametrize("act", ["get", "delete"])
def test_only_a_post_takes_a_key(api: httpx2.Client, act: str) -> None:
    method: Callable[..., httpx2.Response] = getattr(api, act)
    path = {"get": VIDEOS, "delete": f"{VIDEOS}/none"}[act]
    answers = [method(path, headers={"Idempotency-Key": "take"}) for _ in range(2)]
    assert not any(map(replayed, answers))
    assert len({answer.status_code for answer in answers}) == 1
