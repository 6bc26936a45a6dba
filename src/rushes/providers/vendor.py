"""One vendor's API over HTTP: what is sent goes to its host alone, once, and its answers come in one vocabulary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from rushes import __version__, fetch, logs, tracing
from rushes.errors import (
    InputBlocked,
    InputTooLarge,
    InputUnreachable,
    JobFailed,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.providers import MOST_BYTES

Json = Any
"""What ``json.loads`` gives. A vendor may send anything: whoever reads it asks what it is."""

_CREATE_SECONDS = 300.0
_READ_SECONDS = 60.0
_DOWNLOAD_SECONDS = 3600.0
_CONNECT_SECONDS = 15.0
_LONGEST_JSON = 256 * 2**20
"""Bytes. Some vendors send the finished file inside their JSON."""
_LONGEST_WORDS = 300
_SHORTEST_SECRET = 8
_NOT_NOW = (429, 503)


class Answer(NamedTuple):
    """What a vendor said, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names as they came, found in any spelling."""
    body: Json
    """Its JSON; the text itself where it is none."""


Judge = Callable[[Answer], JobFailed | ProviderUnreachable | None]
"""What a vendor's own codes mean; ``None``: what their HTTP status says."""


class Unclear(Exception):
    """A create was sent, and the answer does not say whether it was taken."""


