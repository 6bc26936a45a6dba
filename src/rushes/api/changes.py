"""``/aistudio/changes``: what entered and left the libraries, oldest first, for tools that keep a copy."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rushes import wire
from rushes.api import auth
from rushes.api.answers import listing
from rushes.api.query import checked, parameters, whole_number
from rushes.errors import InvalidQuery
from rushes.paging import PAGE_SIZE, Cursor, SortKey
from rushes.store import changes
from rushes.studio import Studio


async def page(request: Request) -> Response:
    """``GET``: what came after ``since``, and the ``since`` to ask with next; without one, from the beginning."""
    studio: Studio = request.state.studio
    headers = dict(request.scope["headers"])
    account = await auth.account(studio, headers)
    sent = parameters(request.scope["query_string"])
    limit = checked(sent, {"limit": _limit}).get("limit", PAGE_SIZE)
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
        sentence = "since is not a token this feed gave out; leave it away to start from the beginning."
        raise InvalidQuery(sentence, {"since": sentence}) from error


def _limit(text: str) -> int:
    return whole_number(text, 1, PAGE_SIZE)
