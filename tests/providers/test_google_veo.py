"""Veo on Vertex: the shape of every request, tokens, what an operation may end with, where the film is."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rushes.catalogue import Input
from rushes.errors import BadSetting, ContentRejected, JobFailed, ModelUnavailable, ProviderFailed, ProviderUnreachable
from rushes.providers import Done, Inputs
from rushes.providers.google import Google
from tests.providers.cases.google import VEO
from tests.providers.googled import in_base64, order
from tests.providers.ordered import FILM, JOB, refusal
from tests.servers.fake import KEY, answers
from tests.servers.google import LOCATION, PROJECT, TOKEN, VeoServer
from tests.servers.google import VEO as MODEL

pytestmark = pytest.mark.anyio

WHERE = f"/v1beta1/projects/{PROJECT}/locations/{LOCATION}/publishers/google/models/{MODEL}"
CASE = replace(VEO, options={**VEO.options, "storage_uri": None})  # films come inside the answer
Make = Callable[..., Google]


# --- the shape of every request ---


async def test_words_alone_begin_an_operation(fake: VeoServer, provider: Google) -> None:
    await provider.submit(order())
    asked = fake.last("create")
    assert (asked.method, asked.path) == ("POST", f"{WHERE}:predictLongRunning")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.json == {
        "instances": [{"prompt": "a red fox"}],
        "parameters": {
            "sampleCount": 1,
            "durationSeconds": 8,
            "aspectRatio": "9:16",
            "resolution": "1080p",
            "generateAudio": True,
        },
    }


async def test_a_first_frame_travels_in_the_shape_of_the_video(
    fake: VeoServer, provider: Google, inputs: dict[str, Inputs]
) -> None:
    await provider.submit(order(inputs=inputs["first_frame"]))
    (instance,) = fake.last("create").json["instances"]
    assert instance.keys() == {"prompt", "image"}
    assert instance["image"]["mimeType"] == "image/png"
    assert Image.open(io.BytesIO(base64.b64decode(instance["image"]["bytesBase64Encoded"]))).size == (1080, 1920)


async def test_references_travel_as_assets(fake: VeoServer, provider: Google, inputs: dict[str, Inputs]) -> None:
    await provider.submit(order(inputs=inputs["references"]))
    assert fake.last("create").json["instances"] == [
        {
            "prompt": "a red fox",
            "referenceImages": [
                {"image": {"bytesBase64Encoded": in_base64(path), "mimeType": kind}, "referenceType": "ASSET"}
                for path, kind in zip(inputs["references"].references, ("image/jpeg", "image/webp"), strict=True)
            ],
        }
    ]


async def test_a_video_is_continued_by_the_seven_seconds_that_veo_adds(
    fake: VeoServer, provider: Google, inputs: dict[str, Inputs]
) -> None:
    await provider.submit(order(inputs=inputs["extend_video"]))
    asked = fake.last("create").json
    video = {"bytesBase64Encoded": base64.b64encode(FILM).decode(), "mimeType": "video/mp4"}
    assert asked["instances"] == [{"prompt": "a red fox", "video": video}]
    assert asked["parameters"]["durationSeconds"] == provider.seconds(8, Input.EXTEND_VIDEO) == 7


async def test_with_references_a_video_has_eight_seconds(
    fake: VeoServer, provider: Google, inputs: dict[str, Inputs]
) -> None:
    await provider.submit(order(seconds=4, inputs=inputs["reference"]))
    assert fake.last("create").json["parameters"]["durationSeconds"] == provider.seconds(4, Input.REFERENCES) == 8
    assert provider.seconds(4, Input.FIRST_FRAME) == provider.seconds(4, None) == 4


@pytest.mark.parametrize(("size", "resolution"), [((1280, 720), "720p"), ((3840, 2160), "4k"), ((960, 540), None)])
async def test_the_resolution_is_that_of_the_order(
    fake: VeoServer, provider: Google, size: tuple[int, int], resolution: str | None
) -> None:
    await provider.submit(order(aspect_ratio="16:9", width=size[0], height=size[1]))
    assert fake.last("create").json["parameters"].get("resolution") == resolution


async def test_a_route_may_say_where_and_how(fake: VeoServer, make: Make) -> None:
    options = {"audio": False, "extra": {"seed": 3, "sampleCount": 4}, "project": "another", "location": "europe-west4"}
    await make(storage_uri="gs://a-bucket", **options).submit(order())
    asked = fake.last("create")
    assert asked.path.startswith("/v1beta1/projects/another/locations/europe-west4/")
    assert asked.json["parameters"] == {
        "seed": 3,
        "sampleCount": 1,
        "durationSeconds": 8,
        "aspectRatio": "9:16",
        "resolution": "1080p",
        "generateAudio": False,
        "storageUri": f"gs://a-bucket/{JOB}/",
    }


async def test_how_it_stands_is_asked_by_the_operations_name(fake: VeoServer, provider: Google) -> None:
    ticket = await provider.submit(order())
    await provider.poll(str(ticket))
    asked = fake.last("poll")
    assert (asked.method, asked.path, asked.json) == (
        "POST",
        f"{WHERE}:fetchPredictOperation",
        {"operationName": ticket},
    )


async def test_each_location_has_its_own_host(fake: VeoServer) -> None:
    setup = VEO.setup(fake, base_url=None)
    for location, host in (("us-central1", "us-central1-aiplatform"), ("global", "aiplatform")):
        veo = Google(replace(setup, options={**setup.options, "location": location}))._api
        assert str(veo._vendor(location).base) == f"https://{host}.googleapis.com/"  # type: ignore[attr-defined]


async def test_an_operation_stays_where_it_was_begun(provider: Google, make: Make) -> None:
    moved = make(location="europe-west4", project="another")
    assert isinstance(await moved.poll(str(await provider.submit(order()))), Done)
    assert list(moved._api._vendors) == [LOCATION]  # type: ignore[attr-defined]


# --- where the film is ---


async def test_a_film_may_be_inside_the_answer(provider: Google, tmp_path: Path) -> None:
    ticket = str(await provider.submit(order()))
    done = await provider.poll(ticket)
    assert done == Done(ticket)
    await provider.download(done, tmp_path / "result")
    assert (tmp_path / "result").read_bytes() == FILM


@pytest.mark.parametrize("text", ["", "not base64!", None])
async def test_a_film_that_is_not_whole_is_a_failure(
    fake: VeoServer, provider: Google, tmp_path: Path, text: str | None
) -> None:
    done = await provider.poll(str(await provider.submit(order())))
    assert isinstance(done, Done)
    video = {"bytesBase64Encoded": text, "mimeType": "video/mp4"}
    fake.faults["poll"].append(answers(200, {"done": True, "response": {"videos": [video]}}))
    with pytest.raises(ProviderFailed, match="not whole"):
        await provider.download(done, tmp_path / "result")


async def test_a_film_in_cloud_storage_is_fetched_with_a_token(fake: VeoServer, make: Make, tmp_path: Path) -> None:
    provider = make(storage_uri="gs://a-bucket/made+here")
    done = await provider.poll(str(await provider.submit(order())))
    assert done == Done(f"gs://a-bucket/made+here/{JOB}/1234/sample_0.mp4")
    await provider.download(done, tmp_path / "result")
    asked = fake.last("result")
    assert asked.path == f"/storage/v1/b/a-bucket/o/made+here/{JOB}/1234/sample_0.mp4"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert (tmp_path / "result").read_bytes() == FILM


# --- how it ends without one ---


@pytest.mark.parametrize(
    ("end", "error", "words"),
    [
        ("rejected", ContentRejected, "Support codes: 15236754"),
        ("refused", ContentRejected, "usage guidelines"),
        ("failed", ProviderFailed, r"Internal error.*\(13\)"),
        ("empty", ProviderFailed, "gives no video"),
    ],
)
async def test_an_end_without_a_film_says_why(
    fake: VeoServer, provider: Google, end: str, error: type[JobFailed], words: str
) -> None:
    fake.end = end
    answer = await refusal(provider, order())
    assert type(answer.error) is error
    assert re.search(words, answer.error.sentence)


@pytest.mark.parametrize("name", [None, "", 7, "projects/p/operations/1", "https://elsewhere/operations/1"])
async def test_an_answer_without_an_operation_leaves_the_outcome_unknown(
    fake: VeoServer, provider: Google, name: object
) -> None:
    fake.faults["create"].append(answers(200, {"name": name}))
    with pytest.raises(ValueError, match="no operation"):
        await provider.submit(order())


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ((400, "INVALID_ARGUMENT", "Unsupported output video duration."), ProviderFailed),
        ((400, "FAILED_PRECONDITION", "Billing is not enabled."), ModelUnavailable),
        ((403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied."), ModelUnavailable),
        ((429, "RESOURCE_EXHAUSTED", "Quota exceeded."), ProviderUnreachable),
    ],
)
async def test_a_refusals_status_says_what_it_means(
    fake: VeoServer, provider: Google, said: tuple[int, str, str], error: type[Exception]
) -> None:
    code, status, message = said
    fake.faults["create"].append(answers(code, {"error": {"code": code, "status": status, "message": message}}))
    with pytest.raises(error, match=message[:12]):
        await provider.submit(order())


# --- tokens ---


async def test_a_token_is_asked_for_once(fake: VeoServer, provider: Google) -> None:
    tickets = await asyncio.gather(*(provider.submit(order()) for _ in range(5)))
    for ticket in tickets:
        await provider.poll(str(ticket))
    assert fake.count("token") == 1


async def test_a_token_that_has_run_out_is_asked_for_anew(fake: VeoServer, provider: Google) -> None:
    fake.lifetime = 1
    await provider.poll(str(await provider.submit(order())))
    assert fake.count("token") == 2


async def test_an_account_that_is_let_in_no_more_leaves_what_was_ordered_waiting(
    fake: VeoServer, provider: Google
) -> None:
    fake.lifetime = 1
    ticket = str(await provider.submit(order()))
    for _ in range(2):
        fake.faults["token"].append(answers(400, {"error": "invalid_grant", "error_description": "Account not found"}))
    with pytest.raises(ProviderUnreachable, match="credentials"):  # what was ordered waits for another
        await provider.poll(ticket)
    with pytest.raises(ModelUnavailable, match="credentials"):
        await provider.submit(order())
    assert fake.count("create") == 1


async def test_a_token_endpoint_that_is_away_has_taken_nothing(fake: VeoServer) -> None:
    account = json.dumps({**json.loads(fake.account()), "token_uri": "http://127.0.0.1:1/token"})
    provider = Google(replace(VEO.setup(fake), secret=lambda name: account))
    with pytest.raises(ProviderUnreachable, match="access token"):
        await provider.submit(order())
    assert fake.count("create") == 0


async def test_an_accounts_file_may_be_named(fake: VeoServer, tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text(fake.account())
    setup = replace(VEO.setup(fake, key_file=str(tmp_path / "account.json")), secret=lambda name: None)
    assert await Google(setup).submit(order())


async def test_without_an_account_this_machines_login_counts(
    fake: VeoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "login.json").write_text(fake.account())
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "login.json"))
    setup = replace(VEO.setup(fake, project=PROJECT), secret=lambda name: None)
    assert await Google(setup).submit(order())


async def test_a_machine_without_a_login_is_told_what_to_set(
    fake: VeoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    provider = Google(replace(VEO.setup(fake, project=PROJECT), secret=lambda name: None))
    with pytest.raises(ModelUnavailable, match="GOOGLE_SERVICE_ACCOUNT_FILE"):
        await provider.submit(order())


async def test_without_an_account_the_project_must_be_said(fake: VeoServer) -> None:
    with pytest.raises(BadSetting, match="project"):
        Google(replace(VEO.setup(fake), secret=lambda name: None))


@pytest.mark.parametrize("text", [KEY, "[]", "{}", '{"type": "authorized_user"}', "7"])
async def test_a_key_that_is_no_accounts_is_told_at_start(fake: VeoServer, text: str) -> None:
    with pytest.raises(BadSetting, match="service account"):
        Google(replace(VEO.setup(fake), secret=lambda name: text))


async def test_google_auth_is_needed_for_veo_alone(fake: VeoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rushes.providers.google.tokens", raising=False)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(BadSetting, match=r'pip install "rushes\[google\]"'):
        Google(VEO.setup(fake))
    setup = VEO.setup(fake, id="gemini-omni-1.1-flash")
    Google(replace(setup, secret=lambda name: KEY))


@pytest.mark.parametrize("options", [{"storage_uri": "s3://a-bucket"}, {"location": "us/central1"}, {"api": "imagen"}])
async def test_an_option_that_cannot_be_is_told_at_start(make: Make, options: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match=next(iter(options))):
        make(**options)


async def test_a_model_that_is_gone_is_told_by_doctor(fake: VeoServer, provider: Google) -> None:
    assert await provider.check() == f"Google takes the key and has {MODEL}"
    fake.faults["models"].append(answers(403, {"error": {"code": 403, "message": "denied"}}))
    with pytest.raises(ModelUnavailable):
        await provider.check()
