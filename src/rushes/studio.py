"""The studio: where the parts meet, and the verbs that change things, one transaction each.

Reads go straight to ``store``; whatever changes a row goes through a verb here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from rushes import ids, logs, metrics, store, tracing, wire
from rushes.blobs import Blobs
from rushes.config import Config, secret
from rushes.deliveries import Deliveries
from rushes.errors import (
    Cancelled,
    Duplicate,
    JobFailed,
    JobFinished,
    JobNotFinished,
    JobNotFound,
    LeaseLost,
    Unavailable,
    UploadTaken,
)
from rushes.model import FILES, UNKNOWN, Account, Files, Item, Job, JobState, Kind, Request, VideoRequest, result_name
from rushes.money import Money
from rushes.providers.routes import Routes
from rushes.rates import Rates
from rushes.store import (
    Store,
    Transaction,
    accounts,
    budgets,
    credits,
    drafts,
    idempotency,
    jobs,
    trash,
    uploads,
    webhooks,
)
from rushes.store.idempotency import Once
from rushes.store.library import LIBRARIES
from rushes.store.replica import Replica
from rushes.store.uploads import Upload
from rushes.turns import Turns

log = logging.getLogger(__name__)

T = TypeVar("T")

_UPLOAD_MS = 86_400_000
_BURST_SECONDS = 10


class Given(NamedTuple):
    """The text of an answer; ``replayed`` when it was given before, under the same idempotency key."""

    text: str
    replayed: bool


def _told(job: Job, outcome: str) -> None:
    metrics.job_ended(job.request.model, outcome)
    log.info("job %s: %s", job.id, outcome)


def _rates(config: Config) -> Rates | None:
    rate = config.requests_per_second
    return None if rate is None else Rates(rate, max(1.0, rate * _BURST_SECONDS))


@dataclass(frozen=True, slots=True)
class Studio:
    """Everything a process works with, opened once and handed on."""

    config: Config
    store: Store
    replica: Replica | None
    """Where lists are read, if there is such a copy."""
    blobs: Blobs
    routes: Routes
    secret: bytes
    """Signs page tokens; the same in every process on this database."""
    upload_secret: bytes
    """Signs the links that take uploads, likewise."""
    rates: Rates | None
    """How often each key may ask this process, where that is limited."""

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Config) -> AsyncIterator[Self]:
        """Open the database (brought up to date) and the files; close them with the block.

        Raises:
            StartError: something cannot be used as configured; the sentence says what.
        """
        blobs = Blobs(config.data / "media", config.storage_url, secret)
        await blobs.open()
        size, prepare = config.database_connections, config.database_prepare
        database = await store.open(config.data, config.database_url, pool_size=size, prepare=prepare)
        replica = Replica(config.database_read_url, size, prepare=prepare) if config.database_read_url else None
        routes = Routes(config)
        try:
            tokens, links = await store.secret(database, "page tokens"), await store.secret(database, "uploads")
            yield cls(config, database, replica, blobs, routes, tokens, links, _rates(config))
        finally:
            await routes.close()
            if replica:
                await replica.close()
            await database.close()

    async def read(self, account: Account, act: Callable[[Store], Awaitable[T]]) -> T:
        """Read an account's lists, in whichever database has all that it did."""
        if self.replica is not None and (found := await self.replica.read(account, act)) is not None:
            return found
        return await act(self.store)

    async def create_key(self, account: str, label: str) -> str:
        """Make a key to an account, and the account if it is new. The key is in nobody's hands but the caller's.

        Raises:
            InvalidRequest: the account's name is none.
        """
        key = ids.key()
        async with self.store.write() as tx:
            await accounts.add_key(tx, await accounts.named(tx, account), key, label)
        return key

    async def revoke_key(self, key_id: str) -> bool:
        """Close a key for good; ``False`` when there is no key of that id."""
        async with self.store.write() as tx:
            return await accounts.revoke_key(tx, key_id)

    async def submit(self, account_id: str, request: Request, origin: str, once: Once | None = None) -> Given:
        """Queue a checked request; the answer to it.

        Raises:
            InsufficientCredits, BudgetExceeded, TooMany: nothing was queued.
            IdempotencyKeyReused: ``once`` was used with another body.
        """
        async with self.store.write() as tx:
            job = self._new_job(tx, account_id, request, origin)
            answer = wire.dumps(wire.submitted(job.id))
            given = await idempotency.claim(tx, account_id, once, answer) if once else None
            if given is not None:
                return Given(given, replayed=True)
            await credits.hold(tx, job, self.config.credits_per_month, self.config.jobs_per_account)
            await budgets.hold(tx, job, self.money.limits(job))
            await jobs.add(tx, job)
        log.info("job %s: queued for %s by account %s", job.id, request.model, account_id)
        return Given(answer, replayed=False)

    def _new_job(self, tx: Transaction, account_id: str, request: Request, origin: str) -> Job:
        return Job(
            id=ids.uuid(),
            account_id=account_id,
            item_id=ids.item_id(tx.now) if request.kind is Kind.VIDEO else "",
            request=request,
            credits=self._price(request),
            state=JobState.QUEUED,
            created=tx.now,
            origin=origin,
            provider=self.routes.name(request.model),
            estimate=self.routes.estimate(request),
            request_id=logs.here().get("request_id"),
            trace=tracing.here(),
        )

    def _price(self, request: Request) -> Decimal:
        if isinstance(request, VideoRequest):
            return self.config.video_models[request.model].credits(request.seconds)
        return self.config.image_models[request.model].credits

    async def cancel_job(self, account_id: str, job_id: str, once: Once | None = None) -> Given:
        """End a job under way. A worker that is busy with it throws its work away; a provider that has it is asked to
        stop, by a worker, as soon as there is one.

        Raises:
            JobNotFound: there is no such job; JobFinished: it has ended.
        """
        answer = wire.dumps(wire.SUCCESS)
        error = Cancelled("The job was cancelled; submit it again if you want it after all.")
        async with self.store.write() as tx:
            given = await idempotency.claim(tx, account_id, once, answer) if once else None
            if given is not None:
                return Given(given, replayed=True)
            job = await jobs.cancel(tx, account_id, job_id, error)
            if job is None:
                if await jobs.get(tx, account_id, job_id) is None:
                    raise JobNotFound(job_id)
                raise JobFinished("The job has ended; only a job under way can be cancelled.")
            await self._ended(tx, job)
        _told(job, error.code)
        return Given(answer, replayed=False)

    async def clean_job(self, account_id: str, job_id: str) -> None:
        """Delete what a job made, item and files; a repeat changes nothing.

        Raises:
            JobNotFound: there is no such job; JobNotFinished: it is under way.
        """
        async with self.store.write() as tx:
            # As it is once it can change no more: it may be entering its item at this moment.
            job = await jobs.clean(tx, account_id, job_id)
            if job is None:
                if await jobs.get(tx, account_id, job_id) is None:
                    raise JobNotFound(job_id)
                raise JobNotFinished("The job is under way; cancel it first, or wait for its end.")
            files = await self._take_out(tx, account_id, job.kind, job.item_id)
        await self._delete(files)
        await self.drop_result(job)

    async def drop_result(self, job: Job) -> None:
        """Delete what a provider sent for a job that needs it no more."""
        try:
            await self.blobs.delete(result_name(job.account_id, job.id))
        except Unavailable as error:
            log.warning("what a provider sent is left to the sweep: %s", error.sentence)

    async def delete_item(self, account_id: str, kind: Kind, item_id: str) -> bool:
        """Delete an item and its files, and mark its job as cleaned; ``False`` when there is no such item."""
        async with self.store.write() as tx:
            entry = await LIBRARIES[kind].entry(tx, account_id, item_id)
            if entry is None:  # it may enter at this moment, with a job that nobody would mark
                return False
            # The job first, as everywhere: two changes that lock in the same order cannot wait for each other.
            if entry.job_id:
                await jobs.clean(tx, account_id, entry.job_id)
            files = await self._take_out(tx, account_id, kind, item_id)
        await self._delete(files)
        return files is not None

    async def _take_out(self, tx: Transaction, account_id: str, kind: Kind, item_id: str) -> Files | None:
        """The row goes first; where its files are is noted until they are gone too."""
        removed = await LIBRARIES[kind].remove(tx, account_id, item_id)
        if removed is None:
            return None
        await trash.add(tx, kind, account_id, removed.file_id)
        return FILES[kind](account_id, removed.file_id)

    async def _delete(self, files: Files | None) -> None:
        if files is None:
            return
        try:
            await self.empty_trash(files)
        except Unavailable as error:
            log.warning("the files of a deleted item are left to the sweep: %s", error.sentence)

    async def empty_trash(self, files: Files) -> None:
        """Delete files whose item has gone, and then the note of them."""
        await self._delete_all(files)
        async with self.store.write() as tx:
            await trash.remove(tx, files)

    async def _delete_all(self, files: Files) -> None:
        for name in (*files.all, *files.inputs):
            await self.blobs.delete(name)

    async def announce_upload(
        self, account_id: str, extension: str, content_type: str, told: Callable[[Upload], str], once: Once | None
    ) -> Given:
        """Make room for one file, and tell of it."""
        async with self.store.write() as tx:
            name = ids.uuid()
            path = f"uploads/user/{account_id}/{name}.{extension}"
            upload = Upload(name, account_id, path, content_type, tx.now + _UPLOAD_MS)
            answer = told(upload)
            given = await idempotency.claim(tx, account_id, once, answer) if once else None
            if given is not None:
                return Given(given, replayed=True)
            await uploads.add(tx, upload)
        return Given(answer, replayed=False)

    @asynccontextmanager
    async def receiving(self, upload: Upload) -> AsyncIterator[tuple[Path, Callable[[int], Awaitable[None]]]]:
        """A place to write an upload's file to, for nobody else at the same time, and what keeps it, told its size.

        Raises:
            UploadTaken: the file is there, or is being received.
        """
        claimant = ids.uuid()
        async with self.store.write() as tx:
            await uploads.claim(tx, upload.id, claimant, self._lease_ms)

        async def take(size: int) -> None:
            await self.blobs.put(upload.name, file)
            async with self.store.write() as tx:
                if not await uploads.received(tx, upload.id, claimant, size):
                    raise UploadTaken("The file took too long, and the link was used for another.")

        renewing = asyncio.create_task(self._keep_claim(upload.id, claimant))
        try:
            with self.blobs.workspace() as folder:
                file = folder / "upload"
                yield file, take
        except BaseException:  # whoever sent it may try again, at once or when the lease is over
            with suppress(Unavailable):
                async with self.store.write() as tx:
                    await uploads.free(tx, upload.id, claimant)
            raise
        finally:
            renewing.cancel()

    async def _keep_claim(self, upload_id: str, claimant: str) -> None:
        while True:
            await asyncio.sleep(self.config.lease_seconds / 3)
            with suppress(Unavailable):  # the next renewal may still come in time
                async with self.store.write() as tx:
                    await uploads.renew(tx, upload_id, claimant, self._lease_ms)

    async def drop_upload(self, upload: Upload) -> None:
        """Forget a link that nobody used in its time, and what a server that was killed has kept of its file."""
        await self.blobs.delete(upload.name)
        async with self.store.write() as tx:
            await uploads.remove(tx, upload.id)

    async def file_link(self, name: str, method: str = "GET") -> str | None:
        """The storage's own link to a file, where requests are sent on to it."""
        seconds = self.config.media_redirect_seconds
        return None if seconds is None else await self.blobs.link(name, method, seconds)

    async def now(self) -> int:
        """The database's clock, in milliseconds since the epoch."""
        [(now,)] = await self.store.rows("SELECT $now")
        return int(now)

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

    async def send(self, before: Job, after: Job) -> Job:
        """Note that a job is about to be sent, where it goes and what that may cost: from here on nobody knows.

        Raises:
            BudgetExceeded: it goes elsewhere than it was queued for, or costs more, and there is no room for that.
        """
        async with self.store.write() as tx:
            sent = replace(after, state=JobState.SUBMITTING, cost_source=UNKNOWN)
            sent = await jobs.step(tx, before, sent, tx.now + self._lease_ms)
            if (before.provider, before.estimate) != (after.provider, after.estimate):
                await budgets.move(tx, before, after, self.money.limits(after))
        return sent

    async def keep_late_ticket(self, job: Job, ticket: str) -> None:
        """Keep the ticket of a job that ended while its provider took the order: it is asked to stop a cancelled one,
        and a failed one can be settled.
        """
        async with self.store.write() as tx:
            state = await jobs.late_ticket(tx, job, ticket)
        if state is JobState.FAILED:
            log.warning("the provider took job %s after it had ended; `rushes jobs settle %s` goes on", job.id, job.id)

    async def put_back(self, before: Job, after: Job, seconds: float) -> Job:
        """Move a job on and let go of it until it is due again, ``seconds`` from now."""
        async with self.store.write() as tx:
            return await jobs.step(tx, before, replace(after, owner=None), tx.now + int(seconds * 1000))

    async def fail(self, job: Job, error: JobFailed) -> Job:
        """End a job with a code for programs and a sentence for people."""
        ended = replace(job, state=JobState.FAILED, error_code=error.code, error_message=error.sentence)
        async with self.store.write() as tx:
            ended = await jobs.ended(tx, job, ended)
            await self._ended(tx, ended)
        _told(job, error.code)
        return ended

    async def _ended(self, tx: Transaction, job: Job) -> None:
        """What goes with the end of a job that made nothing: its credits are free again, what its provider charges or
        may charge is counted, and the world is told.
        """
        await credits.release(tx, job)
        await budgets.end(tx, job)
        await self._tell(tx, job, None)

    async def _tell(self, tx: Transaction, job: Job, item: bytes | None) -> None:
        if job.request.webhook is not None:
            told = wire.job(job, item, self.config.media_url or self.config.public_url or job.origin)
            await webhooks.add(tx, job.account_id, job.id, job.request.webhook, wire.unmistakable(wire.dumps(told)))

    async def announce_files(self, job: Job) -> Files:
        """Names for the files of this attempt, noted before any of them is written."""
        draft = drafts.Draft(ids.uuid(), job.account_id, job.kind)
        async with self.store.write() as tx:
            await drafts.add(tx, draft, job.id)
        return draft.files

    async def enter(self, job: Job, item: Item, parents: frozenset[str] = frozenset()) -> Job:
        """The end of a job that went well: item, charge, change and webhook, all at once or not at all. ``parents``
        are the uuids in the names of our own files that it was made from.

        Raises:
            LeaseLost: another worker has the job; nothing was entered.
        """
        async with self.store.write() as tx:
            job = await jobs.ended(tx, job, replace(job, state=JobState.COMPLETED, item_id=item.id))
            if not await drafts.enter(tx, item.files):
                raise LeaseLost(f"The files of job {job.id} were swept while its worker was away.")
            await LIBRARIES[job.kind].add(tx, item, parents)
            await credits.charge(tx, job)
            await budgets.end(tx, job)
            await self._tell(tx, job, wire.item(item))
            seconds = (tx.now - job.created) / 1000
        metrics.job_entered(job.request.model, float(job.credits), seconds)
        _told(job, "completed")
        return job

    async def drop_files(self, files: Files) -> None:
        """Delete an attempt's files, unless they have entered the library meanwhile; then the note of them."""
        async with self.store.write() as tx:
            if not await drafts.condemn(tx, files):
                return
        await self._delete_all(files)
        async with self.store.write() as tx:
            await drafts.remove(tx, files)

    async def expect_files(self, account_id: str, kind: Kind, file_id: str) -> Files | None:
        """Announce the files of an item that comes from elsewhere, or go on with them where they were left; ``None``
        when they belong to an item already.

        Raises:
            Unavailable: what was left of them is being swept at this moment.
        """
        draft = drafts.Draft(file_id, account_id, kind)
        async with self.store.write() as tx:
            if await LIBRARIES[kind].has_file(tx, account_id, file_id):
                return None
            if not await drafts.expect(tx, draft):
                raise Unavailable("What was left of this item is just being deleted; try again.")
        return draft.files

    async def bring_in(self, item: Item, parents: frozenset[str] = frozenset()) -> bool:
        """Enter an item from elsewhere with its facts as they are: no job, no charge. ``False``: one of that id is
        there already, and nothing changed.

        Raises:
            LeaseLost: its files have been swept meanwhile.
        """
        library = LIBRARIES[item.request.kind]
        with suppress(Duplicate):  # somebody else entered it at this very moment
            async with self.store.write() as tx:
                if await library.entry(tx, item.account_id, item.id) is not None:
                    return False
                if not await drafts.enter(tx, item.files):
                    sentence = f"The files of {item.id} were swept before it entered the library; bring it in again."
                    raise LeaseLost(sentence)
                await library.add(tx, item, parents)
                return True
        return False

    @property
    def turns(self) -> Turns:
        """What decides which jobs are worked on."""
        return Turns(self.store, self.routes, self._lease_ms)

    @property
    def money(self) -> Money:
        """What changes credits, budgets and costs by hand."""
        return Money(self.config, self.store)

    @property
    def deliveries(self) -> Deliveries:
        """What changes webhooks."""
        return Deliveries(self.store, self._lease_ms)

    @property
    def _lease_ms(self) -> int:
        return int(self.config.lease_seconds * 1000)
