"""``GET /aistudio/models``, an operator's own models, and ``GET /metrics`` (contract C)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rushes.catalogue import STYLES
from tests.api.takes import ended
from tests.conftest import Server, serving, wait_until

MODELS = "/aistudio/models"
IMAGES = "/aistudio/images"
VIDEO_KEYS = [
    *("model", "kind", "configured", "provider", "aspectRatios", "sizes"),
    *("durations", "creditsPerSecond", "inputs", "needsInput"),
]
IMAGE_KEYS = [
    *("model", "kind", "configured", "provider", "aspectRatios", "sizes"),
    *("styles", "credits", "inputs"),
]

ROUTES = """
[models."pixverse5.5"]
provider = "sandbox"

[models."nanobanana"]
provider = "sandbox"
credits = 5

[models."poster"]
provider = "sandbox"
kind = "image"
sizes = { "2:3" = [64, 96], "3:2" = [96, 64] }
credits = 1.25
takes_reference = false

[models."sketch"]
provider = "sandbox"
kind = "image"
sizes = { "1:1" = [64, 64] }
credits = 0

[models."loop"]
provider = "sandbox"
sizes = { "1:1" = [64, 64] }
durations = [2, 1]
credits_per_second = 0.5
"""


def listed(api: httpx2.Client) -> dict[str, dict[str, Any]]:
    answer = api.get(MODELS)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["items"]
    return {item["model"]: item for item in answer.json()["items"]}


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose operator has named two models of the contract and three of his own."""
    folder: Path = tmp_path_factory.mktemp("operated")
    (folder / "routes.toml").write_text(ROUTES)
    with serving(folder / "data", settings={"RUSHES_CONFIG": str(folder / "routes.toml")}) as server:
        yield server


def test_with_nothing_configured_every_model_of_the_contract_is_the_sandboxs(api: httpx2.Client) -> None:
    """Contract: "GET /aistudio/models (configured or not, by rushes.toml)"."""
    models = listed(api)
    assert list(models) == [
        *("pixverse5.5", "veo3.1", "veo3.1_fast"),
        *("seedream3.0", "flux-schnell", "nanobanana", "nanobanana-pro"),
    ]
    assert {(each["configured"], each["provider"]) for each in models.values()} == {(True, "sandbox")}


def test_a_model_of_videos_says_what_it_can_be_asked_for(api: httpx2.Client) -> None:
    model = listed(api)["veo3.1_fast"]
    assert list(model) == VIDEO_KEYS
    assert (model["kind"], model["aspectRatios"], model["durations"]) == ("video", ["16:9", "9:16"], ["4s", "6s", "8s"])
    assert model["sizes"] == {"16:9": [1920, 1080], "9:16": [1080, 1920]}
    assert json.dumps(model["creditsPerSecond"]) == "10"
    assert model["inputs"] == ["firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls"]
    assert model["needsInput"] is False


@pytest.mark.parametrize(
    ("name", "credit", "inputs"),
    [
        ("seedream3.0", 2, ["referenceImageUrl"]),
        ("flux-schnell", 0.6, []),
        ("nanobanana", 4, ["referenceImageUrl"]),
        ("nanobanana-pro", 14, ["referenceImageUrl"]),
    ],
)
def test_a_model_of_images_says_what_it_can_be_asked_for(
    api: httpx2.Client, name: str, credit: float, inputs: list[str]
) -> None:
    model = listed(api)[name]
    assert list(model) == IMAGE_KEYS
    assert (model["kind"], model["aspectRatios"]) == ("image", ["1:1", "16:9", "9:16"])
    assert (model["credits"], model["inputs"], model["styles"]) == (credit, inputs, list(STYLES))


def test_a_model_without_a_route_is_told_and_not_configured(operated: Server) -> None:
    """Contract: "configured or not, by rushes.toml"."""
    with operated.client() as api:
        models = listed(api)
        configured = {name for name, each in models.items() if each["configured"]}
        assert configured == {"pixverse5.5", "nanobanana", "poster", "sketch", "loop"}
        assert {each["provider"] for each in models.values() if not each["configured"]} == {None}
        refused = api.post(IMAGES, json={"prompt": "a red fox", "model": "seedream3.0"})
        assert [field["name"] for field in refused.json()["fields"]] == ["model"]
        # without a model: the default has no route here either
        refused = api.post(IMAGES, json={"prompt": "a red fox"})
        assert [field["name"] for field in refused.json()["fields"]] == ["model"]


