"""What fal is sent, field by field, and what its answers mean; the contract itself is in test_vendors.py."""

from __future__ import annotations

import base64
import io
import json
import re
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import fal_client
import pytest
from PIL import Image

from rushes.catalogue import CATALOGUE, Input
from rushes.config import Config
from rushes.errors import (
    BadSetting,
    ContentRejected,
    InputNotAnImage,
    InputTooLarge,
    JobFailed,
    ModelRetired,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.model import Kind
from rushes.providers import Done, Inputs, Order, Pending, Refused
from rushes.providers.facts import facts
from rushes.providers.fal import Fal
from rushes.providers.routes import Routes
from rushes.providers.vendor import Unclear
from tests.providers.cases.fal import CASES
from tests.servers.fake import KEY, answers
from tests.servers.fal import FalServer

pytestmark = pytest.mark.anyio

FILM, PICTURE = b"\0\0\0\x20ftypisom a film", b"\x89PNG a picture"
MODEL = "fal-ai/veo3.1"
PAGE = Path(__file__).parents[2] / "docs/providers/fal.md"
LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
Make = Callable[..., Fal]


@pytest.fixture
async def fake() -> AsyncIterator[FalServer]:
    async with FalServer(FILM, PICTURE) as fake:
        yield fake


@pytest.fixture
async def make(fake: FalServer) -> AsyncIterator[Make]:
    """A provider of a model, with these options."""
    async with AsyncExitStack() as stack:

        def made(model: str = "veo3.1", **options: Any) -> Fal:
            kind = Kind.IMAGE if model in CATALOGUE.images else Kind.VIDEO
            provider = Fal(replace(CASES[0], model=model, kind=kind).setup(fake, **options))
            stack.push_async_callback(provider.close)
            return provider

        yield made


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Inputs]:
    """A landscape to open with, a film to continue, pictures to refer to."""
    for name, kind in (("one", "JPEG"), ("two", "WEBP")):
        Image.new("RGB", (300, 200), "red").save(tmp_path / name, kind)
    (tmp_path / "film").write_bytes(FILM)
    return {
        "text": Inputs(),
        "first_frame": Inputs(first_frame=tmp_path / "one"),
        "extend_video": Inputs(extend_video=tmp_path / "film"),
        "reference": Inputs(references=(tmp_path / "one",)),
        "references": Inputs(references=(tmp_path / "one", tmp_path / "two")),
    }


def order(model: str = "veo3.1", **facts_: Any) -> Order:
    image = model in CATALOGUE.images
    usual: dict[str, Any] = {
        "job_id": "6e6b7a3c-0b0e-4a0e-9a55-1f5b1c2d3e4f",
        "model": model,
        "prompt": "a red fox in snow",
        "aspect_ratio": "9:16",
        "width": 720,
        "height": 1280,
        "seconds": 0 if image else 8,
        "kind": Kind.IMAGE if image else Kind.VIDEO,
    }
    return Order(**{**usual, **facts_})


def plain(value: Any, fake: FalServer) -> Any:
    """A request with its files told by what they are."""
    if isinstance(value, dict):
        return {name: plain(each, fake) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each, fake) for each in value]
    if isinstance(value, str) and value.startswith(f"{fake.origin}/files/"):
        return f"an upload of {len(fake.uploads[value.rsplit('/')[-1]])}"
    if isinstance(value, str) and value.startswith("data:"):
        head, _, body = value.partition(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(body))) as picture:
            return f"{head.removeprefix('data:')} {picture.format} {picture.width}x{picture.height}"
    return value


