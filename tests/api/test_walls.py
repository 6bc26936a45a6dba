"""Walls: what every route gives to whom. A route that is not classified here makes a test fail."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest

from rushes import ids
from rushes.api import ROUTES, V1
from rushes.store import Row, accounts
from rushes.store.accounts import keys
from tests.api.library import account_of
from tests.api.takes import Json, ended
from tests.conftest import ENGINES, Server, wait_until

LISTS = (f"{V1}/aistudio/videos", f"{V1}/aistudio/images")
"""Answered before routing."""

OWN = "the account's own things, named by nothing but the key"
NAMED = "one thing of the account, named in the path"
MAKES = "makes something for the account"
LINK = "a permanent link: whoever has it may read it"
SIGNED = "a link that carries its own permission"
OPEN = "for whoever watches over the process or learns the API; nothing of any account"

CLASSES: dict[tuple[str, str], str] = {
    ("GET", f"{V1}/aistudio/videos"): OWN,
    ("GET", f"{V1}/aistudio/images"): OWN,
    ("POST", f"{V1}/aistudio/videos"): MAKES,
    ("POST", f"{V1}/aistudio/images"): MAKES,
    ("GET", f"{V1}/aistudio/videos/{{item_id}}"): NAMED,
    ("DELETE", f"{V1}/aistudio/videos/{{item_id}}"): NAMED,
    ("GET", f"{V1}/aistudio/images/{{item_id}}"): NAMED,
    ("DELETE", f"{V1}/aistudio/images/{{item_id}}"): NAMED,
    ("GET", f"{V1}/aistudio/jobs"): OWN,
    ("GET", f"{V1}/aistudio/jobs/{{job_id}}"): NAMED,
    ("GET", f"{V1}/aistudio/models"): OWN,
    ("GET", f"{V1}/aistudio/changes"): OWN,
    ("GET", f"{V1}/jobs"): OWN,
    ("GET", f"{V1}/jobs/{{job_id}}"): NAMED,
    ("DELETE", f"{V1}/jobs/{{job_id}}/clean"): NAMED,
    ("POST", f"{V1}/jobs/{{job_id}}/cancel"): NAMED,
    ("GET", f"{V1}/quota"): OWN,
    ("GET", f"{V1}/aicredits/usage"): OWN,
    ("POST", f"{V1}/media/generateurl"): MAKES,
    ("GET", "/videos/user/{account_id}/{name}"): LINK,
    ("GET", "/images/user/{account_id}/{name}"): LINK,
    ("GET", "/uploads/user/{account_id}/{name}"): LINK,
    ("PUT", "/uploads/user/{account_id}/{name}"): SIGNED,
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/openapi.json"): OPEN,
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
KEYED = [where for where, kind in CLASSES.items() if kind in (OWN, NAMED, MAKES)]
READ = [path for (method, path), kind in CLASSES.items() if method == "GET" and kind in (OWN, NAMED, LINK)]
BODIES: dict[str, Json] = {
    f"{V1}/aistudio/videos": {"prompt": "a heron lifts off"},
    f"{V1}/aistudio/images": {"prompt": "a heron lifts off"},
    f"{V1}/media/generateurl": {"fileName": "a.png", "contentType": "image/png"},
}
UPLOADS = f"{V1}/media/generateurl"
SECRET = "the secret heron's"
UNAUTHORIZED = (401, b'{"message":"Unauthorized"}')


@dataclass(frozen=True)
class Estate:
    """An account with one of everything: a video, an image, an upload, a failed job and one under way."""

    server: Server
    key: str
    account_id: str
    secrets: tuple[str, ...]
    """Texts that belong to it and must reach nobody else."""
    names: dict[str, list[str]]
    """What may stand for a parameter of a path."""
    signed: str
    """A link for an upload that has not come."""

    def paths(self, path: str) -> list[str]:
        """A route's path with each of its things in its parameters' place."""
        if "{name}" in path:
            folder = path.split("/")[1]
            return [name for name in self.names["files"] if name.startswith(f"/{folder}/")]
        [parameter] = re.findall(r"{(\w+)}", path) or [""]
        return [path.replace(f"{{{parameter}}}", name) for name in self.names[parameter]] if parameter else [path]

    def snapshot(self) -> list[tuple[str, int, bytes]]:
        """All that the API shows of it."""
        with _client(self.server, self.key) as api:
            answers = [api.get(each) for path in READ for each in self.paths(path)]
            return [(str(answer.url), answer.status_code, answer.content) for answer in answers]


def _client(server: Server, key: str | None) -> httpx2.Client:
    headers = {} if key is None else {"Authorization": key}
    return httpx2.Client(base_url=server.url, headers=headers, timeout=30, trust_env=False)


@pytest.fixture(scope="module", params=ENGINES)
def estate(request: pytest.FixtureRequest) -> Iterator[Estate]:
    server: Server = request.getfixturevalue(f"{request.param}_server")
    key = server.key()
    with server.client(key) as api:
        made = [_made(api, kind, f"{SECRET} wish") for kind in ("videos", "images")]
        failed = _asked(api, "videos", f"{SECRET} failure [sandbox: fail]")
        ended(api, failed)
        waiting = _asked(api, "videos", f"{SECRET} wait [sandbox: stall]")
        # From here on it waits for ever: nothing of the estate changes by itself.
        wait_until(lambda: api.get(f"/aistudio/jobs/{waiting}").json()["state"] == "waiting", what="the stall")
        upload, spare = (api.post("/media/generateurl", json=BODIES[UPLOADS]).json()["data"] for _ in range(2))
        sent = httpx2.put(upload["signedUrl"], content=b"png", headers={"Content-Type": "image/png"}, trust_env=False)
        assert sent.status_code == 200, sent.text
        items, jobs = [item for item, _ in made], [*(job for _, job in made), failed, waiting]
        links = [link for item in items for name, link in item.items() if name == "url" or name.endswith("Url")]
        files = [link.removeprefix(server.url) for link in (*links, upload["url"])]
        account_id, item_ids = account_of(server, key), [item["id"] for item in items]
        told = (account_id, SECRET, *item_ids, *jobs, *map(file_id, files))
        names = {"item_id": item_ids, "job_id": jobs, "files": files}
        yield Estate(server, key, account_id, told, names, spare["signedUrl"])
        api.post(f"/jobs/{waiting}/cancel").raise_for_status()


def file_id(link: str) -> str:
    """The uuid in a link's file name."""
    return link.rpartition("/")[2][:36]


