"""``/aistudio/videos`` and ``/aistudio/images``: pages of a library, and its items one by one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rushes import __version__, logs, wire
from rushes.api import auth
from rushes.api.answers import HEADERS, answer, tagged, unchanged
from rushes.api.auth import Headers
from rushes.api.query import asked, one_token
from rushes.errors import InvalidQuery, NotFound
from rushes.model import Account, Kind
from rushes.paging import Cursor
from rushes.store.library import LIBRARIES
from rushes.studio import Studio

_KEPT_PAGES = 128
_KEPT_KEYS = 1024
_LIST_HEADERS = [(b"cache-control", b"private, no-cache"), *HEADERS]


class Answer(NamedTuple):
    """What goes out: 200 with a body, or 304 without."""

    etag: bytes
    body: bytes | None


class Listing:
    """``GET``: a page of the library of one kind.

    Bare ASGI, because this is the hottest path there is: stored texts, joined. Clients that poll ask for the first
    page again and again; :class:`FirstPages` knows when its answer cannot have changed.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._library = LIBRARIES[kind]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        studio: Studio = scope["state"]["studio"]
        if studio.rates is not None:
            await _send(send, await self._answer(studio, scope, None))
            return
        if scope["query_string"]:
            known = await self._known_page(studio, scope)
            await _send(send, known or await self._answer(studio, scope, None))
            return
        first_pages: FirstPages = scope["state"]["first_pages"][self._kind]
        request = (scope["client"] and scope["client"][0], *scope["headers"])
        same = first_pages.answered(studio.store.version())
        if request not in same:
            same[request] = await self._answer(studio, scope, first_pages)
        await _send(send, same[request])

    async def _answer(self, studio: Studio, scope: Scope, first_pages: FirstPages | None) -> Answer:
        logs.about(request_id=scope.get("request_id"))
        headers = dict(scope["headers"])
        version = studio.store.version()
        account = await auth.account(studio, headers)
        scope["state"]["known"].keep(version, headers, account)
        origin = auth.links(studio.config, scope, headers)
        query = await asked(studio, account, scope["query_string"])
        cursor = _cursor(studio.secret, account.id, f"{self._kind}s", query.filtered)
        etag = self._etag(account, scope["query_string"], origin)
        after = cursor.parse(query.token) if query.token else None
        searched = query.filters is not None and query.filters.terms is not None
        if not searched and unchanged(headers.get(b"if-none-match"), etag):
            return Answer(etag, None)
        body = first_pages.get(etag) if first_pages else None
        if body is None:
            page = await studio.read(
                account, lambda store: self._library.page(store, account.id, after, query.limit, query.filters)
            )
            body = wire.page(page.items, page.last and cursor.token(page.last), origin)
            if first_pages:
                first_pages.keep(etag, body)
        if searched:  # an index that is still catching up finds more without any change of the account's
            etag = _tag(etag + body)
            return Answer(etag, None if unchanged(headers.get(b"if-none-match"), etag) else body)
        return Answer(etag, body)

    async def _known_page(self, studio: Studio, scope: Scope) -> Answer | None:
        """The answer to a token and nothing else from a key that was good a moment ago, if it still is."""
        headers = dict(scope["headers"])
        known: Known = scope["state"]["known"]
        account, query = known.get(headers), one_token(scope["query_string"])
        if account is None or query is None or b"if-none-match" in headers:
            return None
        cursor = _cursor(studio.secret, account.id, f"{self._kind}s", query.filtered)
        try:
            after = cursor.parse(query.token) if query.token else None
        except InvalidQuery:
            return None
        page = await self._library.page(studio.store, account.id, after, query.limit)
        if not known.is_as_of(studio.store.seen()):
            return None
        origin = auth.links(studio.config, scope, headers)
        body = wire.page(page.items, page.last and cursor.token(page.last), origin)
        return Answer(self._etag(account, scope["query_string"], origin), body)

    def _etag(self, account: Account, query: bytes, origin: str) -> bytes:
        # All that an answer depends on, in one short text: no page need be read to know that it has not changed.
        source = f"{__version__}\n{self._kind}\n{account.id}\n{account.revision}\n{origin}\n".encode() + query
        return _tag(source)


