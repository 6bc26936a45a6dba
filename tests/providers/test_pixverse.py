"""What is PixVerse's alone: the shape of every request, traces, codes under HTTP 200, states, credits."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rushes.catalogue import Input
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
from rushes.providers import Done, Inputs, Pending
from rushes.providers.pixverse import PixVerse
from tests.providers import ordered
from tests.providers.cases.pixverse import CASES
from tests.providers.ordered import FILM, JOB, picture, refusal
from tests.servers.fake import KEY, answers
from tests.servers.pixverse import PixVerseServer

pytestmark = pytest.mark.anyio

CASE = CASES[0]
order = partial(ordered.order, CASE.model)
Make = Callable[..., PixVerse]
USUAL = {"model": "v5.5", "prompt": "a red fox", "duration": 8, "quality": "720p"}


def refuses(code: int, message: str = "no") -> Any:
    return answers(200, {"ErrCode": code, "ErrMsg": message, "Resp": None})


# --- the shape of every request ---


async def test_words_alone_are_sent_with_key_and_trace(fake: PixVerseServer, provider: PixVerse) -> None:
    await provider.submit(order())
    asked = fake.last("create")
    assert (asked.method, asked.path) == ("POST", "/openapi/v2/video/text/generate")
    assert asked.json == {**USUAL, "aspect_ratio": "9:16"}
    assert (asked.headers["api-key"], asked.headers["ai-trace-id"]) == (KEY, JOB)


async def test_a_first_frame_is_uploaded_in_the_shape_of_the_video(
    fake: PixVerseServer, provider: PixVerse, inputs: dict[str, Inputs]
) -> None:
    await provider.submit(order(inputs=inputs["first_frame"]))
    (part,) = fake.last("upload").form["image"]
    assert (fake.last("upload").path, part.filename, part.content_type) == (
        "/openapi/v2/image/upload",
        "input.png",
        "image/png",
    )
    assert Image.open(io.BytesIO(part.content)).size == (720, 1280)
    asked = fake.last("create")
    assert asked.path == "/openapi/v2/video/img/generate"
    assert asked.json == {**USUAL, "img_id": next(iter(fake.uploads))}


async def test_a_video_is_uploaded_and_continued(
    fake: PixVerseServer, provider: PixVerse, inputs: dict[str, Inputs]
) -> None:
    await provider.submit(order(inputs=inputs["extend_video"]))
    (part,) = fake.last("upload").form["file"]
    assert (fake.last("upload").path, part.filename, part.content_type, part.content) == (
        "/openapi/v2/media/upload",
        "input.mp4",
        "video/mp4",
        FILM,
    )
    asked = fake.last("create")
    assert asked.path == "/openapi/v2/video/extend/generate"
    assert asked.json == {**USUAL, "video_media_id": next(iter(fake.uploads))}


async def test_a_video_may_be_uploaded_under_another_name(
    fake: PixVerseServer, make: Make, inputs: dict[str, Inputs]
) -> None:
    with pytest.raises(ProviderFailed):  # this server knows the other one
        await make(media_field="media").submit(order(inputs=inputs["extend_video"]))
    assert list(fake.last("upload").form) == ["media"]


async def test_references_are_uploaded_and_named_in_the_prompt(
    fake: PixVerseServer, provider: PixVerse, tmp_path: Path
) -> None:
    paths = tuple(picture(tmp_path / colour, colour) for colour in ("red", "green", "blue"))
    await provider.submit(order(prompt="a fox like @picture2 runs", inputs=Inputs(references=paths)))
    first, second, third = fake.uploads
    assert list(fake.uploads.values()) == [path.read_bytes() for path in paths]
    asked = fake.last("create")
    assert asked.path == "/openapi/v2/video/fusion/generate"
    assert asked.json == {
        **USUAL,
        "prompt": "@picture1 @picture3 a fox like @picture2 runs",
        "aspect_ratio": "9:16",
        "image_references": [
            {"type": "subject", "img_id": first, "ref_name": "picture1"},
            {"type": "subject", "img_id": second, "ref_name": "picture2"},
            {"type": "subject", "img_id": third, "ref_name": "picture3"},
        ],
    }


@pytest.mark.parametrize("prompt", ["a fox, @picture1", "@picture1, a fox", "@picture10 a fox"])
async def test_a_name_without_a_space_behind_it_is_none(
    fake: PixVerseServer, provider: PixVerse, inputs: dict[str, Inputs], prompt: str
) -> None:
    await provider.submit(order(prompt=prompt, inputs=inputs["reference"]))
    assert fake.last("create").json["prompt"] == f"@picture1 {prompt}"


async def test_quality_sound_and_fields_of_its_own_are_the_routes(fake: PixVerseServer, make: Make) -> None:
    extra = {"negative_prompt": "rain", "seed": 3, "model": "v1"}
    await make(quality="540p", audio=True, extra=extra).submit(order(seconds=5))
    assert fake.last("create").json == {
        **USUAL,
        "duration": 5,
        "quality": "540p",
        "aspect_ratio": "9:16",
        "generate_audio_switch": True,
        "negative_prompt": "rain",
        "seed": 3,
    }


async def test_a_quality_it_does_not_have_is_told_at_start(make: Make) -> None:
    with pytest.raises(BadSetting, match="quality"):
        make(quality="8k")


# --- traces ---


async def test_only_the_create_bears_the_jobs_trace(
    fake: PixVerseServer, provider: PixVerse, inputs: dict[str, Inputs]
) -> None:
    fake.polls = 2
    ticket = await provider.submit(order(inputs=inputs["first_frame"]))
    while isinstance(await provider.poll(ticket), Pending):
        pass
    await provider.check()
    others = [asked.headers["ai-trace-id"] for asked in fake.asked if asked.kind not in ("create", "result")]
    assert len(others) == len({str(uuid.UUID(each)) for each in others} - {JOB}) == 5


async def test_what_was_refused_is_not_held_against_the_next_try(fake: PixVerseServer, provider: PixVerse) -> None:
    fake.faults["create"].append(refuses(500044, "Reached the limit for concurrent generations."))
    with pytest.raises(ProviderUnreachable, match="concurrent"):
        await provider.submit(order())
    await provider.submit(order())
    assert len(fake.jobs) == 1


# --- HTTP 200 is no success ---


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (10005, ModelUnavailable),
        (400012, ModelUnavailable),
        (500020, ModelUnavailable),
        (500090, ModelUnavailable),
        (500054, ContentRejected),
        (500063, ContentRejected),
        (500030, InputTooLarge),
        (500032, InputNotAnImage),
        (400017, ProviderFailed),
        (400018, ProviderFailed),
        (987654, ProviderFailed),
    ],
)
async def test_a_refusals_number_says_what_it_means(
    fake: PixVerseServer, provider: PixVerse, code: int, error: type[JobFailed]
) -> None:
    fake.faults["create"].append(refuses(code, "the reason"))
    with pytest.raises(JobFailed, match=rf"the reason \({code}\)") as caught:
        await provider.submit(order())
    assert type(caught.value) is error
    assert fake.count("create") == 1


@pytest.mark.parametrize("code", [500044, 500069])
@pytest.mark.parametrize("kind", ["upload", "create", "poll"])
async def test_a_limit_that_is_reached_is_asked_again(
    fake: PixVerseServer, provider: PixVerse, inputs: dict[str, Inputs], kind: str, code: int
) -> None:
    fake.faults[kind].append(refuses(code))
    with pytest.raises(ProviderUnreachable, match="not now"):
        await provider.poll(await provider.submit(order(inputs=inputs["first_frame"])))


async def test_a_fault_of_theirs_says_nothing_of_the_order(fake: PixVerseServer, provider: PixVerse) -> None:
    fake.faults["create"].append(answers(200, {"ErrCode": 500100, "ErrMsg": "DB", "Resp": {"video_id": 1}}))
    with pytest.raises(ValueError, match="names no video"):
        await provider.submit(order())


@pytest.mark.parametrize("resp", [None, [], {}, {"video_id": None}, {"video_id": True}, {"video_id": "../1"}])
async def test_a_success_without_a_number_is_none(fake: PixVerseServer, provider: PixVerse, resp: object) -> None:
    fake.faults["create"].append(answers(200, {"ErrCode": 0, "ErrMsg": "success", "Resp": resp}))
    with pytest.raises(ValueError, match="names no video"):
        await provider.submit(order())


async def test_an_upload_that_fails_costs_nothing_and_is_tried_again(
    fake: PixVerseServer, provider: PixVerse, inputs: dict[str, Inputs]
) -> None:
    fake.faults["upload"].extend([answers(502), answers(200, {"ErrCode": 0, "ErrMsg": "success", "Resp": {}})])
    for _ in range(2):
        with pytest.raises(ProviderUnreachable):
            await provider.submit(order(inputs=inputs["first_frame"]))
    await provider.submit(order(inputs=inputs["first_frame"]))
    assert fake.count("create") == 1


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (refuses(500054, "Content moderation failure."), ContentRejected),
        (refuses(500032, "Invalid image format"), InputNotAnImage),
        (answers(413, {"ErrMsg": "too large"}), ProviderFailed),
        (answers(404, {"ErrMsg": "no such page"}), ProviderFailed),
        (answers(401, {"ErrMsg": "who are you?"}), ModelUnavailable),
    ],
)
async def test_an_upload_that_is_refused_ends_it(
    fake: PixVerseServer, provider: PixVerse, inputs: dict[str, Inputs], said: Any, error: type[JobFailed]
) -> None:
    fake.faults["upload"].append(said)
    with pytest.raises(JobFailed) as caught:
        await provider.submit(order(inputs=inputs["first_frame"]))
    assert type(caught.value) is error
    assert fake.count("create") == 0


# --- states ---


@pytest.mark.parametrize(
    ("end", "error", "cost"),
    [("deleted", ProviderFailed, None), ("rejected", ContentRejected, 0), ("failed", ProviderFailed, None)],
)
async def test_an_end_without_a_video_says_why_and_what_it_cost(
    fake: PixVerseServer, provider: PixVerse, end: str, error: type[JobFailed], cost: int | None
) -> None:
    fake.end = end
    answer = await refusal(provider, order())
    assert (type(answer.error), answer.cost) == (error, cost)


async def test_a_state_nobody_knows_is_waited_for(fake: PixVerseServer, provider: PixVerse) -> None:
    fake.end = "new"
    ticket = await provider.submit(order())
    assert isinstance(await provider.poll(ticket), Pending)
    fake.end = "done"
    assert isinstance(await provider.poll(ticket), Done)


@pytest.mark.parametrize("code", [10005, 500020, 500100])
async def test_a_paid_video_waits_for_a_key_that_works(fake: PixVerseServer, provider: PixVerse, code: int) -> None:
    ticket = await provider.submit(order())
    fake.faults["poll"].append(refuses(code))
    with pytest.raises(ProviderUnreachable):
        await provider.poll(ticket)
    assert isinstance(await provider.poll(ticket), Done)


async def test_a_video_that_is_not_known_there_is_lost(provider: PixVerse) -> None:
    with pytest.raises(ProviderFailed, match=r"500008.*look there"):
        await provider.poll("1")


async def test_done_without_an_address_is_asked_again(fake: PixVerseServer, provider: PixVerse) -> None:
    ticket = await provider.submit(order())
    fake.faults["poll"].append(answers(200, {"ErrCode": 0, "ErrMsg": "success", "Resp": {"status": 1, "url": ""}}))
    with pytest.raises(ProviderUnreachable):
        await provider.poll(ticket)


# --- money ---


async def test_what_a_create_says_it_took_is_in_the_ticket(
    fake: PixVerseServer, provider: PixVerse, make: Make
) -> None:
    fake.credits = 45
    ticket = await provider.submit(order())
    assert ticket.split() == [next(iter(fake.jobs)), "0.45"]
    done = await make(id="v6").poll(ticket)  # of another list
    assert isinstance(done, Done)
    assert done.cost == Decimal("0.45")


async def test_a_video_that_was_moderated_is_given_back(fake: PixVerseServer, provider: PixVerse) -> None:
    fake.credits, fake.end = 45, "rejected"
    assert (await refusal(provider, order())).cost == 0


@pytest.mark.parametrize(
    ("options", "of_eight"),
    [
        ({}, "1.20"),
        ({"quality": "1080p"}, "2.40"),
        ({"audio": True}, "1.36"),
        ({"dollars_per_second": "0.01"}, "0.08"),
        ({"id": "v6"}, None),
    ],
)
async def test_the_list_knows_quality_and_sound(make: Make, options: dict[str, Any], of_eight: str | None) -> None:
    price = make(**options).price
    assert (price and price.of(8)) == (of_eight and Decimal(of_eight))


async def test_each_model_is_made_from_what_it_takes(make: Make) -> None:
    assert make().capabilities.inputs == frozenset(Input)
    assert Input.REFERENCES not in make(id="v6").capabilities.inputs
    assert Input.EXTEND_VIDEO not in make(id="c1").capabilities.inputs
    assert make().capabilities.durations == (5, 8, 10)


async def test_a_key_without_credits_is_told_before_a_job_is(fake: PixVerseServer, provider: PixVerse) -> None:
    assert await provider.check() == "PixVerse takes the key, and 1000 credits are left on it"
    fake.balance = 0
    with pytest.raises(ModelUnavailable, match="no credits"):
        await provider.check()


async def test_a_page_that_is_gone_is_a_model_that_is_gone(fake: PixVerseServer, provider: PixVerse) -> None:
    fake.faults["create"].append(answers(404, {"ErrCode": 0, "ErrMsg": "page not found"}))
    with pytest.raises(ModelRetired):
        await provider.submit(order())
