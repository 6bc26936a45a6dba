"""What Replicate is sent, field by field, and what its answers mean; the contract itself is in test_vendors.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from replicate.client import Client
from replicate.exceptions import ReplicateError

from rushes.catalogue import CATALOGUE, Input
from rushes.errors import (
    BadSetting,
    ContentRejected,
    InputTooLarge,
    JobFailed,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.providers import Done, Inputs, Pending
from rushes.providers.facts import facts
from rushes.providers.replicate import Replicate
from tests.providers.cases.replicate import CASES
from tests.providers.ordered import FIRST, REFERENCES, order, plain, refusal
from tests.servers.fake import KEY, answers
from tests.servers.replicate import SENSITIVE, VERSION, ReplicateServer

pytestmark = pytest.mark.anyio

CASE = CASES[0]
Make = Callable[..., Replicate]
PIXVERSE = "pixverse/pixverse-v5"
VEO = {"aspect_ratio": "9:16", "duration": 8, "resolution": "1080p", "generate_audio": True}
FILMED = {"aspect_ratio": "9:16", "duration": 8, "quality": "720p"}
BANANA = {"aspect_ratio": "9:16", "output_format": "png"}
SENT: list[tuple[str, str, str, dict[str, Any]]] = [
    ("veo3.1", "text", "google/veo-3.1", VEO),
    ("veo3.1", "first_frame", "google/veo-3.1", {**VEO, "image": FIRST}),
    ("veo3.1", "references", "google/veo-3.1", {**VEO, "reference_images": REFERENCES}),
    ("veo3.1_fast", "text", "google/veo-3.1-fast", VEO),
    ("veo3.1_fast", "first_frame", "google/veo-3.1-fast", {**VEO, "image": FIRST}),
    ("pixverse5.5", "text", PIXVERSE, FILMED),
    ("pixverse5.5", "first_frame", PIXVERSE, {**FILMED, "image": FIRST}),
    ("seedream3.0", "text", "bytedance/seedream-3", {"aspect_ratio": "custom", "width": 720, "height": 1280}),
    (
        "flux-schnell",
        "text",
        "black-forest-labs/flux-schnell",
        {"aspect_ratio": "9:16", "num_outputs": 1, "output_format": "png"},
    ),
    ("nanobanana", "text", "google/nano-banana", BANANA),
    ("nanobanana", "reference", "google/nano-banana", {**BANANA, "image_input": REFERENCES[:1]}),
    ("nanobanana-pro", "text", "google/nano-banana-pro", {**BANANA, "resolution": "1K"}),
    (
        "nanobanana-pro",
        "reference",
        "google/nano-banana-pro",
        {**BANANA, "resolution": "1K", "image_input": REFERENCES[:1]},
    ),
]


# --- what is sent ---


@pytest.mark.parametrize(("model", "begins", "endpoint", "fields"), SENT)
async def test_each_kind_of_request_field_by_field(
    fake: ReplicateServer, make: Make, inputs: dict[str, Inputs], model: str, begins: str, endpoint: str, fields: Any
) -> None:
    provider = make(model, **({"id": PIXVERSE} if endpoint == PIXVERSE else {}))
    ticket = await provider.submit(order(model, inputs=inputs[begins]))
    sent = fake.last("create")
    assert sent.path == f"/v1/models/{endpoint}/predictions"
    assert plain(sent.json) == {"input": {"prompt": "a red fox", **fields}}
    assert isinstance(await provider.poll(ticket), Done), "the fake takes only what the model's own schema does"


async def test_the_table_above_is_all_that_is_known() -> None:
    assert set(facts("replicate").routes) == {*CATALOGUE.videos, *CATALOGUE.images} - {"pixverse5.5"}
    assert set(facts("replicate").models) == {endpoint for _, _, endpoint, _ in SENT}
    known = {
        (model, begins)
        for model, id_ in {**facts("replicate").routes, "pixverse5.5": PIXVERSE}.items()
        for begins in ("text", "first_frame", "extend_video", "references")
        if begins in facts("replicate").models[id_]
    }
    assert known == {(model, "references" if begins == "reference" else begins) for model, begins, _, _ in SENT}


async def test_the_headers_name_the_key_and_ask_for_no_waiting(fake: ReplicateServer, make: Make) -> None:
    await make().submit(order())
    headers = fake.last("create").headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "prefer" not in headers  # waiting on the line would leave it unknown whether it was taken


async def test_a_model_that_is_not_official_is_asked_for_by_its_version(fake: ReplicateServer, make: Make) -> None:
    place = f"someone/something:{VERSION}"
    provider = make("my-model", id="something", text={"endpoint": place, "sends": {}})
    await provider.submit(order("my-model"))
    assert fake.last("create").path == "/v1/predictions"
    assert fake.last("create").json == {"version": VERSION, "input": {"prompt": "a red fox"}}


async def test_a_model_may_fix_the_length(fake: ReplicateServer, make: Make, inputs: dict[str, Inputs]) -> None:
    await make().submit(order(seconds=4, inputs=inputs["references"]))
    assert fake.last("create").json["input"]["duration"] == 8


async def test_what_a_model_does_not_take_is_not_sent(
    fake: ReplicateServer, make: Make, inputs: dict[str, Inputs]
) -> None:
    assert make().capabilities.inputs == {Input.FIRST_FRAME, Input.REFERENCES}
    assert make("veo3.1_fast").capabilities.inputs == {Input.FIRST_FRAME}
    assert make(id=PIXVERSE).capabilities.durations == (5, 8)
    with pytest.raises(ProviderFailed, match="extend video"):
        await make().submit(order(inputs=inputs["extend_video"]))
    assert not fake.asked


async def test_pixverse_needs_to_be_told_which(make: Make) -> None:
    with pytest.raises(BadSetting, match="id ="):
        make("pixverse5.5")


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("veo3.1", "3.20"),
        ("veo3.1_fast", "1.20"),
        ("seedream3.0", "0.03"),
        ("flux-schnell", "0.003"),
        ("nanobanana", "0.039"),
        ("nanobanana-pro", "0.15"),
    ],
)
async def test_every_model_has_a_price_by_its_page(make: Make, model: str, dollars: str) -> None:
    price = make(model).price
    assert price
    assert price.of(8) == Decimal(dollars)


# --- inputs ---


async def test_a_large_picture_is_uploaded_first(fake: ReplicateServer, make: Make, inputs: dict[str, Inputs]) -> None:
    await make(inline_bytes=0).submit(order(inputs=inputs["references"]))
    assert [asked.kind for asked in fake.asked] == ["upload", "upload", "create"]
    part = fake.asked[0].form["content"][0]
    assert (part.filename, part.content_type) == ("input.jpeg", "image/jpeg")
    assert part.content == fake.files["file0"]
    links = [f"{fake.base_url}/files/file0", f"{fake.base_url}/files/file1"]
    assert fake.last("create").json["input"]["reference_images"] == links


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answers(503), ProviderUnreachable),
        (answers(201, {"odd": 1}), ProviderUnreachable),
        (answers(402, {"title": "Insufficient credit"}), ModelUnavailable),
        (answers(404, {"title": "Not found"}), ProviderFailed),
    ],
)
async def test_an_upload_that_fails_orders_nothing(
    fake: ReplicateServer, make: Make, inputs: dict[str, Inputs], fault: Any, error: type[Exception]
) -> None:
    fake.faults["upload"].append(fault)
    with pytest.raises(error):
        await make(inline_bytes=0).submit(order(inputs=inputs["first_frame"]))
    assert not fake.count("create")


async def test_a_file_too_long_for_an_upload_is_not_sent(fake: ReplicateServer, make: Make, tmp_path: Path) -> None:
    with (tmp_path / "long").open("wb") as file:
        file.truncate(100 * 2**20 + 1)
    provider = make(references={"endpoint": "google/veo-3.1", "sends": {"reference_images": "references"}})
    with pytest.raises(InputTooLarge):
        await provider.submit(order(inputs=Inputs(references=(tmp_path / "long",))))
    assert not fake.asked


# --- answers to a create ---


@pytest.mark.parametrize("body", [{"id": ""}, {"id": 7}, {"id": "../models"}, {"id": None}, [], {"status": "failed"}])
async def test_an_answer_that_names_no_prediction_leaves_the_outcome_unknown(
    fake: ReplicateServer, make: Make, body: Any
) -> None:
    fake.faults["create"].append(answers(201, body))
    with pytest.raises((ValueError, KeyError, TypeError)):
        await make().submit(order())


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (402, {"title": "Insufficient credit", "detail": "Go to your billing page"}, ModelUnavailable, "billing page"),
        (403, {"detail": "forbidden"}, ModelUnavailable, "forbidden"),
        (422, {"title": "Input validation failed", "detail": "- input.duration: …"}, ProviderFailed, "duration"),
    ],
)
async def test_a_no_is_told_in_its_words(
    fake: ReplicateServer, make: Make, status: int, body: Any, error: type[JobFailed], says: str
) -> None:
    fake.faults["create"].append(answers(status, body))
    with pytest.raises(error, match=says):
        await make().submit(order())


async def test_a_field_that_is_wrong_is_named(make: Make) -> None:
    with pytest.raises(ProviderFailed, match=r"input\.resolution"):
        await make(resolution="999p").submit(order())


async def test_throttling_says_in_words_when_to_come_back(fake: ReplicateServer, make: Make) -> None:
    fake.faults["create"].append(answers(429, {"detail": "Request was throttled. Your rate limit resets in ~30s."}))
    with pytest.raises(ProviderUnreachable) as caught:
        await make().submit(order())
    assert caught.value.retry_after == 30


async def test_a_prediction_that_failed_at_once_is_asked_for_like_any_other(fake: ReplicateServer, make: Make) -> None:
    fake.faults["create"].append(answers(201, {"id": "abc", "status": "failed", "error": "No luck"}))
    assert await make().submit(order()) == "abc"


# --- how predictions go and end ---


async def test_starting_and_processing_are_waiting(fake: ReplicateServer, make: Make) -> None:
    provider, fake.polls = make(), 2
    ticket = await provider.submit(order())
    assert [await provider.poll(ticket) for _ in range(2)] == [Pending(5.0), Pending(5.0)]
    image, fake.end = make("nanobanana"), "never"
    assert await image.poll(await image.submit(order("nanobanana"))) == Pending(1.0)


@pytest.mark.parametrize("lists", [True, False])
async def test_an_output_is_a_url_or_a_list(fake: ReplicateServer, make: Make, lists: bool) -> None:
    provider, fake.lists = make("flux-schnell"), lists
    done = await provider.poll(await provider.submit(order("flux-schnell")))
    assert done == Done(f"{fake.origin}/delivered/made.png")


@pytest.mark.parametrize(
    ("end", "says", "cost"),
    [
        ("canceled", "cancelled at Replicate", None),
        ("aborted", "charged nothing", Decimal(0)),
        ("removed", "an hour after", None),
        ("empty", "neither a video", None),
        ("failed", "No luck (E6716)", None),
    ],
)
async def test_an_end_without_a_file_says_why_and_what_it_cost(
    fake: ReplicateServer, make: Make, end: str, says: str, cost: Decimal | None
) -> None:
    fake.end = end
    answer = await refusal(make(), order())
    assert type(answer.error) is ProviderFailed
    assert says in answer.error.sentence
    assert answer.cost == cost


@pytest.mark.parametrize(
    ("error", "rejected"),
    [
        (SENSITIVE, True),
        ("NSFW content detected. Try running it again, or try a different prompt.", True),
        ("Content flagged for: sexual", True),
        ("Veo could not generate videos because the input violates Google's usage guidelines.", True),
        ("Prediction failed: blocked by our safety system", True),
        ("Prediction failed (E005)", True),
        ("Sensitive words detected", True),
        ("The prompt was stopped by moderation", True),
        ("It violates our content policies", True),
        ("PROHIBITED_CONTENT", True),
        ("Blocked by Responsible AI practices", True),
        ("Service is temporarily unavailable. Please try again later. (E004)", False),
        ("CUDA out of memory (E1001)", False),
        ("Prediction interrupted; please retry (code: PA)", False),
        (None, False),
        ({"odd": 1}, False),
    ],
)
async def test_moderation_is_told_by_its_words(fake: ReplicateServer, make: Make, error: Any, rejected: bool) -> None:
    fake.end, fake.error = "failed", error
    assert type((await refusal(make(), order())).error) is (ContentRejected if rejected else ProviderFailed)


async def test_a_state_nobody_told_of_is_asked_again(fake: ReplicateServer, make: Make) -> None:
    provider = make()
    ticket = await provider.submit(order())
    fake.faults["poll"].append(answers(200, {"status": "paused"}))
    with pytest.raises(ProviderUnreachable, match="paused"):
        await provider.poll(ticket)


# --- the rest ---


@pytest.mark.parametrize(("end", "cost"), [("canceled", None), ("aborted", Decimal(0))])
async def test_what_a_cancel_is_known_to_cost(
    fake: ReplicateServer, make: Make, end: str, cost: Decimal | None
) -> None:
    provider, fake.end = make(), end
    ticket = await provider.submit(order())
    assert await provider.cancel(ticket) == cost
    assert (fake.last("cancel").method, fake.last("cancel").path) == ("POST", f"/v1/predictions/{ticket}/cancel")


async def test_a_check_looks_at_the_model(fake: ReplicateServer, make: Make) -> None:
    assert await make("nanobanana").check() == "Replicate answers, and has google/nano-banana"
    assert [asked.path for asked in fake.asked] == ["/v1/models/google/nano-banana"]
    with pytest.raises(ModelRetired):
        await make(text={"endpoint": "google/veo-9"}).check()


# --- Replicate's own client takes the fake for Replicate ---


@pytest.fixture
async def sdk(fake: ReplicateServer) -> AsyncIterator[Client]:
    client = Client(api_token=KEY, base_url=fake.origin, timeout=httpx.Timeout(5))
    yield client
    await client._async_client.aclose()  # it has no way to be closed


async def test_the_sdk_waits_for_a_prediction(fake: ReplicateServer, sdk: Client) -> None:
    fake.polls, fake.lists, sdk.poll_interval = 2, True, 0
    made = await sdk.models.predictions.async_create("black-forest-labs/flux-schnell", {"prompt": "a fox"})
    assert made.status == "starting"
    await made.async_wait()
    assert (made.status, made.output) == ("succeeded", [f"{fake.origin}/delivered/made.png"])
    await made.async_cancel()


async def test_the_sdk_meets_a_refusal(sdk: Client) -> None:
    with pytest.raises(ReplicateError) as caught:
        await sdk.models.predictions.async_create("google/veo-3.1", {"prompt": "a fox", "duration": 99})
    assert caught.value.title == "Input validation failed"


async def test_the_sdk_uploads(fake: ReplicateServer, sdk: Client, tmp_path: Path) -> None:
    (tmp_path / "input.png").write_bytes(b"bytes")
    file = await sdk.files.async_create(tmp_path / "input.png")
    assert fake.files[Path(file.urls["get"]).name] == b"bytes"


async def test_the_sdk_finds_what_we_submitted(make: Make, sdk: Client) -> None:
    ticket = await make().submit(order())
    assert (await sdk.predictions.async_get(ticket)).status == "succeeded"