def _asked(api: httpx2.Client, kind: str, prompt: str) -> str:
    answer = api.post(f"/aistudio/{kind}", json={"prompt": prompt})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["jobId"])


def _made(api: httpx2.Client, kind: str, prompt: str) -> tuple[Json, str]:
    job_id = _asked(api, kind, prompt)
    assert ended(api, job_id)["data"]["status"] == "completed"
    [item] = api.get(f"/aistudio/{kind}").json()["items"]
    return item, job_id


def ask(api: httpx2.Client, method: str, path: str, **told: Any) -> httpx2.Response:
    """A request that is right but for who asks."""
    route = path.partition("?")[0]
    if method == "POST" and route in BODIES:
        told["json"] = BODIES[route]
    return api.request(method, path, **told)


# Every route is classified


def test_every_route_and_method_is_classified() -> None:
    served = {(method, path) for path, handlers in ROUTES.items() for method in handlers}
    assert served | {("GET", path) for path in LISTS} == set(CLASSES)


def test_every_path_takes_exactly_the_methods_it_is_classified_for(estate: Estate) -> None:
    """As it says itself (``Allow``), and as it does."""
    with _client(estate.server, ids.key()) as api:
        for route in {path for _, path in CLASSES}:
            expected = {method for method, path in CLASSES if path == route}
            expected |= {"OPTIONS"} | ({"HEAD"} if "GET" in expected else set())
            path = estate.paths(route)[0]
            assert set(api.options(path).headers["allow"].split(", ")) == expected, path
            for method in set(METHODS) - expected:
                answer = ask(api, method, path)
                body = b"" if method == "HEAD" else b'{"message":"Method Not Allowed"}'
                assert (answer.status_code, answer.content) == (405, body), (method, path)


# Without a key that opens anything


@pytest.fixture(scope="module")
def closed(estate: Estate) -> dict[str, str | None]:
    """Keys that open nothing."""
    revoked = estate.server.key()
    account_id = account_of(estate.server, revoked)
    found = "SELECT id FROM keys WHERE account_id = :id"
    [(name,)] = estate.server.do(lambda studio: studio.store.rows(found, id=account_id))
    assert estate.server.do(lambda studio: studio.revoke_key(name))
    good = estate.key
    return {
        "none": None,
        "empty": "",
        "revoked": revoked,
        "unknown": ids.key(),
        "cut": good[:-1],
        "longer": good + "A",
        "last character": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "other case": good.swapcase(),
        "no prefix": good.removeprefix(ids.KEY_PREFIX),
        "its hash": ids.key_hash(good),
        "its hash, prefixed": ids.KEY_PREFIX + ids.key_hash(good),
        "basic": f"Basic {good}",
        "twice": f"{good},{good}",
        "quoted": f'"{good}"',
        "wildcard": ids.KEY_PREFIX + "%",
        "sql": f"{ids.KEY_PREFIX}' OR '1'='1",
        "very long": ids.KEY_PREFIX + "A" * 5000,
        "bearer alone": "Bearer",
    }


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_without_a_good_key_every_route_is_401_with_the_same_body(
    estate: Estate, closed: dict[str, str | None], method: str, path: str
) -> None:
    with _client(estate.server, None) as api:
        for kind, key in closed.items():
            headers = {} if key is None else {"Authorization": key}
            for each in [*estate.paths(path), *_nobodys(path)]:
                answer = ask(api, method, each, headers=headers)
                assert (answer.status_code, answer.content) == UNAUTHORIZED, (kind, each)
            if method == "GET":
                assert ask(api, "HEAD", estate.paths(path)[0], headers=headers).status_code == 401, kind


