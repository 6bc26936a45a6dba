"""What fal is sent, field by field, and what it is asked by; the contract itself is in test_vendors.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.catalogue import CATALOGUE, Input
from rushes.errors import (
    BadSetting,
    InputTooLarge,
    ModelUnavailable,
    ProviderFailed,
    ProviderUnreachable,
)
from rushes.providers import Done, Inputs
from rushes.providers.facts import facts
from rushes.providers.fal import Fal
from tests.providers.cases.fal import CASES
from tests.providers.ordered import FIRST, REFERENCES, order, plain
from tests.servers.fake import KEY, answers
from tests.servers.fal import FalServer

pytestmark = pytest.mark.anyio

CASE = CASES[0]
Make = Callable[..., Fal]
MODEL = "fal-ai/veo3.1"
LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."

VEO = {"aspect_ratio": "9:16", "duration": "8s", "resolution": "1080p", "generate_audio": True}
PIXVERSE = {"duration": "8", "resolution": "720p", "generate_audio_switch": False}
EXTENDED = {"video_url": "the upload", "duration": "7s", "generate_audio": True}
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


def told(fake: FalServer) -> Any:
    """What the last create was sent."""
    sent = plain(fake.last("create").json)
    uploads = {f"{fake.origin}/files/{name}" for name in fake.uploads}
    return {name: "the upload" if value in [*uploads] else value for name, value in sent.items()}


# --- what is sent ---


@pytest.mark.parametrize(("model", "begins", "endpoint", "fields"), SENT)
async def test_each_kind_of_request_field_by_field(
    fake: FalServer, make: Make, inputs: dict[str, Inputs], model: str, begins: str, endpoint: str, fields: Any
) -> None:
    provider = make(model)
    ticket = await provider.submit(order(model, inputs=inputs[begins]))
    sent = fake.last("create")
    assert sent.path == f"/{endpoint}"
    assert told(fake) == {"prompt": "a red fox", **fields}
    assert isinstance(await provider.poll(ticket), Done), "the fake takes only what fal's own schema does"


async def test_the_table_above_is_all_that_is_known() -> None:
    assert set(facts("fal").routes) == {*CATALOGUE.videos, *CATALOGUE.images} == {model for model, *_ in SENT}
    tables = [table for model in facts("fal").models.values() for table in model.values() if isinstance(table, dict)]
    endpoints = [table["endpoint"] for table in tables if "endpoint" in table]
    assert sorted(endpoints) == sorted({endpoint for _, _, endpoint, _ in SENT})


async def test_the_headers_name_the_key_and_how_long_to_keep(fake: FalServer, make: Make) -> None:
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
async def test_an_endpoint_may_fix_the_length(
    fake: FalServer, make: Make, inputs: dict[str, Inputs], model: str, begins: str, asked: int, sent: str
) -> None:
    await make(model).submit(order(model, seconds=asked, inputs=inputs[begins]))
    assert fake.last("create").json["duration"] == sent


async def test_what_is_made_is_what_is_reckoned_with(make: Make) -> None:
    """The budget holds, and the price list charges, for what an endpoint makes of what was asked."""
    veo = make("veo3.1")
    assert [veo.seconds(4, begins) for begins in (None, Input.FIRST_FRAME, Input.REFERENCES)] == [4, 4, 8]
    assert make("pixverse5.5").seconds(10, Input.EXTEND_VIDEO) == 8


async def test_a_style_is_told_in_words(fake: FalServer, make: Make) -> None:
    await make("seedream3.0").submit(order("seedream3.0", style="vintage"))
    assert fake.last("create").json["prompt"] == "a red fox (vintage style)"


async def test_what_the_route_says_is_sent(fake: FalServer, make: Make) -> None:
    await make(resolution="720p", audio=False, extra={"seed": 7, "negative_prompt": "blur"}).submit(order())
    told = {"resolution": "720p", "generate_audio": False, "seed": 7, "negative_prompt": "blur"}
    assert fake.last("create").json == {"prompt": "a red fox", **VEO, **told}


async def test_another_model_of_fals_needs_no_code(fake: FalServer, make: Make) -> None:
    sends = {"length": "seconds", "ratio": "aspect_ratio", "quality": "resolution"}  # no resolution is set: not sent
    provider = make("my-kling", id="fal-ai/kling", text={"endpoint": "fal-ai/flux/kling", "sends": sends})
    await provider.submit(order("my-kling"))
    assert fake.last("create").path == "/fal-ai/flux/kling"
    assert fake.last("create").json == {"prompt": "a red fox", "length": 8, "ratio": "9:16"}
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
async def test_a_setting_that_cannot_be_is_told_at_start(make: Make, options: dict[str, Any], says: str) -> None:
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
async def test_every_model_has_a_price_by_fals_list(make: Make, model: str, dollars: str, of: int) -> None:
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


async def test_a_file_too_long_for_one_upload_is_not_sent(fake: FalServer, make: Make, tmp_path: Path) -> None:
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
