"""Gemini Omni: the shape of every request, what an interaction may end with, where the film is."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rushes.errors import ContentRejected, JobFailed, ProviderFailed, ProviderUnreachable
from rushes.providers import Done, Inputs, Pending, Refused
from rushes.providers.google import Google
from tests.providers.cases.google import OMNI_FLASH
from tests.providers.googled import in_base64, order
from tests.providers.ordered import FILM, refusal
from tests.servers.fake import KEY, answers
from tests.servers.google import OMNI, POLITE, OmniServer

pytestmark = pytest.mark.anyio

CASE = OMNI_FLASH


def content(fake: OmniServer) -> list[dict[str, Any]]:
    (turn,) = fake.last("create").json["input"]
    found: list[dict[str, Any]] = turn["content"]
    return found


async def test_words_alone_begin_an_interaction(fake: OmniServer, provider: Google) -> None:
    assert await provider.submit(order()) == "interactions/v1_1"
    asked = fake.last("create")
    assert (asked.method, asked.path, asked.headers["x-goog-api-key"]) == ("POST", "/v1/interactions", KEY)
    assert asked.json == {
        "model": OMNI,
        "background": True,
        "input": [{"type": "user_input", "content": [{"type": "text", "text": "a red fox"}]}],
        "generation_config": {"video_config": {"task": "text_to_video"}},
        "response_format": {
            "type": "video",
            "aspect_ratio": "9:16",
            "duration": "8s",
            "delivery": "uri",
            "resolution": "1080p",
        },
    }


async def test_a_first_frame_travels_in_the_shape_of_the_video(
    fake: OmniServer, provider: Google, inputs: dict[str, Inputs]
) -> None:
    await provider.submit(order(inputs=inputs["first_frame"]))
    words, image = content(fake)
    assert words == {"type": "text", "text": "a red fox"}
    assert (image["type"], image["mime_type"]) == ("image", "image/png")
    assert Image.open(io.BytesIO(base64.b64decode(image["data"]))).size == (1080, 1920)
    assert fake.last("create").json["generation_config"] == {"video_config": {"task": "image_to_video"}}


async def test_a_video_is_continued(fake: OmniServer, provider: Google, inputs: dict[str, Inputs]) -> None:
    await provider.submit(order(inputs=inputs["extend_video"]))
    assert content(fake)[1:] == [{"type": "video", "data": base64.b64encode(FILM).decode(), "mime_type": "video/mp4"}]
    assert fake.last("create").json["generation_config"] == {"video_config": {"task": "extend"}}


async def test_references_travel_as_they_are(fake: OmniServer, provider: Google, inputs: dict[str, Inputs]) -> None:
    await provider.submit(order(inputs=inputs["references"]))
    assert content(fake)[1:] == [
        {"type": "image", "data": in_base64(path), "mime_type": kind}
        for path, kind in zip(inputs["references"].references, ("image/jpeg", "image/webp"), strict=True)
    ]
    assert fake.last("create").json["generation_config"] == {"video_config": {"task": "reference_to_video"}}


async def test_how_it_stands_is_asked_without_a_stream(fake: OmniServer, provider: Google) -> None:
    await provider.poll(str(await provider.submit(order())))
    asked = fake.last("poll")
    assert (asked.method, asked.path, asked.query) == ("GET", "/v1/interactions/v1_1", {"stream": "false"})


@pytest.mark.parametrize("said", [{}, {"id": ""}, {"id": 7}, {"id": "../models"}])
async def test_an_answer_without_an_id_leaves_the_outcome_unknown(
    fake: OmniServer, provider: Google, said: object
) -> None:
    fake.faults["create"].append(answers(200, said))
    with pytest.raises(ValueError, match="no interaction"):
        await provider.submit(order())


# --- where the film is ---


async def test_a_film_behind_an_address_is_fetched_with_the_key(
    fake: OmniServer, provider: Google, tmp_path: Path
) -> None:
    done = await provider.poll(str(await provider.submit(order())))
    assert done == Done(f"{fake.origin}/v1/files/v1_1:download?alt=media")
    await provider.download(done, tmp_path / "result")
    assert fake.last("result").headers["x-goog-api-key"] == KEY
    assert (tmp_path / "result").read_bytes() == FILM


async def test_an_address_that_only_describes_the_film_leads_to_it(fake: OmniServer, provider: Google) -> None:
    ticket = str(await provider.submit(order()))
    video = {"type": "video", "uri": f"{fake.origin}/v1/files/abc"}
    steps = [{"type": "model_output", "content": [video]}]
    fake.faults["poll"].append(answers(200, {"status": "completed", "steps": steps}))
    assert await provider.poll(ticket) == Done(f"{fake.origin}/v1/files/abc:download?alt=media")


async def test_a_film_at_another_host_is_fetched_without_the_key(
    fake: OmniServer, provider: Google, tmp_path: Path
) -> None:
    async with OmniServer(FILM, b"") as other:
        with pytest.raises(ProviderUnreachable, match="400"):  # it wants one
            await provider.download(Done(f"{other.origin}/v1/files/1:download?alt=media"), tmp_path / "result")
        assert KEY not in str(other.last("result").headers)


async def test_a_film_inside_the_answer_must_be_whole(fake: OmniServer, provider: Google, tmp_path: Path) -> None:
    fake.inline = True
    ticket = str(await provider.submit(order()))
    done = await provider.poll(ticket)
    assert done == Done(ticket)
    await provider.download(done, tmp_path / "result")
    assert (tmp_path / "result").read_bytes() == FILM
    steps = [{"type": "model_output", "content": [{"type": "video", "data": "not base64!"}]}]
    fake.faults["poll"].append(answers(200, {"status": "completed", "steps": steps}))
    with pytest.raises(ProviderFailed, match="not whole"):
        await provider.download(done, tmp_path / "result")


# --- how it ends without one ---


@pytest.mark.parametrize(
    ("end", "error", "words"),
    [
        ("failed", ProviderFailed, "No luck"),
        ("rejected", ContentRejected, "No luck"),
        ("cancelled", ProviderFailed, "cancelled"),
        ("words", ContentRejected, POLITE[:10]),
    ],
)
async def test_an_end_without_a_film_says_why(
    fake: OmniServer, provider: Google, end: str, error: type[JobFailed], words: str
) -> None:
    fake.end = end
    answer = await refusal(provider, order())
    assert type(answer.error) is error
    assert re.search(words, answer.error.sentence)


@pytest.mark.parametrize("status", ["incomplete", "budget_exceeded", "requires_action", "requires_continuation"])
async def test_what_nobody_goes_on_with_has_ended(fake: OmniServer, provider: Google, status: str) -> None:
    fake.faults["poll"].append(answers(200, {"status": status}))
    assert status in (await refusal(provider, order())).error.sentence


async def test_done_without_anything_is_a_failure(fake: OmniServer, provider: Google) -> None:
    fake.faults["poll"].append(answers(200, {"status": "completed"}))
    assert type((await refusal(provider, order())).error) is ProviderFailed


async def test_a_state_nobody_knows_is_waited_for(fake: OmniServer, provider: Google) -> None:
    fake.end = "new"
    ticket = str(await provider.submit(order()))
    assert isinstance(await provider.poll(ticket), Pending)
    fake.faults["poll"].append(answers(200, {"id": "v1_1"}))
    with pytest.raises(ProviderUnreachable):
        await provider.poll(ticket)


async def test_a_key_that_is_not_taken_any_more_leaves_the_order_waiting(fake: OmniServer, provider: Google) -> None:
    ticket = str(await provider.submit(order()))
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
    fake.faults["poll"].append(answers(400, {"error": error}))
    with pytest.raises(ProviderUnreachable, match="API key not valid"):
        await provider.poll(ticket)


async def test_it_can_be_stopped(fake: OmniServer, provider: Google) -> None:
    ticket = str(await provider.submit(order()))
    assert await provider.cancel(ticket) is None
    assert fake.last("cancel").path == "/v1/interactions/v1_1/cancel"
    assert isinstance(await provider.poll(ticket), Refused)


async def test_what_had_ended_need_not_be_stopped(fake: OmniServer, provider: Google) -> None:
    ticket = str(await provider.submit(order()))
    fake.faults["cancel"].append(answers(400, {"error": {"status": "FAILED_PRECONDITION", "message": "It has ended."}}))
    assert await provider.cancel(ticket) is None


async def test_a_later_version_takes_more(make: Callable[..., Google]) -> None:
    first, second = make().capabilities, make(id="gemini-omni-1.2-flash").capabilities
    assert (first.most_references, second.most_references) == (3, 6)
    assert 15 in (second.durations or ())
    assert 15 not in (first.durations or ())
