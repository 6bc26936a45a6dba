"""Contract B12: "``ETag`` on lists and files; ``If-None-Match`` gives 304"."""

from __future__ import annotations

import pytest

from tests.api.library import account_of, enter, video
from tests.api.takes import completed, submit
from tests.conftest import Server

LISTS = ["/aistudio/videos", "/aistudio/images", "/aistudio/jobs", "/aistudio/models", "/aistudio/changes", "/jobs"]
LISTS += ["/aicredits/usage"]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_that_has_not_changed_is_not_sent_again(server: Server, path: str) -> None:
    with server.client() as api:
        first = api.get(path)
        again = api.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        other = api.get(path, headers={"If-None-Match": '"another"'})
        assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.parametrize("path", [path for path in LISTS if path not in ("/aistudio/models", "/aistudio/images")])
def test_a_list_that_has_changed_is(server: Server, path: str) -> None:
    with server.client() as api:
        known = api.get(path).headers["etag"]
        completed(api, submit(api, duration="5s"))
        answer = api.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.headers["etag"] == known) == (200, False)


def test_an_item_has_one_too(server: Server) -> None:
    key = server.key()
    one = video(account_of(server, key))
    enter(server, one)
    with server.client(key) as api:
        etag = api.get(f"/aistudio/videos/{one.id}").headers["etag"]
        assert api.get(f"/aistudio/videos/{one.id}", headers={"If-None-Match": etag}).status_code == 304