def _tag(source: bytes) -> bytes:
    return b'"' + blake2b(source, digest_size=12).hexdigest().encode() + b'"'


class Known:
    """The accounts that keys opened, while the database is as it was then. A page is read first and this asked
    afterwards: where the read met the same version, the key was good at that very moment, and one transaction has done
    for both.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._accounts: dict[bytes | None, Account] = {}

    def get(self, headers: Headers) -> Account | None:
        """The account that the request's key opened."""
        return self._accounts.get(headers.get(b"authorization"))

    def is_as_of(self, version: int | None) -> bool:
        """Whether nothing has been committed since."""
        return version == self._version

    def keep(self, version: int | None, headers: Headers, account: Account) -> None:
        """Note what the key opened; ``version`` was read before the key."""
        if version != self._version or len(self._accounts) >= _KEPT_KEYS:
            self._version, self._accounts = version, {}
        if version is not None:
            self._accounts[headers.get(b"authorization")] = account


class FirstPages:
    """The newest first pages sent: by what was asked while the database is as it was, else by ``ETag``, which holds
    the account's revision. Neither can ever give an answer that a commit has made old.
    """

    def __init__(self) -> None:
        self._pages: OrderedDict[bytes, bytes] = OrderedDict()
        self._version: int | None = None
        self._answered: dict[Hashable, Answer] = {}

    def answered(self, version: int | None) -> dict[Hashable, Answer]:
        """The answers since the database was at this version, by request; to be added to."""
        if version is None or version != self._version or len(self._answered) >= _KEPT_PAGES:
            self._version, self._answered = version, {}
        return self._answered

    def get(self, etag: bytes) -> bytes | None:
        """The page that was sent under this tag."""
        return self._pages.get(etag)

    def keep(self, etag: bytes, page: bytes) -> None:
        """Remember a page instead of the oldest."""
        self._pages[etag] = page
        if len(self._pages) > _KEPT_PAGES:
            self._pages.popitem(last=False)


@lru_cache(maxsize=1024)
def _cursor(secret: bytes, account_id: str, listing: str, filters: str) -> Cursor:
    return Cursor(secret, account_id, listing, filters)


async def _send(send: Send, answer: Answer) -> None:
    headers = [(b"etag", answer.etag), *_LIST_HEADERS]
    status, body = (304, b"") if answer.body is None else (200, answer.body)
    if status == 200:
        headers += ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class OneItem:
    """``GET`` and ``DELETE`` of one item of a library."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    async def show(self, request: Request) -> Response:
        """``GET``: the item as its list shows it."""
        studio: Studio = request.state.studio
        headers = dict(request.scope["headers"])
        account = await auth.account(studio, headers)
        item = await LIBRARIES[self._kind].get(studio.store, account.id, _item_id(request))
        if item is None:
            raise NotFound(f"There is no {self._kind} of that id in this account.")
        body = wire.resolve(item, auth.links(studio.config, request.scope, headers))
        return tagged(request, body)

    async def delete(self, request: Request) -> Response:
        """``DELETE``: the item, its files, and what its job had to show."""
        studio: Studio = request.state.studio
        account = await auth.account(studio, dict(request.scope["headers"]))
        if not await studio.delete_item(account.id, self._kind, _item_id(request)):
            raise NotFound(f"There is no {self._kind} of that id in this account.")
        return answer(wire.SUCCESS)


def _item_id(request: Request) -> str:
    # No database text holds a NUL, and PostgreSQL refuses to look for one.
    return str(request.path_params["item_id"]).replace("\x00", "\ufffd")
