"""``GET /aistudio/videos`` (contract A1, B1, B2, B12), over real sockets, on both databases."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rushes import ids
from rushes.model import Video, VideoRequest
from rushes.paging import Cursor, SortKey
from rushes.store import accounts, library
from rushes.studio import Studio
from tests.api import sockets
from tests.api.conftest import PROMPT, Take, beside
from tests.api.library import ALWAYS, NOON, UUID, account_of, add, enter, newest_first, video
from tests.api.takes import VIDEOS
from tests.conftest import V1, Server, serving, wait_until

PATH = V1 + VIDEOS


class Shelf:
    """A new account with a client of its own, and its library."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.key = server.key()
        self.account_id = account_of(server, self.key)
        self.api = server.client(self.key)

    def put(self, count: int, created: int | None = None) -> list[Video]:
        entered = [video(self.account_id, number, created=created) for number in range(count)]
        enter(self.server, *entered)
        return entered

    def page(self, **query: str) -> httpx2.Response:
        return self.api.get(VIDEOS, params=query)

    def walk(self) -> list[list[str]]:
        """The ids of each page, from the first to the one without a token."""
        pages: list[list[str]] = []
        query: dict[str, str] = {}
        while True:
            body = self.page(**query).raise_for_status().json()
            pages.append([item["id"] for item in body["items"]])
            if "nextPageKey" not in body:
                return pages
            query = {"nextPageKey": body["nextPageKey"]}


@pytest.fixture
def shelf(server: Server) -> Iterator[Shelf]:
    new = Shelf(server)
    with new.api:
        yield new


def token_of(shelf: Shelf) -> str:
    """A token this list gave out."""
    shelf.put(101)
    return str(shelf.page().json()["nextPageKey"])


# --- items ---


def test_an_account_without_videos_gets_exactly_empty_items(api: httpx2.Client) -> None:
    answer = api.get(VIDEOS)
    assert (answer.status_code, answer.content) == (200, b'{"items":[]}')


def test_an_item_has_its_keys_in_this_order_and_no_others(take: Take) -> None:
    assert list(take.item) == ALWAYS


def test_an_item_of_a_real_job_has_every_value_as_promised(take: Take) -> None:
    item = take.item
    files = re.fullmatch(rf"{re.escape(take.server.url)}/videos/user/({UUID})/({UUID})\.mp4", item["url"])
    assert files
    stem = item["url"].removesuffix(".mp4")
    assert item["previewImageUrl"] == f"{stem}_preview.jpg"
    assert item["thumbnailImageUrl"] == f"{stem}_thumbnail.jpg"
    assert item["lastFrameImageUrl"] == f"{stem}_last_frame.png"
    assert re.fullmatch(r"\d{17}[0-9a-f]{16}", item["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item["createdDate"])
    # minted at submission, entered later; both in UTC
    assert item["id"][:17] < re.sub(r"\D", "", item["createdDate"])
    assert (item["prompt"], item["aspectRatio"], item["model"]) == (PROMPT, "1:1", "pixverse5.5")
    assert (item["width"], item["height"], item["duration"]) == (960, 960, "5s")
    assert type(item["width"]) is type(item["height"]) is int
    assert item["id"][17:] not in item["url"], "the file's uuid is not the item's id"


def test_the_list_is_to_the_byte_what_the_contract_shows(take: Take) -> None:
    members = ",".join(f"{json.dumps(key)}:{json.dumps(take.item[key], ensure_ascii=False)}" for key in ALWAYS)
    assert take.api.get(VIDEOS).content.decode() == '{"items":[{' + members + "}]}"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {}),
        ({"first_frame_image_url": "https://a.example/ä.png"}, {"firstFrameImageUrl": "https://a.example/ä.png"}),
        (
            {"extend_video_url": "https://a.example/1.mp4?s=1&t=2"},
            {"extendVideoUrl": "https://a.example/1.mp4?s=1&t=2"},
        ),
        (
            {"reference_image_urls": ("http://b.example/2", "http://b.example/1")},
            {"referenceImageUrls": ["http://b.example/2", "http://b.example/1"]},
        ),
    ],
)
def test_optional_keys_are_there_only_if_sent_as_sent_and_last(
    shelf: Shelf, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    request = VideoRequest("opens on a given frame", "veo3.1", "16:9", 4, **asked)
    enter(shelf.server, video(shelf.account_id, request=request))
    [item] = shelf.page().json()["items"]
    assert list(item) == ALWAYS + list(sent)
    assert {name: item[name] for name in sent} == sent


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(8.0, "8s"), (8.25, "8s"), (7.75, "8s"), (7.5, "7.5s"), (8.26, "8.3s"), (0.2, "0s"), (0.9, "1s"), (61.0, "61s")],
)
def test_duration_is_the_nearest_second_within_a_quarter_else_one_decimal(
    shelf: Shelf, seconds: float, told: str
) -> None:
    one = video(shelf.account_id)
    enter(shelf.server, Video(**{name: getattr(one, name) for name in one.__slots__} | {"seconds": seconds}))
    assert shelf.page().json()["items"][0]["duration"] == told


