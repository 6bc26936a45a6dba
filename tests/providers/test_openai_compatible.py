"""``/v1/videos`` and ``/v1/images``: what exactly is sent, how each server's ways are read, and OpenAI's own client."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import openai
import pytest
from PIL import Image

from rushes.catalogue import Input
from rushes.errors import ContentRejected, ModelRetired, ModelUnavailable, ProviderFailed, ProviderUnreachable
from rushes.providers import Delivered, Done, Inputs, Pending, Provider, Refused
from rushes.providers.openai_compatible import OpenAICompatible
from tests.conftest import serving
from tests.providers.cases.openai_compatible import IMAGE, VIDEO
from tests.providers.ordered import makes
from tests.providers.ordered import picture as photograph
from tests.providers.sandboxed import image_order, order
from tests.servers.fake import KEY, answers
from tests.servers.openai_compatible import MODEL, OpenAICompatibleServer

pytestmark = pytest.mark.anyio
CASE = replace(VIDEO, options={**VIDEO.options, "extra": {"num_inference_steps": 30, "generate_sound": True}})
Make = Callable[..., OpenAICompatible]


@pytest.fixture
async def fake(film: bytes, picture: bytes) -> AsyncIterator[OpenAICompatibleServer]:
    async with OpenAICompatibleServer(film, picture) as server:
        yield server


@pytest.fixture
async def painter(fake: OpenAICompatibleServer) -> AsyncIterator[Provider]:
    """Makes images."""
    async with makes(IMAGE, fake) as make:
        yield make()


async def test_words_are_sent_as_a_form_of_text(fake: OpenAICompatibleServer, provider: OpenAICompatible) -> None:
    await provider.submit(order("a calm sea"))
    sent = fake.last("create")
    assert (sent.method, sent.path) == ("POST", "/v1/videos")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert dict(sent.form) == {
        "model": [MODEL],
        "prompt": ["a calm sea"],
        "seconds": ["2"],
        "size": ["320x480"],
        "num_inference_steps": ["30"],
        "generate_sound": ["true"],
    }


async def test_a_first_frame_is_scaled_and_cropped_to_the_size_asked_for(
    fake: OpenAICompatibleServer, provider: OpenAICompatible, tmp_path: Path
) -> None:
    """Contract B6: "scaled and centre-cropped to cover"."""
    await provider.submit(order(inputs=Inputs(first_frame=photograph(tmp_path / "in"))))
    [part] = fake.last("create").form["input_reference"]
    assert (part.filename, part.content_type) == ("first_frame.png", "image/png")
    with Image.open(io.BytesIO(part.content)) as sent:
        assert (sent.format, sent.size) == ("PNG", (320, 480))


async def test_references_are_sent_as_they_are_in_their_order(
    fake: OpenAICompatibleServer, provider: OpenAICompatible, tmp_path: Path
) -> None:
    pictures = tuple(photograph(tmp_path / name, name) for name in ("red", "green", "blue"))
    await provider.submit(order(inputs=Inputs(references=pictures)))
    parts = fake.last("create").form["input_references"]
    assert [part.content for part in parts] == [each.read_bytes() for each in pictures]
    assert {part.content_type for part in parts} == {"image/jpeg"}


async def test_an_image_is_asked_for_as_base64(fake: OpenAICompatibleServer, painter: Provider, tmp_path: Path) -> None:
    given = await painter.submit(image_order("a calm sea", style="vintage", result=tmp_path / "made"))
    assert given == Delivered(None)
    assert (tmp_path / "made").read_bytes() == fake.picture
    assert fake.last("create").path == "/v1/images/generations"
    assert fake.last("create").json == {
        "model": MODEL,
        "prompt": "a calm sea (vintage style)",
        "size": "400x400",
        "n": 1,
        "response_format": "b64_json",
    }


async def test_an_image_with_a_reference_is_an_edit(
    fake: OpenAICompatibleServer, painter: Provider, tmp_path: Path
) -> None:
    given = photograph(tmp_path / "in")
    await painter.submit(image_order(reference=given, result=tmp_path / "made"))
    sent = fake.last("create")
    assert sent.path == "/v1/images/edits"
    assert [part.content for part in sent.form["image"]] == [given.read_bytes()]
    assert sent.form["size"] == ["400x400"]


async def test_an_image_that_is_a_link_is_fetched_without_the_key(
    fake: OpenAICompatibleServer, painter: Provider, tmp_path: Path
) -> None:
    link = f"http://localhost:{fake.port}/v1/videos/x/content"
    fake.faults["create"].append(answers(200, {"data": [{"url": link}], "usage": {"cost": 0.5}}))
    ticket = await painter.submit(image_order(result=tmp_path / "made"))
    done = await painter.poll(str(ticket))
    assert done == Done(link, Decimal("0.5"))
    fake.faults["result"].append(answers(503))
    with pytest.raises(ProviderUnreachable):  # it is paid for, and fetched again
        await painter.download(done, tmp_path / "made")
    await painter.download(done, tmp_path / "made")
    assert (tmp_path / "made").read_bytes() == fake.film
    assert "authorization" not in fake.last("result").headers


@pytest.mark.parametrize(
    "spelled", [{"b64_json": "data:image/png;base64,{}"}, {"b64_json": "\n{}\n"}, {"url": "data:x;base64,{}"}]
)
async def test_an_image_in_another_spelling_is_not_thrown_away(
    fake: OpenAICompatibleServer, painter: Provider, tmp_path: Path, spelled: dict[str, str]
) -> None:
    text = base64.b64encode(fake.picture).decode()
    item = {name: value.format(text) for name, value in spelled.items()}
    fake.faults["create"].append(answers(200, {"data": [item]}))
    assert await painter.submit(image_order(result=tmp_path / "made")) == Delivered(None)
    assert (tmp_path / "made").read_bytes() == fake.picture


async def test_a_key_that_is_repeated_is_struck_out(fake: OpenAICompatibleServer, provider: OpenAICompatible) -> None:
    fake.faults["create"].append(answers(401, {"error": {"message": f"no such key: {KEY}"}}))
    with pytest.raises(ModelUnavailable) as caught:
        await provider.submit(order())
    assert KEY not in str(caught.value)
    assert "no such key" in str(caught.value)


@pytest.mark.parametrize("status", [401, 503])
async def test_a_cancel_that_was_not_heard_is_sent_again(
    fake: OpenAICompatibleServer, provider: OpenAICompatible, status: int
) -> None:
    ticket = str(await provider.submit(order()))
    fake.faults["cancel"].append(answers(status))
    with pytest.raises(ProviderUnreachable):
        await provider.cancel(ticket)
    assert await provider.cancel(ticket) is None


async def test_an_image_that_cannot_be_read_was_paid_for(
    fake: OpenAICompatibleServer, painter: Provider, tmp_path: Path
) -> None:
    fake.faults["create"].append(answers(200, {"data": [{"b64_json": "not base64!"}]}))
    with pytest.raises(ValueError, match="base64"):
        await painter.submit(image_order(result=tmp_path / "made"))


async def test_its_progress_is_told_as_a_share(fake: OpenAICompatibleServer, provider: OpenAICompatible) -> None:
    fake.end = "never"
    assert await provider.poll(str(await provider.submit(order()))) == Pending(2.0, 0.4)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({"status": "queued"}, Pending(2.0, None)),
        ({"status": "processing", "progress": 250}, Pending(2.0, 1.0)),
        ({"status": "in_progress", "progress": "soon"}, Pending(2.0, None)),
        ({"status": "completed"}, Done("videos/v/content", None)),
        ({"status": "completed", "url": "https://bucket.example/v.mp4"}, Done("https://bucket.example/v.mp4", None)),
        ({"status": "completed", "usage": {"cost": 0.25}}, Done("videos/v/content", Decimal("0.25"))),
        ({"status": "completed", "usage": {"cost": "free"}}, Done("videos/v/content", None)),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_every_state_of_a_job_has_a_meaning(
    fake: OpenAICompatibleServer, provider: OpenAICompatible, told: dict[str, object], meant: object
) -> None:
    fake.faults["poll"].append(answers(200, told))
    assert await provider.poll("v") == meant


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        ({"code": "moderation_blocked", "message": "Not that"}, ContentRejected, "Not that"),
        ({"code": "gpu", "message": "Out of memory"}, ProviderFailed, "Out of memory"),
        ("a plain text", ProviderFailed, "a plain text"),
        (None, ProviderFailed, "does not say why"),
    ],
)
async def test_a_job_that_failed_says_why(
    fake: OpenAICompatibleServer, provider: OpenAICompatible, told: object, error: type[Exception], words: str
) -> None:
    fake.faults["poll"].append(answers(200, {"status": "failed", "error": told}))
    answer = await provider.poll("v")
    assert isinstance(answer, Refused)
    assert type(answer.error) is error
    assert words in answer.error.sentence


async def test_a_state_it_does_not_know_may_pass(fake: OpenAICompatibleServer, provider: OpenAICompatible) -> None:
    fake.faults["poll"].append(answers(200, {"status": "dreaming"}))
    with pytest.raises(ProviderUnreachable, match="dreaming"):
        await provider.poll("v")


async def test_a_model_that_is_not_on_the_list_is_told_by_doctor(make: Make) -> None:
    with pytest.raises(ModelRetired, match=MODEL):
        await make(id="Wan-AI/Another").check()


async def test_a_server_of_ones_own_may_have_no_key(fake: OpenAICompatibleServer, make: Make) -> None:
    fake.faults["create"].append(answers(200, {"id": "v"}))
    assert await make(key_env="NOT_SET").submit(order()) == "v"
    assert "authorization" not in fake.last("create").headers


async def test_what_it_takes_is_the_routes_to_say(fake: OpenAICompatibleServer, provider: OpenAICompatible) -> None:
    assert provider.capabilities.inputs == {Input.FIRST_FRAME}


# --- OpenAI's own client, so that the stand-in cannot drift into what only we accept ---


@pytest.fixture
async def client(fake: OpenAICompatibleServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=fake.base_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # each of its video methods warns
async def test_openais_client_makes_a_video_at_the_stand_in(
    fake: OpenAICompatibleServer, client: openai.AsyncOpenAI
) -> None:
    made = await client.videos.create(model=MODEL, prompt="a calm sea", seconds="4", size="720x1280")
    assert (made.status, made.object) == ("queued", "video")
    found = await client.videos.retrieve(made.id)
    assert (found.status, found.progress) == ("completed", 100)
    assert (await client.videos.download_content(made.id)).content == fake.film
    fake.end = "rejected"
    failed = await client.videos.retrieve(made.id)
    assert failed.error
    assert failed.error.code == "moderation_blocked"


async def test_openais_client_makes_an_image_at_the_stand_in(client: openai.AsyncOpenAI) -> None:
    made = await client.images.generate(model=MODEL, prompt="a calm sea", response_format="b64_json")
    assert made.data
    assert made.data[0].b64_json
    with pytest.raises(openai.BadRequestError):
        await client.images.generate(model=MODEL, prompt="a forbidden thing")
    assert [each.id async for each in client.models.list()] == [MODEL]


# --- the whole way ---


async def test_a_real_server_makes_a_video_and_an_image_there(fake: OpenAICompatibleServer, tmp_path: Path) -> None:
    route = {"provider": "openai_compatible", "base_url": fake.base_url, "id": MODEL}
    models = {"pixverse5.5": {**route, "dollars_per_second": 0.1}, "flux-schnell": {**route, "dollars": 0.003}}
    settings = {"RUSHES_MODELS": json.dumps(models), "OPENAI_API_KEY": KEY, "RUSHES_ALLOW_PRIVATE_HOSTS": "127.0.0.1"}

    def asked() -> None:
        with serving(tmp_path / "data", settings=settings) as server, server.rushes() as client:
            video = client.videos.generate("a calm sea", duration="8s", aspect_ratio="9:16")
            assert client.videos.download(video, tmp_path / "v.mp4").read_bytes() == fake.film
            assert (video.width, video.height) == (64, 112)
            image = client.images.generate("a calm sea", model="flux-schnell")
            assert (image.width, image.height) == (72, 128)
            costs = {job.model: (job.cost, job.cost_source) for job in client.jobs.details()}
            assert costs == {"pixverse5.5": (0.8, "rushes.toml"), "flux-schnell": (0.003, "rushes.toml")}

    await asyncio.to_thread(asked)
    assert fake.count("create") == 2
