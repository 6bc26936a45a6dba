"""Gemini's images: the shape of a request, which picture counts, and the three ways of saying no."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import BadSetting, ContentRejected, JobFailed, ModelRetired, ModelUnavailable, ProviderFailed
from rushes.providers import Delivered, Done, Inputs, Refused
from rushes.providers.google import Google
from tests.providers.cases.google import IMAGE
from tests.providers.googled import drawing, in_base64
from tests.providers.ordered import PICTURE
from tests.servers.fake import KEY, answers
from tests.servers.google import IMAGE as MODEL
from tests.servers.google import POLITE, GeminiImageServer

pytestmark = pytest.mark.anyio

CASE = IMAGE
Make = Callable[..., Google]


async def test_words_alone_become_a_picture_at_once(fake: GeminiImageServer, provider: Google, tmp_path: Path) -> None:
    assert await provider.submit(drawing(tmp_path / "made")) == Delivered()
    asked = fake.last("create")
    assert (asked.method, asked.path) == ("POST", f"/v1/models/{MODEL}:generateContent")
    assert asked.headers["x-goog-api-key"] == KEY
    assert asked.json == {
        "contents": [{"role": "user", "parts": [{"text": "a red fox"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}},
    }
    assert (tmp_path / "made").read_bytes() == PICTURE


async def test_references_and_a_style_go_with_the_words(
    fake: GeminiImageServer, provider: Google, tmp_path: Path, inputs: dict[str, Inputs]
) -> None:
    await provider.submit(drawing(tmp_path / "made", style="cartoon", inputs=inputs["reference"]))
    (content,) = fake.last("create").json["contents"]
    assert content["parts"] == [
        {"text": "a red fox (cartoon style)"},
        {"inlineData": {"mimeType": "image/jpeg", "data": in_base64(*inputs["reference"].references)}},
    ]


async def test_a_route_may_say_a_size_and_more(fake: GeminiImageServer, make: Make, tmp_path: Path) -> None:
    await make(image_size="2K", extra={"seed": 3}).submit(drawing(tmp_path / "made"))
    assert fake.last("create").json["generationConfig"] == {
        "seed": 3,
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
    }


async def test_models_of_the_third_kind_are_asked_for_one_k(
    fake: GeminiImageServer, make: Make, tmp_path: Path
) -> None:
    provider = make(id="gemini-3-pro-image")
    with pytest.raises(ModelRetired):  # this server has another
        await provider.submit(drawing(tmp_path / "made"))
    assert provider.price is not None
    assert str(provider.price.dollars) == "0.134"
    assert fake.last("create").json["generationConfig"]["imageConfig"]["imageSize"] == "1K"


async def test_the_last_picture_that_is_no_thought_counts(
    fake: GeminiImageServer, provider: Google, tmp_path: Path
) -> None:
    fake.end = "drafts"
    await provider.submit(drawing(tmp_path / "made"))
    assert (tmp_path / "made").read_bytes() == PICTURE


@pytest.mark.parametrize(
    ("end", "prompt", "error", "words"),
    [
        ("done", "a forbidden thing", ContentRejected, "PROHIBITED_CONTENT"),
        ("drawn", "a fox", ContentRejected, r"Unable to show.*IMAGE_SAFETY"),
        ("words", "a fox", ContentRejected, POLITE[:10]),
        ("nothing", "a fox", ProviderFailed, "NO_IMAGE"),
    ],
)
async def test_a_no_is_told_in_one_of_its_ways(
    fake: GeminiImageServer,
    provider: Google,
    tmp_path: Path,
    end: str,
    prompt: str,
    error: type[JobFailed],
    words: str,
) -> None:
    fake.end = end
    with pytest.raises(error, match=words):
        await provider.submit(drawing(tmp_path / "made", prompt=prompt))
    assert not (tmp_path / "made").exists()


def _holding(data: object) -> dict[str, Any]:
    parts = [{"inlineData": {"mimeType": "image/png", "data": data}}]
    return {"candidates": [{"content": {"parts": parts}}]}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"candidates": []},
        {"candidates": [None]},
        {"candidates": [{"content": []}]},
        _holding(7),
        _holding("what?!"),
    ],
)
async def test_an_answer_that_cannot_be_understood_leaves_the_outcome_unknown(
    fake: GeminiImageServer, provider: Google, tmp_path: Path, said: object
) -> None:
    fake.faults["create"].append(answers(200, said))
    with pytest.raises(ValueError, match="Google's answer holds"):
        await provider.submit(drawing(tmp_path / "made"))


async def test_a_picture_may_be_spelled_in_either_alphabet(
    fake: GeminiImageServer, provider: Google, tmp_path: Path
) -> None:
    fake.faults["create"].extend(answers(200, _holding(text)) for text in ("-__-", "+//+"))
    for _ in range(2):
        await provider.submit(drawing(tmp_path / "made"))
        assert (tmp_path / "made").read_bytes() == b"\xfb\xff\xfe"


async def test_a_bad_key_is_a_400_there(fake: GeminiImageServer, provider: Google, tmp_path: Path) -> None:
    fake.faults["create"].append(
        answers(400, {"error": {"status": "INVALID_ARGUMENT", "message": "API key expired. Please renew the API key."}})
    )
    with pytest.raises(ModelUnavailable, match="API key expired"):
        await provider.submit(drawing(tmp_path / "made"))


async def test_there_is_no_job_to_ask_for(fake: GeminiImageServer, provider: Google, tmp_path: Path) -> None:
    assert isinstance(await provider._api.poll("1"), Refused)
    with pytest.raises(ProviderFailed):
        await provider._api.download(Done("1"), tmp_path / "made")


async def test_a_size_it_does_not_have_is_told_at_start(make: Make) -> None:
    with pytest.raises(BadSetting, match="image_size"):
        make(image_size="8K")
