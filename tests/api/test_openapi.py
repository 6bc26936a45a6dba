"""``/openapi.json``: complete, and true (contract C): schemathesis asks for all that it describes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from rushes import wire
from rushes.api import ROUTES, V1
from rushes.api.answers import HEADERS
from rushes.api.openapi import document
from rushes.catalogue import Offers
from rushes.config import Config
from rushes.errors import InvalidRequest, JobFailed, RushesError, StillRunning, TooMany
from rushes.providers.routes import Routes
from tests.conftest import Server, serving

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
LISTS = {("GET", f"{V1}/aistudio/videos"), ("GET", f"{V1}/aistudio/images")}

# Small enough that drawing them takes no time, and not all alike, so that every condition is described.
MODELS = {
    "pixverse5.5": {"provider": "sandbox", "sizes": {"16:9": [320, 180], "1:1": [180, 180]}, "durations": [1, 2]},
    "veo3.1": {"provider": "sandbox", "sizes": {"16:9": [320, 180]}, "durations": [1]},
    "seedream3.0": {"provider": "sandbox", "sizes": {"1:1": [180, 180]}},
    "flux-schnell": {"provider": "sandbox", "sizes": {"1:1": [180, 180]}},
    "own": {"provider": "sandbox", "kind": "image", "credits": 1, "sizes": {"1:1": [180, 180], "2:1": [200, 100]}},
}
SETUPS: dict[str, Json] = {
    "none": {},
    "small": MODELS,
    "without a default": {"veo3.1": {"provider": "sandbox"}},
    "videos only": {"pixverse5.5": {"provider": "sandbox"}},
    "images only": {"nanobanana": {"provider": "sandbox"}},
}

# Schemathesis walks from answer to answer: further than it would by itself, but not for ever.
WALKS = """
[phases.stateful]
max-steps = 8
generation.max-examples = 12
"""


@pytest.fixture(scope="module")
def described_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("described") / "data"
    with serving(data, settings={"RUSHES_MODELS": json.dumps(MODELS)}) as server:
        yield server


@pytest.fixture(params=SETUPS)
def described(request: pytest.FixtureRequest) -> Json:
    """The document of a server with those models."""
    return document(configured(request.param))


def configured(setup: str) -> Offers:
    return Routes(Config.model_validate({"models": SETUPS[setup]})).offers


def fetched(server: Server) -> Json:
    answer = httpx2.get(f"{server.url}/openapi.json", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: Json = answer.json()
    return found


def operations(described: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in described["paths"].items():
        yield from ((method.upper(), path, operation) for method, operation in methods.items())


# Complete


def test_every_route_is_described_and_nothing_else(described: Json) -> None:
    routes = {(method, path) for path, handlers in ROUTES.items() for method in handlers}
    assert {(method, path) for method, path, _ in operations(described)} == routes | LISTS


def test_every_operation_has_a_name_a_summary_and_a_description_of_its_own(described: Json) -> None:
    found = [operation for _, _, operation in operations(described)]
    for told in ("operationId", "summary"):
        assert len({operation[told] for operation in found}) == len(found)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)+", operation["operationId"]) for operation in found)
    assert all(operation["description"].endswith(".") for operation in found)


def test_every_tag_is_explained_and_used(described: Json) -> None:
    used = [operation["tags"] for _, _, operation in operations(described)]
    assert [tag["name"] for tag in described["tags"]] == list(dict.fromkeys(tag for [tag] in used))


def test_every_code_a_job_can_fail_with_is_told(described: Json) -> None:
    told = described["components"]["schemas"]["JobError"]["properties"]["code"]["enum"]
    assert sorted(told) == sorted(kind.code for kind in _below(JobFailed))


def test_every_code_a_request_can_be_refused_with_is_told(described: Json) -> None:
    told = described["components"]["schemas"]["Refused"]["properties"]["code"]["enum"]
    coded = [kind for kind in _below(RushesError) if not issubclass(kind, JobFailed | InvalidRequest)]
    sent = [kind for kind in coded if not kind.__subclasses__() and "code" in wire.error(_made(kind))]
    assert sorted(told) == sorted(kind.code for kind in sent)


def _made(kind: type[RushesError]) -> RushesError:
    if kind is StillRunning:
        return StillRunning("said", "a job")
    return kind("said", 1) if kind is TooMany else kind("said")


def _below(kind: type[RushesError]) -> set[type[RushesError]]:
    return set(kind.__subclasses__()).union(*(_below(each) for each in kind.__subclasses__()))


def test_every_status_there_is_can_be_answered(described: Json) -> None:
    told = {int(status) for _, _, operation in operations(described) for status in operation["responses"]}
    assert told == {*wire.STATUS.values(), 200, 206, 302, 304}


def test_what_every_answer_carries_is_told_of_every_answer(described: Json) -> None:
    carried = {name.decode() for name, _ in HEADERS}
    answers = [answer for _, _, operation in operations(described) for answer in operation["responses"].values()]
    for answer in [*answers, *described["components"]["responses"].values()]:
        assert "$ref" in answer or carried <= {name.lower() for name in answer["headers"]}


# True


def test_every_reference_leads_somewhere_and_every_shape_is_used(described: Json) -> None:
    text = json.dumps(described)
    named = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "headers", "responses")
        for name in described["components"][kind]
    }
    used = set(re.findall(r'"\$ref": "([^"]+)"', text))
    assert used <= named
    assert {name for name in named - used if "/schemas/" in name} == set()


def test_every_link_leads_to_an_operation_and_to_parameters_it_has(described: Json) -> None:
    found = {operation["operationId"]: operation for _, _, operation in operations(described)}
    for _, _, operation in operations(described):
        for link in operation["responses"]["200"].get("links", {}).values():
            takes = {parameter["name"] for parameter in found[link["operationId"]].get("parameters", ())}
            assert set(link.get("parameters", ())) <= takes


def test_every_example_fits_its_schema(described: Json) -> None:
    shown = list(examples(described))
    assert len(shown) > 50
    for schema, example in shown:
        validator(described, schema).validate(example)


def examples(described: Json) -> Iterator[tuple[Json, object]]:
    contents = [operation.get("requestBody", {}).get("content", {}) for _, _, operation in operations(described)]
    for _, _, operation in operations(described):
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    contents += [answer["content"] for answer in described["components"]["responses"].values()]
    contents += [told["post"]["requestBody"]["content"] for told in described["webhooks"].values()]
    for media in (media for content in contents for media in content.values()):
        yield from ([(media["schema"], media["example"])] if "example" in media else [])
        yield from ((media["schema"], told["value"]) for told in media.get("examples", {}).values())


def validator(described: Json, schema: Json) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": described["components"]})


TAKEN = [
    {"prompt": "a fox"},
    {"prompt": "a fox", "model": None, "aspectRatio": "4:3", "duration": "10s"},
    {"prompt": "a fox", "model": "veo3.1", "aspectRatio": "9:16", "duration": "6s"},
    {"prompt": "a fox", "firstFrameImageUrl": "HTTPS://example.org:8443/a.png?b=c", "extendVideoUrl": None},
    {"prompt": "a fox", "referenceImageUrls": ["http://example.org/a.png"] * 3, "more": 1},
]
REFUSED = [
    {},
    {"prompt": "fox"},
    {"prompt": "     "},
    {"prompt": "a fox" * 1001},
    {"prompt": "a fox", "model": "sora"},
    {"prompt": "a fox", "duration": "4s"},
    {"prompt": "a fox", "model": "veo3.1", "duration": "10s"},
    {"prompt": "a fox", "model": "veo3.1", "aspectRatio": "1:1"},
    {"prompt": "a fox", "duration": 8},
    {"prompt": "a fox", "webhook": "ftp://example.org/"},
    {"prompt": "a fox", "webhook": "http://example.org:65536/"},
    {"prompt": "a fox", "referenceImageUrls": []},
    {"prompt": "a fox", "referenceImageUrls": ["http://example.org/a.png"] * 4},
    {"prompt": "a fox", "firstFrameImageUrl": "http://a.example/a", "extendVideoUrl": "http://a.example/b"},
]


@pytest.mark.parametrize("body", [*TAKEN, *REFUSED], ids=repr)
def test_what_the_document_allows_is_what_the_server_takes(sqlite_server: Server, body: Json) -> None:
    described = fetched(sqlite_server)
    allowed = validator(described, {"$ref": "#/components/schemas/VideoRequest"}).is_valid(body)
    with sqlite_server.client() as api:
        answer = api.post("/aistudio/videos", json=body)
    assert (answer.status_code == 200, allowed) == (body in TAKEN, body in TAKEN), answer.text


def test_a_server_without_the_default_model_says_that_one_must_be_named() -> None:
    body = document(configured("without a default"))["components"]["schemas"]["VideoRequest"]
    assert body["required"] == ["model", "prompt"]


# All of it, asked


def test_schemathesis_finds_no_answer_that_is_not_described(described_server: Server, tmp_path: Path) -> None:
    described = within_reach(linked(closed(fetched(described_server))))
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    (tmp_path / "walks.toml").write_text(WALKS)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "walks.toml", "run", "openapi.json"),
        *("--url", described_server.url, "--header", f"Authorization: {described_server.key()}", "--no-color"),
        *("--seed", "1", "--generation-database", "none", "--max-examples", "5", "--continue-on-failure"),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.api.concessions", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env={**os.environ, **hooks}, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Tested: {len(list(operations(described)))}\n" in run.stdout
    assert re.search(r"API Links: +[1-9]\d* covered", run.stdout)


def closed(described: Json) -> Json:
    """The same, with no room for a key that is not described. A client must leave room; we have no use for it."""
    for name, schema in described["components"]["schemas"].items():
        if not name.endswith("Request"):
            _close(schema)
    return described


def _close(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _close(each)
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            schema["additionalProperties"] = False
        for each in schema.values():
            _close(each)


def linked(described: Json) -> Json:
    """The same, with ways from an answer to a file that only schemathesis' own dialect of links can tell of."""
    paths = described["paths"]
    announced = paths[f"{V1}/media/generateurl"]["post"]["responses"]["200"]["links"]
    upload = _parts("$response.body#/data/signedUrl", "uploads")
    query = {
        "expires": r"$response.body#/data/signedUrl#regex:expires=([0-9]+)",
        "signature": r"$response.body#/data/signedUrl#regex:signature=([0-9a-f]+)",
    }
    announced["send_it"] = {"operationId": "upload_file", "parameters": {**upload, **query}}
    announced["fetch_it"] = {"operationId": "get_upload", "parameters": upload}
    for kind in ("video", "image"):
        found = paths[f"{V1}/aistudio/{kind}s"]["get"]["responses"]["200"]["links"]
        where = _parts("$response.body#/items/0/url", f"{kind}s")
        found["file"] = {"operationId": f"get_{kind}_file", "parameters": where}
    return described


def _parts(link: str, folder: str) -> Json:
    return {
        "account_id": rf"{link}#regex:/{folder}/user/([0-9a-f-]+)/",
        "name": rf"{link}#regex:/{folder}/user/[0-9a-f-]+/([^?]+)",
    }


def within_reach(described: Json) -> Json:
    """The same, with links to nobody and to itself in place of links to anybody: an accepted job would call them."""
    own = described["servers"][0]["url"].removeprefix("http://")
    few = rf"^https?://([a-z]{{3,9}}[.]invalid|{re.escape(own)})(/[!-\[\]-~]*)?$"
    shapes = described["components"]["schemas"]
    link = shapes["VideoRequest"]["properties"]["webhook"]["pattern"]
    described["components"]["schemas"] = json.loads(json.dumps(shapes).replace(json.dumps(link), json.dumps(few)))
    return described
