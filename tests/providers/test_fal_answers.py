"""What fal's answers mean: waiting, how jobs end, what they cost; and fal's own client against our stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import fal_client
import pytest

from rushes.errors import (
    ContentRejected,
    InputNotAnImage,
    InputTooLarge,
    JobFailed,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.providers import Done, Pending
from rushes.providers.fal import Fal
from rushes.providers.vendor import Unclear
from tests.providers.cases.fal import CASES
from tests.providers.ordered import order, refusal
from tests.servers.fake import KEY, answers
from tests.servers.fal import FalServer

pytestmark = pytest.mark.anyio

CASE = CASES[0]
Make = Callable[..., Fal]
MODEL = "fal-ai/veo3.1"
LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."


# --- waiting ---


async def test_the_place_in_line_counts_from_one(fake: FalServer, make: Make) -> None:
    provider, fake.polls = make(), 3
    ticket = await provider.submit(order())
    assert [await provider.poll(ticket) for _ in range(3)] == [Pending(4.0, position=place) for place in (3, 2, 1)]


async def test_at_work_it_has_no_place(fake: FalServer, make: Make) -> None:
    provider, fake.end, fake.waits = make("flux-schnell"), "never", False
    assert await provider.poll(await provider.submit(order("flux-schnell"))) == Pending(1.0)


async def test_a_state_nobody_told_of_is_asked_again(fake: FalServer, make: Make) -> None:
    provider = make()
    ticket = await provider.submit(order())
    fake.faults["poll"].append(answers(200, {"status": "PAUSED"}))
    with pytest.raises(ProviderUnreachable, match="PAUSED"):
        await provider.poll(ticket)


# --- how jobs end ---


@pytest.mark.parametrize(
    ("end", "error", "says", "cost"),
    [
        ("failed", ProviderFailed, "No luck", Decimal(0)),
        ("timeout", ProviderFailed, "Request timed out", Decimal(0)),
        ("rejected", ContentRejected, "flagged", Decimal(0)),
        ("policy", ContentRejected, "flagged", None),
        ("empty", ProviderFailed, "no output", None),
        ("unsafe", ContentRejected, "unsafe content", None),
        ("picture", InputNotAnImage, "load the image", None),
    ],
)
async def test_a_job_may_be_completed_and_have_failed(
    fake: FalServer, make: Make, end: str, error: type[JobFailed], says: str, cost: Decimal | None
) -> None:
    fake.end = end
    answer = await refusal(make(), order())
    assert type(answer.error) is error
    assert says in answer.error.sentence
    assert answer.cost == cost


async def test_a_black_picture_is_a_refusal_that_was_paid_for(fake: FalServer, make: Make) -> None:
    fake.end = "black"
    answer = await refusal(make("flux-schnell"), order("flux-schnell"))
    assert type(answer.error) is ContentRejected
    assert answer.cost == Decimal("3.2")


async def test_a_field_that_is_wrong_is_named(make: Make) -> None:
    answer = await refusal(make(resolution="999p"), order())
    assert type(answer.error) is ProviderFailed
    assert "'999p'” (resolution)" in answer.error.sentence


async def test_an_endpoint_that_is_gone_shows_in_the_result(make: Make) -> None:
    answer = await refusal(make(text={"endpoint": "fal-ai/veo3.1/gone"}), order())
    assert type(answer.error) is ModelRetired


@pytest.mark.parametrize("body", [{"images": []}, {"video": None}, {"video": {"url": 7}}, {}])
async def test_a_result_without_a_file_is_a_failure(fake: FalServer, make: Make, body: Any) -> None:
    fake.faults["response"].append(answers(200, body))
    assert type((await refusal(make(), order())).error) is ProviderFailed


@pytest.mark.parametrize(
    "fault",
    [
        answers(502, {"detail": "Bad gateway"}),
        answers(401, {"detail": "Invalid key"}),
        answers(403, {"detail": LOCKED}),
        answers(429, {"detail": "slow down"}, {"X-Fal-Error-Type": "concurrency"}),
        answers(200, "no object"),
    ],
)
async def test_a_result_that_is_not_to_be_had_now_waits(fake: FalServer, make: Make, fault: Any) -> None:
    provider = make()
    ticket = await provider.submit(order())
    fake.faults["response"].append(fault)
    with pytest.raises(ProviderUnreachable):
        await provider.poll(ticket)
    assert isinstance(await provider.poll(ticket), Done)


@pytest.mark.parametrize(
    ("told", "says"),
    [({"error": "Request timed out"}, "Request timed out"), ({"error_type": "runner_disconnected"}, "Bad gateway")],
)
async def test_a_status_that_says_it_failed_is_enough(fake: FalServer, make: Make, told: Any, says: str) -> None:
    fake.faults["poll"].append(answers(200, {"status": "COMPLETED", **told}))
    fake.faults["response"].append(answers(502, {"detail": "Bad gateway"}))
    answer = await refusal(make(), order())
    assert says in answer.error.sentence
    assert answer.cost is None


async def test_a_result_that_is_lost_may_have_been_charged(fake: FalServer, make: Make) -> None:
    fake.faults["response"].append(answers(404, {"detail": "Request not found"}))
    assert "may have been charged" in (await refusal(make(), order())).error.sentence


async def test_a_balance_that_is_exhausted_is_told_in_fals_words(fake: FalServer, make: Make) -> None:
    fake.faults["create"].append(answers(403, {"detail": LOCKED}))
    with pytest.raises(ModelUnavailable, match="Top up your balance"):
        await make().submit(order())


@pytest.mark.parametrize(
    ("kind", "error"), [("image_too_large", InputTooLarge), ("missing", ProviderFailed), ("odd", ProviderFailed)]
)
async def test_an_order_may_be_refused_at_once(fake: FalServer, make: Make, kind: str, error: type[JobFailed]) -> None:
    entry = {"loc": ["body", "image_url"], "msg": "Not like this", "type": kind}
    fake.faults["create"].append(answers(422, {"detail": [entry]}))
    with pytest.raises(error, match="Not like this"):
        await make().submit(order())


async def test_a_failure_told_at_once_may_have_been_taken_all_the_same(fake: FalServer, make: Make) -> None:
    entry = {"loc": ["body"], "msg": "No luck", "type": "internal_server_error"}
    fake.faults["create"].append(answers(500, {"detail": [entry]}))
    with pytest.raises(Unclear):
        await make().submit(order())


# --- what it cost ---


async def test_the_cost_is_what_fal_counted_at_its_price(fake: FalServer, make: Make) -> None:
    provider = make()
    done = await provider.poll(await provider.submit(order()))
    assert done == Done(f"{fake.origin}/files/made.mp4", Decimal("3.2"))
    assert fake.last("models").query == {"endpoint_id": MODEL}


@pytest.mark.parametrize(
    ("charges", "price"),
    [(False, {}), (True, {"currency": "EUR"}), (True, {"unit_price": None}), (True, {"unit_price": "much"})],
)
async def test_a_cost_that_cannot_be_told_is_not_guessed(
    fake: FalServer, make: Make, charges: bool, price: Any
) -> None:
    provider, fake.charges, fake.price = make(), charges, {**fake.price, **price}
    done = await provider.poll(await provider.submit(order()))
    assert isinstance(done, Done)
    assert done.cost is None


@pytest.mark.parametrize("fault", [answers(500), answers(401), answers(404), answers(200, [])])
async def test_a_price_that_is_not_to_be_had_keeps_no_result_waiting(fake: FalServer, make: Make, fault: Any) -> None:
    provider = make()
    ticket = await provider.submit(order())
    fake.faults["models"].append(fault)
    done = await provider.poll(ticket)
    assert isinstance(done, Done)
    assert done.cost is None


# --- the rest ---


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ((200, "OK"), Decimal(0)),
        ((202, "CANCELLATION_REQUESTED"), None),
        ((400, "ALREADY_COMPLETED"), None),
        ((404, "NOT_FOUND"), None),
    ],
)
async def test_what_a_cancel_is_known_to_cost(
    fake: FalServer, make: Make, said: tuple[int, str], cost: Decimal | None
) -> None:
    provider, fake.cancelled = make(), said
    ticket = await provider.submit(order())
    assert await provider.cancel(ticket) == cost
    assert fake.last("cancel").method == "PUT"
    assert fake.last("cancel").path == f"/fal-ai/veo3.1/requests/{next(iter(fake.jobs))}/cancel"


async def test_a_check_asks_for_every_endpoint(fake: FalServer, make: Make) -> None:
    told = await make("nanobanana").check()
    assert told
    assert "fal-ai/nano-banana (0.4), fal-ai/nano-banana/edit (0.4)" in told
    with pytest.raises(ModelRetired, match="gone"):
        await make(text={"endpoint": "fal-ai/veo3.1/gone"}).check()


# --- fal's own client takes the fake for fal ---


@pytest.fixture
async def sdk(fake: FalServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[fal_client.AsyncClient]:
    monkeypatch.setattr("fal_client.client.QUEUE_URL_FORMAT", f"{fake.origin}/")
    monkeypatch.setattr("fal_client.client.REST_URL", fake.origin)
    monkeypatch.setattr("fal_client.client.CDN_URL", fake.origin)
    client = fal_client.AsyncClient(key=KEY)
    yield client
    await (await client._client).aclose()  # it has no way to be closed


async def test_the_sdk_waits_for_a_job(fake: FalServer, sdk: fal_client.AsyncClient) -> None:
    fake.polls = 2
    handle = await sdk.submit("fal-ai/veo3.1/image-to-video", {"prompt": "a fox", "image_url": "https://example.com/1"})
    states = [state async for state in handle.iter_events(interval=0)]
    assert states[0] == fal_client.Queued(position=1)
    assert isinstance(states[-1], fal_client.Completed)
    assert await handle.get(interval=0) == {"video": fake._made(next(iter(fake.jobs.values())))["video"]}
    await handle.cancel()


async def test_the_sdk_meets_a_job_that_failed(fake: FalServer, sdk: fal_client.AsyncClient) -> None:
    fake.end = "rejected"
    handle = await sdk.submit("fal-ai/flux/schnell", {"prompt": "a fox"})
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        await handle.get(interval=0)
    assert caught.value.response.json()["detail"][0]["type"] == "content_policy_violation"


async def test_the_sdk_uploads(fake: FalServer, sdk: fal_client.AsyncClient) -> None:
    link = await sdk.upload(b"bytes", "image/png", file_name="input.png")
    assert fake.uploads[link.rsplit("/")[-1]] == b"bytes"


async def test_the_sdk_finds_what_we_submitted(fake: FalServer, make: Make, sdk: fal_client.AsyncClient) -> None:
    await make().submit(order())
    status = await sdk.status("fal-ai/veo3.1", next(iter(fake.jobs)))
    assert isinstance(status, fal_client.Completed)
