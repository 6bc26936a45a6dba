"""Pages: the sort key of a list, what of it is asked for, and the token that carries a place in it."""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from rushes.errors import InvalidQuery

PAGE_SIZE = 100
NO_TOKEN = "nextPageKey is not a token this list gave out; leave it away to start from the first page."  # noqa: S105

_VERSION = b"\x01"
_MAC_BYTES = 16
_TIME_BYTES = 8


class SortKey(NamedTuple):
    """An item's place in a list: newest first, ties broken by id, both descending. Compares as the list orders."""

    created: int
    """Milliseconds since the epoch, UTC."""
    id: str


@dataclass(frozen=True, slots=True)
class Filters:
    """Which items of a library are asked for: those that meet every condition. Times are milliseconds, exclusive."""

    model: str | None = None
    aspect_ratio: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    parent: str | None = None
    """The uuid in the names of the file that they were made from."""
    files: tuple[str, ...] | None = None
    """The uuids in the names of their own files: a few."""
    terms: tuple[str, ...] | None = None
    """What their prompts must hold, as :mod:`rushes.search` cuts it; no terms are held by nothing."""

    @property
    def columns(self) -> dict[str, object]:
        """The conditions on columns, by their names."""
        told = {
            "model": self.model,
            "aspect_ratio": self.aspect_ratio,
            "created_after": self.created_after,
            "created_before": self.created_before,
            "parent": self.parent,
        }
        return {name: value for name, value in told.items() if value is not None}


class Cursor:
    """Writes and reads the tokens of one list of one account.

    A token is the last :class:`SortKey` of a page under a MAC that covers the account, the list and the filters, so
    that it opens nothing else; it never expires. The secret lives in the database: tokens survive what it survives.
    """

    def __init__(self, secret: bytes, account_id: str, listing: str, filters: str = "") -> None:
        context = "\x00".join((account_id, listing, filters)).encode()
        self._mac = blake2b(key=blake2b(context, key=secret).digest(), digest_size=_MAC_BYTES)

    def token(self, key: SortKey) -> str:
        """The token that asks for what follows ``key``: URL-safe, unpadded."""
        body = _VERSION + key.created.to_bytes(_TIME_BYTES, signed=True) + key.id.encode()
        return _spelled(self._sign(body) + body)

    def parse(self, token: str) -> SortKey:
        """The key in ``token``.

        Raises:
            InvalidQuery: the token was altered, cut, spelled another way, or belongs to another list.
        """
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._sign(body)):
                raise _refused()
            # Base64 has several spellings of the same bytes (spare bits, characters it skips): only ours is a token.
            if _spelled(raw) != token:
                raise _refused()
            return SortKey(int.from_bytes(body[1 : 1 + _TIME_BYTES], signed=True), body[1 + _TIME_BYTES :].decode())
        except (binascii.Error, ValueError) as error:
            raise _refused() from error

    def _sign(self, body: bytes) -> bytes:
        mac = self._mac.copy()
        mac.update(body)
        return mac.digest()


def is_token(text: str) -> bool:
    """Whether a text has the form of a token, of whatever list."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return False
    return _spelled(raw) == text and raw[_MAC_BYTES : _MAC_BYTES + 1] == _VERSION


def _spelled(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _refused() -> InvalidQuery:
    return InvalidQuery(NO_TOKEN, {"nextPageKey": NO_TOKEN})
