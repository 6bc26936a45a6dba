"""What of a library is asked for: the query string of a list, every wrong parameter told at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs

from rushes import search, wire
from rushes.errors import InvalidQuery
from rushes.model import Account
from rushes.paging import NO_TOKEN, PAGE_SIZE, Filters, is_token
from rushes.store import Rows, library
from rushes.studio import Studio

_ONE_TOKEN = re.compile(rb"(?:nextPageKey=([A-Za-z0-9_-]*))")
_LONGEST_TEXT = 5000
LONGEST_SEARCH = 200
"""Characters of ``q``: a page of a search costs as many rows as it has words."""
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Asked(NamedTuple):
    """One page of a list."""

    token: str
    """Where it begins; empty: with the newest."""
    limit: int = PAGE_SIZE
    filters: Filters | None = None
    filtered: str = ""
    """The filters in one spelling, for a token to be bound to."""


ALL = Asked("")


async def asked(studio: Studio, account: Account, query: bytes) -> Asked:
    """Read a query string; a parameter that is sent twice counts as sent last, an unknown or empty one not at all.

    Whether a token is one of this list is not judged here: only right filters can tell.

    Raises:
        InvalidQuery: naming every parameter that is wrong.
    """
    if not query:
        return ALL
    if plain := one_token(query):
        return plain
    sent = parameters(query)
    read = checked(sent, _READERS)
    filters = await _filters(studio.store, account.id, sent, read)
    limit = read.get("limit", PAGE_SIZE)
    assert isinstance(limit, int)  # noqa: S101  (for the type checker)
    if filters is None:
        return Asked(sent.get("nextPageKey", ""), limit)
    # As it was asked, not as it was found: the item may go while what was made from it is walked.
    told = {**filters.columns, "parent": sent.get("continues")}
    if "continuedBy" in sent:
        told["child"] = sent["continuedBy"]
    # And q as it was asked, not as it is cut, which another release may do otherwise: tokens outlive it.
    return Asked(sent.get("nextPageKey", ""), limit, filters, wire.dumps([told, sent.get("q")]))


def one_token(query: bytes) -> Asked | None:
    """What is asked for by a query string that is a token and nothing else. It needs no quoting, so that nearly every
    query is this one parameter as it is.
    """
    plain = _ONE_TOKEN.fullmatch(query)
    return Asked(plain[1].decode()) if plain else None


def parameters(query: bytes) -> dict[str, str]:
    """The parameters of a query string that say something."""
    # What is not UTF-8 matters only in a parameter that is read, and is refused there.
    sent = parse_qs(query.decode("latin-1"), errors="surrogateescape")
    return {name: values[-1] for name, values in sent.items()}


def checked(sent: Mapping[str, str], readers: Mapping[str, Callable[[str], object]]) -> dict[str, object]:
    """The parameters that have a reader, read.

    Raises:
        InvalidQuery: naming every one whose reader complained.
    """
    read: dict[str, object] = {}
    wrong: dict[str, str] = {}
    for name in (name for name in readers if name in sent):
        try:
            read[name] = readers[name](sent[name])
        except ValueError as error:
            wrong[name] = str(error)
    if wrong:
        raise InvalidQuery(f"These parameters are wrong: {', '.join(sorted(wrong))}.", wrong)
    return read


async def _filters(sql: Rows, account_id: str, sent: Mapping[str, str], read: Mapping[str, object]) -> Filters | None:
    if not _FILTERS & sent.keys():
        return None
    terms = read.get("q")
    if terms is not None and "continuedBy" in sent:
        complaint = "cannot be sent beside q"
        raise InvalidQuery(f"The parameter continuedBy {complaint}.", {"continuedBy": complaint})
    after, before = read.get("createdAfter"), read.get("createdBefore")
    parent = await library.file_of(sql, account_id, sent["continues"]) or "" if "continues" in sent else None
    return Filters(
        model=sent.get("model"),
        aspect_ratio=sent.get("aspectRatio"),
        created_after=after if isinstance(after, int) else None,
        created_before=before if isinstance(before, int) else None,
        parent=parent,  # of an item that never was, nothing was made
        files=await library.parents_of(sql, account_id, sent["continuedBy"]) if "continuedBy" in sent else None,
        terms=terms if isinstance(terms, tuple) else None,
    )


def page_limit(text: str) -> int:
    """How many items at most."""
    return whole_number(text, 1, PAGE_SIZE)


def whole_number(text: str, least: int, most: int) -> int:
    """A number in digits, within bounds; ``ValueError`` says what it may be."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise ValueError(f"must be a whole number from {least} to {most}")
    return int(text)


def _after(text: str) -> int:
    # Both bounds are exclusive: a part of a millisecond takes none away that lies beyond it.
    return _since_epoch(text) // _MILLISECOND


def _before(text: str) -> int:
    return -(-_since_epoch(text) // _MILLISECOND)


def _since_epoch(text: str) -> timedelta:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        plus = "; a + in it is sent as %2B" if " " in text else ""
        raise ValueError(f"must be a time in ISO 8601, such as 2026-04-09T18:51:47.967Z{plus}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH


def _words(text: str) -> tuple[str, ...]:
    if len(text) > LONGEST_SEARCH:
        raise ValueError(f"must be at most {LONGEST_SEARCH} characters long")
    return search.asked(_text(text))


def _text(text: str) -> str:
    if len(text) > _LONGEST_TEXT or _NO_TEXT.search(text):
        raise ValueError(f"must be at most {_LONGEST_TEXT:,} characters of UTF-8, without NUL")
    return text


def page_token(text: str) -> str:
    """A token that is one of some list."""
    # Told beside what else is wrong where it is none of any list; whether it is one of this list, its reader says.
    if not is_token(text):
        raise ValueError(NO_TOKEN)
    return text


_READERS: Mapping[str, Callable[[str], object]] = {
    "limit": page_limit,
    "createdAfter": _after,
    "createdBefore": _before,
    "q": _words,
    "model": _text,
    "aspectRatio": _text,
    "continues": _text,
    "continuedBy": _text,
    "nextPageKey": page_token,
}
_FILTERS = frozenset(_READERS) - {"limit", "nextPageKey"}
