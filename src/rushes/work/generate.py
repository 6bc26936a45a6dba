"""One job, one step at a time: submit, poll, collect, enter.

Each step is short and under the lease its worker holds. What a step has learned is in the job's row before the next
one begins, so that another worker can go on from there whatever happens to this one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from rushes import media, metrics, tracing, wire
from rushes.blobs.sums import sums
from rushes.catalogue import Input
from rushes.errors import (
    BadSetting,
    BudgetExceeded,
    JobFailed,
    LeaseLost,
    ModelUnavailable,
    OutcomeUnknown,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
    Unavailable,
    Unreadable,
)
from rushes.model import (
    REPORTED,
    UNKNOWN,
    Files,
    Image,
    ImageFiles,
    Item,
    Job,
    JobState,
    Video,
    VideoFiles,
    VideoRequest,
    result_name,
)
from rushes.providers import Delivered, Done, Inputs, Order, Pending, Provider, Refused
from rushes.store import accounts
from rushes.studio import Studio
from rushes.work.inputs import InputFiles

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 300.0
_LONGEST_ASKED = 24 * 3600.0
_LONGEST_BUSY = 3600.0
_SHORTEST_POLL = 0.1
# A provider that says nothing for so long is treated as not reached (or, when it was sent an order, as unknown).
_SUBMIT_SECONDS = 600.0
_POLL_SECONDS = 120.0
_DOWNLOAD_SECONDS = 3600.0
# Set-backs nobody foresaw (ours, or a provider class's own mistakes), before the job is given up.
_UNFORESEEN_TRIES = 10
_CANCEL_TRIES = 8
_LONGEST_INSISTING = 30.0
_DELIVERED = "delivered with the answer"
"""The ticket of a job whose provider gave the result at once: it is kept here."""
_MOST_DOLLARS = Decimal(100_000)
"""What a provider says that it charged beyond this is taken for a mistake of its own."""
_UNFORESEEN = "Something went wrong that nobody foresaw; the server's log says what, and it is tried again."


@dataclass(frozen=True, slots=True)
class Generator:
    """Moves jobs on."""

    studio: Studio
    inputs: InputFiles
    _sending: set[asyncio.Task[Job | None]] = field(default_factory=set)

    async def advance(self, job: Job) -> None:
        """Go on with a held job as far as it can go now; it is let go of, or ended, when this returns.

        Raises:
            LeaseLost: another worker has it by now.
        """
        try:
            await self._go_on(job)
        except LeaseLost:
            raise
        except JobFailed as error:
            await self.studio.fail(await self.studio.held(job), error)
        except Unavailable as error:
            log.warning("job %s waits: %s", job.id, error.sentence)
            await self._put_off(await self.studio.held(job), error)
        except BaseException:  # a mistake of ours or of a provider's class must not leave the job held or open
            if _being_stopped():
                raise
            log.exception("job %s met an unforeseen error", job.id)
            await self._set_back(await self.studio.held(job))

    async def _go_on(self, job: Job) -> None:
        if job.state is JobState.QUEUED:
            await self._submit(job)
        elif job.state is JobState.SUBMITTING:
            await self._recover(job)
        elif job.state.ended:
            await self._withdraw(job)
        else:
            await self._poll(job)

    async def _submit(self, job: Job) -> None:
        """Send it. An order that is under way is not hung up on when the job is cancelled meanwhile, or its lease is
        lost: what the provider answers is the only way to what it makes.
        """
        sending = asyncio.create_task(self._sent(job))
        self._sending.add(sending)
        sending.add_done_callback(self._was_sent)
        if accepted := await asyncio.shield(sending):
            await self._poll(accepted)

    def _was_sent(self, sending: asyncio.Task[Job | None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled() and (error := sending.exception()):
            log.debug("an order ended with %r", error)  # told by whoever waits for it, if anybody still does

    async def _sent(self, job: Job) -> Job | None:
        """The job with its ticket; ``None`` when the provider refused it, which ended it."""
        routes, model = self.studio.routes, job.request.model
        provider = routes.provider(model)
        with self.studio.blobs.workspace() as folder:
            inputs, source = await self.inputs.gather(job, folder, extends=Input.EXTEND_VIDEO in routes.takes(model))
            order = replace(self._order(job, inputs), result=folder / "result")
            # Where it goes is what the route says now, whoever it was queued for.
            going = replace(job, provider=routes.name(model), estimate=routes.estimate(job.request), set_back=None)
            going = replace(going, source=str(source) if source else None)
            sent, job = job.cost_source, await self._announce(job, going)
            given = await self._send(job, provider, order, sent)
            if given is None:
                return None
            if isinstance(given, Delivered):  # kept before anything else: there is no asking for it again
                name = result_name(job.account_id, job.id)
                await self._insist(job, "its result", lambda: self.studio.blobs.put(name, order.result))
            return await self._accepted(job, given)

    async def _announce(self, job: Job, going: Job) -> Job:
        try:
            return await self.studio.send(job, going)
        except BudgetExceeded as error:  # its route, and with it its price, was changed while it was queued
            raise ProviderUnreachable(error.sentence) from error

    async def _send(self, job: Job, provider: Provider, order: Order, sent: str | None) -> str | Delivered | None:
        """What the provider gave; ``None`` when the provider said no, which ends the job and costs nothing: unless it
        was ``sent`` before, to a provider that may be asked again, and nobody knows what came of that.
        """
        try:
            async with asyncio.timeout(_SUBMIT_SECONDS):
                with _asking(job, "submit"):
                    return await provider.submit(order)
        except ProviderUnreachable:
            await self.studio.keep(job, replace(job, state=JobState.QUEUED, cost_source=sent))
            raise
        except JobFailed as error:
            await self.studio.fail(replace(job, cost_source=sent), error)
            return None
        except BaseException as error:  # whatever it is, the provider may have accepted: only a person can know
            if provider.idempotent or _being_stopped():
                raise
            log.exception("job %s: the provider's answer to the submission was lost", job.id)
            raise _unknown() from error

    async def _accepted(self, job: Job, given: str | Delivered) -> Job:
        ticket, charged = (_DELIVERED, self._charged(job, given.cost)) if isinstance(given, Delivered) else (given, job)
        after = replace(charged, state=JobState.WAITING, ticket=ticket, tries=0)
        log.info("job %s: taken by %s", job.id, job.provider)
        try:
            return await self._insist(job, f"its ticket {ticket[:200]}", lambda: self.studio.keep(job, after))
        except LeaseLost:  # it was cancelled meanwhile, or this worker was away too long
            await self._insist(job, f"its ticket {ticket[:200]}", lambda: self.studio.keep_late_ticket(job, ticket))
            raise

    async def _insist(self, job: Job, what: str, act: Callable[[], Awaitable[T]]) -> T:
        """Do it, however long the database or the disk is away: what a provider gave is not to be had again."""
        tries = 0
        while True:
            try:
                return await act()
            except Unavailable as error:
                log.warning("job %s: %s cannot be kept yet: %s", job.id, what, error.sentence)
                await asyncio.sleep(min(_wait(tries), _LONGEST_INSISTING))
                tries += 1

    def _provider(self, job: Job) -> Provider:
        """Who has the job. A route that has gone may come back, with its result: what is paid for waits."""
        try:
            return self.studio.routes.provider(job.request.model, job.provider or None)
        except (ModelUnavailable, BadSetting) as error:
            raise Unavailable(f"{error.sentence} The job waits: its provider has it, and may charge for it.") from error

    async def _recover(self, job: Job) -> None:
        """Its worker died while it was sent: with a result that was kept, or nobody knows with what."""
        if await self.studio.blobs.stat(result_name(job.account_id, job.id)):
            return await self._poll(await self._accepted(job, Delivered()))
        if not self._provider(job).idempotent:
            raise _unknown()
        await self.studio.put_back(job, replace(job, state=JobState.QUEUED), 0)
        return None

    async def _withdraw(self, job: Job) -> None:
        """Ask the provider of a cancelled job to stop. It was told that it need not: what it does now is its own."""
        cost = None
        try:
            if job.ticket != _DELIVERED:
                async with _answering(_POLL_SECONDS):
                    with _asking(job, "cancel"):
                        cost = await self._provider(job).cancel(job.ticket or "")
        except Unavailable:
            if job.tries < _CANCEL_TRIES:
                raise
        except JobFailed as error:
            log.info("job %s was not withdrawn: %s", job.id, error.sentence)
        await self.studio.money.withdrawn(job, cost)

    async def _poll(self, job: Job) -> None:
        if job.ticket == _DELIVERED:
            return await self._done(job, Done(_DELIVERED, job.cost if job.cost_source == REPORTED else None))
        async with _answering(_POLL_SECONDS):
            with _asking(job, "poll") as told:
                answer = await self._provider(job).poll(job.ticket or "")
                told.outcome = type(answer).__name__.lower()
        match answer:
            case Refused(error, cost):
                await self.studio.fail(self._charged(job, cost, known=cost is not None), error)
            case Pending(poll_after, progress, position):
                if self._late(job):
                    raise self._timeout(job)
                progress = job.progress if progress is None else progress
                waiting = replace(job, tries=0, set_back=None, progress=progress, position=position)
                await self.studio.put_back(job, waiting, min(max(poll_after, _SHORTEST_POLL), _LONGEST_ASKED))
            case Done() as done:
                await self._done(job, done)
            case other:
                raise TypeError(f"poll answered {other!r}")
        return None

    async def _done(self, job: Job, done: Done) -> None:
        if job.state is JobState.WAITING:
            charged = self._charged(job, done.cost)
            collecting = replace(charged, state=JobState.COLLECTING, tries=0, set_back=None, position=None)
            job = await self.studio.keep(job, collecting)
        await self._collect(job, done)

    def _charged(self, job: Job, cost: Decimal | None, *, known: bool = True) -> Job:
        """With what it cost: as reported, or else by the price list, or else unknown, which is not 0."""
        if cost is not None and cost.is_finite() and 0 <= cost <= _MOST_DOLLARS:
            return replace(job, cost=round(cost, 6), cost_source=REPORTED)
        with suppress(ModelUnavailable, BadSetting):  # no route any more: no price list either
            if known and (price := self.studio.routes.price(job.request.model, job.provider)):
                seconds = self.studio.routes.seconds(job.request, job.provider)
                return replace(job, cost=price.of(seconds), cost_source=price.table)
        return replace(job, cost=None, cost_source=UNKNOWN)

    async def _collect(self, job: Job, done: Done) -> None:
        files = await self.studio.announce_files(job)
        try:
            with self.studio.blobs.workspace() as folder:
                await self._download(job, done, folder / "result")
                item, made = await self._examine(job, files, folder)
                item = await self._keep_files(job, item, folder, made)
            await self.studio.enter(job, item, self.inputs.parents(job))
        except BaseException:
            # Also when this worker is being stopped. Where the end of the transaction was lost, the draft tells
            # whether the item is in the library; what cannot be deleted now is left to the sweep.
            with suppress(Unavailable):
                await asyncio.shield(self.studio.drop_files(files))
            raise
        if done.source == _DELIVERED:
            await self.studio.drop_result(job)

    async def _download(self, job: Job, done: Done, to: Path) -> None:
        if done.source == _DELIVERED:
            await self.studio.blobs.copy(result_name(job.account_id, job.id), to)
            return
        async with _answering(_DOWNLOAD_SECONDS):
            with _asking(job, "download"):
                await self._provider(job).download(done, to)

    async def _examine(self, job: Job, files: Files, folder: Path) -> tuple[Item, tuple[str, ...]]:
        """What was delivered, and the names of its files in the folder, in the order of ``Files.all``."""
        result = folder / "result"
        try:
            if isinstance(files, VideoFiles):
                return await self._video(job, files, result), (
                    "result",
                    "preview.jpg",
                    "thumbnail.jpg",
                    "last_frame.png",
                )
            return await self._image(job, files, result, folder / "image.png"), ("image.png",)
        except Unreadable as error:
            if result.exists():  # it was paid for: whoever wants to know what it is can still look at it
                await self.studio.blobs.put(result_name(job.account_id, job.id), result)
            raise ProviderFailed(
                f"The provider delivered a file that is not a whole {job.kind}: {error.sentence} Submit it again."
            ) from error

    async def _video(self, job: Job, files: VideoFiles, result: Path) -> Video:
        assert isinstance(job.request, VideoRequest)  # noqa: S101  (for the type checker: its files say so)
        await self._leave_source_away(job, result)
        facts = await media.stills(result, result.parent)
        return Video(
            id=job.item_id,
            account_id=job.account_id,
            file_id=files.file_id,
            job_id=job.id,
            request=job.request,
            created=job.claimed,
            width=facts.width,
            height=facts.height,
            seconds=facts.seconds,
        )

    async def _leave_source_away(self, job: Job, result: Path) -> None:
        """Some providers answer an extension with the whole, and an item is the new part only."""
        new = result.with_name("new.mp4")
        if job.source is None:
            return
        try:
            if await media.new_part(result, media.Source.read(job.source), self._seconds(job), new):
                new.replace(result)
        except Unreadable as error:  # too much is better than nothing, if it is a video at all
            log.warning("job %s: what it continues may stand in its video: %s", job.id, error.sentence)

    def _seconds(self, job: Job) -> int:
        """How long the video is that was ordered; a route that has gone says nothing about that any more."""
        with suppress(ModelUnavailable, BadSetting):
            return self.studio.routes.seconds(job.request, job.provider)
        return job.request.seconds if isinstance(job.request, VideoRequest) else 0

    async def _image(self, job: Job, files: ImageFiles, result: Path, picture: Path) -> Image:
        assert not isinstance(job.request, VideoRequest)  # noqa: S101
        facts = await media.picture(result, picture)
        return Image(
            file_id=files.file_id,
            account_id=job.account_id,
            job_id=job.id,
            request=job.request,
            created=job.claimed,
            width=facts.width,
            height=facts.height,
        )

    async def _keep_files(self, job: Job, item: Item, folder: Path, made: tuple[str, ...]) -> Item:
        """The item as it enters: its sidecar comes last, and with it the time of its entry."""
        parents, links = sorted(self.inputs.parents(job)), item.files.links
        account = await accounts.name_of(self.studio.store, job.account_id)
        sources = {link: folder / source for link, source in zip(links, made, strict=True)}
        known = await asyncio.to_thread(sums, sources)
        for link, name in links.items():
            await self.studio.blobs.put(name, sources[link])
        item, sidecar = replace(item, created=await self.studio.now()), folder / "sidecar.json"
        sidecar.write_text(wire.sidecar(item, job, account=account, parents=parents, **known))
        await self.studio.blobs.put(item.files.sidecar, sidecar)
        return item

    def _order(self, job: Job, inputs: Inputs) -> Order:
        request, offers = job.request, self.studio.routes.offers
        model = (offers.videos if isinstance(request, VideoRequest) else offers.images)[request.model]
        if request.aspect_ratio not in model.sizes:
            raise ModelUnavailable(f"{model.name} is not made in {request.aspect_ratio} here any more; submit it anew.")
        width, height = model.sizes[request.aspect_ratio]
        return Order(
            job_id=job.id,
            model=request.model,
            prompt=request.prompt,
            aspect_ratio=request.aspect_ratio,
            width=width,
            height=height,
            seconds=request.seconds if isinstance(request, VideoRequest) else 0,
            inputs=inputs,
            kind=request.kind,
            style=None if isinstance(request, VideoRequest) else request.style,
        )

    def _late(self, job: Job) -> bool:
        since = job.created if job.submitted is None else job.submitted
        return job.claimed - since > self.studio.config.job_timeout_seconds * 1000

    def _timeout(self, job: Job) -> ProviderTimeout:
        limit = f"{self.studio.config.job_timeout_seconds:g} seconds"
        if job.submitted is None:
            return ProviderTimeout(f"The provider could not be reached for {limit}; nothing was sent, submit it again.")
        return ProviderTimeout(
            f"The provider had not finished after {limit} and may still charge for it; look there before you submit "
            "it again."
        )

    async def _put_off(self, job: Job, error: Unavailable) -> None:
        wait = _wait(job.tries)
        if isinstance(error, ProviderUnreachable):
            if self._late(job):
                await self.studio.fail(job, self._timeout(job))
                return
            # What is made already is not left lying for a day because its maker is busy now: it may be gone by then.
            most = _LONGEST_ASKED if job.state is JobState.QUEUED else _LONGEST_BUSY
            wait = min(_sensible(error.retry_after, wait), most)
        await self.studio.put_back(job, replace(job, tries=job.tries + 1, set_back=error.sentence), wait)

    async def _set_back(self, job: Job) -> None:
        if job.tries >= _UNFORESEEN_TRIES:
            charged = "Its provider may charge for it" if job.cost_source == UNKNOWN else "Nothing was charged"
            sentence = f"Rushes could not finish this {job.kind}; the server's log says why. {charged}."
            await self.studio.fail(job, ProviderFailed(sentence))
        else:
            waiting = replace(job, tries=job.tries + 1, set_back=_UNFORESEEN)
            await self.studio.put_back(job, waiting, _wait(job.tries))


def _sensible(asked: float | None, otherwise: float) -> float:
    # What a vendor's header says, within reason; NaN compares as False.
    return min(asked, _LONGEST_ASKED) if asked is not None and asked > 0 else otherwise


@contextmanager
def _asking(job: Job, call: str) -> Iterator[metrics.Told]:
    """A question to a job's provider: counted, and a span of the job's trace."""
    with tracing.step(f"{job.provider} {call}", provider=job.provider), metrics.asking(job.provider, call) as told:
        yield told


@asynccontextmanager
async def _answering(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise ProviderUnreachable(f"The provider did not answer for {seconds:g} seconds.") from error


def _being_stopped() -> bool:
    # A provider's class may raise CancelledError or SystemExit by itself: that is its mistake and not our end.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _wait(tries: int) -> float:
    # Spread out, so that a thousand jobs that met the same fault do not come back as one.
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0**tries) * random.uniform(0.75, 1.25)  # noqa: S311


def _unknown() -> OutcomeUnknown:
    return OutcomeUnknown(
        "The request was sent to the provider and its answer was lost, so it may be making it and charging "
        "for it; look there before you submit it again."
    )
