"""Page tokens (B1): opaque, URL-safe, and opening one list of one account only."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushes import ids, store
from rushes.errors import InvalidQuery
from rushes.paging import Cursor, SortKey

ACCOUNT = "7f9c24e8-3b12-4fef-91e0-ec5f5cd8c67a"
KEY = SortKey(1_775_760_707_967, "20260409185147967f0c3a9b1d2e47586")
SECRET = bytes(range(32))
URL_SAFE = string.ascii_letters + string.digits + "-_"

cursor = Cursor(SECRET, ACCOUNT, "videos", "model=veo3.1")
TOKEN = cursor.token(KEY)

keys = st.builds(SortKey, st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))


def refused(token: str, by: Cursor = cursor) -> bool:
    try:
        by.parse(token)
    except InvalidQuery as error:
        return list(error.fields) == ["nextPageKey"]
    return False


@given(key=keys, secret=st.binary(min_size=32, max_size=32), filters=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_token_gives_back_its_key(key: SortKey, secret: bytes, filters: str) -> None:
    made = Cursor(secret, ACCOUNT, "videos", filters)
    assert made.parse(made.token(key)) == key
    assert re.fullmatch(r"[A-Za-z0-9_-]+", made.token(key))


@given(one=keys, other=keys)
def test_keys_compare_as_the_list_orders(one: SortKey, other: SortKey) -> None:
    assert (one < other) == (one.created < other.created or (one.created == other.created and one.id < other.id))


@pytest.mark.anyio
async def test_a_token_survives_a_restart(tmp_path: Path, database_url: str | None) -> None:
    tokens, parsed = [], []
    for _ in range(2):
        opened = await store.open(tmp_path, database_url)
        made = Cursor(await store.secret(opened, "page tokens"), ACCOUNT, "videos")
        await opened.close()
        tokens.append(made.token(KEY))
        parsed.append(made.parse(tokens[0]))
    assert tokens[0] == tokens[1]
    assert parsed == [KEY, KEY]


@pytest.mark.parametrize(
    "other",
    [
        Cursor(SECRET, ids.uuid(), "videos", "model=veo3.1"),
        Cursor(SECRET, ACCOUNT, "images", "model=veo3.1"),
        Cursor(SECRET, ACCOUNT, "videos"),
        Cursor(SECRET, ACCOUNT, "videos", "model=veo3.1_fast"),
        Cursor(SECRET[::-1], ACCOUNT, "videos", "model=veo3.1"),
        Cursor(b"", ACCOUNT, "videos", "model=veo3.1"),
    ],
    ids=["another account", "another list", "no filter", "another filter", "another secret", "no secret"],
)
def test_a_token_opens_nothing_else(other: Cursor) -> None:
    assert not refused(TOKEN)
    assert refused(TOKEN, other)


def test_any_altered_character_is_refused() -> None:
    altered = [TOKEN[:at] + new + TOKEN[at + 1 :] for at in range(len(TOKEN)) for new in URL_SAFE if new != TOKEN[at]]
    assert len(altered) == 63 * len(TOKEN)
    assert [token for token in altered if not refused(token)] == []


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_the_spare_bits_of_base64_have_one_spelling(length: int) -> None:
    token = cursor.token(SortKey(1, "x" * length))
    last = [token[:-1] + new for new in URL_SAFE if new != token[-1]]
    assert [other for other in last if not refused(other)] == []


def test_a_cut_token_is_refused() -> None:
    assert [length for length in range(len(TOKEN)) if not refused(TOKEN[:length])] == []
    assert [length for length in range(1, len(TOKEN)) if not refused(TOKEN[length:])] == []


@pytest.mark.parametrize("more", ["A", "=", "==", " ", "\n", "\r\n", "\t", "\x00", "é", ".", "%3D", "A" * 100_000])
def test_a_token_with_anything_added_is_refused(more: str) -> None:
    assert refused(TOKEN + more)
    assert refused(more + TOKEN)
    assert refused(TOKEN[:8] + more + TOKEN[8:])


def test_the_other_alphabet_of_base64_is_refused() -> None:
    tokens = [cursor.token(SortKey(number, KEY.id)) for number in range(100)]
    assert any("-" in token for token in tokens)
    assert any("_" in token for token in tokens)
    others = {token.replace("-", "+").replace("_", "/") for token in tokens} - set(tokens)
    assert [token for token in others if not refused(token)] == []


@pytest.mark.parametrize("token", ["", "=", "null", "é" * 40, "\ud800", "\x00", "💡", "../../etc", "A" * 1_000_000])
def test_what_was_never_a_token_is_refused(token: str) -> None:
    assert refused(token)


@settings(max_examples=300)
@given(st.text())
def test_no_text_is_a_token_by_chance(token: str) -> None:
    assert refused(token)
