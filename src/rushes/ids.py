"""The names things go by: item ids, uuids, keys."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

import uuid_utils

KEY_PREFIX = "pictai_"


def item_id(milliseconds: int) -> str:
    """A video's id, 33 characters: the 17-digit UTC time of its submission, then 16 random hex digits."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y%m%d%H%M%S}{milliseconds % 1000:03d}{secrets.token_hex(8)}"


def uuid() -> str:
    """A random uuid (version 4): an account, a job, a stored file."""
    return str(uuid_utils.uuid4())


def derived_uuid(text: str) -> str:
    """The uuid that stands for ``text``: always the same."""
    return str(uuid_utils.uuid5(uuid_utils.NAMESPACE_URL, text))


def is_uuid(text: str) -> bool:
    """Whether ``text`` is a uuid in the one spelling we write."""
    try:
        return str(uuid_utils.UUID(text)) == text
    except ValueError:
        return False


def key() -> str:
    """A new API key: 43 characters of randomness behind ``pictai_``."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """What is stored of a key. A fast hash is right here: 256 random bits cannot be guessed by trying."""
    return hashlib.sha256(key.encode()).hexdigest()
