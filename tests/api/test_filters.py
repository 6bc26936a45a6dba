"""Filters (part C): ``GET /aistudio/videos`` by model, aspectRatio, createdAfter, createdBefore and continues."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes import ids
from rushes.model import Image, ImageRequest, Item, Kind, Video, VideoRequest, timestamp
from rushes.store import search
from rushes.store.library import LIBRARIES
from rushes.studio import Studio
from tests.api.library import NOON, account_of
from tests.api.library import video as a_video
from tests.conftest import ENGINES, Server

VIDEOS, IMAGES = "/aistudio/videos", "/aistudio/images"
PATHS = {Kind.VIDEO: VIDEOS, Kind.IMAGE: IMAGES}
MODELS = ("pixverse5.5", "veo3.1", "veo3.1_fast")
RATIOS = ("16:9", "9:16")
MOMENTS = tuple(NOON + step for step in (-86_400_000, -1, 0, 1, 2, 1000, 86_400_000))
FILTERS = ("model", "aspectRatio", "createdAfter", "createdBefore", "continues")
COMBINATIONS = [names for size in range(1, 6) for names in itertools.combinations(FILTERS, size)]


@dataclass(frozen=True)
class Entered:
    """An item and what it was made from."""

    item: Item
    parents: tuple[Item, ...] = ()


@dataclass
class Shelf:
    """An account with a client, and all that is in its libraries."""

    server: Server
    api: httpx2.Client
    account_id: str
    there: list[Entered]

    def enter(self, *entered: Entered) -> None:
        async def add(studio: Studio) -> None:
            async with studio.store.write() as tx:
                for each in entered:
                    kind = each.item.request.kind
                    await LIBRARIES[kind].add(tx, each.item, frozenset(parent.file_id for parent in each.parents))

        self.server.do(add)
        self.there += entered

    def page(self, path: str = VIDEOS, **query: object) -> dict[str, Any]:
        answer = self.api.get(path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert isinstance(body, dict)
        return body

    def walk(self, path: str, query: dict[str, str], sizes: Iterator[int]) -> list[str]:
        """The ids of every page; ``limit`` is another one for each."""
        seen: list[str] = []
        token = ""
        while True:
            size = next(sizes)
            body = self.page(path, **query, limit=size, nextPageKey=token)
            shown = [item["id"] for item in body["items"]]
            assert len(shown) <= size
            assert "nextPageKey" not in body or len(shown) == size
            seen += shown
            token = body.get("nextPageKey", "")
            if not token:
                return seen

    def expected(self, kind: Kind, query: dict[str, str]) -> list[str]:
        """What the contract says, by trying every item."""
        fitting = [each.item for each in self.there if each.item.request.kind is kind and fits(each, query)]
        return [item.id for item in sorted(fitting, key=lambda item: (item.created, item.id), reverse=True)]


def fits(each: Entered, query: dict[str, str]) -> bool:
    request, created = each.item.request, timestamp(each.item.created)
    asked: dict[str, Callable[[str], bool]] = {
        "model": lambda value: request.model == value,
        "aspectRatio": lambda value: request.aspect_ratio == value,
        # Our own spelling sorts as time does.
        "createdAfter": lambda value: created > value,
        "createdBefore": lambda value: created < value,
        "continues": lambda value: any(parent.id == value for parent in each.parents),
    }
    return all(asked[name](value) for name, value in query.items())


def film(account_id: str, model: str, ratio: str, created: int) -> Video:
    return a_video(account_id, created=created, request=VideoRequest("a red fox", model, ratio, 5))


def still(account_id: str, ratio: str, created: int) -> Image:
    request = ImageRequest("a red fox", "seedream3.0", ratio)
    return Image(ids.uuid(), account_id, None, request, created, 1024, 1024)


def stocked(account_id: str) -> list[Entered]:
    """Items of every model, ratio and moment, and what was made from four of them."""
    firsts: list[Item] = [film(account_id, model, "9:16", NOON - 5) for model in MODELS[:2]]
    firsts += [still(account_id, "1:1", NOON - 5), still(account_id, "9:16", NOON - 6)]
    entered = [Entered(first) for first in firsts]
    makers = [(), *((first,) for first in firsts), (firsts[0], firsts[2])]
    for number, (model, ratio, created) in enumerate(itertools.product(MODELS, RATIOS, MOMENTS)):
        entered.append(Entered(film(account_id, model, ratio, created), makers[number % len(makers)]))
        if number % 3 == 0:
            entered.append(Entered(still(account_id, ratio, created), makers[number % len(makers)]))
    return entered


@pytest.fixture(scope="module", params=ENGINES)
def library(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    """A library that nobody changes, on each engine."""
    server = request.getfixturevalue(f"{request.param}_server")
    key = server.key()
    with server.client(key) as api:
        shelf = Shelf(server, api, account_of(server, key), [])
        shelf.enter(*stocked(shelf.account_id))
        yield shelf


@pytest.fixture
def shelf(server: Server, api: httpx2.Client) -> Shelf:
    return Shelf(server, api, account_of(server, api.headers["authorization"]), [])


def values(library: Shelf, name: str) -> st.SearchStrategy[str]:
    parents = sorted({parent.id for each in library.there for parent in each.parents})
    moments = [timestamp(moment + step) for moment in MOMENTS for step in (-1, 0, 1)]
    return {
        "model": st.sampled_from([*MODELS, "seedream3.0", "none", "MODEL", "veo"]),
        "aspectRatio": st.sampled_from([*RATIOS, "1:1", "16:10"]),
        "createdAfter": st.sampled_from(moments),
        "createdBefore": st.sampled_from(moments),
        "continues": st.sampled_from([*parents, "nothing", ids.uuid(), library.there[-1].item.id]),
    }[name]


@settings(max_examples=150, deadline=None, database=None)
@given(data=st.data())
def test_any_filters_together_show_what_meets_all_of_them_newest_first(library: Shelf, data: st.DataObject) -> None:
    """Contract: "alone and in every combination", beside a model that tries every item; walked with any limits."""
    names = data.draw(st.sampled_from([(), *COMBINATIONS]))
    query = {name: data.draw(values(library, name), name) for name in names}
    kind = data.draw(st.sampled_from(list(Kind)))
    sizes = data.draw(st.lists(st.integers(1, 100) | st.integers(1, 4), min_size=1, max_size=5))
    seen = library.walk(PATHS[kind], query, itertools.cycle(sizes))
    assert seen == library.expected(kind, query)


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_a_filtered_walk_is_exact_whatever_comes_and_goes_meanwhile(server: Server, names: tuple[str, ...]) -> None:
    """Contract: "exact walks with tokens": deleted are the last one shown and one not shown yet; one is added."""
    key = server.key()
    with server.client(key) as api:
        shelf = Shelf(server, api, account_of(server, key), [])
        source = Entered(film(shelf.account_id, "veo3.1", "16:9", NOON))
        made = [film(shelf.account_id, "veo3.1", "9:16", NOON + number // 2) for number in range(8)]
        others = [film(shelf.account_id, "pixverse5.5", "16:9", NOON + number) for number in range(8)]
        shelf.enter(source, *(Entered(each, (source.item,)) for each in made), *map(Entered, others))
        query = {
            "model": "veo3.1",
            "aspectRatio": "9:16",
            "createdAfter": timestamp(NOON - 1),
            "createdBefore": timestamp(NOON + 4),
            "continues": source.item.id,
        }
        query = {name: query[name] for name in names}
        expected = shelf.expected(Kind.VIDEO, query)
        first = shelf.page(**query, limit=3)
        shown = [item["id"] for item in first["items"]]
        unseen = next(item_id for item_id in expected if item_id not in shown and item_id != source.item.id)
        for gone in (shown[-1], unseen):
            assert api.delete(f"{VIDEOS}/{gone}").status_code == 200
        shelf.enter(Entered(film(shelf.account_id, "veo3.1", "9:16", NOON + 3), (source.item,)))
        token = first["nextPageKey"]
        while token:
            body = shelf.page(**query, limit=2, nextPageKey=token)
            shown += [item["id"] for item in body["items"]]
            token = body.get("nextPageKey")
        new = shelf.there[-1].item.id
        assert [item_id for item_id in shown if item_id != new] == [
            item_id for item_id in expected if item_id != unseen
        ]
        assert len(shown) == len(set(shown))


def test_limit_cuts_pages_of_the_plain_list(library: Shelf) -> None:
    """Contract: "limit (1 to 100)", and it "may change between pages"."""
    expected = library.expected(Kind.VIDEO, {})
    for sizes in ([1], [7], [100], [1, 100], [3, 5, 2]):
        assert library.walk(VIDEOS, {}, itertools.cycle(sizes)) == expected
    assert [item["id"] for item in library.page(limit=1)["items"]] == expected[:1]


def test_without_any_parameter_the_answer_is_that_of_the_plain_list(library: Shelf) -> None:
    """Contract: "without any parameter the answer is A1 to the byte"; empty ones are not sent, unknown ones ignored."""
    plain = library.api.get(VIDEOS).content
    assert plain.startswith(b'{"items":[{"url":"')
    for query in (
        "limit=&model=&aspectRatio=&createdAfter=&createdBefore=&continues=&continuedBy=&nextPageKey=&q=",
        "limit=100",
        "Model=veo3.1&createdafter=x&state=failed&sort=asc",
        "x=%ff&%ff=x&y=%00",
        "&".join(f"x{number}=1" for number in range(500)),
        "model",
        "createdAfter=1970-01-01",
    ):
        assert library.api.get(f"{VIDEOS}?{query}").content == plain, query


def test_a_parameter_that_is_sent_twice_counts_as_sent_last(library: Shelf) -> None:
    seen = library.api.get(f"{VIDEOS}?model=none&model=veo3.1").json()["items"]
    assert [item["id"] for item in seen] == library.expected(Kind.VIDEO, {"model": "veo3.1"})


# --- wrong ones ---

WRONG: dict[str, list[str]] = {
    "limit": ["0", "101", "-1", "1.5", "x", "1e1", " 5", "5 ", "٣", "99999999999999999999", "+5", "%ff"],
    "createdAfter": ["x", "1775000000000", "2026-13-01", "2026-04-31T00:00:00Z", "yesterday", "2026-04-09T25:00:00Z"],
    "createdBefore": ["x", "09.04.2026", "2026-04-09T18:51:47.967ZZ", "\x00", "2026", "12:00"],
    "model": ["nul \x00", "x" * 5001],
    "aspectRatio": ["\x00", "x" * 5001],
    "continues": ["\x00", "x" * 5001],
    "continuedBy": ["\x00", "x" * 5001],
}


def named(answer: httpx2.Response) -> list[str]:
    """400 INVALID_REQUEST; the fields it names."""
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert (list(body), body["code"]) == (["code", "message", "fields"], "INVALID_REQUEST")
    assert all(isinstance(field["errors"], str) and field["errors"] for field in body["fields"])
    assert all(field["name"] in body["message"] for field in body["fields"])
    return sorted(field["name"] for field in body["fields"])


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_parameter_is_a_400_that_names_it(api: httpx2.Client, name: str) -> None:
    for path in (VIDEOS, IMAGES):
        for value in WRONG[name]:
            assert named(api.get(path, params={name: value})) == [name], value


@pytest.mark.parametrize("name", ["model", "aspectRatio", "continues", "continuedBy"])
def test_what_is_not_utf_8_is_refused_where_it_is_read(api: httpx2.Client, name: str) -> None:
    assert named(api.get(f"{VIDEOS}?{name}=%ff")) == [name]
    assert named(api.get(f"{VIDEOS}?{name}=%ed%a0%80")) == [name]


def test_every_wrong_parameter_is_named_at_once(api: httpx2.Client) -> None:
    """Contract: "bad ones 400 with every one named"."""
    wrong = {name: told[0] for name, told in WRONG.items()}
    assert named(api.get(VIDEOS, params={**wrong, "nextPageKey": "no token", "unknown": "x"})) == sorted(
        [*wrong, "nextPageKey"]
    )
    assert named(api.get(IMAGES, params={"limit": "0", "createdBefore": "x", "model": "fine"})) == [
        "createdBefore",
        "limit",
    ]


# --- times ---


def test_both_bounds_are_exclusive_to_the_millisecond(shelf: Shelf) -> None:
    """Contract: "createdAfter, createdBefore (exclusive; ISO 8601)"."""
    films = [film(shelf.account_id, "veo3.1", "16:9", NOON + number) for number in range(3)]
    shelf.enter(*map(Entered, films))
    middle = timestamp(NOON + 1)

    def shown(**query: str) -> list[int]:
        ids_shown = [item["id"] for item in shelf.page(**query)["items"]]
        return [number for number, each in enumerate(films) if each.id in ids_shown]

    assert shown(createdAfter=middle) == [2]
    assert shown(createdBefore=middle) == [0]
    assert shown(createdAfter=middle, createdBefore=middle) == []
    assert shown(createdAfter=timestamp(NOON), createdBefore=timestamp(NOON + 2)) == [1]
    # a part of a millisecond lies between two items
    half = middle.replace("Z", "500Z")
    assert shown(createdAfter=half) == [2]
    assert shown(createdBefore=half) == [0, 1]
    assert shown(createdAfter=middle.replace("Z", "999Z")) == [2]
    assert shown(createdBefore=middle.replace("Z", "001Z")) == [0, 1]


def test_a_time_may_be_spelled_in_every_way_that_iso_8601_has(shelf: Shelf) -> None:
    one = film(shelf.account_id, "veo3.1", "16:9", NOON)
    shelf.enter(Entered(one))
    moment = datetime.fromtimestamp(NOON / 1000, UTC)
    east = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    for spelled in (
        timestamp(NOON),
        moment.isoformat(),
        east.isoformat(),
        moment.replace(tzinfo=None).isoformat(),  # without a zone: UTC
        f"{moment:%Y%m%dT%H%M%SZ}",
        f"{moment:%G-W%V-%uT%H:%M:%S}+00:00",
    ):
        assert shelf.page(createdAfter=spelled)["items"] == shelf.page(createdBefore=spelled)["items"] == [], spelled
    assert len(shelf.page(createdAfter="2026-03-31")["items"]) == 1
    assert shelf.page(createdBefore="2026-03-31")["items"] == []
    for edge in ("0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999-14:00"):
        assert shelf.api.get(VIDEOS, params={"createdAfter": edge}).status_code == 200


# --- tokens and tags ---


def test_a_token_is_bound_to_its_filters(library: Shelf) -> None:
    """Contract: "limit may change between pages, other filters may not (400 naming nextPageKey)"."""
    parent = library.there[0].item.id
    query = {"model": "veo3.1", "aspectRatio": "9:16", "createdAfter": timestamp(MOMENTS[0] - 1)}
    token = library.page(**query, limit=2)["nextPageKey"]
    assert library.api.get(VIDEOS, params={**query, "nextPageKey": token, "limit": "50"}).status_code == 200
    for other in (
        {},
        {name: query[name] for name in list(query)[:2]},
        {**query, "model": "veo3.1_fast"},
        {**query, "aspectRatio": "16:9"},
        {**query, "createdAfter": timestamp(MOMENTS[0])},
        {**query, "createdBefore": timestamp(MOMENTS[-1] + 1)},
        {**query, "continues": parent},
    ):
        answer = library.api.get(VIDEOS, params={**other, "nextPageKey": token})
        assert named(answer) == ["nextPageKey"], other
    assert named(library.api.get(IMAGES, params={**query, "nextPageKey": token})) == ["nextPageKey"]
    plain = library.page(limit=2)["nextPageKey"]
    assert library.api.get(VIDEOS, params={"nextPageKey": plain}).status_code == 200
    assert named(library.api.get(VIDEOS, params={"model": "veo3.1", "nextPageKey": plain})) == ["nextPageKey"]


def test_the_same_time_in_another_spelling_is_the_same_filter(library: Shelf) -> None:
    bound = timestamp(MOMENTS[0])
    token = library.page(createdAfter=bound, limit=2)["nextPageKey"]
    other = bound.replace("Z", "+00:00")
    assert library.api.get(VIDEOS, params={"createdAfter": other, "nextPageKey": token}).status_code == 200


def test_a_plus_that_came_as_a_space_is_told_of(api: httpx2.Client) -> None:
    [field] = api.get(f"{VIDEOS}?createdAfter=2026-03-31T12:00:00+02:00").json()["fields"]
    assert field == {
        "name": "createdAfter",
        "errors": "must be a time in ISO 8601, such as 2026-04-09T18:51:47.967Z; a + in it is sent as %2B",
    }


def test_a_filtered_list_has_an_etag_that_changes_with_the_library(shelf: Shelf) -> None:
    """Contract: "ETag/304 on filtered lists"."""
    shelf.enter(Entered(film(shelf.account_id, "veo3.1", "16:9", NOON)))
    query = {"model": "veo3.1", "limit": "10"}
    answer = shelf.api.get(VIDEOS, params=query)
    etag = answer.headers["etag"]
    again = shelf.api.get(VIDEOS, params=query, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    tags = {
        shelf.api.get(VIDEOS, params=other).headers["etag"]
        for other in ({}, query, {**query, "limit": "9"}, {**query, "model": "veo3"}, {"model": "veo3.1"})
    }
    assert len(tags) == 5
    shelf.enter(Entered(film(shelf.account_id, "veo3.1", "16:9", NOON + 1)))
    after = shelf.api.get(VIDEOS, params=query, headers={"If-None-Match": etag})
    assert (after.status_code, len(after.json()["items"])) == (200, 2)
    shelf.api.delete(f"{VIDEOS}/{shelf.there[0].item.id}")
    assert [item["id"] for item in shelf.page(**query)["items"]] == [shelf.there[1].item.id]
    # a wrong parameter is wrong whatever the client has
    assert shelf.api.get(VIDEOS, params={"limit": "0"}, headers={"If-None-Match": "*"}).status_code == 400


def test_a_searchs_etag_changes_when_its_index_catches_up(shelf: Shelf) -> None:
    """Which is no change of the account's; a client that has the short answer must not keep it."""
    shelf.enter(Entered(film(shelf.account_id, "veo3.1", "16:9", NOON)))
    of = f"WHERE account_id = '{shelf.account_id}'"

    async def forget(studio: Studio) -> None:
        async with studio.store.write() as tx:
            await tx.rows(f"INSERT INTO search_backlog SELECT account_id, kind, created, id FROM search_pending {of}")
            await tx.rows(f"DELETE FROM search_pending {of}")

    async def catch_up(studio: Studio) -> None:
        async with studio.store.write() as tx:
            assert await search.catch_up(tx, 100)

    shelf.server.do(forget)
    before = shelf.api.get(VIDEOS, params={"q": "fox"})
    shelf.server.do(catch_up)
    after = shelf.api.get(VIDEOS, params={"q": "fox"}, headers={"If-None-Match": before.headers["etag"]})
    assert (before.json()["items"], after.status_code, len(after.json()["items"])) == ([], 200, 1)
    again = shelf.api.get(VIDEOS, params={"q": "fox"}, headers={"If-None-Match": after.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


# --- continuedBy: the other way round ---


def test_what_an_item_was_made_from_is_found_however_long_ago(shelf: Shelf) -> None:
    source = film(shelf.account_id, "veo3.1", "16:9", NOON)
    other = film(shelf.account_id, "veo3.1_fast", "9:16", NOON + 1)
    picture = still(shelf.account_id, "1:1", NOON)
    between = [Entered(film(shelf.account_id, "veo3.1", "16:9", NOON + 10 + number)) for number in range(120)]
    child = film(shelf.account_id, "veo3.1", "16:9", NOON + 10**6)
    shelf.enter(
        *(Entered(each) for each in (source, other, picture)), *between, Entered(child, (source, other, picture))
    )
    found = {"continuedBy": child.id}
    assert [item["id"] for item in shelf.page(**found)["items"]] == [other.id, source.id]
    assert [item["id"] for item in shelf.page(IMAGES, **found)["items"]] == [picture.id]
    assert [item["id"] for item in shelf.page(**found, model="veo3.1")["items"]] == [source.id]
    assert shelf.walk(VIDEOS, found, itertools.repeat(1)) == [other.id, source.id]
    assert shelf.page(continuedBy=source.id) == shelf.page(continuedBy="nothing") == {"items": []}
    assert shelf.api.delete(f"{VIDEOS}/{other.id}").status_code == 200
    assert [item["id"] for item in shelf.page(**found)["items"]] == [source.id]


def test_another_accounts_item_was_made_from_nothing(shelf: Shelf, library: Shelf) -> None:
    child = next(each.item.id for each in library.there if each.parents)
    assert shelf.page(continuedBy=child) == shelf.page(IMAGES, continuedBy=child) == {"items": []}


def test_a_token_is_bound_to_the_item_whose_origins_it_lists(shelf: Shelf) -> None:
    parents = [still(shelf.account_id, "1:1", NOON + number) for number in range(3)]
    children = [film(shelf.account_id, "veo3.1", "16:9", NOON + number) for number in (8, 9)]
    shelf.enter(*map(Entered, parents), *(Entered(each, tuple(parents)) for each in children))
    token = shelf.page(IMAGES, continuedBy=children[0].id, limit=2)["nextPageKey"]
    assert len(shelf.page(IMAGES, continuedBy=children[0].id, nextPageKey=token)["items"]) == 1
    answer = shelf.api.get(IMAGES, params={"continuedBy": children[1].id, "nextPageKey": token})
    assert named(answer) == ["nextPageKey"]


def test_what_an_item_was_made_from_is_not_searched(shelf: Shelf) -> None:
    assert named(shelf.api.get(VIDEOS, params={"continuedBy": "some", "q": "fox"})) == ["continuedBy"]


# --- continues ---


def test_another_accounts_item_has_nothing_made_from_it(shelf: Shelf, library: Shelf) -> None:
    parent = next(parent.id for each in library.there for parent in each.parents)
    assert shelf.page(continues=parent) == {"items": []}
    assert library.page(continues=parent)["items"] != []


def test_an_item_made_from_itself_twice_is_shown_once(shelf: Shelf) -> None:
    source = film(shelf.account_id, "veo3.1", "16:9", NOON)
    shelf.enter(Entered(source), Entered(film(shelf.account_id, "veo3.1", "16:9", NOON + 1), (source, source)))
    assert [item["id"] for item in shelf.page(continues=source.id)["items"]] == [shelf.there[1].item.id]


def test_a_deleted_child_is_not_shown_and_the_others_are(shelf: Shelf) -> None:
    source = still(shelf.account_id, "1:1", NOON)
    children = [film(shelf.account_id, "veo3.1", "16:9", NOON + number) for number in range(3)]
    shelf.enter(Entered(source), *(Entered(each, (source,)) for each in children))
    shelf.api.delete(f"{VIDEOS}/{children[1].id}")
    assert [item["id"] for item in shelf.page(continues=source.id)["items"]] == [children[2].id, children[0].id]


def test_a_walk_of_what_was_made_from_an_item_outlives_the_item(shelf: Shelf) -> None:
    """Its token stays a token of the list when the item it names goes between two pages."""
    source = film(shelf.account_id, "veo3.1", "16:9", NOON)
    children = [film(shelf.account_id, "veo3.1", "16:9", NOON + number) for number in range(1, 4)]
    shelf.enter(Entered(source), *(Entered(each, (source,)) for each in children))
    first = shelf.page(continues=source.id, limit=2)
    assert shelf.api.delete(f"{VIDEOS}/{source.id}").status_code == 200
    answer = shelf.api.get(VIDEOS, params={"continues": source.id, "nextPageKey": first["nextPageKey"]})
    assert answer.status_code == 200, answer.text
    shown = [item["id"] for item in first["items"] + answer.json()["items"]]
    assert shown == [child.id for child in reversed(children)]


def test_words_and_an_origin_together_find_what_has_both(shelf: Shelf) -> None:
    source, other = (film(shelf.account_id, "veo3.1", "16:9", NOON + number) for number in range(2))
    children = [film(shelf.account_id, "veo3.1", "16:9", NOON + number) for number in range(2, 6)]
    parents = [(source,), (other,), (source, other), ()]
    shelf.enter(Entered(source), Entered(other), *map(Entered, children, parents))
    word = children[0].request.prompt.split()[0]
    assert [item["id"] for item in shelf.page(continues=source.id, q=word)["items"]] == [children[2].id, children[0].id]
    assert shelf.page(continues=source.id, q="unheard") == {"items": []}


def test_an_items_own_text_is_the_one_of_its_list(shelf: Shelf) -> None:
    one = film(shelf.account_id, "veo3.1", "16:9", NOON)
    shelf.enter(Entered(replace(one, request=replace(one.request, prompt="„leise“ 🎬"))))
    filtered = shelf.api.get(VIDEOS, params={"model": "veo3.1", "createdAfter": timestamp(NOON - 1)})
    assert filtered.content == shelf.api.get(VIDEOS).content
    assert json.loads(filtered.content)["items"][0]["prompt"] == "„leise“ 🎬"
