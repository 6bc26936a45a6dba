"""``/aistudio/changes``: what entered and left the libraries, oldest first, for tools that keep a copy."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rushes import wire
from rushes.api import auth, query
from rushes.api.answers import listing
from rushes.api.query import checked, parameters
from rushes.errors import InvalidQuery
from rushes.paging import PAGE_SIZE, Cursor, SortKey, is_token
from rushes.store import changes
from rushes.studio import Studio

_NOT_OURS = "since is not a token this feed gave out; leave it away to start from the beginning."


async def page(request: Request) -> Response:
    """``GET``: what came after ``since``, and the ``since`` to ask with next; without one, from the beginning."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    sent = parameters(request.scope["query_string"])
    limit = checked(sent, {"limit": query.page_limit, "since": _token}).get("limit", PAGE_SIZE)
    assert isinstance(limit, int)  # noqa: S101  (for the type checker)
    cursor = Cursor(studio.secret, account.id, "changes")
    since = _since(cursor, sent.get("since"))
    found = await changes.after(studio.store, account.id, since, limit + 1)
    listed, more = found[:limit], len(found) > limit
    token = cursor.token(SortKey(listed[-1].revision if listed else since, ""))
    return listing(request, wire.changes(listed, token, auth.links(studio.config, request.scope, headers), more=more))


def _since(cursor: Cursor, token: str | None) -> int:
    if not token:
        return 0
    try:
        return cursor.parse(token).created
    except InvalidQuery as error:
        raise InvalidQuery(_NOT_OURS, {"since": _NOT_OURS}) from error


def _token(text: str) -> str:
    if not is_token(text):
        raise ValueError(_NOT_OURS)
    return text