VEO = {"aspect_ratio": "9:16", "duration": "8s", "resolution": "1080p", "generate_audio": True}
PIXVERSE = {"duration": "8", "resolution": "720p", "generate_audio_switch": False}
FIRST = "image/png PNG 720x1280"
REFERENCES = ["image/jpeg JPEG 300x200", "image/webp WEBP 300x200"]
EXTENDED = {"video_url": f"an upload of {len(FILM)}", "duration": "7s", "generate_audio": True}
BANANA = {"aspect_ratio": "9:16", "num_images": 1, "output_format": "png"}
SENT: list[tuple[str, str, str, dict[str, Any]]] = [
    ("veo3.1", "text", "fal-ai/veo3.1", VEO),
    ("veo3.1", "first_frame", "fal-ai/veo3.1/image-to-video", {**VEO, "image_url": FIRST}),
    ("veo3.1", "extend_video", "fal-ai/veo3.1/extend-video", EXTENDED),
    ("veo3.1", "references", "fal-ai/veo3.1/reference-to-video", {**VEO, "image_urls": REFERENCES}),
    ("veo3.1_fast", "text", "fal-ai/veo3.1/fast", VEO),
    ("veo3.1_fast", "first_frame", "fal-ai/veo3.1/fast/image-to-video", {**VEO, "image_url": FIRST}),
    ("veo3.1_fast", "extend_video", "fal-ai/veo3.1/fast/extend-video", EXTENDED),
    ("veo3.1_fast", "references", "fal-ai/veo3.1/fast/reference-to-video", {**VEO, "image_urls": REFERENCES}),
    ("pixverse5.5", "text", "fal-ai/pixverse/v5.5/text-to-video", {**PIXVERSE, "aspect_ratio": "9:16"}),
    ("pixverse5.5", "first_frame", "fal-ai/pixverse/v5.5/image-to-video", {**PIXVERSE, "image_url": FIRST}),
    (
        "pixverse5.5",
        "extend_video",
        "fal-ai/pixverse/extend",
        {"video_url": EXTENDED["video_url"], "duration": "8", "resolution": "720p", "model": "v5.5"},
    ),
    (
        "seedream3.0",
        "text",
        "fal-ai/bytedance/seedream/v3/text-to-image",
        {"image_size": {"width": 720, "height": 1280}, "num_images": 1},
    ),
    (
        "flux-schnell",
        "text",
        "fal-ai/flux/schnell",
        {"image_size": {"width": 720, "height": 1280}, "num_images": 1, "output_format": "png"},
    ),
    ("nanobanana", "text", "fal-ai/nano-banana", BANANA),
    ("nanobanana", "reference", "fal-ai/nano-banana/edit", {**BANANA, "image_urls": REFERENCES[:1]}),
    ("nanobanana-pro", "text", "fal-ai/nano-banana-pro", {**BANANA, "resolution": "1K"}),
    (
        "nanobanana-pro",
        "reference",
        "fal-ai/nano-banana-pro/edit",
        {**BANANA, "resolution": "1K", "image_urls": REFERENCES[:1]},
    ),
]


# --- what is sent ---


@pytest.mark.parametrize(("model", "begins", "endpoint", "fields"), SENT)
async def test_each_kind_of_request_field_by_field(
    fake: FalServer, make: Make, inputs: dict[str, Inputs], model: str, begins: str, endpoint: str, fields: Any
) -> None:
    provider = make(model)
    ticket = await provider.submit(order(model, inputs=inputs[begins]))
    sent = fake.last("create")
    assert sent.path == f"/{endpoint}"
    assert plain(sent.json, fake) == {"prompt": "a red fox in snow", **fields}
    assert isinstance(await provider.poll(ticket), Done), "the fake takes only what fal's own schema does"


async def test_the_table_above_is_all_that_is_known() -> None:
    assert set(facts("fal").routes) == {*CATALOGUE.videos, *CATALOGUE.images} == {model for model, *_ in SENT}
    tables = [table for model in facts("fal").models.values() for table in model.values() if isinstance(table, dict)]
    endpoints = [table["endpoint"] for table in tables if "endpoint" in table]
    assert sorted(endpoints) == sorted({endpoint for _, _, endpoint, _ in SENT})


async def test_the_headers(fake: FalServer, make: Make) -> None:
    await make(keep_seconds=3600).submit(order())
    headers = fake.last("create").headers
    assert headers["authorization"] == f"Key {KEY}"
    assert json.loads(headers["x-fal-object-lifecycle-preference"]) == {"expiration_duration_seconds": 3600}
    assert "x-fal-no-retry" not in headers
    assert not fake.last("create").query


@pytest.mark.parametrize(
    ("model", "begins", "asked", "sent"),
    [
        ("veo3.1", "references", 4, "8s"),
        ("veo3.1", "extend_video", 4, "7s"),
        ("veo3.1", "extend_video", 8, "7s"),
        ("veo3.1", "first_frame", 6, "6s"),
        ("pixverse5.5", "extend_video", 5, "5"),
        ("pixverse5.5", "extend_video", 10, "8"),
        ("pixverse5.5", "text", 10, "10"),
    ],
)
async def test_lengths_that_an_endpoint_fixes(
    fake: FalServer, make: Make, inputs: dict[str, Inputs], model: str, begins: str, asked: int, sent: str
) -> None:
    await make(model).submit(order(model, seconds=asked, inputs=inputs[begins]))
    assert fake.last("create").json["duration"] == sent


async def test_a_style_is_told_in_words(fake: FalServer, make: Make) -> None:
    await make("seedream3.0").submit(order("seedream3.0", style="vintage"))
    assert fake.last("create").json["prompt"] == "a red fox in snow (vintage style)"