@pytest.mark.parametrize(
    "prompt", ['"quotes" \\ and {braces}', "<b>&amp;</b>", "\x01 \x1f \u2028", "日本語 🎬", "a\nb\tc"]
)
def test_a_prompt_comes_back_as_sent(shelf: Shelf, prompt: str) -> None:
    enter(shelf.server, video(shelf.account_id, request=VideoRequest(prompt, "pixverse5.5", "9:16", 5)))
    item = shelf.page().json()["items"][0]
    assert item["prompt"] == prompt
    assert item["url"].startswith(f"{shelf.server.url}/videos/user/")


# --- pages ---


@pytest.mark.parametrize(
    ("count", "pages"), [(1, [1]), (99, [99]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])]
)
def test_a_page_holds_at_most_100_and_the_last_one_has_no_token(shelf: Shelf, count: int, pages: list[int]) -> None:
    entered = shelf.put(count)
    walked = shelf.walk()
    assert [len(page) for page in walked] == pages
    assert [each for page in walked for each in page] == newest_first(entered)


def test_a_walk_over_equal_timestamps_shows_each_item_once_ordered_by_id_descending(shelf: Shelf) -> None:
    entered = shelf.put(130, created=NOON) + shelf.put(40, created=NOON + 1) + shelf.put(40, created=NOON - 1)
    assert [each for page in shelf.walk() for each in page] == newest_first(entered)


def test_a_walk_shows_what_exists_throughout_once_whatever_is_added_or_deleted_meanwhile(shelf: Shelf) -> None:
    entered = shelf.put(150)
    first = shelf.page().json()
    last_shown = next(each for each in entered if each.id == first["items"][-1]["id"])
    unseen = next(each for each in entered if each.id not in {item["id"] for item in first["items"]})
    remove(shelf, last_shown)
    remove(shelf, unseen)
    enter(shelf.server, video(shelf.account_id, 10_000))
    second = shelf.page(nextPageKey=first["nextPageKey"]).json()
    seen = [item["id"] for page in (first, second) for item in page["items"]]
    assert seen == [each for each in newest_first(entered) if each != unseen.id]


def test_keys_besides_items_and_the_token_there_are_none(shelf: Shelf) -> None:
    shelf.put(101)
    assert list(shelf.page().json()) == ["items", "nextPageKey"]


def test_an_empty_token_means_the_first_page(shelf: Shelf) -> None:
    shelf.put(101)
    assert shelf.api.get(f"{VIDEOS}?nextPageKey=").content == shelf.page().content


def test_unknown_query_parameters_are_ignored(shelf: Shelf) -> None:
    shelf.put(101)
    for query in ("page=2", "foo", "&&==", "%", "cursor=x&sort=asc", "NextPageKey=x", "items=%00%ff"):
        assert shelf.api.get(f"{VIDEOS}?{query}").content == shelf.page().content, query


# --- tokens ---


