"""The studio: where the parts meet, and the verbs that change things, one transaction each.

Reads go straight to ``store``; whatever changes a row goes through a verb here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

from rushes import ids, store
from rushes.blobs import Blobs
from rushes.config import Config
from rushes.errors import JobFailed, LeaseLost
from rushes.model import Job, JobState, Video, VideoFiles, VideoRequest
from rushes.providers.routes import Routes
from rushes.store import Store, accounts, drafts, jobs, videos


@dataclass(frozen=True, slots=True)
class Studio:
    """Everything a process works with, opened once and handed on."""

    config: Config
    store: Store
    blobs: Blobs
    routes: Routes
    secret: bytes
    """Signs page tokens; the same in every process on this database."""

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config) -> AsyncIterator[Self]:
        """Open the database (brought up to date) and the files; close them with the block.

        Raises:
            StartError: something cannot be used as configured; the sentence says what.
        """
        blobs = Blobs(config.data / "media")
        await blobs.open()
        database = await store.open(config.data, config.database_url)
        try:
            secret = await store.secret(database, "page tokens")
            yield cls(config, database, blobs, Routes(config), secret)
        finally:
            await database.close()

    async def create_key(self, account: str, label: str) -> str:
        """Make a key to an account, and the account if it is new. The key is in nobody's hands but the caller's."""
        key = ids.key()
        async with self.store.write() as tx:
            await accounts.add_key(tx, await accounts.named(tx, account), key, label)
        return key

    async def revoke_key(self, key_id: str) -> bool:
        """Close a key for good; ``False`` when there is no key of that id."""
        async with self.store.write() as tx:
            return await accounts.revoke_key(tx, key_id)

    async def submit_video(self, account_id: str, request: VideoRequest, origin: str) -> Job:
        """Queue a checked request."""
        price = self.config.video_models[request.model].credits(request.seconds)
        async with self.store.write() as tx:
            job = Job(
                id=ids.uuid(),
                account_id=account_id,
                item_id=ids.item_id(tx.now),
                request=request,
                credits=price,
                state=JobState.QUEUED,
                created=tx.now,
                origin=origin,
            )
            await jobs.add(tx, job)
        return job

    async def now(self) -> int:
        """The database's clock, in milliseconds since the epoch."""
        [(now,)] = await self.store.rows("SELECT $now")
        return int(now)

    async def claim(self, owner: str, limit: int) -> list[Job]:
        """Take due jobs for a worker, each under a lease."""
        if not await jobs.due(self.store):
            return []
        async with self.store.write() as tx:
            return await jobs.claim(tx, owner, self._lease_ms, limit)

    async def renew(self, held: list[Job]) -> set[str]:
        """Prolong a worker's leases; return the ids of those it still has."""
        async with self.store.write() as tx:
            return await jobs.renew(tx, held, self._lease_ms)

    async def held(self, job: Job) -> Job:
        """The row as it stands of a job this worker holds, wherever in its step something went wrong.

        Raises:
            LeaseLost: it does not hold it any more.
        """
        row = await jobs.get(self.store, job.account_id, job.id)
        if row is None or (row.owner, row.attempt) != (job.owner, job.attempt):
            raise LeaseLost(f"Job {job.id} is no longer held by this worker.")
        return replace(row, claimed=job.claimed)

    async def release(self, owner: str) -> None:
        """Give back what a worker holds: it stops."""
        async with self.store.write() as tx:
            await jobs.release(tx, owner)

    async def keep(self, before: Job, after: Job) -> Job:
        """Move a job on while its worker goes on with it."""
        async with self.store.write() as tx:
            return await jobs.step(tx, before, after, tx.now + self._lease_ms)

    async def put_back(self, before: Job, after: Job, seconds: float) -> Job:
        """Move a job on and let go of it until it is due again, ``seconds`` from now."""
        async with self.store.write() as tx:
            return await jobs.step(tx, before, replace(after, owner=None), tx.now + int(seconds * 1000))

    async def fail(self, job: Job, error: JobFailed) -> Job:
        """End a job with a code for programs and a sentence for people."""
        ended = replace(job, state=JobState.FAILED, error_code=error.code, error_message=error.sentence)
        async with self.store.write() as tx:
            return await jobs.ended(tx, job, ended)

    async def announce_files(self, job: Job) -> VideoFiles:
        """Names for the files of this attempt, noted before any of them is written."""
        draft = drafts.Draft(ids.uuid(), job.account_id)
        async with self.store.write() as tx:
            await drafts.add(tx, draft, job.id)
        return VideoFiles(draft.account_id, draft.file_id)

    async def enter_video(self, job: Job, video: Video) -> Job:
        """The end of a job that went well: the item is in the library, all at once or not at all.

        Raises:
            LeaseLost: another worker has the job; nothing was entered.
        """
        async with self.store.write() as tx:
            job = await jobs.ended(tx, job, replace(job, state=JobState.COMPLETED))
            if not await drafts.enter(tx, video.file_id):
                raise LeaseLost(f"The files of job {job.id} were swept while its worker was away.")
            await videos.add(tx, video)
            await accounts.changed(tx, video.account_id)
        return job

    async def drop_files(self, files: VideoFiles) -> None:
        """Delete an attempt's files, unless they have entered the library meanwhile; then the note of them."""
        async with self.store.write() as tx:
            if not await drafts.condemn(tx, files.file_id):
                return
        for name in files.all:
            await self.blobs.delete(name)
        async with self.store.write() as tx:
            await drafts.remove(tx, files.file_id)

    @property
    def _lease_ms(self) -> int:
        return int(self.config.lease_seconds * 1000)
