"""A page asked for by a token remembers who asked: never longer than the database stays as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rushes.model import Kind, Video
from rushes.store import accounts
from rushes.studio import Studio
from tests.api.library import account_of, enter, video
from tests.api.takes import VIDEOS
from tests.conftest import Server

PAGE = 2


def test_a_revoked_key_reads_no_further_page(server: Server) -> None:
    key = server.key()
    enter(server, *(video(account_of(server, key), number) for number in range(3 * PAGE)))
    with server.client(key) as api:
        token = api.get(VIDEOS, params={"limit": PAGE}).json()["nextPageKey"]
        further = f"{VIDEOS}?nextPageKey={token}"
        assert [api.get(further).status_code for _ in range(3)] == [200, 200, 200]
        account_id = account_of(server, key)
        server.do(lambda studio: revoke(studio, account_id))
        assert api.get(further).status_code == 401
        assert api.get(f"{VIDEOS}?nextPageKey=wrong").status_code == 401


def test_a_change_shows_on_the_next_further_page_and_in_its_tag(server: Server) -> None:
    key = server.key()
    shown = [video(account_of(server, key), number) for number in range(3 * PAGE)]
    enter(server, *shown)
    with server.client(key) as api:
        token = api.get(VIDEOS, params={"limit": PAGE}).json()["nextPageKey"]
        further, tags = f"{VIDEOS}?nextPageKey={token}", set()
        for gone in (shown[0], shown[1], shown[2]):
            before = api.get(further)
            assert gone.id in {item["id"] for item in before.json()["items"]}
            assert api.get(further, headers={"If-None-Match": before.headers["etag"]}).status_code == 304
            server.do(deletion(gone))
            tags.add(before.headers["etag"])
            after = api.get(further)
            assert gone.id not in {item["id"] for item in after.json()["items"]}
            tags.add(after.headers["etag"])
            assert api.get(further, headers={"If-None-Match": before.headers["etag"]}).status_code == 200
        assert len(tags) == 4


def test_two_keys_asking_in_turn_each_see_their_own(server: Server) -> None:
    keys = [server.key(), server.key()]
    tokens, own = [], []
    for key in keys:
        shown = [video(account_of(server, key), number) for number in range(2 * PAGE)]
        enter(server, *shown)
        own.append({each.id for each in shown})
        with server.client(key) as api:
            tokens.append(api.get(VIDEOS, params={"limit": PAGE}).json()["nextPageKey"])
    for _ in range(3):
        for number, key in enumerate(keys):
            with server.client(key) as api:
                found = api.get(f"{VIDEOS}?nextPageKey={tokens[number]}").json()["items"]
                assert {item["id"] for item in found} <= own[number]
                assert len(found) == PAGE
                assert api.get(f"{VIDEOS}?nextPageKey={tokens[1 - number]}").status_code == 400


def deletion(gone: Video) -> Callable[[Studio], Awaitable[bool]]:
    return lambda studio: studio.delete_item(gone.account_id, Kind.VIDEO, gone.id)


async def revoke(studio: Studio, account_id: str) -> None:
    for (key_id,) in await studio.store.rows("SELECT id FROM keys WHERE account_id = :id", id=account_id):
        async with studio.store.write() as tx:
            assert await accounts.revoke_key(tx, key_id)