def test_a_token_is_url_safe_unpadded_and_hides_nothing_of_the_path(shelf: Shelf) -> None:
    token = token_of(shelf)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    # clients paste it raw
    assert len(shelf.api.get(f"{VIDEOS}?nextPageKey={token}").json()["items"]) == 1


def refused(answer: httpx2.Response) -> None:
    """400 INVALID_REQUEST naming ``nextPageKey``, and nothing a client that reads ``items`` could take for a page."""
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert list(body) == ["code", "message", "fields"]
    assert body["code"] == "INVALID_REQUEST"
    [field] = body["fields"]
    assert field["name"] == "nextPageKey"
    assert isinstance(field["errors"], str)
    assert field["errors"]
    assert not {"items", "nextPageKey"} & (set(body) | set(field))


def test_a_token_altered_in_any_character_is_refused(shelf: Shelf) -> None:
    token = token_of(shelf)
    for place, character in enumerate(token):
        other = "A" if character != "A" else "B"
        refused(shelf.page(nextPageKey=token[:place] + other + token[place + 1 :]))


def test_a_token_cut_anywhere_is_refused(shelf: Shelf) -> None:
    token = token_of(shelf)
    for length in range(1, len(token)):
        refused(shelf.page(nextPageKey=token[:length]))
        refused(shelf.page(nextPageKey=token[length:]))


def test_only_the_one_canonical_spelling_of_a_token_is_accepted(shelf: Shelf) -> None:
    token = token_of(shelf)
    for other in (
        f"{token}=",
        f"{token}==",
        f"{token}A",
        f" {token}",
        f"{token}\n",
        f"{token[:9]}.{token[9:]}",
        token * 2,
    ):
        refused(shelf.page(nextPageKey=other))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for last in set(alphabet) - {token[-1]}:  # some differ only in the spare bits of the last character
        refused(shelf.page(nextPageKey=token[:-1] + last))


@pytest.mark.parametrize("token", ["x", "AAAA", "null", "1", "🎬", "\x00", "%00", "../..", "' OR 1=1 --", "A" * 5000])
def test_what_never_was_a_token_is_refused(api: httpx2.Client, token: str) -> None:
    refused(api.get(VIDEOS, params={"nextPageKey": token}))


def test_a_token_of_another_account_is_refused(shelf: Shelf, api: httpx2.Client) -> None:
    refused(api.get(VIDEOS, params={"nextPageKey": token_of(shelf)}))


def test_a_token_of_another_list_is_refused(shelf: Shelf) -> None:
    shelf.put(101)
    key = SortKey(NOON, ids.item_id(NOON))

    async def tokens(studio: Studio) -> list[str]:
        lists = [("images", ""), ("videos", "model=veo3.1"), ("jobs", ""), ("videos", "")]
        return [Cursor(studio.secret, shelf.account_id, name, filters).token(key) for name, filters in lists]

    *foreign, ours = shelf.server.do(tokens)
    assert shelf.page(nextPageKey=ours).status_code == 200
    for token in foreign:
        refused(shelf.page(nextPageKey=token))


def test_a_token_survives_a_restart(tmp_path: Path, database_url: str | None) -> None:
    with serving(tmp_path / "data", database_url, "--no-worker") as server:
        shelf = Shelf(server)
        with shelf.api:
            token = token_of(shelf)
            rest = shelf.page(nextPageKey=token).json()["items"]
    with serving(tmp_path / "data", database_url, "--no-worker") as server, server.client(shelf.key) as api:
        again = api.get(VIDEOS, params={"nextPageKey": token}).json()
        assert [item["id"] for item in again["items"]] == [item["id"] for item in rest]
        assert len(rest) == 1


