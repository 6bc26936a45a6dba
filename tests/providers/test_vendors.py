"""What every provider must do; those of vendors against a real server that plays the vendor and its mistakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from rushes.catalogue import Input
from rushes.errors import (
    BadSetting,
    ContentRejected,
    JobFailed,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.model import Kind
from rushes.providers import Delivered, Done, Inputs, Order, Pending, Provider, Refused, Setup
from tests.providers.cases import CASES
from tests.providers.cases.case import Case
from tests.providers.ordered import JOB, order
from tests.providers.ordered import picture as photograph
from tests.servers.fake import KEY, Fake, answers, cuts_off, garbles, redirects, stops_halfway

pytestmark = pytest.mark.anyio

REMOTE = [case for case in CASES if case.remote]
POLLED = [case for case in REMOTE if case.polls]


@dataclass
class Stage:
    """One provider and its vendor."""

    case: Case
    fake: Fake
    provider: Provider
    folder: Path

    @property
    def wanted(self) -> bytes:
        """What its vendor makes."""
        return self.fake.film if self.case.kind is Kind.VIDEO else self.fake.picture

    def order(self, **facts: Any) -> Order:
        return order(self.case.model, **{"result": self.folder / "delivered", **facts})

    async def made(self, wanted: Order | None = None) -> bytes:
        """The finished file, by whichever way it comes."""
        ticket = await self.provider.submit(wanted or self.order())
        if isinstance(ticket, Delivered):
            return (self.folder / "delivered").read_bytes()
        done = await self.polled(ticket)
        assert isinstance(done, Done), done
        await self.provider.download(done, self.folder / "result")
        return (self.folder / "result").read_bytes()

    async def polled(self, ticket: str) -> Done | Refused:
        for _ in range(20):
            answer = await self.provider.poll(ticket)
            if not isinstance(answer, Pending):
                return answer
        raise AssertionError("it never ends")

    async def ticket(self) -> str:
        ticket = await self.provider.submit(self.order())
        assert isinstance(ticket, str)
        return ticket


@pytest.fixture(params=REMOTE, ids=lambda case: case.name)
async def stage(request: pytest.FixtureRequest, film: bytes, picture: bytes, tmp_path: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        case: Case = request.param
        fake = await stack.enter_async_context(case.server(film, picture))
        provider = case.provider(case.setup(fake))
        stack.push_async_callback(provider.close)
        yield Stage(case, fake, provider, tmp_path)


def only(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stage", cases, indirect=True, ids=lambda case: case.name)


polled_only = only(POLLED)
every = only(CASES)


# --- what goes well ---


@every
async def test_words_alone_become_the_file(stage: Stage) -> None:
    stage.fake.polls = 2
    made = await stage.made()
    assert made == stage.wanted if stage.case.remote else made[:8] == stage.wanted[:8]
    assert stage.fake.count("create") == stage.case.remote


@pytest.mark.parametrize(
    ("stage", "taken"),
    [pytest.param(case, taken, id=f"{case.name}-{taken}") for case in CASES for taken in Input if taken in case.inputs],
    indirect=["stage"],
)
async def test_each_input_is_sent_as_bytes_that_the_vendor_can_read(stage: Stage, taken: Input) -> None:
    image = photograph(stage.folder / "in.jpg")
    (stage.folder / "in.mp4").write_bytes(stage.fake.film)
    inputs = {
        Input.FIRST_FRAME: Inputs(first_frame=image),
        Input.EXTEND_VIDEO: Inputs(extend_video=stage.folder / "in.mp4"),
        Input.REFERENCES: Inputs(references=(image,)),
    }[taken]
    assert await stage.made(stage.order(inputs=inputs))
    # Nobody but this server finds its own links: the bytes themselves are sent, or uploaded first.
    assert not any(str(stage.folder) in str(asked) for asked in stage.fake.asked)


@only([case for case in CASES if case.polls])
async def test_a_ticket_is_enough_for_another_worker(stage: Stage) -> None:
    ticket = await stage.ticket()
    other = stage.case.provider(stage.case.setup(stage.fake))
    done = await other.poll(ticket)
    assert isinstance(done, Done)
    await other.download(done, stage.folder / "result")
    await other.download(done, stage.folder / "result")
    made = (stage.folder / "result").read_bytes()
    assert made == stage.wanted if stage.case.remote else made[:8] == stage.wanted[:8]
    await other.close()


@polled_only
async def test_what_never_ends_is_never_done(stage: Stage) -> None:
    stage.fake.end = "never"
    ticket = await stage.ticket()
    for _ in range(5):
        answer = await stage.provider.poll(ticket)
        assert isinstance(answer, Pending)
        assert answer.poll_after > 0
        assert answer.progress is None or 0 <= answer.progress <= 1


@every
async def test_its_price_is_known_by_its_list_or_not_at_all(stage: Stage) -> None:
    price = stage.provider.price
    if stage.case.remote:
        assert price is None or (price.dollars > 0 and price.table.split()[1].startswith("20"))
    else:
        assert price
        assert price.dollars == 0


# --- money: a create is sent once, and what it came to is known or said to be unknown ---


@only([case for case in REMOTE if not case.provider.idempotent])
async def test_a_create_whose_answer_is_cut_off_is_sent_once_and_its_outcome_is_unknown(stage: Stage) -> None:
    stage.fake.faults["create"].append(cuts_off)
    with pytest.raises(Exception) as caught:  # noqa: PT011  (any but these)
        await stage.provider.submit(stage.order())
    assert not isinstance(caught.value, JobFailed | ProviderUnreachable)
    assert stage.fake.count("create") == 1


@only([case for case in REMOTE if case.provider.idempotent])
@pytest.mark.parametrize("fault", [cuts_off, garbles, answers(500, {"error": "oops"})])
async def test_an_idempotent_create_that_is_sent_again_makes_one_job(stage: Stage, fault: Any) -> None:
    stage.fake.faults["create"].append(fault)
    with pytest.raises(Exception) as caught:  # noqa: PT011  (nothing says that it was not taken)
        await stage.provider.submit(stage.order())
    assert not isinstance(caught.value, JobFailed | ProviderUnreachable)
    other = stage.case.provider(stage.case.setup(stage.fake))
    tickets = {await provider.submit(stage.order()) for provider in (stage.provider, other)}
    assert len(tickets) == len(stage.fake.jobs) == 1
    assert await stage.provider.submit(stage.order(job_id=JOB.replace("6", "7"))) not in tickets
    await other.close()


@pytest.mark.parametrize("fault", [garbles, answers(500, {"error": "oops"}), answers(502), answers(200, {"odd": 1})])
async def test_an_answer_that_says_nothing_leaves_the_outcome_unknown(stage: Stage, fault: Any) -> None:
    stage.fake.faults["create"].append(fault)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await stage.provider.submit(stage.order())
    assert not isinstance(caught.value, JobFailed | ProviderUnreachable)
    assert stage.fake.count("create") == 1


async def test_a_vendor_that_is_not_there_has_taken_nothing(stage: Stage) -> None:
    away = stage.case.provider(stage.case.setup(stage.fake, base_url=f"http://127.0.0.1:1{stage.fake.base_path}"))
    with pytest.raises(ProviderUnreachable):
        await away.submit(stage.order())
    await away.close()


@pytest.mark.parametrize("asked", ["30", "a date"])
async def test_not_now_says_when(stage: Stage, asked: str) -> None:
    told = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True) if asked == "a date" else asked
    stage.fake.faults["create"].append(answers(429, stage.case.not_now, {"Retry-After": told}))
    with pytest.raises(ProviderUnreachable) as caught:
        await stage.provider.submit(stage.order())
    assert caught.value.retry_after == pytest.approx(30, abs=2)


# --- a no is told as what it is ---


async def test_moderation_refuses_an_order(stage: Stage) -> None:
    with pytest.raises(ContentRejected):
        await stage.made(stage.order(prompt="a forbidden thing"))


@polled_only
@pytest.mark.parametrize(("end", "error"), [("rejected", ContentRejected), ("failed", ProviderFailed)])
async def test_a_job_that_fails_says_why(stage: Stage, end: str, error: type[JobFailed]) -> None:
    stage.fake.end = end
    answer = await stage.polled(await stage.ticket())
    assert isinstance(answer, Refused)
    assert type(answer.error) is error


async def test_a_model_that_is_gone_is_said_to_be_retired(stage: Stage) -> None:
    stage.fake.faults["create"].append(answers(404, stage.case.retired))
    with pytest.raises(ModelRetired):
        await stage.provider.submit(stage.order())


async def test_a_key_that_is_not_taken_is_the_operators_to_mend(stage: Stage) -> None:
    stranger = stage.case.provider(_with_key(stage, "another-key"))
    with pytest.raises(ModelUnavailable) as caught:
        await stranger.submit(stage.order())
    assert "another-key" not in str(caught.value)
    await stranger.close()


@polled_only
async def test_a_key_that_is_not_taken_any_more_leaves_the_order_waiting(stage: Stage) -> None:
    ticket = await stage.ticket()
    stage.fake.faults["poll"].append(answers(401, {"error": "who are you?"}))
    with pytest.raises(ProviderUnreachable):
        await stage.provider.poll(ticket)
    assert isinstance(await stage.provider.poll(ticket), Done)


@polled_only
@pytest.mark.parametrize("fault", [answers(500), answers(503), answers(429), garbles])
async def test_a_poll_that_goes_wrong_is_asked_again(stage: Stage, fault: Any) -> None:
    ticket = await stage.ticket()
    stage.fake.faults["poll"].append(fault)
    with pytest.raises(ProviderUnreachable):
        await stage.provider.poll(ticket)
    assert isinstance(await stage.provider.poll(ticket), Done)


@polled_only
async def test_a_poll_that_is_cut_off_does_no_harm(stage: Stage) -> None:
    ticket = await stage.ticket()
    stage.fake.faults["poll"].extend([cuts_off, cuts_off])
    cut = 0
    while stage.fake.faults["poll"]:  # a question may have been asked anew at once, on a new connection
        try:
            assert isinstance(await stage.provider.poll(ticket), Done)
        except ProviderUnreachable:
            cut += 1
    assert cut
    assert isinstance(await stage.provider.poll(ticket), Done)


@polled_only
async def test_a_job_the_vendor_has_lost_ends(stage: Stage) -> None:
    ticket = await stage.ticket()
    stage.fake.faults["poll"].append(answers(404, {"detail": "not found"}))
    with pytest.raises(ProviderFailed):
        await stage.provider.poll(ticket)


# --- results ---


@polled_only
@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_result_whose_link_is_dead(stage: Stage, status: int) -> None:
    done = await stage.polled(await stage.ticket())
    assert isinstance(done, Done)
    stage.fake.faults["result"].append(answers(status))
    with pytest.raises(ProviderFailed):
        await stage.provider.download(done, stage.folder / "result")


@polled_only
async def test_a_result_that_is_cut_off_is_fetched_again(stage: Stage) -> None:
    done = await stage.polled(await stage.ticket())
    assert isinstance(done, Done)
    stage.fake.faults["result"].append(stops_halfway)
    with pytest.raises(ProviderUnreachable):
        await stage.provider.download(done, stage.folder / "result")
    await stage.provider.download(done, stage.folder / "result")
    assert (stage.folder / "result").read_bytes() == stage.wanted


@polled_only
async def test_a_result_at_a_private_address_is_not_fetched(stage: Stage) -> None:
    done = await stage.polled(await stage.ticket())
    assert isinstance(done, Done)
    stage.fake.faults["result"].append(redirects("http://10.0.0.1/film.mp4"))
    with pytest.raises(ProviderFailed):
        await stage.provider.download(done, stage.folder / "result")


@polled_only
async def test_a_key_goes_to_its_own_host_alone(stage: Stage, film: bytes, picture: bytes) -> None:
    async with stage.case.server(film, picture) as other:
        done = await stage.polled(await stage.ticket())
        assert isinstance(done, Done)
        stage.fake.faults["result"].append(redirects(f"{other.origin}/elsewhere"))
        with pytest.raises(ProviderFailed):
            await stage.provider.download(done, stage.folder / "result")
        assert all(KEY not in str(asked.headers) for asked in other.asked)


@only([case for case in REMOTE if case.media])
async def test_a_result_on_a_host_for_media_is_fetched_without_the_key(stage: Stage) -> None:
    async with stage.case.server(b"from the media host", b"from the media host") as media:
        stage.fake.media = media.origin
        assert await stage.made() == b"from the media host"
        assert KEY not in str(media.last("result").headers)


# --- the rest ---


@only([case for case in CASES if case.polls])
async def test_it_can_be_cancelled(stage: Stage) -> None:
    ticket = await stage.ticket()
    cost = await stage.provider.cancel(ticket)
    assert cost is None or cost >= 0
    assert stage.fake.count("cancel") == stage.case.cancels


@every
async def test_key_and_model_can_be_tried_without_spending(stage: Stage) -> None:
    found = await stage.provider.check()
    assert (found is not None) is stage.case.checks
    assert stage.fake.count("create") == 0
    if stage.case.checks and stage.case.remote:
        stranger = stage.case.provider(_with_key(stage, "another-key"))
        with pytest.raises((ModelUnavailable, ProviderUnreachable)):
            await stranger.check()
        await stranger.close()


@every
async def test_an_option_it_does_not_know_is_refused(stage: Stage) -> None:
    with pytest.raises(BadSetting, match=r"colour|option"):
        stage.case.provider(stage.case.setup(stage.fake, colour="green"))


@only([case for case in REMOTE if case.needs_key])
async def test_a_key_that_is_missing_is_told_at_start(stage: Stage) -> None:
    with pytest.raises(BadSetting, match=stage.case.key):
        stage.case.provider(_with_key(stage, None))


def _with_key(stage: Stage, key: str | None) -> Setup:
    told = key and stage.case.credential(stage.fake, key)
    return replace(stage.case.setup(stage.fake), secret=lambda name: told)