def _nobodys(path: str) -> list[str]:
    """The route with something that nobody has."""
    return [re.sub(r"{\w+}", ids.uuid(), path)] if "{" in path else []


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_a_key_anywhere_but_in_its_header_is_no_key(estate: Estate, method: str, path: str) -> None:
    cookie = SimpleCookie({"Authorization": estate.key}).output(header="").strip()
    headers = {"X-Api-Key": estate.key, "Cookie": cookie, "Proxy-Authorization": estate.key}
    with _client(estate.server, None) as api:
        for each in estate.paths(path):
            answer = ask(api, method, f"{each}?Authorization={estate.key}&key={estate.key}", headers=headers)
            assert (answer.status_code, answer.content) == UNAUTHORIZED, each


@pytest.mark.parametrize("spelling", ["{}", "Bearer {}", "bearer {}", "Bearer   {}"])
def test_a_good_key_opens_every_list(estate: Estate, spelling: str) -> None:
    """Or the tests above prove nothing."""
    with _client(estate.server, None) as api:
        for (method, path), kind in CLASSES.items():
            if method == "GET" and kind in (OWN, NAMED):
                headers = {"Authorization": spelling.format(estate.key)}
                answers = [api.get(each, headers=headers).status_code for each in estate.paths(path)]
                # Each library holds one of the two items.
                assert sorted(answers) == ([200, 404] if "{item_id}" in path else [200] * len(answers)), path


# As a stranger


@pytest.fixture(scope="module")
def stranger(estate: Estate) -> Iterator[httpx2.Client]:
    """A client of another account."""
    with _client(estate.server, estate.server.key()) as api:
        yield api


@pytest.mark.parametrize(("method", "path"), [where for where, kind in CLASSES.items() if kind == NAMED])
def test_another_accounts_thing_is_404_as_if_it_did_not_exist(
    estate: Estate, stranger: httpx2.Client, method: str, path: str
) -> None:
    """With the body that a thing which nobody has is answered with, and nothing of it changes."""
    before = estate.snapshot()
    for each in estate.paths(path):
        name = next(name for names in estate.names.values() for name in names if name in each)
        nobodys = ids.item_id(1_775_000_000_000) if len(name) == 33 else ids.uuid()
        answer, unknown = ask(stranger, method, each), ask(stranger, method, each.replace(name, nobodys))
        assert answer.status_code == unknown.status_code == 404, each
        assert answer.content == unknown.content.replace(nobodys.encode(), name.encode())
        assert {*answer.headers} == {*unknown.headers}
    assert estate.snapshot() == before


@pytest.mark.parametrize(("method", "path"), [where for where, kind in CLASSES.items() if kind == OWN])
def test_a_list_holds_nothing_of_another_account(
    estate: Estate, stranger: httpx2.Client, method: str, path: str
) -> None:
    item_id, account_id = estate.names["item_id"][0], estate.account_id
    queries = ["", f"?continues={item_id}", f"?account_id={account_id}&accountId={account_id}", "?state=completed"]
    for query in queries:
        answer = ask(stranger, method, path + query)
        assert answer.status_code == 200, answer.text
        assert [text for text in estate.secrets if text in answer.text] == [], query


def test_another_accounts_tokens_open_nothing(estate: Estate, stranger: httpx2.Client) -> None:
    with _client(estate.server, estate.key) as own:
        since = own.get(f"{V1}/aistudio/changes").json()["since"]
        jobs = own.get(f"{V1}/aistudio/jobs", params={"limit": 1}).json()["nextPageKey"]
        for path, name, token in [("changes", "since", since), ("jobs", "nextPageKey", jobs)]:
            url = f"{V1}/aistudio/{path}"
            assert own.get(url, params={name: token}).status_code == 200
            answer = stranger.get(url, params={name: token})
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