async def test_what_the_route_says_is_sent(fake: FalServer, make: Make) -> None:
    await make(resolution="720p", audio=False, extra={"seed": 7, "negative_prompt": "blur"}).submit(order())
    told = {"resolution": "720p", "generate_audio": False, "seed": 7, "negative_prompt": "blur"}
    assert fake.last("create").json == {"prompt": "a red fox in snow", **VEO, **told}


async def test_another_model_of_fals_needs_no_code(fake: FalServer, make: Make) -> None:
    sends = {"length": "seconds", "ratio": "aspect_ratio", "quality": "resolution"}  # no resolution is set: not sent
    provider = make("my-kling", id="fal-ai/kling", text={"endpoint": "fal-ai/flux/kling", "sends": sends})
    await provider.submit(order("my-kling"))
    assert fake.last("create").path == "/fal-ai/flux/kling"
    assert fake.last("create").json == {"prompt": "a red fox in snow", "length": 8, "ratio": "9:16"}
    assert not provider.capabilities.inputs
    assert provider.price is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"id": "fal-ai/kling"}, r'"fal": it is not among'),
        ({"text": {"endpoint": "fal-ai/veo3.1", "sends": {"duration": "minutes"}}}, r"text\.sends\.duration: "),
        ({"text": {"endpoint": "https://elsewhere.example/x"}}, r"text\.endpoint: "),
        ({"keep_seconds": 0}, "keep_seconds: "),
    ],
)
async def test_settings_that_cannot_be(make: Make, options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSetting, match=says):
        make(**options)


async def test_what_no_endpoint_is_for_is_not_sent(fake: FalServer, make: Make, inputs: dict[str, Inputs]) -> None:
    provider = make("pixverse5.5")
    assert provider.capabilities.inputs == {Input.FIRST_FRAME, Input.EXTEND_VIDEO}
    with pytest.raises(ProviderFailed, match="references"):
        await provider.submit(order("pixverse5.5", inputs=inputs["references"]))
    assert not fake.asked


@pytest.mark.parametrize(
    ("model", "dollars", "of"),
    [
        ("veo3.1", "3.20", 8),
        ("veo3.1_fast", "1.20", 8),
        ("pixverse5.5", "0.40", 8),
        ("seedream3.0", "0.03", 0),
        ("flux-schnell", "0.003", 0),
        ("nanobanana", "0.0398", 0),
        ("nanobanana-pro", "0.15", 0),
    ],
)
async def test_the_price_list(make: Make, model: str, dollars: str, of: int) -> None:
    price = make(model).price
    assert price
    assert price.of(of) == Decimal(dollars)
    assert price.table == f"fal {facts('fal').version}"


# --- inputs ---


async def test_a_large_picture_is_uploaded_first(fake: FalServer, make: Make, inputs: dict[str, Inputs]) -> None:
    await make(inline_bytes=0, keep_seconds=3600).submit(order(inputs=inputs["first_frame"]))
    assert [asked.kind for asked in fake.asked] == ["leave", "upload", "create"]
    leave, upload, create = fake.asked
    assert (leave.headers["authorization"], leave.query) == (f"Key {KEY}", {"storage_type": "fal-cdn-v3"})
    assert KEY not in str(upload.headers)
    assert upload.headers["content-type"] == "image/png"
    assert json.loads(upload.headers["x-fal-object-lifecycle"]) == {"expiration_duration_seconds": 3600}
    assert create.json["image_url"] == f"{fake.origin}/files/0-input.png"


async def test_a_file_too_long_for_one_upload(fake: FalServer, make: Make, tmp_path: Path) -> None:
    with (tmp_path / "long").open("wb") as file:
        file.truncate(100 * 2**20 + 1)
    with pytest.raises(InputTooLarge):
        await make().submit(order(inputs=Inputs(extend_video=tmp_path / "long")))
    assert not fake.asked


@pytest.mark.parametrize("kind", ["leave", "upload"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answers(503), ProviderUnreachable),
        (answers(200, {"odd": 1}), ProviderUnreachable),
        (answers(403, {"detail": LOCKED}), ModelUnavailable),
        (answers(404, {"detail": "Not found"}), ProviderFailed),
    ],
)
async def test_an_upload_that_fails_orders_nothing(
    fake: FalServer, make: Make, inputs: dict[str, Inputs], kind: str, fault: Any, error: type[Exception]
) -> None:
    fake.faults[kind].append(fault)
    with pytest.raises(error):
        await make().submit(order(inputs=inputs["extend_video"]))
    assert not fake.count("create")


# --- the ticket ---