class Vendor:
    """A vendor's host, with what it wants to be sent.

    ``create`` sends an order: once, on a connection of its own, so that no connection that has gone stale can leave it
    unknown whether it arrived. ``upload`` sends an input ahead of one. ``read`` asks, ``probe`` tries whether an order
    would be taken; ``download`` brings a file, and takes the key along to the host of ``base_url`` alone.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        judge: Judge = lambda answer: None,
        allow_private_hosts: frozenset[str] = frozenset(),
    ) -> None:
        """``name`` is what people call it; ``headers`` hold the key."""
        self.name = name
        self.base = URL(base_url.rstrip("/") + "/")
        self._headers = headers
        self._judge = judge
        self._private = allow_private_hosts
        # A vendor may repeat a key where it complains of it: it is struck out before anybody reads that.
        secrets = [value.split()[-1] for value in headers.values() if value.strip()]
        self._secrets = [secret.encode() for secret in secrets if len(secret) >= _SHORTEST_SECRET]
        self._kept: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    async def create(
        self, path: str, *, method: str = "POST", seconds: float = _CREATE_SECONDS, **content: Any
    ) -> Json:
        """Send an order, once; ``content`` is aiohttp's ``json``, ``data``, ``params`` or ``headers``.

        Raises:
            ProviderUnreachable: it was surely not taken. JobFailed: the vendor said no.
            Exception: nobody knows whether it was taken.
        """
        try:
            async with self._session(force_close=True) as session:
                answer = await self._ask(session, method, path, seconds, content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise self._away(error) from None
        if answer.status < 300 and isinstance(answer.body, dict | list) and (said := self._judge(answer)) is None:
            return answer.body
        raise self._objection(answer) if answer.status >= 300 else said or _unclear(self.name, answer)

    async def upload(self, path: str, *, seconds: float = _CREATE_SECONDS, **content: Any) -> Json:
        """Send an input ahead of its order, which costs nothing.

        Raises:
            ProviderUnreachable: it may pass. JobFailed: the vendor does not take it.
        """
        answer = await self.ask(path, method="POST", seconds=seconds, **content)
        if answer.status in (404, 410) and self._judge(answer) is None:  # no model was asked for
            words = f"it answered {answer.status}{in_words(answer.body)}"
            raise ProviderFailed(f"{self.name} takes no such file: {words}.")
        return self._granted(answer)

    async def probe(self, path: str, *, method: str = "GET", seconds: float = _READ_SECONDS, **content: Any) -> Json:
        """Ask for what costs nothing; what is wrong with key, account or model is told as a create would tell it.

        Raises:
            ProviderUnreachable: it may pass. JobFailed: the vendor said no.
        """
        return self._granted(await self.ask(path, method=method, seconds=seconds, **content))

    async def read(self, path: str, *, method: str = "GET", seconds: float = _READ_SECONDS, **content: Any) -> Json:
        """Ask for what costs nothing, however often.

        Raises:
            ProviderUnreachable: it may pass. JobFailed: what was asked for is not there, or the vendor's code says so.
        """
        answer = await self.ask(path, method=method, seconds=seconds, **content)
        if answer.status < 300 and isinstance(answer.body, dict | list):
            if said := self._judge(answer):
                raise said
            return answer.body
        raise self._set_back(answer)

    async def ask(self, path: str, *, method: str = "GET", seconds: float = _READ_SECONDS, **content: Any) -> Answer:
        """The same, whatever the status is.

        Raises:
            ProviderUnreachable: there was no answer.
        """
        try:
            return await self._ask(self._shared(), method, path, seconds, content)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from None

    async def stop(self, path: str, *, method: str) -> Answer:
        """Ask for an order to be stopped; the answer, unless it may be another one later.

        Raises:
            ProviderUnreachable: it may pass.
        """
        answer = await self.ask(path, method=method)
        if answer.status in (401, 403, 408, 429) or answer.status >= 500:
            raise self._not_now(answer)
        return answer

    async def download(self, url: str, to: Path) -> None:
        """Bring a result: from the vendor's own host with its key, from any other without, if that is not private.

        Raises:
            ProviderUnreachable: it may pass. ProviderFailed: the link leads nowhere (any more), or to too much.
        """
        target = self.base.join(URL(url, encoded=True))
        onward = await self._bring(target, to) if target.origin() == self.base.origin() else url
        if onward is None:
            return
        fetcher = fetch.Fetcher(self._private)
        try:
            await fetcher.fetch(onward, to, max_bytes=MOST_BYTES, seconds=_DOWNLOAD_SECONDS)
        except InputUnreachable as error:
            raise self._lost(error.status, error.retry_after) from None
        except InputBlocked as error:
            raise ProviderFailed(f"{self.name} delivered what cannot be fetched: {error.sentence}") from None
        except InputTooLarge:
            raise self._too_large() from None
        finally:
            await fetcher.close()

    async def close(self) -> None:
        """Let go of connections."""
        for session in self._kept.values():
            await session.close()
        self._kept.clear()

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, path: str, seconds: float, content: Mapping[str, Any]
    ) -> Answer:
        target = self.base.join(URL(path.removeprefix("/") if not path.startswith("http") else path))
        if target.origin() != self.base.origin():  # a key goes to its own host
            raise ProviderFailed(f"{self.name} names another host ({target.host}) to be asked; it was not.")
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        content = {**content, "headers": {**_onward(), **(content.get("headers") or {})}}
        async with session.request(method, target, timeout=timeout, allow_redirects=False, **content) as answer:
            body = await _read(answer)
        for secret in self._secrets:
            body = body.replace(secret, b"[the key]")
        return Answer(answer.status, answer.headers, _parsed(body))

    async def _bring(self, target: URL, to: Path) -> str | None:
        """Fetch it with the key; or say where it is instead, where the fetch without a key goes on."""
        timeout = aiohttp.ClientTimeout(total=_DOWNLOAD_SECONDS, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS)
        try:
            async with self._shared().get(target, timeout=timeout, allow_redirects=False) as answer:
                if 300 <= answer.status < 400 and "Location" in answer.headers:
                    return str(target.join(URL(answer.headers["Location"], encoded=True)))
                if answer.status != 200:
                    raise self._lost(answer.status, _retry_after(answer.headers))
                await fetch.save(answer, to, MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from None
        except InputTooLarge:
            raise self._too_large() from None
        return None

    def _too_large(self) -> ProviderFailed:
        return ProviderFailed(f"{self.name} delivered more than {MOST_BYTES:,} bytes, which is more than is kept here.")

    def _shared(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if loop not in self._kept:
            self._kept[loop] = self._session()
        return self._kept[loop]

    def _session(self, *, force_close: bool = False) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=force_close),
            headers={"User-Agent": f"Rushes/{__version__}", **self._headers},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _granted(self, answer: Answer) -> Json:
        if answer.status < 300 and isinstance(answer.body, dict | list):
            if said := self._judge(answer):
                raise said
            return answer.body
        refused = self._objection(answer)
        raise self._not_now(answer) if isinstance(refused, Unclear) else refused

    def _objection(self, answer: Answer) -> Exception:
        """What an answer to a create means that is no success."""
        if said := self._judge(answer):
            return said
        words = f"it answered {answer.status}{in_words(answer.body)}"
        if answer.status in _NOT_NOW:
            return self._not_now(answer)
        if answer.status in (401, 402, 403):
            sentence = f"{self.name} did not take the order of this server: {words}. Its operator can mend that."
            return ModelUnavailable(sentence)
        if answer.status in (404, 410):
            return ModelRetired(f"{self.name} has no such model (any more): {words}. Choose another.")
        if answer.status < 500 and answer.status != 408:
            return ProviderFailed(f"{self.name} refused the request: {words}. Change it and submit it again.")
        return _unclear(self.name, answer)

    def _set_back(self, answer: Answer) -> Exception:
        """What an answer to a question means that is no success. A key that is not taken today may be tomorrow: the
        order stands, and what was paid for waits.
        """
        if said := self._judge(answer):
            return said
        if answer.status in (404, 410):
            return ProviderFailed(
                f"{self.name} does not know this job any more; look there before you submit it again: it may have "
                "been charged."
            )
        return self._not_now(answer)

    def _not_now(self, answer: Answer) -> ProviderUnreachable:
        words = f"{self.name} answered {answer.status}{in_words(answer.body)}."
        return ProviderUnreachable(words, _retry_after(answer.headers))

    def _lost(self, status: int | None, wait: float | None) -> ProviderFailed | ProviderUnreachable:
        if status in (403, 404, 410):
            return ProviderFailed(f"The result's link at {self.name} leads nowhere any more: it answered {status}.")
        told = "did not come whole" if status is None else f"was not to be had: it answered {status}"
        return ProviderUnreachable(f"The result at {self.name} {told}.", wait)

    def _away(self, error: Exception) -> ProviderUnreachable:
        # Not the error's own words: they repeat the URL, which may be signed.
        return ProviderUnreachable(f"{self.name} could not be reached ({type(error).__name__}).")


def _unclear(name: str, answer: Answer) -> Unclear:
    return Unclear(f"{name} answered {answer.status}{in_words(answer.body)}")


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _LONGEST_JSON:
            raise aiohttp.ClientPayloadError("longer than any answer")
    return bytes(body)


def _onward() -> dict[str, str]:
    """What the other side's logs and traces can name the same as ours."""
    onward = {"X-Request-Id": logs.here().get("request_id"), "traceparent": tracing.here()}
    return {name: value for name, value in onward.items() if value}


def _parsed(body: bytes) -> Json:
    with suppress(ValueError, RecursionError):
        return json.loads(body)
    return body.decode(errors="replace")


def in_words(body: Json) -> str:
    """What a vendor says for people, in one line, wherever it stands."""
    for name in ("error", "detail", "message", "title", "ErrMsg"):
        while isinstance(body, dict) and name in body:
            body = body[name]
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)
    plain = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * _LONGEST_WORDS]).split())
    return f", “{plain[:_LONGEST_WORDS]}”" if plain else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from a number of them or from a date."""
    told = headers.get("Retry-After", "").strip()
    with suppress(ValueError):
        return float(told)
    with suppress(ValueError):
        moment = parsedate_to_datetime(told)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return None