def test_an_operators_own_models_are_told_as_he_declared_them(operated: Server) -> None:
    """Contract: "an operator's own image model in rushes.toml (kind = "image", sizes, credits, takes_reference)"."""
    with operated.client() as api:
        models = listed(api)
    poster, sketch, loop = models["poster"], models["sketch"], models["loop"]
    assert list(poster) == IMAGE_KEYS
    assert (poster["kind"], poster["credits"], poster["inputs"]) == ("image", 1.25, [])
    assert (poster["aspectRatios"], poster["sizes"]) == (["2:3", "3:2"], {"2:3": [64, 96], "3:2": [96, 64]})
    assert (sketch["credits"], sketch["inputs"]) == (0, ["referenceImageUrl"])
    assert list(loop) == VIDEO_KEYS
    assert (loop["kind"], loop["durations"], loop["creditsPerSecond"]) == ("video", ["2s", "1s"], 0.5)
    assert models["nanobanana"]["credits"] == 5


def test_an_operators_own_image_is_made_at_its_size_and_price(operated: Server) -> None:
    with operated.client() as api:
        job_id = api.post(IMAGES, json={"prompt": "a red fox", "model": "poster"}).json()["data"]["jobId"]
        data = ended(api, job_id)["data"]
        assert (data["status"], data["width"], data["height"]) == ("completed", 64, 96)
        assert data["aiCreditsUsed"] == 1.25
        [item] = api.get(IMAGES).json()["items"]
        assert (item["model"], item["aspectRatio"]) == ("poster", "2:3")
        link = item["url"]
        refused = api.post(IMAGES, json={"prompt": "a red fox", "model": "poster", "referenceImageUrl": link})
        assert [field["name"] for field in refused.json()["fields"]] == ["referenceImageUrl"]
        taken = api.post(IMAGES, json={"prompt": "a red fox", "model": "sketch", "referenceImageUrl": link})
        assert ended(api, taken.json()["data"]["jobId"])["data"]["aiCreditsUsed"] == 0


def test_a_model_of_images_is_none_of_videos_and_the_other_way_round(operated: Server) -> None:
    with operated.client() as api:
        for path, model in ((IMAGES, "loop"), ("/aistudio/videos", "poster"), ("/aistudio/videos", "nanobanana")):
            refused = api.post(path, json={"prompt": "a red fox", "model": model})
            assert [field["name"] for field in refused.json()["fields"]] == ["model"], model


def test_models_need_a_key(server: Server) -> None:
    with server.client("pictai_unknown") as api:
        assert api.get(MODELS).content == b'{"message":"Unauthorized"}'


# --- metrics ---


def metrics(server: Server) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus would read it."""
    answer = httpx2.get(f"{server.url}/metrics", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    return {
        " ".join([each.name, *(each.labels[label] for label in sorted(each.labels))]): each.value for each in samples
    }


def test_metrics_parse_and_count_what_waits(tmp_path: Path, database_url: str | None) -> None:
    """Contract: "GET /metrics parses with prometheus_client's parser"."""
    with serving(tmp_path / "data", database_url, "--no-worker") as server, server.client() as api:
        before = metrics(server)
        assert (before["rushes_oldest_due_job_seconds"], before["rushes_webhooks_due"]) == (0, 0)
        assert "rushes_jobs" not in " ".join(before)
        for path in ("/aistudio/videos", IMAGES, IMAGES):
            assert api.post(path, json={"prompt": "a red fox"}).status_code == 200
        wait_until(lambda: metrics(server)["rushes_oldest_due_job_seconds"] > 0, what="a job to be due for a while")
        told = metrics(server)
        video, image = "video pixverse5.5 queued", "image seedream3.0 queued"
        assert (told[f"rushes_jobs {video}"], told[f"rushes_jobs {image}"]) == (1, 2)
        assert min(told[f"rushes_job_age_seconds {video}"], told[f"rushes_job_age_seconds {image}"]) > 0