# --- keys ---


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "pictai_",
        "nonsense",
        "pictai_" + "x" * 43,
        "pictai_" + "x" * 5000,
        "pictai_ö",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Basic {key}",
        "Token {key}",
        "Bearer Bearer {key}",
        "Bearer:{key}",
        "{key}x",
        "{key},{key}",
        "X{key}",
        "PICTAI_{rest}",
    ],
)
def test_a_missing_malformed_or_unknown_key_is_401_with_exactly_this_body(server: Server, header: str | None) -> None:
    key = server.key()
    told = header and header.format(key=key, rest=key.removeprefix("pictai_"))
    headers = [] if told is None else [b"Authorization: " + told.encode("latin-1")]
    answer = sockets.ask(server, PATH.encode(), b"Host: a.example", *headers)
    assert (answer.status, answer.body) == (401, b'{"message":"Unauthorized"}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == "26"


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}", "BEARER {}", "  {}  ", "Bearer    {}  "])
def test_the_raw_key_and_a_bearer_key_open_and_spaces_are_dropped(server: Server, form: str) -> None:
    header = f"Authorization: {form.format(server.key())}".encode()
    answer = sockets.ask(server, PATH.encode(), b"Host: a.example", header)
    assert (answer.status, answer.body) == (200, b'{"items":[]}')


@pytest.mark.parametrize(
    "path", [VIDEOS, f"{VIDEOS}?nextPageKey=x", "/jobs/5b0a3c0e-2f6c-4d5a-9a43-0d9b8f1e2a77", "/jobs/x"]
)
def test_without_a_key_every_route_says_the_same(server: Server, path: str) -> None:
    with server.client("pictai_unknown") as api:
        answers = [api.get(path)] if path != VIDEOS else [api.get(path), api.post(path, content=b"nonsense")]
    assert [(answer.status_code, answer.content) for answer in answers] == [
        (401, b'{"message":"Unauthorized"}') for _ in answers
    ]


# --- two processes, never stale ---


@pytest.fixture
def two_processes(server: Server) -> Iterator[Server]:
    with beside(server, "--processes", "2") as other:
        yield other


def alone(server: Server, key: str, *headers: bytes) -> sockets.Answer:
    """One request on a connection of its own: whichever process takes it."""
    return sockets.ask(server, PATH.encode(), b"Host: a.example", b"Authorization: " + key.encode(), *headers)


def test_after_each_insert_the_very_next_answer_shows_it_and_a_revoked_key_is_refused_at_once(
    two_processes: Server,
) -> None:
    shelf = Shelf(two_processes)

    async def insert_and_look(studio: Studio) -> None:
        etags = [alone(two_processes, shelf.key).headers["etag"] for _ in range(4)]
        for number in range(40):
            new = video(shelf.account_id, number)
            await add(studio, [new])
            for _ in range(3):
                answer = alone(two_processes, shelf.key, b"If-None-Match: " + ", ".join(etags).encode())
                assert answer.status == 200
                assert json.loads(answer.body)["items"][0]["id"] == new.id
            etags.append(answer.headers["etag"])
        [key] = [each for each in await accounts.keys(studio.store) if each.account_name == name]
        assert await studio.revoke_key(key.id)
        for _ in range(6):
            assert alone(two_processes, shelf.key).body == b'{"message":"Unauthorized"}'
            assert alone(two_processes, shelf.key, b"If-None-Match: *").status == 401

    with shelf.api:
        name = two_processes.do(lambda studio: accounts.of_key(studio.store, shelf.key)).name
        two_processes.do(insert_and_look)


# --- ETag (B12) ---


def remove(shelf: Shelf, one: Video) -> None:
    async def act(studio: Studio) -> None:
        async with studio.store.write() as tx:
            assert await library.VIDEOS.remove(tx, shelf.account_id, one.id)

    shelf.server.do(act)


def test_if_none_match_gives_304_without_a_body_while_nothing_changed(shelf: Shelf) -> None:
    shelf.put(3)
    answer = shelf.page()
    etag = answer.headers["etag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*", f'W/"x" ,{etag}'):
        again = shelf.api.get(VIDEOS, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), known
    for unknown in ('"other"', etag.strip('"'), etag[:-2] + '"', ""):
        assert shelf.api.get(VIDEOS, headers={"If-None-Match": unknown}).content == answer.content, unknown


