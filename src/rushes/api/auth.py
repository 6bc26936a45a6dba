"""Who asks, by the key they send; and what our links to them start with."""

from __future__ import annotations

import re
from functools import lru_cache
from math import ceil

from starlette.types import Scope

from rushes import ids
from rushes.config import Config
from rushes.errors import TooMany, Unauthorized
from rushes.model import Account
from rushes.rates import Rates
from rushes.store import accounts
from rushes.studio import Studio

Headers = dict[bytes, bytes]

_LONGEST_KEY = 200
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")


async def account(studio: Studio, headers: Headers) -> Account:
    """The account whose key the request carries, read from the database each time: a revoked key is closed at once.

    Raises:
        Unauthorized: always the same, whatever was wrong.
        TooMany: the key is right, and asks too often.
    """
    key = _key(headers.get(b"authorization", b"").decode("latin-1"))
    found = await accounts.of_key(studio.store, key) if key else None
    if key is None or found is None:
        raise Unauthorized("The key is missing, malformed, unknown or revoked.")
    if studio.rates is not None:
        _count(studio.rates, key)
    return found


def _count(rates: Rates, key: str) -> None:
    wait = rates.take(ids.key_hash(key))
    if wait is not None:
        raise TooMany("This key asks more often than it may; wait as long as Retry-After says.", ceil(wait) or 1)


def _key(authorization: str) -> str | None:
    key = authorization.strip()
    if key[:7].lower() == "bearer ":
        key = key[7:].strip()
    return key if key.startswith(ids.KEY_PREFIX) and len(key) <= _LONGEST_KEY else None


def origin(config: Config, scope: Scope, headers: Headers) -> str:
    """Scheme and host that we are called by: the public URL, or what the client itself called."""
    return config.public_url or called(config, scope, headers)


def links(config: Config, scope: Scope, headers: Headers) -> str:
    """What the links of files start with: what serves them in our place, or where we are ourselves."""
    return config.media_url or origin(config, scope, headers)


def called(config: Config, scope: Scope, headers: Headers) -> str:
    """Scheme and host that the client itself called.

    Forwarded headers count only from a proxy that is named as trusted.
    """
    scheme, host = scope["scheme"].encode(), headers.get(b"host", b"")
    if scope["client"] and scope["client"][0] in config.trusted_proxies:
        scheme = headers.get(b"x-forwarded-proto", scheme)
        host = headers.get(b"x-forwarded-host", host)
    return _origin(scheme, host) or _listened_on(scope)


def _listened_on(scope: Scope) -> str:
    address, port = scope["server"]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


@lru_cache(maxsize=1024)
def _origin(scheme: bytes, host: bytes) -> str | None:
    # A proxy chain appends with commas: the first is what the client called. The text goes into JSON as it is, so
    # anything that is not plainly a host is not used.
    scheme_name, host_name = (value.decode("latin-1").partition(",")[0].strip() for value in (scheme, host))
    usable = scheme_name in ("http", "https") and _HOST.fullmatch(host_name)
    return f"{scheme_name}://{host_name}" if usable else None
