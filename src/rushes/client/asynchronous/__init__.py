"""The client for asyncio and trio. The blocking one is written from this folder by ``make client``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx2
from anyio import sleep

from rushes.client import calls, items
from rushes.client.asynchronous.jobs import AsyncJobs
from rushes.client.asynchronous.library import AsyncImages, AsyncVideos
from rushes.client.calls import Answer, Call, OnBytes, Tries
from rushes.client.items import Changes, Model, Page, Quota
from rushes.client.part import Part
from rushes.errors import BadAnswer, InvalidQuery, RushesError

CONTENT_TYPES: Mapping[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
}
"""What can be uploaded, by the end of its name."""

_CHUNK_BYTES = 256 * 1024


class AsyncClient:
    """A server's API: that of Rushes, or of the vendor. One client serves many tasks at once.

    ``url`` is the server's address, ``key`` opens an account there; ``timeout`` bounds, in seconds, every wait for a
    connection and for the next byte. A GET that fails is sent again, up to ``tries`` times in all; a POST only where it
    is certain that it cannot count twice.

    Raises:
        InvalidQuery: ``url`` is no address of a server, or ``key`` cannot be a key.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 30.0, tries: int = calls.TRIES) -> None:
        self._base = calls.base(url)
        self._key = calls.header(key, "key")
        self._seconds = timeout
        self._tries = tries
        try:
            self._http = httpx2.AsyncClient(timeout=timeout, headers={"User-Agent": calls.USER_AGENT})
        except (ImportError, ValueError, OSError) as error:  # HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and their like
            raise InvalidQuery(
                f"The proxy or the certificates that the environment names cannot be used: {str(error).rstrip('.')}."
            ) from error
        self._announced: bool | None = None
        self.videos = AsyncVideos(self)
        self.images = AsyncImages(self)
        self.jobs = AsyncJobs(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def models(self) -> Sequence[Model]:
        """What this server can make. Only Rushes tells."""
        answer = await self.ask("GET", "/aistudio/models")
        return items.read(lambda told: [items.model(each) for each in told["items"]], answer)

    async def quota(self) -> Quota:
        """What the account may spend this month, and has spent."""
        return items.read(items.quota, await self.ask("GET", "/quota"))

    async def changes(self, since: str | None = None) -> AsyncIterator[Changes]:
        """Everything added or deleted after ``since`` (``None``: ever), oldest first, up to now. Only Rushes tells."""
        more = True
        while more:
            answer = await self.ask("GET", "/aistudio/changes", params={"since": since})
            stretch, more = items.read(items.changes, answer)
            yield stretch
            if more and stretch.since == since:
                raise BadAnswer("The server says that more changes follow, and leads back to where they began.")
            since = stretch.since

    async def upload(self, path: Path) -> str:
        """Send a file to the server, as an input; its link there.

        Raises:
            NotSaved: there is no such file; InvalidQuery: the end of its name is none of :data:`CONTENT_TYPES`.
        """
        content_type = CONTENT_TYPES.get(path.suffix.lower())
        if content_type is None:
            raise InvalidQuery(f"{path.name} cannot be an input: its name must end in {', '.join(CONTENT_TYPES)}.")
        calls.check_readable(path)
        tries = Tries(Call("PUT", "the upload", tries=self._tries))
        while True:
            # A new link each time: one takes one file, and it is not known what has become of the one before.
            told = await self.ask("POST", "/media/generateurl", body=_announced(path, content_type))
            signed, url = items.read(lambda told: (told["data"]["signedUrl"], told["data"]["url"]), told)
            try:
                answer = await self._put(calls.link(signed), path, content_type)
            except httpx2.RequestError as error:
                pause = tries.after_loss(error, repeatable=True)
            else:
                if answer.ok:
                    return calls.link(url)
                pause = tries.after_answer(answer, repeatable=True)
            await sleep(pause)

    async def _put(self, url: str, path: Path, content_type: str) -> Answer:
        headers = {"Content-Type": content_type, "Content-Length": str(calls.size(path))}
        response = await self._http.put(url, content=_chunks(path), headers=headers)
        return Answer(response.status_code, response.headers, response.content)

    async def download(self, url: str, to: Path, *, suffix: str | None = None, on_bytes: OnBytes | None = None) -> Path:
        """Save the file at ``url`` as ``to``: whole and on the disk, or not at all. The key is not sent along.

        Raises:
            NotWhole: what came is not whole, or not what ``suffix`` (``None``: that of ``to``) says.
            RushesError: the server's answer, where it is no file.
        """
        call, most = Call("GET", calls.link(url), tries=self._tries), 0
        with Part(to, suffix or to.suffix) as part:
            tries = Tries(call)
            while True:
                try:
                    refusal = await self._receive(url, part, on_bytes)
                except httpx2.RequestError as error:
                    # As long as it gets on there is no end to patience.
                    if part.size > most:
                        tries, most = Tries(call), part.size
                    pause = tries.after_loss(error, repeatable=True, began=part.began)
                else:
                    if refusal is None:
                        return part.finish()
                    pause = tries.after_answer(refusal, repeatable=True)
                await sleep(pause)

    async def _receive(self, url: str, part: Part, on_bytes: OnBytes | None) -> Answer | None:
        """The rest of the file into ``part``; the answer where it is none."""
        async with self._http.stream("GET", url, headers=part.headers, follow_redirects=True) as response:
            if response.status_code == 416 and part.size:
                part.start_over()
                raise httpx2.RemoteProtocolError(
                    "the server has nothing that follows what came of the file", request=response.request
                )
            if response.status_code not in (200, 206):
                return Answer(response.status_code, response.headers, b"")
            part.begin(response.status_code, response.headers)
            # As it comes: what were gathered to larger pieces would be lost with the connection.
            async for chunk in response.aiter_bytes():
                part.write(chunk)
                if on_bytes:
                    on_bytes(part.size, part.total)
        return None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        tries: int | None = None,
        timeout: float = inf,
    ) -> Any:
        """Any call below ``/pictoryapis/v1``, as this client makes them all; the JSON of its answer.

        ``tries`` and ``timeout`` count instead of the client's, the latter where it is shorter.

        Raises:
            RushesError: one class a meaning, as drawn in ``rushes.errors``.
        """
        once = calls.header(idempotency_key or calls.new_key(), "idempotency key") if method == "POST" else ""
        call = Call(method, path, params or {}, body, once, tries or self._tries, timeout)
        try:
            answer = await self._send(call)
        except UnicodeEncodeError:
            raise InvalidQuery(
                "A text holds half a surrogate pair, or bytes that are no UTF-8: it cannot be sent."
            ) from None
        return answer.json()

    async def pages(
        self, path: str, token: str | None = None, *, params: Mapping[str, object] | None = None
    ) -> AsyncIterator[Page]:
        """The pages of any list below ``/pictoryapis/v1`` as they come, beginning at a ``token``.

        Raises:
            BadAnswer: the list leads back to a page that was there, and so has no end.
        """
        seen = {token}
        while True:
            page = items.read(items.page, await self.ask("GET", path, params={**(params or {}), "nextPageKey": token}))
            yield page
            token = page.token
            if token is None:
                return
            if token in seen:
                raise BadAnswer("The server's next page is one that was there; the list cannot be walked to its end.")
            seen.add(token)

    async def _send(self, call: Call) -> Answer:
        tries = Tries(call)
        while True:
            try:
                answer = await self._once(call)
            except httpx2.RequestError as error:
                pause = tries.after_loss(error, repeatable=await self._repeatable(call, error))
            else:
                if answer.ok:
                    return answer
                pause = tries.after_answer(answer, repeatable=await self._repeatable(call, answer))
            await sleep(pause)

    async def _once(self, call: Call) -> Answer:
        headers = {"Authorization": self._key, **({"Idempotency-Key": call.once} if call.once else {})}
        url = self._base + call.path
        seconds = min(call.seconds, self._seconds)
        async with self._http.stream(
            call.method, url, params=call.told, json=call.sent, headers=headers, timeout=seconds
        ) as response:
            answer = Answer(response.status_code, response.headers, await self._whole(response, seconds))
        if answer.announces or answer.ok:
            self._announced = answer.announces
        return answer

    async def _whole(self, response: httpx2.Response, seconds: float) -> bytes:
        body, end = bytearray(), monotonic() + seconds
        async for chunk in response.aiter_bytes():
            body += chunk
            if monotonic() > end:
                raise httpx2.ReadTimeout(
                    f"the answer was not there after {seconds:g} seconds", request=response.request
                )
            if len(body) > calls.LONGEST_ANSWER:
                raise BadAnswer(f"The server's answer is longer than {calls.LONGEST_ANSWER} bytes.")
        return bytes(body)

    async def _repeatable(self, call: Call, outcome: httpx2.RequestError | Answer) -> bool:
        """Whether the call may be sent again after what came of it."""
        if call.method == "GET" or not calls.doubtful(outcome):
            return True
        with suppress(RushesError):  # a server that cannot be asked honours nothing as far as we know
            return bool(call.once) and await self.is_rushes()
        return False

    async def is_rushes(self) -> bool:
        """Whether the server is a Rushes: it honours idempotency keys, and tells more of jobs.

        Raises:
            RushesError: it could not be asked.
        """
        if self._announced is None:
            await self._meet()
        return bool(self._announced)

    async def _meet(self) -> None:
        try:
            await self.quota()
        except RushesError as error:
            if self._announced is None and not calls.decides(error):
                raise


def _announced(path: Path, content_type: str) -> Mapping[str, object]:
    return {"fileName": path.name[-255:], "contentType": content_type}


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    for chunk in calls.chunks(path, _CHUNK_BYTES):
        yield chunk