async def test_the_ticket_is_what_fal_gave(fake: FalServer, make: Make) -> None:
    ticket = json.loads(await make().submit(order(inputs=Inputs())))
    place = f"{fake.origin}/fal-ai/veo3.1/requests/{next(iter(fake.jobs))}"
    assert ticket == {"endpoint": MODEL, "status": f"{place}/status", "response": place, "cancel": f"{place}/cancel"}


@pytest.mark.parametrize("name", ["status_url", "response_url", "cancel_url"])
async def test_a_url_of_another_host_is_no_ticket(fake: FalServer, make: Make, name: str) -> None:
    urls = dict.fromkeys(("status_url", "response_url", "cancel_url"), f"{fake.origin}/x")
    fake.faults["create"].append(answers(200, {"request_id": "1", **urls, name: "https://elsewhere.example/x"}))
    with pytest.raises(ValueError, match="another host"):
        await make().submit(order())


async def test_a_ticket_that_leads_elsewhere_is_not_followed(make: Make) -> None:
    ticket = json.dumps(dict.fromkeys(("endpoint", "status", "response", "cancel"), "http://elsewhere.example/x"))
    with pytest.raises(ProviderFailed, match="elsewhere"):
        await make().poll(ticket)


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
async def test_a_job_that_is_completed_and_failed(
    fake: FalServer, make: Make, end: str, error: type[JobFailed], says: str, cost: Decimal | None
) -> None:
    provider, fake.end = make(), end
    answer = await provider.poll(await provider.submit(order()))
    assert isinstance(answer, Refused)
    assert type(answer.error) is error
    assert says in answer.error.sentence
    assert answer.cost == cost


async def test_a_black_picture_is_a_refusal_that_was_paid_for(fake: FalServer, make: Make) -> None:
    provider, fake.end = make("flux-schnell"), "black"
    answer = await provider.poll(await provider.submit(order("flux-schnell")))
    assert isinstance(answer, Refused)
    assert type(answer.error) is ContentRejected
    assert answer.cost == Decimal("3.2")


async def test_a_field_that_is_wrong_is_named(make: Make) -> None:
    provider = make(resolution="999p")
    answer = await provider.poll(await provider.submit(order()))
    assert isinstance(answer, Refused)
    assert type(answer.error) is ProviderFailed
    assert "'999p'” (resolution)" in answer.error.sentence


async def test_an_endpoint_that_is_gone_shows_in_the_result(make: Make) -> None:
    provider = make(text={"endpoint": "fal-ai/veo3.1/gone"})
    answer = await provider.poll(await provider.submit(order()))
    assert isinstance(answer, Refused)
    assert type(answer.error) is ModelRetired


@pytest.mark.parametrize("body", [{"images": []}, {"video": None}, {"video": {"url": 7}}, {}])
async def test_a_result_without_a_file(fake: FalServer, make: Make, body: Any) -> None:
    provider = make()
    ticket = await provider.submit(order())
    fake.faults["response"].append(answers(200, body))
    answer = await provider.poll(ticket)
    assert isinstance(answer, Refused)
    assert type(answer.error) is ProviderFailed


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
    provider = make()
    ticket = await provider.submit(order())
    fake.faults["poll"].append(answers(200, {"status": "COMPLETED", **told}))
    fake.faults["response"].append(answers(502, {"detail": "Bad gateway"}))
    answer = await provider.poll(ticket)
    assert isinstance(answer, Refused)
    assert says in answer.error.sentence
    assert answer.cost is None


async def test_a_result_that_is_lost(fake: FalServer, make: Make) -> None:
    provider = make()
    ticket = await provider.submit(order())
    fake.faults["response"].append(answers(404, {"detail": "Request not found"}))
    answer = await provider.poll(ticket)
    assert isinstance(answer, Refused)
    assert "may have been charged" in answer.error.sentence


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
async def test_a_cost_that_cannot_be_told(fake: FalServer, make: Make, charges: bool, price: Any) -> None:
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


async def test_results_are_fetched_without_the_key(fake: FalServer, make: Make, tmp_path: Path) -> None:
    async with FalServer(b"from the media host", PICTURE) as media:
        provider, fake.media = make(), media.origin
        done = await provider.poll(await provider.submit(order()))
        assert isinstance(done, Done)
        await provider.download(done, tmp_path / "result")
        assert (tmp_path / "result").read_bytes() == b"from the media host"
        assert KEY not in str(media.last("result").headers)


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


@pytest.mark.parametrize("lines", re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL))
async def test_the_lines_of_its_page_can_be_taken_over(monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    monkeypatch.setenv("FAL_KEY", "a-key")
    routes = Routes(Config(models=tomllib.loads(lines)["models"]))
    routes.check()
    assert routes.offers.videos or routes.offers.images
    await routes.close()


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
