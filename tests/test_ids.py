"""The names things go by."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes import ids

CANONICAL = "7f9c24e8-3b12-4fef-91e0-ec5f5cd8c67a"


@given(st.integers(0, 32_503_680_000_000))
def test_an_item_id_is_its_time_and_16_hex_digits(milliseconds: int) -> None:
    made = ids.item_id(milliseconds)
    assert re.fullmatch(r"\d{17}[0-9a-f]{16}", made)
    assert len(made) == 33
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    assert made[:17] == f"{moment:%Y%m%d%H%M%S}{milliseconds % 1000:03d}"


def test_an_item_id_reads_as_the_contract_shows_it() -> None:
    assert ids.item_id(1_775_760_707_967)[:17] == "20260409185147967"


def test_ids_of_the_same_millisecond_differ() -> None:
    assert len({ids.item_id(0) for _ in range(1000)}) == 1000


def test_a_uuid_is_random_and_canonical() -> None:
    made = [ids.uuid() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(UUID(one).version == 4 and str(UUID(one)) == one and ids.is_uuid(one) for one in made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        CANONICAL.upper(),
        CANONICAL.replace("-", ""),
        f"{{{CANONICAL}}}",
        f"urn:uuid:{CANONICAL}",
        f" {CANONICAL}",
        f"{CANONICAL}\n",
        CANONICAL[:-1],
        f"{CANONICAL}0",
        CANONICAL.replace("7", "７"),
        "\ud800",
        "\x00" * 36,
    ],
)
def test_a_uuid_has_one_spelling(text: str) -> None:
    assert ids.is_uuid(CANONICAL)
    assert not ids.is_uuid(text)


@given(st.text())
def test_any_text_can_be_asked_about(text: str) -> None:
    assert ids.is_uuid(text) == bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))


def test_a_key_can_be_told_by_its_beginning_and_is_never_stored() -> None:
    made = {ids.key() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"pictai_[A-Za-z0-9_-]{43}", key) for key in made)
    assert all(re.fullmatch(r"[0-9a-f]{64}", ids.key_hash(key)) and key[7:] not in ids.key_hash(key) for key in made)
    assert len({ids.key_hash(key) for key in made}) == 1000
