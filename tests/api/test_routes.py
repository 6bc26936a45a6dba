"""A request is checked against what its route can be asked for, before anything is queued or held."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from tests.conftest import Server, serving

MODELS = {
    # fal has no reference pictures for PixVerse, and does extend it
    "pixverse5.5": {"provider": "fal"},
    "veo3.1": {"provider": "openai_compatible", "base_url": "http://127.0.0.1:1/v1", "id": "wan"},
    "veo3.1_fast": {
        "provider": "openai_compatible",
        "base_url": "http://127.0.0.1:1/v1",
        "id": "wan",
        "inputs": ["references"],
        "sizes": {"1:1": [640, 640]},
        "durations": [3],
    },
    "still-to-film": {
        "provider": "fal",
        "id": "acme/still-to-film",
        "first_frame": {"endpoint": "acme/still-to-film", "sends": {"image_url": "first_frame"}},
        "sizes": {"1:1": [640, 640]},
        "durations": [3],
        "credits_per_second": 1,
    },
    "flux-schnell": {"provider": "fal"},
}
LINK = "https://pictures.example/one.png"


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"RUSHES_MODELS": json.dumps(MODELS), "FAL_KEY": "id:secret"}
    with serving(tmp_path_factory.mktemp("routed") / "data", None, "--no-worker", settings=settings) as server:
        yield server


@pytest.fixture
def api(routed: Server) -> Iterator[httpx2.Client]:
    with routed.client() as client:
        yield client


def refused(api: httpx2.Client, **body: object) -> dict[str, str]:
    """The fields that are wrong; nothing was queued."""
    answer = api.post("/aistudio/videos", json={"prompt": "a red fox", **body})
    assert answer.status_code in (200, 400), answer.text
    assert (len(api.get("/aistudio/jobs").json()["items"]) == 0) is (answer.status_code == 400)
    return {field["name"]: field["errors"] for field in answer.json().get("fields", [])}


@pytest.mark.parametrize(
    ("model", "given", "taken"),
    [
        ("pixverse5.5", "firstFrameImageUrl", True),
        ("pixverse5.5", "extendVideoUrl", True),
        ("pixverse5.5", "referenceImageUrls", False),
        ("veo3.1", "firstFrameImageUrl", True),
        ("veo3.1", "extendVideoUrl", True),  # by its last frame
        ("veo3.1", "referenceImageUrls", False),
        ("veo3.1_fast", "referenceImageUrls", True),
        ("veo3.1_fast", "firstFrameImageUrl", False),
        ("veo3.1_fast", "extendVideoUrl", False),
    ],
)
def test_an_input_that_the_route_does_not_take_is_named(
    api: httpx2.Client, model: str, given: str, taken: bool
) -> None:
    link = [LINK] if given == "referenceImageUrls" else LINK
    told = refused(api, model=model, **{given: link})
    assert list(told) == ([] if taken else [given])
    assert taken or model in told[given]
    models = {each["model"]: each for each in api.get("/aistudio/models").json()["items"]}
    assert (given in models[model]["inputs"]) is taken


def test_a_routes_own_sizes_and_lengths_are_what_can_be_asked_for(api: httpx2.Client) -> None:
    assert list(refused(api, model="veo3.1_fast", aspectRatio="16:9", duration="8s")) == ["aspectRatio", "duration"]
    assert refused(api, model="veo3.1_fast", aspectRatio="1:1", duration="3s") == {}


def test_a_model_that_makes_nothing_from_words_alone_says_what_it_needs(api: httpx2.Client) -> None:
    models = {each["model"]: each for each in api.get("/aistudio/models").json()["items"]}
    assert [name for name, model in models.items() if model.get("needsInput")] == ["still-to-film"]
    assert list(refused(api, model="still-to-film")) == ["firstFrameImageUrl"]
    assert refused(api, model="still-to-film", firstFrameImageUrl=LINK) == {}