def test_what_a_stranger_makes_is_the_strangers(estate: Estate, stranger: httpx2.Client) -> None:
    """Also when the body names another account, and under another one's idempotency key."""
    mine = {"accountId": estate.account_id, "account_id": estate.account_id, "id": estate.names["item_id"][0]}
    for path, body in BODIES.items():
        headers = {"Idempotency-Key": f"walls {path}"}
        with _client(estate.server, estate.key) as owner:
            theirs = owner.post(path, json={**body, **mine}, headers=headers)
            _undo(owner, theirs)
        before = estate.snapshot()
        made = stranger.post(path, json={**body, **mine}, headers=headers)
        _undo(stranger, made)
        assert [theirs.status_code, made.status_code] == [200, 200]
        assert theirs.content != made.content
        assert "idempotent-replayed" not in made.headers
        assert estate.account_id not in made.text
        assert estate.snapshot() == before


def _undo(api: httpx2.Client, answer: httpx2.Response) -> None:
    """A job is over, so that nothing changes by itself while it is looked at."""
    if job_id := answer.json()["data"].get("jobId"):
        path = f"{V1}/jobs/{job_id}"
        api.post(f"{path}/cancel")
        assert api.get(path).json()["data"]["status"] != "in-progress"


# Links


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_a_permanent_link_is_its_own_permission_to_read_and_to_nothing_else(
    estate: Estate, stranger: httpx2.Client, who: str
) -> None:
    key = stranger.headers["authorization"] if who == "stranger" else None
    with _client(estate.server, key) as api:
        for link in estate.names["files"]:
            assert api.get(link).status_code == 200
            for method in ("PUT", "POST", "DELETE", "PATCH"):
                assert api.request(method, link, content=b"other").status_code in (400, 401, 404, 405), (method, link)
            nobodys = link.replace(file_id(link), ids.uuid())
            assert api.get(nobodys).status_code == 404
        assert {api.get(link).status_code for link in estate.names["files"]} == {200}


@pytest.mark.parametrize("folder", ["videos", "images", "uploads", "sidecars"])
def test_a_folder_is_no_link(estate: Estate, folder: str) -> None:
    with _client(estate.server, estate.key) as api:
        for rest in ("", "/user", f"/user/{estate.account_id}", f"/user/{estate.account_id}/"):
            assert api.get(f"/{folder}{rest}").status_code == 404, rest


def test_a_sidecar_has_no_link(estate: Estate) -> None:
    with _client(estate.server, estate.key) as api:
        for link in estate.names["files"]:
            for folder in (f"/sidecars/{estate.account_id}", link.rpartition("/")[0]):
                assert api.get(f"{folder}/{file_id(link)}.json").status_code == 404


def test_only_the_signature_lets_a_file_in(estate: Estate) -> None:
    path, _, query = estate.signed.removeprefix(estate.server.url).partition("?")
    told = dict(pair.split("=") for pair in query.split("&"))
    other = "0" if told["signature"][0] != "0" else "1"
    wrong = [
        {},
        {**told, "signature": ""},
        {**told, "signature": other + told["signature"][1:]},
        {**told, "expires": str(int(told["expires"]) + 1)},
        {"signature": told["signature"]},
    ]
    headers = {"Content-Type": "image/png"}
    for key in (estate.key, None):
        with _client(estate.server, key) as api:
            for query_told in wrong:
                answer = api.put(path, params=query_told, content=b"png", headers=headers)
                assert (answer.status_code, answer.content) == UNAUTHORIZED
            nobodys = path.replace(file_id(path), ids.uuid())
            assert api.put(nobodys, params=told, content=b"png", headers=headers).status_code == 404
            assert api.get(path).status_code == 404, "nothing has come"


def test_what_is_open_holds_nothing_of_any_account(estate: Estate) -> None:
    with _client(estate.server, None) as api:
        for (method, path), kind in CLASSES.items():
            if kind == OPEN:
                answer = ask(api, method, path)
                assert answer.status_code == 200
                assert [text for text in (*estate.secrets, estate.key) if text in answer.text] == []


# "no timing dependence on the key's content: the key check is by hash look-up"


@dataclass
class Asked:
    """Notes what a database is asked, and has nothing."""

    questions: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    async def rows(self, sql: str, /, **params: object) -> list[Row]:
        self.questions.append((sql, params))
        return []


def test_the_database_is_asked_for_a_keys_hash_and_nothing_else_of_it() -> None:
    """So that how long it looks cannot depend on how much of a key is right."""
    asked, key = Asked(), ids.key()
    assert asyncio.run(accounts.of_key(asked, key)) is None
    [(sql, params)] = asked.questions
    assert params == {"hash": hashlib.sha256(key.encode()).hexdigest()}
    assert "keys.hash = :hash" in sql


def test_a_key_is_kept_as_its_hash_alone(estate: Estate) -> None:
    rows = estate.server.do(lambda studio: studio.store.rows("SELECT id, hash, account_id, label FROM keys"))
    assert ids.key_hash(estate.key) in {row[1] for row in rows}
    assert estate.key not in str(rows)
    assert estate.key not in str(estate.server.do(lambda studio: keys(studio.store)))