def test_the_etag_changes_with_an_insert_and_with_a_delete(shelf: Shelf) -> None:
    seen = [shelf.page().headers["etag"]]
    entered = shelf.put(2)
    seen.append(shelf.page().headers["etag"])
    remove(shelf, entered[0])
    answer = shelf.api.get(VIDEOS, headers={"If-None-Match": ", ".join(seen)})
    assert [item["id"] for item in answer.json()["items"]] == [entered[1].id]
    assert len({*seen, answer.headers["etag"]}) == 3


def test_the_etag_of_one_account_means_nothing_to_another(shelf: Shelf, api: httpx2.Client) -> None:
    assert shelf.page().headers["etag"] != api.get(VIDEOS).headers["etag"]


def test_each_page_and_each_host_has_an_etag_of_its_own(shelf: Shelf) -> None:
    token = token_of(shelf)
    first, second = shelf.page(), shelf.page(nextPageKey=token)
    elsewhere = shelf.api.get(VIDEOS, headers={"Host": "films.example"})
    assert len({answer.headers["etag"] for answer in (first, second, elsewhere)}) == 3
    again = shelf.api.get(VIDEOS, params={"nextPageKey": token}, headers={"If-None-Match": second.headers["etag"]})
    assert again.status_code == 304


# --- headers and methods ---


def test_json_is_compact_with_its_type_and_its_length(take: Take) -> None:
    answer = take.api.get(VIDEOS)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.text == json.dumps(answer.json(), ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=0.9", "*/*;q=0", "nonsense", "image/*, text/plain"])
def test_accept_is_not_consulted(api: httpx2.Client, accept: str) -> None:
    answer = api.get(VIDEOS, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_head_works_where_get_does(take: Take) -> None:
    key = b"Authorization: " + take.key.encode()
    got, head = (
        sockets.ask(take.server, PATH.encode(), b"Host: a.example", key, method=method) for method in (b"GET", b"HEAD")
    )
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "etag"):
        assert head.headers[name] == got.headers[name]
    unchanged = sockets.ask(
        take.server,
        PATH.encode(),
        b"Host: a.example",
        key,
        b"If-None-Match: " + head.headers["etag"].encode(),
        method=b"HEAD",
    )
    assert unchanged.status == 304


@pytest.mark.parametrize(
    "path", ["/nothing", f"{VIDEOS}/", "/aistudio", "//aistudio/videos", "/AIStudio/videos", "/job"]
)
def test_an_unknown_route_is_404_with_this_body(api: httpx2.Client, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.content) == (404, b'{"message":"Not Found"}')
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/videos", "/videos/user/x", "/pictoryapis/v2/aistudio/videos", "/%00", "/..%2f.."])
def test_an_unknown_path_is_404_with_this_body(server: Server, path: str) -> None:
    answer = sockets.ask(server, path.encode(), b"Host: a.example")
    assert (answer.status, answer.body) == (404, b'{"message":"Not Found"}')


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "VIDEOS"])
def test_another_method_is_405_with_allow(api: httpx2.Client, method: str) -> None:
    answer = api.request(method, VIDEOS)
    if method == "VIDEOS":  # no method at all to the HTTP parser
        assert answer.status_code in (400, 405)
        return
    assert (answer.status_code, answer.content) == (405, b'{"message":"Method Not Allowed"}')
    allowed = set(answer.headers["allow"].split(", "))
    assert {"GET", "HEAD", "POST"} <= allowed
    assert method not in allowed


def test_a_500_never_shows_a_trace_a_path_or_sql(tmp_path: Path) -> None:
    with serving(tmp_path / "data", None, "--no-worker") as server, server.client() as api:

        async def ruin(studio: Studio) -> None:
            async with studio.store.write() as tx:
                await tx.rows("DROP TABLE videos")

        server.do(ruin)
        answer = api.get(VIDEOS)
        assert (answer.status_code, answer.content) == (500, b'{"message":"Internal Server Error"}')
        assert answer.headers["content-type"] == "application/json"
        # what went wrong is for the operator
        [log] = tmp_path.glob("serve-*.log")
        wait_until(lambda: "no such table: videos" in log.read_text(), 5, "the trace in the log")
