"""Files in a bucket: S3 and what speaks it, Google Cloud Storage, Azure.

What is under a name is written once and never over something else: nothing here rests on a store's conditional writes,
which stores do not agree about.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import anyio
import obstore
from anyio.to_thread import run_sync
from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from rushes.blobs.local import translated
from rushes.blobs.place import CACHE_CONTROL, CHUNK_BYTES, MEDIA_TYPES, Blob, Place
from rushes.errors import StartError, StorageFull, StorageUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

_PART_BYTES = 8 * 2**20
"""What is sent or asked for at once: so much, and a few of them, is in memory."""
_PARTS_AT_ONCE = 3
_THREADS = 64
"""Calls at once. They are not those of the local disk: a store that hangs holds nothing else up."""
_LISTED = 1000
_CHECK = "checks/ready"
_RETRIES: Mapping[str, Any] = {"max_retries": 4, "retry_timeout": timedelta(seconds=20)}
"""Every call may be made twice: a put writes the same bytes under the same name."""
_READ_SECONDS, _SEND_SECONDS, _CHECK_SECONDS = 60, 600, 5.0
"""What one call may take: it moves one part at most, however long the file is, and an uplink may be slow."""
# How stores say that there is no room: S3 and Ceph, MinIO, and by the status.
_NO_ROOM = ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "507 ")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
# By the names that the vendors' own tools know. Whatever else there is (roles, a machine's own identity) the library
# finds by itself.
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "s3": {
        "AWS_ACCESS_KEY_ID": "access_key_id",
        "AWS_SECRET_ACCESS_KEY": "secret_access_key",
        "AWS_SESSION_TOKEN": "session_token",
        "AWS_REGION": "region",
        "AWS_ENDPOINT_URL": "endpoint",
        "AWS_ENDPOINT_URL_S3": "endpoint",
    },
    "gs": {"GOOGLE_SERVICE_ACCOUNT_KEY": "service_account_key"},
    "az": {
        "AZURE_STORAGE_ACCOUNT_NAME": "account_name",
        "AZURE_STORAGE_ACCOUNT_KEY": "account_key",
        "AZURE_STORAGE_ENDPOINT": "endpoint",
    },
}


class Bucket(Place):
    """A bucket, or the part of one below a prefix: ``s3://bucket/prefix``, ``gs://…``, ``az://container/…``."""

    def __init__(self, url: str, secret: Callable[[str], str | None]) -> None:
        self._url = url
        scheme = url.partition("://")[0]
        told = {option: found for name, option in _SETTINGS[scheme].items() if (found := secret(name))}
        endpoint = told.get("endpoint", "https://")
        if not endpoint.startswith(("http://", "https://")):
            raise StartError(f"The storage's endpoint is {endpoint!r}; it must begin with http:// or https://.")
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._proven_until = 0.0
        self._store, self._sender = (_store(url, told, seconds) for seconds in (_READ_SECONDS, _SEND_SECONDS))

    async def prove(self) -> None:
        """Write to it once."""
        try:
            await self._write()
        except (BaseError, FileNotFoundError) as error:
            meaning = self._meaning(error)
            if isinstance(meaning, StorageFull):  # what is there can still be read
                log.warning("%s", meaning.sentence)
            else:
                raise StartError(f"{self._url}: {meaning.sentence.rstrip('.')} ({_reason(error)}).") from error

    async def put(self, name: str, source: Path) -> None:
        """Send the file, in parts where it is long."""
        put = partial(
            obstore.put,
            self._sender,
            name,
            source,
            attributes={"Content-Type": _media_type(name), "Cache-Control": CACHE_CONTROL},
            chunk_size=_PART_BYTES,
            max_concurrency=_PARTS_AT_ONCE,
        )
        with self._translated():
            # To its end, also when nobody waits for it any more: whoever deletes it then finds it.
            await self._run(put, to_end=True)

    async def copy(self, name: str, to: Path) -> None:
        """Fetch the file."""
        if (found := await self.stat(name)) is None:
            raise FileNotFoundError(name)
        with translated(FileNotFoundError):
            async with await anyio.open_file(to, "wb") as file:
                async for chunk in self.read(name, 0, found.size):
                    await file.write(chunk)

    async def stat(self, name: str) -> Blob | None:
        """Ask for the file's facts."""
        try:
            with self._translated(FileNotFoundError):
                found = await self._run(partial(obstore.head, self._store, name))
        except FileNotFoundError:
            await self._look_for(name)
            return None
        modified = found["last_modified"].timestamp()
        etag = (found["e_tag"] or "").strip('W/"') or f"{modified:.0f}-{found['size']:x}"
        return Blob(found["size"], modified, etag)

    async def _look_for(self, name: str) -> None:
        """Ask once more, in a way that has an answer with words: is it the file that is not there, or the bucket?"""
        with suppress(FileNotFoundError), self._translated(FileNotFoundError):
            await self._run(partial(obstore.get_range, self._store, name, start=0, length=1))

    async def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Ask for part after part; and again from where a part was cut off, which a slow reader brings about too."""
        end = start + length
        while start < end:
            began = start
            try:
                with self._translated(FileNotFoundError):
                    part = await self._part(name, start, min(end, start + _PART_BYTES))
                    while chunk := await self._run(partial(next, part, b"")):
                        start += len(chunk)
                        yield bytes(chunk)
            except StorageUnavailable:
                if start == began:
                    raise

    async def _part(self, name: str, start: int, end: int) -> Iterator[Any]:
        got = await self._run(partial(obstore.get, self._store, name, options={"range": (start, end)}))
        if got.range != (start, end):
            raise StorageUnavailable(f"{name} is shorter than it was when its reading began.")
        return iter(got.stream(min_chunk_size=CHUNK_BYTES))

    async def delete(self, name: str) -> None:
        """Remove the file."""
        with self._translated():
            try:
                await self._run(partial(obstore.delete, self._store, name))
            except FileNotFoundError:  # S3 does not tell, others do
                return

    async def listed(self, prefix: str) -> AsyncGenerator[tuple[str, int], None]:
        """As the store lists them, a thousand at a time."""
        with self._translated():
            found = iter(obstore.list(self._store, prefix or None, chunk_size=_LISTED))
            while some := await self._run(partial(next, found, None)):
                for each in some:
                    yield each["path"], each["size"]

    async def check(self) -> None:
        """Write a file of no use, always the same one; not again when that was done a moment ago."""
        if time.monotonic() < self._proven_until:
            return
        with self._translated():
            await self._write()

    async def _write(self) -> None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._run(partial(obstore.put, self._store, _CHECK, b"ready"))
        except TimeoutError as error:
            raise GenericError(f"nothing was answered within {_CHECK_SECONDS:g} seconds") from error
        self._proven_until = time.monotonic() + _CHECK_SECONDS

    async def link(self, name: str, method: str, seconds: float) -> str | None:
        """An address that is signed; ranges can be asked for there too."""
        with self._translated():
            verb = cast("Literal['GET', 'HEAD']", method)
            return await self._run(partial(obstore.sign, self._store, verb, name, timedelta(seconds=seconds)))

    async def _run(self, call: Callable[[], T], *, to_end: bool = False) -> T:
        """In a thread: the library's own asynchronous calls abort a process that ends soon after one has failed."""
        running = asyncio.ensure_future(run_sync(call, abandon_on_cancel=True, limiter=self._threads))
        try:
            return await asyncio.shield(running) if to_end else await running
        except asyncio.CancelledError:
            if to_end:
                await asyncio.wait({running})
                running.exception()  # nobody asks for it any more
            raise

    @contextmanager
    def _translated(self, *passed: type[Exception]) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            # Of a bucket that is not there, no file has gone.
            if isinstance(error, passed) and not _says(error, _NO_BUCKET):
                raise
            # A client may come to read the sentence; where the storage is and what it says is the operator's.
            log.warning("%s: %s", self._url, _reason(error))
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> StorageUnavailable | StorageFull:
        if _says(error, _NO_ROOM):
            return StorageFull("The storage is full; make room, and waiting jobs go on.")
        if _says(error, _NO_BUCKET):
            return StorageUnavailable("There is no bucket of the storage's name; make it, or name another.")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return StorageUnavailable(
                "The storage does not take this key; give one that may read, write and delete there."
            )
        return StorageUnavailable("The storage does not answer as it should; the server's log says what it said.")


def _store(url: str, told: Mapping[str, str], seconds: float) -> Any:
    is_plain = any("http://" in value for value in told.values())
    client = {"connect_timeout": "5s", "timeout": f"{seconds}s", **({"allow_http": True} if is_plain else {})}
    try:
        return from_url(url, config=cast("Any", told), client_options=client, retry_config=_RETRIES)  # type: ignore[call-overload]
    except (BaseError, ValueError) as error:
        # What the library says of a key that cannot be read may be the key.
        said = "" if url.startswith("gs://") else f": {_reason(error)}"
        raise StartError(f"{url} cannot be the storage as it is set{said}.") from error


def _media_type(name: str) -> str:
    return MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def _says(error: Exception, words: tuple[str, ...]) -> bool:
    text = str(error)
    return any(word in text for word in words)


def _reason(error: Exception) -> str:
    """The store's own code, or the end of the library's first line: what follows is for its authors."""
    text = str(error)
    if code := re.search(r"<Code>(\w+)</Code>", text):
        return code[1]
    return (text.strip().splitlines() or [type(error).__name__])[0].rpartition(" - ")[2][:200]
