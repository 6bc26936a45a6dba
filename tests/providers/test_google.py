"""One provider, three APIs; and Google's own client against our servers, which must say the same as ours."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from rushes.catalogue import Input
from rushes.errors import BadSetting, ProviderUnreachable
from rushes.providers import Inputs, Setup
from rushes.providers.google import Google
from rushes.providers.google.omni import Omni
from rushes.providers.google.veo import Veo
from tests.providers.cases.case import Case
from tests.providers.cases.google import IMAGE, OMNI_FLASH, VEO
from tests.providers.googled import drawing, in_base64, order
from tests.providers.ordered import FILM, PICTURE
from tests.servers.fake import KEY, Fake
from tests.servers.google import IMAGE as IMAGE_MODEL
from tests.servers.google import LOCATION, OMNI, PROJECT, TOKEN, GeminiImageServer, OmniServer, VeoServer
from tests.servers.google import VEO as VEO_MODEL

pytestmark = pytest.mark.anyio


@pytest.fixture
async def veo() -> AsyncIterator[VeoServer]:
    async with VeoServer(FILM, b"") as server:
        yield server


@pytest.fixture
async def omni() -> AsyncIterator[OmniServer]:
    async with OmniServer(FILM, b"") as server:
        yield server


@asynccontextmanager
async def made(case: Case, fake: Fake, **options: Any) -> AsyncIterator[Google]:
    """A provider of a case, with other options."""
    provider = Google(case.setup(fake, **options))
    yield provider
    await provider.close()


# --- one provider ---

OPERATION = "projects/p/locations/europe-west4/publishers/google/models/m/operations/1"


async def test_a_job_is_asked_for_where_it_is_whatever_the_route_says_now(veo: VeoServer, omni: OmniServer) -> None:
    secrets = {"GOOGLE_SERVICE_ACCOUNT": veo.account(), "GEMINI_API_KEY": KEY}
    provider = Google(replace(OMNI_FLASH.setup(omni), secret=secrets.get))
    holder = provider._holder(OPERATION)
    assert isinstance(holder, Veo)
    assert str(holder._vendor("europe-west4").base) == "https://europe-west4-aiplatform.googleapis.com/"
    assert provider._holder(OPERATION) is holder is provider._holder("gs://a-bucket/film.mp4")
    machine = Google(OMNI_FLASH.setup(omni))  # whose login may do
    assert isinstance(machine._holder(OPERATION), Veo)
    provider = Google(replace(VEO.setup(veo), secret=secrets.get))
    assert isinstance(provider._holder("interactions/1"), Omni)
    assert isinstance(provider._holder("https://generativelanguage.googleapis.com/v1/files/1"), Omni)


async def test_a_job_whose_key_is_gone_waits(veo: VeoServer, omni: OmniServer) -> None:
    with pytest.raises(ProviderUnreachable, match="GEMINI_API_KEY"):
        await Google(VEO.setup(veo)).poll("interactions/1")
    assert omni.asked == []


async def test_what_holds_for_every_model_of_googles_does_no_harm(veo: VeoServer, tmp_path: Path) -> None:
    async with GeminiImageServer(b"", PICTURE) as server:
        for_all = {"project": PROJECT, "location": LOCATION, "storage_uri": "gs://a-bucket", "audio": False}
        async with made(IMAGE, server, **for_all) as provider:
            await provider.submit(drawing(tmp_path / "made"))
        assert PROJECT not in str(server.last("create"))


async def test_a_model_nobody_knows_names_its_api(omni: OmniServer) -> None:
    with pytest.raises(BadSetting, match="api"):
        Google(OMNI_FLASH.setup(omni, id="gemini-omni-2-flash"))
    provider = Google(OMNI_FLASH.setup(omni, id="gemini-omni-2-flash", api="omni"))
    assert provider.price is None


@pytest.mark.parametrize(
    ("model", "dollars"),
    [("veo3.1", "3.20"), ("veo3.1_fast", "0.96"), ("nanobanana", "0.039"), ("nanobanana-pro", "0.134")],
)
async def test_the_names_of_the_contract_have_models_and_prices(veo: VeoServer, model: str, dollars: str) -> None:
    secrets = {"GOOGLE_SERVICE_ACCOUNT": veo.account(), "GEMINI_API_KEY": KEY}
    provider = Google(Setup(model=model, secret=secrets.get))
    assert provider.price is not None
    assert provider.price.of(8) == Decimal(dollars)
    assert provider.price.table == "google 2026-11-22"
    assert Input.EXTEND_VIDEO not in provider.capabilities.inputs  # Veo's is of another length than was asked for


# --- Google's own client ---


def key_client(server: Fake) -> genai.Client:
    return genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=server.origin))


def cloud_client(server: Fake) -> genai.Client:
    who = Credentials(token=TOKEN)  # type: ignore[no-untyped-call]
    where = types.HttpOptions(base_url=server.origin)
    return genai.Client(vertexai=True, project=PROJECT, location=LOCATION, credentials=who, http_options=where)


def said(server: Fake, kind: str) -> tuple[str, str, Any, Any]:
    asked = server.last(kind)
    return asked.method, asked.path, dict(asked.query), asked.json if asked.body else None


def _image(path: Path) -> types.Image:
    return types.Image(image_bytes=path.read_bytes(), mime_type="image/jpeg")


async def test_googles_client_makes_a_video_by_veo_as_we_do(veo: VeoServer, inputs: dict[str, Inputs]) -> None:
    (reference,) = inputs["reference"].references
    config = types.GenerateVideosConfig(
        number_of_videos=1,
        duration_seconds=8,
        aspect_ratio="9:16",
        resolution="1080p",
        generate_audio=True,
        reference_images=[
            types.VideoGenerationReferenceImage(
                image=_image(reference), reference_type=types.VideoGenerationReferenceType.ASSET
            )
        ],
    )

    def theirs() -> bytes | None:
        client = cloud_client(veo)
        source = types.GenerateVideosSource(prompt="a red fox")
        operation = client.models.generate_videos(model=VEO_MODEL, source=source, config=config)
        operation = client.operations.get(operation)
        assert operation.response
        assert operation.response.generated_videos
        video = operation.response.generated_videos[0].video
        return video.video_bytes if video else None

    assert await asyncio.to_thread(theirs) == FILM
    create, poll = said(veo, "create"), said(veo, "poll")
    async with made(VEO, veo, storage_uri=None) as provider:
        ticket = str(await provider.submit(order(inputs=inputs["reference"])))
        await provider.poll(ticket)
    assert said(veo, "create") == create
    assert said(veo, "poll") == (*poll[:3], {"operationName": ticket})


async def test_googles_client_continues_a_video_by_veo_as_we_do(veo: VeoServer, inputs: dict[str, Inputs]) -> None:
    config = types.GenerateVideosConfig(
        number_of_videos=1, duration_seconds=7, aspect_ratio="9:16", resolution="1080p", generate_audio=True
    )
    video = types.Video(video_bytes=FILM, mime_type="video/mp4")
    source = types.GenerateVideosSource(prompt="a red fox", video=video)
    client = cloud_client(veo)
    await asyncio.to_thread(client.models.generate_videos, model=VEO_MODEL, source=source, config=config)
    create = said(veo, "create")
    async with made(VEO, veo, storage_uri=None) as provider:
        await provider.submit(order(inputs=inputs["extend_video"]))
    assert said(veo, "create") == create


async def test_googles_client_looks_for_a_model_of_vertex_where_we_do(veo: VeoServer) -> None:
    client = cloud_client(veo)
    await asyncio.to_thread(client.models.get, model=VEO_MODEL)
    looked = said(veo, "models")
    async with made(VEO, veo) as provider:
        await provider.check()
    assert said(veo, "models") == looked


async def test_googles_client_makes_an_image_as_we_do(tmp_path: Path, inputs: dict[str, Inputs]) -> None:
    (reference,) = inputs["reference"].references
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"], image_config=types.ImageConfig(aspect_ratio="16:9"), seed=3
    )
    part = types.Part.from_bytes(data=reference.read_bytes(), mime_type="image/jpeg")
    contents: list[Any] = ["a red fox", part]
    async with GeminiImageServer(b"", PICTURE) as server:
        client = key_client(server)
        answer = await asyncio.to_thread(
            lambda: client.models.generate_content(model=IMAGE_MODEL, contents=contents, config=config)
        )
        assert [each.inline_data.data for each in answer.parts or [] if each.inline_data] == [PICTURE]
        theirs = said(server, "create")
        async with made(IMAGE, server, extra={"seed": 3}) as provider:
            await provider.submit(drawing(tmp_path / "made", inputs=inputs["reference"]))
        ours = said(server, "create")
    inline = theirs[3]["contents"][0]["parts"][1]["inlineData"]
    # The API takes either spelling of a name, and either alphabet.
    inline["mimeType"] = inline.pop("mime_type")
    inline["data"] = inline["data"].replace("-", "+").replace("_", "/")
    assert ours == theirs


async def test_googles_client_makes_a_video_by_omni_as_we_do(omni: OmniServer, inputs: dict[str, Inputs]) -> None:
    (reference,) = inputs["reference"].references
    content: list[Any] = [
        {"type": "text", "text": "a red fox"},
        {"type": "image", "data": in_base64(reference), "mime_type": "image/jpeg"},
    ]

    def theirs() -> list[str | None]:
        client = key_client(omni)
        made: Any = client.interactions.create(
            model=OMNI,
            background=True,
            input=[{"type": "user_input", "content": content}],
            generation_config={"video_config": {"task": "reference_to_video"}},
            response_format={
                "type": "video",
                "aspect_ratio": "9:16",
                "duration": "8s",
                "delivery": "uri",
                "resolution": "1080p",
            },
        )
        found: Any = client.interactions.get(made.id)
        client.interactions.cancel(made.id)
        return [made.status, found.output_video.uri]

    assert await asyncio.to_thread(theirs) == ["queued", f"{omni.origin}/v1/files/v1_1:download?alt=media"]
    create, poll, cancel = (said(omni, kind) for kind in ("create", "poll", "cancel"))
    omni.jobs.clear()
    async with made(OMNI_FLASH, omni) as provider:
        ticket = str(await provider.submit(order(inputs=inputs["reference"])))
        await provider.poll(ticket)
        await provider.cancel(ticket)
    assert [said(omni, kind) for kind in ("create", "poll", "cancel")] == [create, poll, cancel]


async def test_googles_client_reads_what_omni_put_inside_its_answer(omni: OmniServer) -> None:
    omni.inline = True
    async with made(OMNI_FLASH, omni) as provider:
        ticket = str(await provider.submit(order()))
    client = key_client(omni)
    found: Any = await asyncio.to_thread(client.interactions.get, ticket.removeprefix("interactions/"))
    assert base64.b64decode(found.output_video.data or "") == FILM
